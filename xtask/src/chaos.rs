//! `cargo xtask chaos` and `cargo xtask soak`: the long runs of `tests/chaos`, optimized, with their counts
//! printed.
use crate::shell::{self, Result, Shell};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Chaos {
    /// Number of calls to make; `cargo test` makes 2000
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    calls: u32,
    /// Seed of the random calls; a run that fails prints its own
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// Number of calls to make
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    calls: u32,
}

pub(crate) fn chaos(shell: &Shell, options: &Chaos) -> Result {
    let mut command = shell.command("cargo test --release --package switchboard-proto --test chaos")?;
    command.args(["--", "--nocapture"]);
    command.env("SWITCHBOARD_CHAOS_CALLS", options.calls.to_string());
    shell::run(command.env("SWITCHBOARD_CHAOS_SEED", options.seed.to_string()))
}

pub(crate) fn soak(shell: &Shell, options: &Soak) -> Result {
    let mut command = shell.command("cargo test --release --package switchboard-proto --test chaos")?;
    command.args(["--", "--nocapture", "--ignored"]);
    shell::run(command.env("SWITCHBOARD_SOAK_CALLS", options.calls.to_string()))
}
