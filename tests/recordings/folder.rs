//! The folder of recorded traffic. This file is compiled into the tests of each package that reads
//! recordings.
//!
//! `SWITCHBOARD_RECORDINGS` names the folder. Without the variable the tests use the sample beside this file.
//! A folder that cannot be used is an error: no test passes because its recordings are missing.
use serde::de::DeserializeOwned;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The files that every folder of recordings has. None of them may be empty.
pub(crate) const FILES: [&str; 9] = [
    "public/converse.jsonl",
    "public/converse_stream.jsonl",
    "public/errors.jsonl",
    "public/other_ops.jsonl",
    "stream_response_only.jsonl",
    "malformed_streams.jsonl",
    "eventstream_vectors/expected.json",
    "bedrock-runtime-converse.model.json",
    "replay_server.py",
];

/// The folder of recordings. Panics, with the reason, if it cannot be used.
pub(crate) fn folder() -> PathBuf {
    let folder = env::var_os("SWITCHBOARD_RECORDINGS").map_or_else(sample, PathBuf::from);
    match check(&folder) {
        Ok(()) => folder,
        Err(problem) => panic!("{problem}"),
    }
}

/// The exchanges of a file of the folder, one per line. There is at least one.
pub(crate) fn lines<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let path = folder().join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let exchange =
        |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let exchanges: Vec<T> = text.lines().map(exchange).collect();
    assert!(!exchanges.is_empty(), "{} has no exchanges", path.display());
    exchanges
}

/// Returns why the folder cannot be used.
pub(crate) fn check(folder: &Path) -> Result<(), String> {
    let shown = folder.display();
    if !folder.is_dir() {
        return Err(format!(
            "there is no folder of recordings at {shown}: correct SWITCHBOARD_RECORDINGS, which must be an absolute \
             path, or unset it to use the sample"
        ));
    }
    for file in FILES {
        let length = fs::metadata(folder.join(file)).map(|it| it.len()).unwrap_or_default();
        if length == 0 {
            return Err(format!(
                "the folder of recordings at {shown} lacks {file}: every folder must have all of {FILES:?}"
            ));
        }
    }
    Ok(())
}

/// The sample of the repository, found from the folder of whichever package this is compiled into.
pub(crate) fn sample() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sample = package.ancestors().map(|folder| folder.join("tests/recordings")).find(|it| it.is_dir());
    sample.unwrap_or_else(|| panic!("no folder above {} has tests/recordings", package.display()))
}
