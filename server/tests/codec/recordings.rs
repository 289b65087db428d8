//! The folder of recordings, where there is one.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use std::{fs, path::PathBuf};

/// `None`, with the reason on standard output, where there are no recordings.
pub(crate) fn folder(left_out: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SWITCHBOARD_RECORDINGS").map(PathBuf::from);
    if folder.is_none() {
        println!(
            "left out: {left_out}, since SWITCHBOARD_RECORDINGS does not name the folder of the recordings"
        );
    }
    folder
}

/// The lines of a file, each an exchange.
pub(crate) fn lines(path: PathBuf) -> Vec<Value> {
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect()
}

/// The bytes of an exchange's event stream.
pub(crate) fn stream(exchange: &Value) -> Vec<u8> {
    let text = exchange["response_body_base64"].as_str().expect("has a stream");
    STANDARD.decode(text).expect("is base64")
}
