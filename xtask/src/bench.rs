//! `cargo xtask bench` and `cargo xtask instructions`: what Switchboard adds to a call, and what CI can tell of that.
use crate::shell::{self, Result, Shell};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// LiteLLM, Portkey and ferrogw too, installed from their registries beside the other tools
    #[arg(long)]
    peers: bool,
    /// Put the tables into PERFORMANCE.md and README.md
    #[arg(long)]
    write: bool,
    /// Another program of Switchboard's, measured beside this one
    #[arg(long, value_name = "PROGRAM")]
    other: Option<PathBuf>,
    /// What else `switchboard-bench run --help` names
    #[arg(value_name = "OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Instructions {
    /// Commit these figures, in place of comparing with the committed ones
    #[arg(long)]
    update: bool,
}

/// As in an image: optimized across crates.
const PROFILE: &str = "dist";

pub(crate) fn bench(shell: &Shell, options: &Bench) -> Result {
    let programs = build(shell)?;
    let mut command = shell.command(&format!("{}/switchboard-bench run", programs.display()))?;
    command.arg("--switchboard").arg(programs.join("switchboard"));
    if options.peers {
        command.arg("--peers").arg(shell.tools.join("peers"));
    }
    if let Some(other) = &options.other {
        command.arg("--other").arg(other);
    }
    command.args(options.write.then_some("--write"));
    shell::run(command.args(&options.more))
}

pub(crate) fn instructions(shell: &Shell, options: &Instructions) -> Result {
    if !shell.can("counting instructions", "valgrind")? {
        eprintln!("skipped: counting instructions needs valgrind, which is not on PATH");
        return Ok(());
    }
    let programs = build(shell)?;
    let mut command = shell.command(&format!("{}/switchboard-bench instructions", programs.display()))?;
    command.arg("--switchboard").arg(programs.join("switchboard"));
    command.args(["--figures", "tests/bench/instructions.json"]);
    shell::run(command.args(options.update.then_some("--update")))
}

/// Where they are then.
fn build(shell: &Shell) -> Result<PathBuf> {
    shell.run(&format!(
        "cargo build --profile {PROFILE} --package switchboard-server --package switchboard-bench --bins"
    ))?;
    let metadata = shell.ask("cargo metadata --format-version 1 --no-deps")?.unwrap_or_default();
    let folder = metadata.split_once("\"target_directory\":\"").and_then(|(_, rest)| rest.split_once('"'));
    let (folder, _) = folder.ok_or("cargo metadata does not say where it builds")?;
    Ok(PathBuf::from(folder).join(PROFILE))
}
