//! `cargo xtask lint`: checks of the tree that run nothing of it, the cheapest first.
use crate::{
    contract, language, measure, modules,
    shell::{self, Result, Shell},
};

pub(crate) fn lint(shell: &Shell) -> Result {
    shell.run("cargo fmt --all --check")?;
    modules::check(shell)?;
    measure::check(shell)?;
    language::check(shell)?;
    contract::check(shell)?;
    dependencies(shell)?;
    shell.run("cargo clippy --workspace --all-targets -- -D warnings")?;
    docs(shell)
}

/// Checks the dependencies. The advisories are the one check that needs a Git host: if it cannot be reached,
/// they are skipped. An advisory that concerns the tree is an error everywhere.
fn dependencies(shell: &Shell) -> Result {
    shell.run("cargo-deny --config .deny.toml check --hide-inclusion-graph bans licenses sources")?;
    let mut fetch = shell.command("cargo-deny --config .deny.toml fetch db")?;
    fetch.env("GIT_TERMINAL_PROMPT", "0");
    // Give up on a host that sends less than 1 byte per second for 30 seconds.
    fetch.envs([("GIT_HTTP_LOW_SPEED_LIMIT", "1"), ("GIT_HTTP_LOW_SPEED_TIME", "30")]);
    if let Err(error) = shell::run(&mut fetch) {
        eprintln!("skipped: advisories, because their database cannot be reached ({error})");
        return Ok(());
    }
    shell.run("cargo-deny --config .deny.toml check advisories")
}

/// Builds the documentation. Links to private items are allowed, because it is built with them and not
/// published. The flags are added to those of `.cargo/config.toml`, which the variable `RUSTDOCFLAGS` would
/// replace.
fn docs(shell: &Shell) -> Result {
    let mut command = shell.command("cargo doc --workspace --no-deps --document-private-items --config")?;
    command.arg(r#"build.rustdocflags=["-Dwarnings", "-Arustdoc::private_intra_doc_links"]"#);
    shell::run(command.env_remove("RUSTDOCFLAGS"))
}
