//! `cargo xtask bench`: what Switchboard adds to a call of Bedrock, measured against the AWS SDK in the same run.
//!
//! Every part is a process of its own, tied to a core: what is measured has core 0 to itself; whoever asks, and a stand-in
//! for Bedrock that does next to nothing, share core 1. PERFORMANCE.md says what follows from that.
//!
//! ```text
//! run        starts the others, round by round, and writes target/bench     stage.rs, suite.rs, report.rs
//! load       asks as fast as it may, or at a rate, and says what it saw     load.rs, load/*
//! upstream   answers as Bedrock does                                         upstream.rs
//! sink       takes what OTLP sends                                           sink.rs
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

/// Switchboard's own, so that the SDK is measured with the same.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", about = "What Switchboard adds to a call of Bedrock")]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Everything, and the tables and plots of it
    Run(suite::Run),
    /// The tables and pictures of the last run once more
    Report(suite::Report),
    /// How many instructions a call and an event take, against the committed figures
    Instructions(instructions::Instructions),
    /// One load, as `run` starts it
    Load(load::Load),
    /// The stand-in for Bedrock, as `run` starts it
    Upstream(upstream::Upstream),
    /// Where telemetry goes, as `run` starts it
    Sink(sink::Sink),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = on_one_thread(async {
        match cli.part {
            // Stopped, it stops what it has started: as they are dropped.
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

/// An error once SIGTERM or Ctrl-C has come.
async fn stopped() -> Result {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    Err("stopped".into())
}

/// One core is what a part has.
fn on_one_thread(work: impl Future<Output = Result>) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
