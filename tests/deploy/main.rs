//! The files of `deploy/` fit the program, and a real OpenTelemetry Collector accepts its configurations.
//!
//! ```text
//! metrics      the table of metrics in deploy/README.md, compared with the names in the program
//! dashboards   every query and alarm uses a metric that exists, by attributes that it has
//! collector    both configurations, run by `otelcol`
//! image        the files from which the image is built
//! policies     the actions and resources that the IAM policies allow
//! ```
#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

mod collector;
mod dashboards;
mod image;
mod metrics;
mod policies;

use serde_json::Value;
use std::fs;

/// Reads a file of the checkout. Cargo runs tests in the folder of their package.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Paths of all files below a folder of the checkout.
fn files_below(folder: &str) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
            let path = entry.expect("can be read").path();
            let name = path.to_str().expect("is text").to_owned();
            if path.is_dir() { folders.push(name) } else { found.push(name) }
        }
    }
    found
}

fn read_json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
