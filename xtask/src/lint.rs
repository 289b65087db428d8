//! `cargo xtask lint`: what can be said of the tree without running it, the cheapest first.
use crate::{
    modules,
    shell::{self, Result, Shell},
};

pub(crate) fn lint(shell: &Shell) -> Result {
    shell.run("cargo fmt --all --check")?;
    modules::check(shell)?;
    contract(shell)?;
    dependencies(shell)?;
    shell.run("cargo clippy --workspace --all-targets -- -D warnings")?;
    docs(shell)
}

fn contract(shell: &Shell) -> Result {
    shell.run("buf lint proto")?;
    shell.run("buf format --diff --exit-code proto")?;
    match earlier_contract(shell)? {
        Some(commit) => shell.run(&format!("buf breaking proto --against .git#ref={commit},subdir=proto")),
        None => {
            eprintln!("skipped: buf breaking, for there is no earlier version of proto/");
            Ok(())
        }
    }
}

/// The commit whose contract others may rely on already, if it has one.
fn earlier_contract(shell: &Shell) -> Result<Option<String>> {
    let Some(head) = shell.ask("git rev-parse --verify --quiet HEAD")? else { return Ok(None) };
    let left_main = match shell.ask("git merge-base HEAD origin/main")? {
        None => shell.ask("git merge-base HEAD main")?,
        found => found,
    };
    let parent = shell.ask("git rev-parse --verify --quiet HEAD^")?;
    let Some(commit) = earlier(&head, left_main, parent) else { return Ok(None) };
    let has_contract = shell.ask(&format!("git cat-file -e {commit}:proto/buf.yaml"))?.is_some();
    Ok(has_contract.then_some(commit))
}

/// Where this branch left main or, on main itself, the commit before.
fn earlier(head: &str, left_main: Option<String>, parent: Option<String>) -> Option<String> {
    left_main.filter(|commit| commit != head).or(parent)
}

/// The advisories are the one check that needs a Git host. It is left out where that host cannot be reached, and only
/// then: what they say of the tree is an error everywhere.
fn dependencies(shell: &Shell) -> Result {
    shell.run("cargo-deny --config .deny.toml check --hide-inclusion-graph bans licenses sources")?;
    let mut fetch = shell.command("cargo-deny --config .deny.toml fetch db")?;
    fetch.env("GIT_TERMINAL_PROMPT", "0"); // and give up on a host that says nothing for half a minute:
    fetch.envs([("GIT_HTTP_LOW_SPEED_LIMIT", "1"), ("GIT_HTTP_LOW_SPEED_TIME", "30")]);
    if let Err(error) = shell::run(&mut fetch) {
        eprintln!("advisories skipped: the database cannot be reached ({error})");
        return Ok(());
    }
    shell.run("cargo-deny --config .deny.toml check advisories")
}

/// Links to private items are fine: the workspace is read with them and never published without. The flags are added
/// to those of `.cargo/config.toml`, which the variable `RUSTDOCFLAGS` would replace.
fn docs(shell: &Shell) -> Result {
    let mut command = shell.command("cargo doc --workspace --no-deps --document-private-items --config")?;
    command.arg(r#"build.rustdocflags=["-Dwarnings", "-Arustdoc::private_intra_doc_links"]"#);
    shell::run(command.env_remove("RUSTDOCFLAGS"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, fs, path::PathBuf, process::Command};

    fn git(folder: &PathBuf, words: &str) {
        let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
        let done =
            Command::new("git").current_dir(folder).args(identity).args(words.split(' ')).output().unwrap();
        assert!(done.status.success(), "git {words}: {done:?}");
    }

    /// The gate, on a copy of the contract of which one field is changed.
    #[test]
    fn the_gate_lets_a_new_field_pass_and_stops_one_that_others_rely_on() {
        let path: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
        let buf = path.iter().map(|folder| folder.join("buf")).find(|program| program.is_file());
        let Some(buf) = buf else {
            assert!(env::var_os("CI").is_none(), "buf is missing: run `cargo xtask tools`");
            eprintln!("left out: buf is not on PATH");
            return;
        };
        let folder = env::temp_dir().join(format!("switchboard-gate-{}", std::process::id()));
        let contract = folder.join("proto/switchboard/v1");
        fs::create_dir_all(&contract).unwrap();
        let ours = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../proto");
        fs::copy(ours.join("buf.yaml"), folder.join("proto/buf.yaml")).unwrap();
        for file in fs::read_dir(ours.join("switchboard/v1")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), contract.join(file.file_name())).unwrap();
        }
        for words in ["init -q -b main", "add -A", "commit -q -m first"] {
            git(&folder, words);
        }
        let routing = contract.join("routing.proto");
        let original = fs::read_to_string(&routing).unwrap();
        for (from, to, passes) in [
            ("  string task_type = 1;", "  string task_type = 1;\n  string new = 1000;", true),
            ("  string task_type = 1;", "  string task_type = 1001;", false), // another number
            ("  string task_type = 1;", "  string task_name = 1;", false),    // another name in JSON
            ("  string task_type = 1;", "  int32 task_type = 1;", false),     // another type
        ] {
            assert!(original.contains(from));
            fs::write(&routing, original.replacen(from, to, 1)).unwrap();
            let against = ".git#ref=HEAD,subdir=proto";
            let gate = Command::new(&buf)
                .current_dir(&folder)
                .args(["breaking", "proto", "--against", against])
                .output();
            let gate = gate.unwrap();
            assert_eq!(gate.status.success(), passes, "{to}: {gate:?}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_earlier_contract_is_mains() {
        let commit = |id: &str| Some(id.to_owned());
        for (left_main, parent, expected) in [
            (commit("main"), commit("parent"), commit("main")), // on a branch
            (commit("head"), commit("parent"), commit("parent")), // on main
            (None, commit("parent"), commit("parent")),         // no branch is called main
            (commit("head"), None, None),                       // the first commit
        ] {
            assert_eq!(earlier("head", left_main, parent), expected);
        }
    }
}
