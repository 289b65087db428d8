//! `cargo xtask chaos` and `cargo xtask soak`: the long forms of `tests/chaos`, optimized, with what they count shown.
use crate::shell::{self, Result, Shell};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Chaos {
    /// How many calls are made; `cargo test` makes 2000
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    calls: u32,
    /// What the calls are made up from; a run that failed names its own
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// How many calls are made
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
