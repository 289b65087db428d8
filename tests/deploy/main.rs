//! What `deploy/` ships fits the program, and a real OpenTelemetry Collector takes its configurations.
//!
//! ```text
//! metrics      the table of metrics in deploy/README.md, held against the program's own names
//! dashboards   every query and alarm asks for a metric that exists, by attributes that it has
//! collector    both configurations, run by `otelcol`
//! image        what the image is built from
//! policies     what the IAM policies allow
//! ```
#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

mod collector;
mod dashboards;
mod image;
mod metrics;
mod policies;

use serde_json::Value;
use std::fs;

/// A file of the checkout: Cargo runs tests in the folder of their package.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read_json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
