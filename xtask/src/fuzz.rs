//! `cargo xtask fuzz`: feeds arbitrary bytes to the codec for a bounded time.
use crate::shell::{self, Result, Shell};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Fuzz {
    /// Time to run each target, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) seconds: u32,
}

pub(crate) fn fuzz(shell: &Shell, options: &Fuzz) -> Result {
    shell::run(shell.command("bash server/fuzz/run")?.arg(options.seconds.to_string()))
}
