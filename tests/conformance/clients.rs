//! Clients and how to build their drivers: `clients.json`.
//!
//! In commands, `{work}` is a folder for build results and `{programs}` is Cargo's target folder.
use crate::programs;
use serde::Deserialize;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Client of one language.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    /// Column title in the table.
    pub(crate) name: String,
    /// Folder in the checkout in which the commands run.
    folder: String,
    /// Programs that are required to build the client.
    needs: Vec<String>,
    /// Commands that build or install the client. They run once, in order.
    install: Vec<Vec<String>>,
    /// Command of the driver. `--target` and `--mode` are added.
    driver: Vec<String>,
}

/// Returns the clients in `SWITCHBOARD_CLIENTS` (`Rust,Python`), or all clients.
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
    /// Returns a required program that is missing. `None`: the client can be tested.
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
            let output_text =
                || String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            if output.status.success() { Ok(()) } else { Err(format!("{words:?}: {}", output_text())) }
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
    fn names_a_missing_program() {
        let mut client = all().remove(0);
        assert_eq!(client.missing(), None);
        client.needs = vec!["sh".to_owned(), "a-missing-compiler".to_owned()];
        assert_eq!(client.missing(), Some("a-missing-compiler"));
    }

    #[test]
    fn has_a_client_for_every_language() {
        let names: Vec<_> = all().into_iter().map(|client| client.name).collect();
        assert_eq!(names, ["Rust", "Python", "Python asyncio", "TypeScript", "Go", "Java"]);
    }

    #[test]
    fn every_readme_describes_the_same_retry_policy() {
        let policies: Vec<_> = all().iter().map(|client| retry_policy(&client.folder())).collect();

        assert!(policies[0].contains("The client does not retry calls"), "{}", policies[0]);
        for policy in &policies {
            assert_eq!(policy, &policies[0]);
        }
    }

    /// Returns the section "Retries" of a client's README.
    fn retry_policy(folder: &Path) -> String {
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        let section = readme.split("\n## ").find(|section| section.starts_with("Retries\n"));
        section.unwrap_or_else(|| panic!("{}: no section Retries", folder.display())).trim().to_owned()
    }
}
