//! Command-line interface. Only `main.rs` ends the process.

pub(crate) use args::Args;
pub(crate) use failure::Failure;

use args::Command;
use std::future::Future;
use switchboard_client::Switchboard;
use terminal::Terminal;
use tokio::{runtime, signal};

mod answer;
mod args;
mod chat;
mod closing_line;
mod failure;
mod feedback;
mod json;
mod prompt;
mod tasks;
mod terminal;

/// Runs the command. A returned failure has already been reported on standard error.
pub(crate) fn run(args: Args, no_color: bool) -> Result<(), Failure> {
    let terminal = Terminal::new(args.output.color, no_color, args.output.quiet || args.output.json);
    let result = run_command(args, &terminal);
    if let Err(failure) = &result {
        failure.report(&terminal);
    }
    result
}

fn run_command(args: Args, terminal: &Terminal) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    let result = match &args.command {
        // The prompt is read before Ctrl-C is handled, so that Ctrl-C still interrupts reading from a pipe.
        None => prompt::request(&args.ask).and_then(|request| {
            runtime.block_on(interruptible(async {
                let switchboard = connect(&args).await?;
                answer::answer(&switchboard, request, &args, terminal).await
            }))
        }),
        Some(_) if !args.ask.is_empty() => {
            Err(Failure::Usage("these options belong after the subcommand".to_owned()))
        }
        Some(Command::Tasks) => runtime.block_on(interruptible(tasks::list(&args))),
        Some(Command::Explain { task }) => {
            runtime.block_on(interruptible(tasks::explain(&args, task, terminal)))
        }
        Some(Command::Feedback(feedback)) => {
            runtime.block_on(interruptible(feedback::record(&args, feedback)))
        }
        Some(Command::Chat(generation)) => runtime.block_on(chat::chat(&args, generation, terminal)),
    };
    runtime.shutdown_background(); // a pending read of standard input cannot be cancelled
    result
}

/// Runs until Ctrl-C, which drops the work and thereby cancels its call.
async fn interruptible(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::select! {
        result = work => result,
        _ = signal::ctrl_c() => Err(Failure::Interrupted),
    }
}

async fn connect(args: &Args) -> Result<Switchboard, Failure> {
    let options = args.connection.options()?;
    Ok(options.connect().await?)
}
