//! `cargo xtask generate`: the code of the clients, made from the contract by the generator of each language,
//! and the tables of the documentation, made from the program.
//!
//! The generated files are committed, so that users of a client need no generator. With `--check` it is an
//! error if a committed file differs from what would be generated. The Rust code is made by `build.rs` in
//! every build.
mod tables;

use crate::shell::{self, Result, Shell};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fail if a committed file is out of date
    #[arg(long)]
    check: bool,
}

struct Client {
    folder: &'static str,
    /// Folder of the generated code.
    code: &'static str,
    /// Program that the generator needs. If it is missing, the client is skipped; in CI that is an error.
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
        if !shell.is_available(client.folder, client.needs)? {
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
    tables::generate(shell, options.check)
}

// === impl Client ===

impl Client {
    /// Fails if the generated code differs from the committed code. Files that are not in Git yet count too.
    fn check(&self, shell: &Shell) -> Result {
        match shell.output(&format!("git status --porcelain -- {}", self.code))? {
            Some(changes) if changes.is_empty() => Ok(()),
            Some(changes) => {
                Err(format!("{} differs from what proto/ generates: commit it\n{changes}", self.code).into())
            }
            None => Err("git status failed".into()),
        }
    }
}
