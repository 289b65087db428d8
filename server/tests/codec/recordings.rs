//! The folder of recordings, and tests of the sample that is used where no other folder is named.
#[path = "../../../tests/recordings/folder.rs"]
mod folder;

use base64::{Engine as _, engine::general_purpose::STANDARD};
pub(crate) use folder::{folder, lines};
use serde_json::Value;

/// The bytes of an exchange's event stream.
pub(crate) fn stream(exchange: &Value) -> Vec<u8> {
    let text = exchange["response_body_base64"].as_str().expect("has a stream");
    STANDARD.decode(text).expect("is base64")
}

mod tests {
    use super::folder::{FILES, check, sample};
    use std::{
        collections::BTreeMap,
        fs,
        path::{Path, PathBuf},
        process::Command,
    };
    use tempfile::TempDir;

    #[test]
    fn accepts_the_sample() {
        assert_eq!(check(&sample()), Ok(()));
    }

    #[test]
    fn refuses_a_folder_that_does_not_exist() {
        let problem = check(Path::new("/no/such/folder")).expect_err("does not exist");
        assert!(
            problem.contains("/no/such/folder") && problem.contains("SWITCHBOARD_RECORDINGS"),
            "{problem}"
        );
        check(Path::new("")).expect_err("an empty variable names no folder");
    }

    #[test]
    fn refuses_an_empty_folder() {
        let folder = tempfile::tempdir().expect("can be made");
        let problem = check(folder.path()).expect_err("is empty");
        assert!(problem.contains(FILES[0]), "{problem}");
    }

    #[test]
    fn refuses_a_folder_in_which_any_file_is_missing_or_empty() {
        for file in FILES {
            let folder = generated();
            assert_eq!(check(folder.path()), Ok(()));
            fs::write(folder.path().join(file), "").expect("can be written");
            assert!(check(folder.path()).expect_err("is empty").contains(file), "{file} is empty");
            fs::remove_file(folder.path().join(file)).expect("can be removed");
            assert!(check(folder.path()).expect_err("is missing").contains(file), "{file} is missing");
        }
    }

    /// Fails after an edit of a generated file, and after an edit of a source without a new run of the
    /// script.
    #[test]
    fn the_committed_sample_is_what_its_script_generates() {
        let generated = generated();
        let (expected, committed) = (files(generated.path()), files(&sample()));
        for (name, content) in &expected {
            let committed =
                committed.get(name).unwrap_or_else(|| panic!("tests/recordings lacks {}", name.display()));
            let hint = "run `python3 tests/recordings/generate.py` and commit the result";
            assert!(
                content == committed,
                "tests/recordings/{} is not what is generated: {hint}",
                name.display()
            );
        }
        let sources = ["README.md", "exchanges.py", "folder.rs", "generate.py", "service_model.py"];
        let more = committed.keys().filter(|name| !expected.contains_key(*name));
        let more: Vec<_> =
            more.filter(|name| !sources.iter().any(|source| name.as_path() == Path::new(source))).collect();
        assert!(more.is_empty(), "nothing generates {more:?}");
    }

    /// A folder with the files that the script generates, and the replay server.
    fn generated() -> TempDir {
        let folder = tempfile::tempdir().expect("can be made");
        let script = Command::new("python3").arg(sample().join("generate.py")).arg(folder.path()).status();
        assert!(script.expect("python3 is installed").success(), "generate.py fails");
        fs::copy(sample().join("replay_server.py"), folder.path().join("replay_server.py"))
            .expect("is in the sample");
        folder
    }

    /// The content of each file below `root`, by its path.
    fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let (mut found, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("can be read") {
                let path = entry.expect("can be read").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(root).expect("is below it").to_owned();
                    found.insert(name, fs::read(&path).expect("can be read"));
                }
            }
        }
        found
    }
}
