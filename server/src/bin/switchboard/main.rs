//! `switchboard`: reads the command line and the environment, and runs a command. The only `std::env`, the
//! only exit.
mod check;
mod demo;
mod log_writer;
mod prices;
mod result;
mod rlimit;
mod serve;

use clap::{Parser, Subcommand};
use result::Result;
use serve::Served;
use std::{future::Future, process::ExitCode, time::Duration};
use tokio::runtime;

/// Time for the tasks of calls that were cut off to be dropped.
const CUT_OFF_TIME: Duration = Duration::from_secs(1);

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One gRPC contract in front of every model on Amazon Bedrock.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve calls on Amazon Bedrock until SIGTERM or Ctrl-C, then drain
    Serve(serve::Serve),
    /// Check a configuration file: names the line of each problem and how to fix it
    Check(check::Check),
    /// Read prices into the catalogue's format
    #[command(subcommand)]
    Prices(prices::Prices),
    /// Try everything without an AWS account: a simulator and a server on loopback
    Demo(demo::Demo),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Check(check) => check.run(),
        Command::Prices(prices) => prices.run(),
        Command::Serve(serve) => run(serve.run()).and_then(Served::finish),
        Command::Demo(demo) => run(demo.run()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("switchboard: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The LIFO slot is off: with it each event of a stream becomes a small write of its own, which triples the
/// cost of a dense stream.
fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().disable_lifo_slot().build()?;
    let done = runtime.block_on(work);
    // Drops the calls that were cut off, whose records end then. A call that does not yield must not delay
    // the exit.
    runtime.shutdown_timeout(CUT_OFF_TIME);
    done
}
