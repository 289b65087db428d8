//! `cargo xtask bench` and `cargo xtask instructions`: the overhead that Switchboard adds to a call. Times
//! need a quiet machine; the number of instructions is stable enough to be checked in CI.
use crate::shell::{self, Result, Shell};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Also measure LiteLLM, Portkey and ferrogw, installed from their registries into the folder of the
    /// tools
    #[arg(long)]
    peers: bool,
    /// Write the tables into PERFORMANCE.md
    #[arg(long)]
    write: bool,
    /// Also measure another build of Switchboard
    #[arg(long, value_name = "PROGRAM")]
    other: Option<PathBuf>,
    /// Further options of `switchboard-bench run`
    #[arg(value_name = "OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Instructions {
    /// Write the figures to the committed file instead of comparing with it
    #[arg(long)]
    update: bool,
}

/// The profile of a container image, optimized across crates.
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
    if !shell.is_available("counting instructions", "valgrind")? {
        eprintln!("skipped: counting instructions needs valgrind, which is not on PATH");
        return Ok(());
    }
    let programs = build(shell)?;
    let mut command = shell.command(&format!("{}/switchboard-bench instructions", programs.display()))?;
    command.arg("--switchboard").arg(programs.join("switchboard"));
    command.args(["--figures", "tests/bench/instructions.json"]);
    shell::run(command.args(options.update.then_some("--update")))
}

/// Builds the programs and returns their folder.
fn build(shell: &Shell) -> Result<PathBuf> {
    shell.run(&format!(
        "cargo build --profile {PROFILE} --package switchboard-server --package switchboard-bench --bins --features switchboard-server/jemalloc"
    ))?;
    let metadata = shell.output("cargo metadata --format-version 1 --no-deps")?.unwrap_or_default();
    let metadata: Value = serde_json::from_str(&metadata)
        .map_err(|error| format!("cannot read the output of cargo metadata: {error}"))?;
    let folder = metadata.get("target_directory").and_then(Value::as_str);
    Ok(PathBuf::from(folder.ok_or("cargo metadata does not name the target folder")?).join(PROFILE))
}
