//! `cargo xtask generate`: the clients' generated code from the contract, each by its own language's generator.
//!
//! What they write is committed, so that nobody who uses a client needs a generator; with `--check` it is an error when
//! the committed code is not what the contract gives. Rust's is made by `build.rs` in every build.
use crate::shell::{self, Result, Shell};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fail when that changes anything
    #[arg(long)]
    check: bool,
}

struct Client {
    folder: &'static str,
    /// Where the generated code is.
    code: &'static str,
    /// The program whose absence leaves it out, or fails in CI.
    needs: &'static str,
    commands: &'static [&'static str],
}

const CLIENTS: [Client; 4] = [
    Client {
        folder: "client/python",
        code: "client/python/gen",
        needs: "python3",
        commands: &["python3 client/python/generate"],
    },
    Client {
        folder: "client/typescript",
        code: "client/typescript/src/gen",
        needs: "npm",
        commands: &[
            "npm --prefix client/typescript ci --no-audit --no-fund --loglevel=error",
            "npm --prefix client/typescript run --silent generate",
        ],
    },
    Client {
        folder: "client/go",
        code: "client/go/switchboard",
        needs: "go",
        commands: &["sh client/go/generate"],
    },
    Client {
        folder: "client/java",
        code: "client/java/src/generated",
        needs: "mvn",
        commands: &["sh client/java/generate"],
    },
];

pub(crate) fn generate(shell: &Shell, options: &Options) -> Result {
    for client in &CLIENTS {
        if !shell.can(client.folder, client.needs)? {
            eprintln!("skipped: {} needs {}, which is not on PATH", client.folder, client.needs);
            continue;
        }
        for words in client.commands {
            let mut command = shell.command(words)?;
            shell::run(command.env("SWITCHBOARD_TOOLS", &shell.tools))?;
        }
        if options.check {
            client.check(shell)?;
        }
    }
    Ok(())
}

// === impl Client ===

impl Client {
    /// Files that Git does not know yet count too.
    fn check(&self, shell: &Shell) -> Result {
        match shell.ask(&format!("git status --porcelain -- {}", self.code))? {
            Some(changes) if changes.is_empty() => Ok(()),
            Some(changes) => {
                Err(format!("{} is not what proto/ gives: commit it\n{changes}", self.code).into())
            }
            None => Err("git cannot say what has changed".into()),
        }
    }
}
