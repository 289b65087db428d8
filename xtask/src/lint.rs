//! `cargo xtask lint`: what can be said of the tree without running it, the cheapest first.
use crate::shell::{self, Result, Shell};

pub(crate) fn lint(shell: &Shell) -> Result {
    shell.run("cargo fmt --all --check")?;
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
