//! `cargo xtask ci`: every check of CI, run with the commands that a developer types.
use crate::shell::{self, Result, Shell};

pub(crate) fn ci(shell: &Shell) -> Result {
    let tasks: [&[&str]; 7] = [
        &["tools"],
        &["generate", "--check"],
        &["lint"],
        &["test"],
        &["instructions"],
        &["soak", "--calls", "100000"],
        &["fuzz", "--seconds", "20"],
    ];
    for task in tasks {
        let mut command = shell.command("cargo xtask")?;
        shell::run(command.args(task).env("CI", "true").env("SWITCHBOARD_TOOLS", &shell.tools))?;
    }
    Ok(())
}
