//! `cargo xtask fuzz`: arbitrary bytes for the codec, for a bounded time.
use crate::shell::{self, Result, Shell};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Fuzz {
    /// How long each target runs, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) seconds: u32,
}

pub(crate) fn fuzz(shell: &Shell, options: &Fuzz) -> Result {
    shell::run(shell.command("bash server/fuzz/run")?.arg(options.seconds.to_string()))
}
