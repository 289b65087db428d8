//! The checks of the contract in proto/, and `cargo xtask contract-baseline`.
//!
//! The contract must not break its callers. It is compared with two earlier versions:
//!
//! - The baseline, a compiled image that is committed. It works in any clone, and holds since the release
//!   that wrote it.
//! - The contract where this branch left main, or of the commit before. This protects additions since the
//!   baseline.
use crate::shell::{self, Result, Shell};
use clap::Args;
use std::process::Command;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Accept a contract that breaks callers of the current baseline
    #[arg(long)]
    allow_breaking: bool,
}

const BASELINE: &str = "proto/baseline.binpb";

/// Writes the baseline from the contract as it is now.
pub(crate) fn write_baseline(shell: &Shell, options: &Options) -> Result {
    if !options.allow_breaking && shell.root.join(BASELINE).is_file() {
        compare(shell, BASELINE)?;
    }
    shell.run(&format!("buf build proto --exclude-source-info -o {BASELINE}"))
}

pub(crate) fn check(shell: &Shell) -> Result {
    shell.run("buf lint proto")?;
    shell.run("buf format --diff --exit-code proto")?;
    if !shell.root.join(BASELINE).is_file() {
        return Err(format!(
            "{BASELINE} is missing: run `cargo xtask contract-baseline` and commit the file"
        )
        .into());
    }
    compare(shell, BASELINE)?;
    match earlier_commit(shell)? {
        Some(commit) => compare(shell, &format!(".git#ref={commit},subdir=proto")),
        None => {
            eprintln!("skipped: comparing the contract with main's, because no commit there has {BASELINE}");
            Ok(())
        }
    }
}

fn compare(shell: &Shell, earlier: &str) -> Result {
    shell::run(&mut comparison(shell, earlier)?)
}

/// The command that fails if the contract breaks callers of an earlier version. proto/buf.yaml has the rules.
fn comparison(shell: &Shell, earlier: &str) -> Result<Command> {
    let mut command = shell.command("buf breaking proto --against")?;
    command.arg(earlier);
    Ok(command)
}

/// The commit to compare the contract with. `None`: there is none, or its contract is older than the first
/// baseline and therefore promises nothing.
fn earlier_commit(shell: &Shell) -> Result<Option<String>> {
    let Some(head) = shell.output("git rev-parse --verify --quiet HEAD")? else { return Ok(None) };
    let left_main = match shell.output("git merge-base HEAD origin/main")? {
        None => shell.output("git merge-base HEAD main")?,
        found => found,
    };
    let parent = shell.output("git rev-parse --verify --quiet HEAD^")?;
    let Some(commit) = choose_earlier(&head, left_main, parent) else { return Ok(None) };
    let promises = shell.output(&format!("git cat-file -e {commit}:{BASELINE}"))?.is_some();
    Ok(promises.then_some(commit))
}

