//! The clients and how each one's driver comes to be: `clients.json`.
//!
//! In its commands `{work}` is a folder for what is built, and `{programs}` where Cargo builds.
use crate::programs;
use serde::Deserialize;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A language's client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    /// Its column in the table.
    pub(crate) name: String,
    /// Where it is, in the checkout; its commands run there.
    folder: String,
    /// The programs without which it cannot be built.
    needs: Vec<String>,
    /// Commands that build or install it, run one after another, once.
    install: Vec<Vec<String>>,
    /// The driver; `--target` and `--mode` are added.
    driver: Vec<String>,
}

/// All clients, or those that `SWITCHBOARD_CLIENTS` names (`Rust,Python`).
pub(crate) fn chosen() -> Vec<Client> {
    let wanted = env::var_os("SWITCHBOARD_CLIENTS").map(|names| names.to_string_lossy().into_owned());
    let is_wanted = |client: &Client| {
        let Some(wanted) = &wanted else { return true };
        wanted.split(',').any(|name| name.trim().eq_ignore_ascii_case(&client.name))
    };
    all().into_iter().filter(is_wanted).collect()
}

pub(crate) fn all() -> Vec<Client> {
    let file = programs::root().join("tests/conformance/clients.json");
    serde_json::from_str(&fs::read_to_string(file).expect("can be read")).expect("is a list of clients")
}

// === impl Client ===

impl Client {
    /// What is missing on this machine; nothing: it can be tested.
    pub(crate) fn missing(&self) -> Option<&str> {
        let path = env::var_os("PATH").unwrap_or_default();
        let is_there =
            |program: &&String| env::split_paths(&path).any(|folder| folder.join(program).is_file());
        self.needs.iter().find(|program| !is_there(program)).map(String::as_str)
    }

    pub(crate) fn install(&self) -> Result<(), String> {
        fs::create_dir_all(work()).map_err(|error| error.to_string())?;
        self.install.iter().try_for_each(|words| {
            let words = filled(words);
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).current_dir(self.folder());
            let output = command.output().map_err(|error| format!("{words:?}: {error}"))?;
            let said = || String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            if output.status.success() { Ok(()) } else { Err(format!("{words:?}: {}", said())) }
        })
    }

    pub(crate) fn folder(&self) -> PathBuf {
        programs::root().join(&self.folder)
    }

    pub(crate) fn driver(&self) -> Vec<String> {
        filled(&self.driver)
    }
}

fn filled(words: &[String]) -> Vec<String> {
    let fill = |word: &String| {
        let word = word.replace("{work}", &work().display().to_string());
        match word.contains("{programs}") {
            true => word.replace("{programs}", &programs::folder().display().to_string()),
            false => word,
        }
    };
    words.iter().map(fill).collect()
}

fn work() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_without_its_toolchain_names_what_is_missing() {
        let mut client = all().remove(0);
        assert_eq!(client.missing(), None);
        client.needs = vec!["sh".to_owned(), "a-compiler-that-nobody-has".to_owned()];
        assert_eq!(client.missing(), Some("a-compiler-that-nobody-has"));
    }

    #[test]
    fn every_language_has_a_client() {
        let names: Vec<_> = all().into_iter().map(|client| client.name).collect();
        assert_eq!(names, ["Rust", "Python", "Python asyncio", "TypeScript", "Go", "Java"]);
    }
}
