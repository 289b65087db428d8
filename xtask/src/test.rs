//! `cargo xtask test`: a suite per language, each with the toolchain it needs.
use crate::shell::{self, Result, Shell};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The folder of recorded traffic; without it the tests that replay it are left out
    #[arg(long, env = "SWITCHBOARD_RECORDINGS", hide_env_values = true, value_name = "FOLDER")]
    recordings: Option<PathBuf>,
    /// Run only the tests whose name holds this; what follows is handed to the test programs
    #[arg(value_name = "FILTER", trailing_var_arg = true, allow_hyphen_values = true)]
    filter: Vec<String>,
}

struct Suite {
    name: &'static str,
    /// The program whose absence leaves the suite out, or fails in CI.
    needs: &'static str,
    run: fn(&Shell, &Options) -> Result,
}

/// The first builds the programs that the others call.
const SUITES: &[Suite] = &[
    Suite { name: "rust", needs: "cargo", run: rust },
    Suite { name: "python", needs: "python3", run: python },
    Suite { name: "typescript", needs: "npm", run: typescript },
    Suite { name: "go", needs: "go", run: go },
    Suite { name: "java", needs: "mvn", run: java },
];

pub(crate) fn test(shell: &Shell, options: &Options) -> Result {
    // A filter is one for Rust's tests.
    let suites = if options.filter.is_empty() { SUITES } else { &SUITES[..1] };
    let report = run_all(suites, shell, options)?;
    eprintln!("\n{}", report.join("\n"));
    if options.recordings.is_none() {
        eprintln!("left out: tests of recorded traffic, for SWITCHBOARD_RECORDINGS does not name its folder");
    }
    Ok(())
}

/// A line per suite. The first that fails ends it.
fn run_all(suites: &[Suite], shell: &Shell, options: &Options) -> Result<Vec<String>> {
    let mut report = Vec::new();
    for Suite { name, needs, run } in suites {
        if shell.can(&format!("the {name} suite"), needs)? {
            run(shell, options)?;
            report.push(format!("ran: {name}"));
        } else {
            report.push(format!("skipped: {name} needs {needs}, which is not on PATH"));
        }
    }
    Ok(report)
}

fn rust(shell: &Shell, options: &Options) -> Result {
    let mut command = shell.command("cargo test --workspace")?;
    // "filter -- --nocapture", as one is used to write it, and "filter --nocapture" are the same here.
    let filter = options.filter.iter().filter(|word| *word != "--");
    command.arg("--").args(filter);
    if let Some(folder) = &options.recordings {
        // Cargo runs each test program in the folder of its package.
        command.env("SWITCHBOARD_RECORDINGS", shell.root.join(folder));
    }
    shell::run(&mut command)
}

/// Style, types and tests, in an environment of its own.
fn python(shell: &Shell, options: &Options) -> Result {
    let mut command = shell.command("sh client/python/check")?;
    if let Some(folder) = &options.recordings {
        command.env("SWITCHBOARD_RECORDINGS", shell.root.join(folder));
    }
    shell::run(command.env("SWITCHBOARD_TOOLS", &shell.tools))
}

/// Its build is its type check.
fn typescript(shell: &Shell, _: &Options) -> Result {
    shell.run("npm --prefix client/typescript ci --no-audit --no-fund --loglevel=error")?;
    shell.run("npm --prefix client/typescript test")
}

fn go(shell: &Shell, _: &Options) -> Result {
    for words in ["go vet ./...", "go test ./..."] {
        shell::run(shell.command(words)?.current_dir(shell.root.join("client/go")))?;
    }
    Ok(())
}

fn java(shell: &Shell, _: &Options) -> Result {
    shell.run("mvn --quiet --batch-mode --file client/java/pom.xml verify")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(ci: bool) -> Shell {
        let empty = PathBuf::new;
        Shell { root: empty(), tools: empty(), path: vec![], of_xtask: vec![], ci }
    }

    #[test]
    fn a_suite_without_its_toolchain_is_reported_or_fails_in_ci() {
        let suites = [Suite { name: "java", needs: "mvn", run: |_, _| Err("it ran".into()) }];
        let options = Options { recordings: None, filter: vec![] };

        let report = run_all(&suites, &shell(false), &options).unwrap();
        let error = run_all(&suites, &shell(true), &options).unwrap_err();

        assert_eq!(report, ["skipped: java needs mvn, which is not on PATH"]);
        assert_eq!(error.to_string(), "the java suite needs mvn, which is not on PATH");
    }
}