/// The commit where this branch left main or, on main itself, the commit before.
fn choose_earlier(head: &str, left_main: Option<String>, parent: Option<String>) -> Option<String> {
    left_main.filter(|commit| commit != head).or(parent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, fs, path::Path};

    const FIELD: &str = "  string task_type = 1;";

    /// A Git repository that holds a copy of the contract, and the baseline of it. Absent: buf is not
    /// installed, which is an error in CI.
    fn repository(name: &str) -> Option<Shell> {
        let root = env::temp_dir().join(format!("switchboard-contract-{name}-{}", std::process::id()));
        let path = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
        let shell = Shell { root, path, ..Shell::default() };
        if !shell.has("buf") {
            assert!(env::var_os("CI").is_none(), "buf is missing: run `cargo xtask tools`");
            eprintln!("skipped: buf is not on PATH");
            return None;
        }
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto"), &shell.root.join("proto"));
        let _ = fs::remove_file(shell.root.join(BASELINE));
        write_baseline(&shell, &Options { allow_breaking: false }).unwrap();
        for words in ["init -q -b main", "add -A", "commit -q -m first", "commit -q --allow-empty -m second"]
        {
            shell.run(&format!("git -c user.name=test -c user.email=test@localhost {words}")).unwrap();
        }
        Some(shell)
    }

    /// The declaration of an RPC, with the options in its braces if it has any.
    fn rpc<'a>(text: &'a str, name: &str) -> &'a str {
        let rpc = &text[text.find(&format!("  rpc {name}(")).unwrap()..];
        let first_line = &rpc[..=rpc.find('\n').unwrap()];
        let end = if first_line.ends_with(";\n") { first_line } else { "\n  }\n" };
        &rpc[..rpc.find(end).unwrap() + end.len()]
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }

    #[test]
    fn an_addition_passes_and_a_change_that_breaks_callers_does_not() {
        let Some(shell) = repository("changes") else { return };
        let file = shell.root.join("proto/switchboard/v1/routing.proto");
        let original = fs::read_to_string(&file).unwrap();
        let commit = earlier_commit(&shell).unwrap().expect("the first commit has a baseline");
        let before = format!(".git#ref={commit},subdir=proto");
        let rpc = rpc(&original, "ExplainRoute");
        let other_rpc = "  rpc Other(ExplainRouteRequest) returns (ExplainRouteResponse);\n";
        for (change, from, to, passes) in [
            ("nothing", FIELD, FIELD, true),
            ("a new field", FIELD, "  string task_type = 1;\n  string new = 1000;", true),
            ("a new RPC", rpc, &format!("{rpc}{other_rpc}"), true),
            ("another number", FIELD, "  string task_type = 1001;", false),
            ("another name, which JSON shows", FIELD, "  string task_name = 1;", false),
            ("another type", FIELD, "  int32 task_type = 1;", false),
            ("a field less", FIELD, "  reserved 1;\n  reserved \"task_type\";", false),
            ("an RPC less", rpc, "", false),
            ("another name of an RPC", "rpc ExplainRoute(", "rpc Explain(", false),
            ("another name of a message", "TaskDeadlines", "Deadlines", false),
            ("another name of an enum value", "BREAKER_STATE_OPEN", "BREAKER_STATE_TRIPPED", false),
        ] {
            assert!(original.contains(from), "{change}: routing.proto has no {from}");
            fs::write(&file, original.replace(from, to)).unwrap();
            for earlier in [BASELINE, &before] {
                let output = comparison(&shell, earlier).unwrap().output().unwrap();
                assert_eq!(output.status.success(), passes, "{change}, compared with {earlier}: {output:?}");
            }
        }
        fs::remove_dir_all(&shell.root).unwrap();
    }

    #[test]
    fn a_baseline_is_required_and_does_not_lose_a_promise_by_accident() {
        let Some(shell) = repository("baseline") else { return };
        let file = shell.root.join("proto/switchboard/v1/routing.proto");
        let original = fs::read_to_string(&file).unwrap();
        fs::write(&file, original.replace(rpc(&original, "ExplainRoute"), "")).unwrap();

        let refused = write_baseline(&shell, &Options { allow_breaking: false }).unwrap_err();
        assert!(
            refused.to_string().starts_with("buf breaking proto --against proto/baseline.binpb: "),
            "{refused}"
        );
        write_baseline(&shell, &Options { allow_breaking: true }).unwrap();
        compare(&shell, BASELINE).unwrap();

        fs::write(&file, original).unwrap();
        fs::remove_file(shell.root.join(BASELINE)).unwrap();
        let error = check(&shell).unwrap_err().to_string();
        assert!(
            error.starts_with("proto/baseline.binpb is missing: run `cargo xtask contract-baseline`"),
            "{error}"
        );
        fs::remove_dir_all(&shell.root).unwrap();
    }

    #[test]
    fn the_earlier_contract_is_that_of_main() {
        let commit = |id: &str| Some(id.to_owned());
        for (left_main, parent, expected) in [
            (commit("main"), commit("parent"), commit("main")), // on a branch
            (commit("head"), commit("parent"), commit("parent")), // on main
            (None, commit("parent"), commit("parent")),         // no branch is called main
            (commit("head"), None, None),                       // the first commit
        ] {
            assert_eq!(choose_earlier("head", left_main, parent), expected);
        }
    }
}
