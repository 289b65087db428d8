//! `cargo xtask test`: one test suite per language, each with the toolchain that it needs.
use crate::shell::{self, Result, Shell};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder of recorded traffic [default: the sample in tests/recordings]
    #[arg(long, env = "SWITCHBOARD_RECORDINGS", hide_env_values = true, value_name = "FOLDER")]
    recordings: Option<PathBuf>,
    /// Run only the Rust tests whose name contains this; further words go to the test programs
    #[arg(value_name = "FILTER", trailing_var_arg = true, allow_hyphen_values = true)]
    filter: Vec<String>,
}

struct Suite {
    name: &'static str,
    /// Program that the suite needs. If it is missing, the suite is skipped; in CI that is an error.
    needs: &'static str,
    run: fn(&Shell, &Options) -> Result,
}

/// The Rust suite comes first, because it builds the programs that the others call.
const SUITES: &[Suite] = &[
    Suite { name: "rust", needs: "cargo", run: rust },
    Suite { name: "python", needs: "python3", run: python },
    Suite { name: "typescript", needs: "npm", run: typescript },
    Suite { name: "go", needs: "go", run: go },
    Suite { name: "java", needs: "mvn", run: java },
];

/// Recordings that the tests use unless an option or the environment names another folder.
const SAMPLE: &str = "tests/recordings";

pub(crate) fn test(shell: &Shell, options: &Options) -> Result {
    let recordings = recordings(&shell.root, options.recordings.as_deref())?;
    let suites = if options.filter.is_empty() { SUITES } else { &SUITES[..1] };
    let report = run_all(suites, shell, options)?;
    eprintln!("\n{}\nrecorded traffic: {}", report.join("\n"), recordings.display());
    Ok(())
}

/// The folder of the recordings that the tests use. A missing folder is an error, so that no test passes
/// without them.
fn recordings(root: &Path, option: Option<&Path>) -> Result<PathBuf> {
    let folder = root.join(option.unwrap_or(Path::new(SAMPLE)));
    if folder.is_dir() {
        return Ok(folder);
    }
    let fix = match option {
        Some(_) => "correct SWITCHBOARD_RECORDINGS, or unset it to use the sample in tests/recordings",
        None => "restore the sample, or set SWITCHBOARD_RECORDINGS to a folder of recordings",
    };
    Err(format!("there is no folder of recorded traffic at {}: {fix}", folder.display()).into())
}

/// Runs the suites up to the first that fails. Returns one line for each.
fn run_all(suites: &[Suite], shell: &Shell, options: &Options) -> Result<Vec<String>> {
    let mut report = Vec::new();
    for Suite { name, needs, run } in suites {
        if shell.is_available(&format!("the {name} suite"), needs)? {
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
    // Both "filter -- --nocapture", as for `cargo test`, and "filter --nocapture" are accepted.
    let filter = options.filter.iter().filter(|word| *word != "--");
    command.arg("--").args(filter);
    if let Some(folder) = &options.recordings {
        // Cargo runs each test program in the folder of its package, so the path has to be absolute.
        command.env("SWITCHBOARD_RECORDINGS", shell.root.join(folder));
    }
    shell::run(&mut command)
}

/// Checks style and types and runs the tests, in a virtual environment.
fn python(shell: &Shell, options: &Options) -> Result {
    let mut command = shell.command("sh client/python/check")?;
    if let Some(folder) = &options.recordings {
        command.env("SWITCHBOARD_RECORDINGS", shell.root.join(folder));
    }
    shell::run(command.env("SWITCHBOARD_TOOLS", &shell.tools))
}

/// The build before the tests checks the types.
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
    use std::{env, fs};

    #[test]
    fn a_suite_without_its_toolchain_is_skipped_and_fails_in_ci() {
        let suites = [Suite { name: "java", needs: "mvn", run: |_, _| Err("it ran".into()) }];
        let options = Options { recordings: None, filter: vec![] };

        let report = run_all(&suites, &Shell::default(), &options).unwrap();
        let error = run_all(&suites, &Shell { ci: true, ..Shell::default() }, &options).unwrap_err();

        assert_eq!(report, ["skipped: java needs mvn, which is not on PATH"]);
        assert_eq!(error.to_string(), "the java suite needs mvn, which is not on PATH");
    }

    #[test]
    fn missing_recordings_are_an_error() {
        let root = env::temp_dir().join(format!("switchboard-recordings-{}", std::process::id()));
        fs::create_dir_all(root.join("mine")).unwrap();

        assert_eq!(recordings(&root, Some(Path::new("mine"))).unwrap(), root.join("mine"));
        let error = |option| recordings(&root, option).unwrap_err().to_string();
        assert!(error(Some(Path::new("other"))).contains("correct SWITCHBOARD_RECORDINGS"));
        assert!(error(None).contains("tests/recordings: restore the sample"));

        fs::create_dir_all(root.join(SAMPLE)).unwrap();
        assert_eq!(recordings(&root, None).unwrap(), root.join(SAMPLE));
        fs::remove_dir_all(root).unwrap();
    }
}
