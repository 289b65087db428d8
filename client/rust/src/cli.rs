//! The command line. Everything here returns; only `main.rs` ends the process.

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

/// Does what the arguments say. A failure has been told on standard error by the time it is returned.
pub(crate) fn run(args: Args, no_color: bool) -> Result<(), Failure> {
    let terminal = Terminal::new(args.output.color, no_color, args.output.quiet || args.output.json);
    let done = run_told(args, &terminal);
    if let Err(failure) = &done {
        failure.tell(&terminal);
    }
    done
}

fn run_told(args: Args, terminal: &Terminal) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    let done = match &args.command {
        // A prompt is read before anything is caught, so that Ctrl-C still ends the reading of a pipe.
        None => prompt::request(&args.ask).and_then(|request| {
            runtime.block_on(interruptible(async {
                let switchboard = connect(&args).await?;
                answer::answer(&switchboard, request, &args, terminal).await
            }))
        }),
        Some(_) if !args.ask.is_empty() => {
            Err(Failure::Usage("options of a prompt stand before a subcommand: put them after it".to_owned()))
        }
        Some(Command::Tasks) => runtime.block_on(interruptible(tasks::list(&args))),
        Some(Command::Explain { task }) => runtime.block_on(interruptible(tasks::explain(&args, task))),
        Some(Command::Feedback(said)) => runtime.block_on(interruptible(feedback::record(&args, said))),
        Some(Command::Chat(generation)) => runtime.block_on(chat::chat(&args, generation, terminal)),
    };
    runtime.shutdown_background(); // a read of standard input may be waiting, and cannot be called off
    done
}

/// Dropping the work cancels the call.
async fn interruptible(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::select! {
        done = work => done,
        _ = signal::ctrl_c() => Err(Failure::Interrupted),
    }
}

async fn connect(args: &Args) -> Result<Switchboard, Failure> {
    let options = args.connection.options()?;
    Ok(options.connect().await?)
}
