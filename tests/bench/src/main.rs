//! `cargo xtask bench`: the overhead that Switchboard adds to a call of Bedrock, compared with the AWS SDK in
//! the same run.
//!
//! Every part is a process that is pinned to a core: the measured system has core 0 to itself; the load and a
//! minimal substitute for Bedrock share core 1. PERFORMANCE.md discusses the consequences.
//!
//! ```text
//! run        starts the other parts in rounds and writes target/bench        program.rs, suite.rs, report.rs
//! load       makes calls, in a closed loop or at a rate, and reports times   load.rs, load/*
//! upstream   answers like Bedrock                                            upstream.rs
//! sink       accepts telemetry over OTLP                                     sink.rs
//! ```
mod cpu;
mod instructions;
mod load;
mod peers;
mod plot;
mod program;
mod report;
mod sink;
mod suite;
mod upstream;

use clap::{Parser, Subcommand};
use std::{error::Error, process::ExitCode};
use tikv_jemallocator::Jemalloc;
use tokio::signal::{
    ctrl_c,
    unix::{SignalKind, signal},
};

/// The allocator of Switchboard's images, so that the SDK is measured with the same one.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", about = "The overhead that Switchboard adds to a call of Bedrock")]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Run all measurements and write tables and plots
    Run(suite::Run),
    /// Write tables and plots of the last run again
    Report(suite::Report),
    /// Count the instructions per call and per event, and compare them with the committed figures
    Instructions(instructions::Instructions),
    /// Make one load, as `run` starts it
    Load(load::Load),
    /// Serve the substitute for Bedrock, as `run` starts it
    Upstream(upstream::Upstream),
    /// Accept telemetry, as `run` starts it
    Sink(sink::Sink),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = on_one_thread(async {
        match cli.part {
            // The programs that it has started are stopped when they are dropped.
            Part::Run(run) => tokio::select! {
                done = run.run() => done,
                stopped = stopped() => stopped,
            },
            Part::Report(report) => report.run(),
            Part::Instructions(instructions) => instructions.run().await,
            Part::Load(load) => load.run().await,
            Part::Upstream(upstream) => upstream.run().await,
            Part::Sink(sink) => sink.run().await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Resolves with an error on SIGTERM or Ctrl-C.
async fn stopped() -> Result {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    Err("stopped".into())
}

/// Runs on one thread, because a part has one core.
fn on_one_thread(work: impl Future<Output = Result>) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
