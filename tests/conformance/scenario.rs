//! Scenarios are data: each one is a file in `scenarios/`. They run in the order of their names.
use serde::Deserialize;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// A scenario: setup, call and expected result.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// Claim that the scenario checks. Row title in the table.
    pub(crate) title: String,
    /// Server that answers.
    #[serde(default)]
    pub(crate) server: Server,
    /// Modes in which the scenario runs. Empty: both. Generated stubs cannot do everything that a client
    /// library does.
    #[serde(default)]
    pub(crate) modes: Vec<Mode>,
    /// Faults for the simulator, in the format of `/_sim/faults`.
    #[serde(default)]
    pub(crate) faults: Vec<Value>,
    /// Answers of the prepared server.
    #[serde(default)]
    pub(crate) prepared: Vec<Prepared>,
    /// Call that the runner keeps open while the scenario runs.
    #[serde(default)]
    pub(crate) meanwhile: Option<Value>,
    /// Line for the driver, see [`expand`].
    pub(crate) call: Value,
    /// Expected line of the driver, see [`crate::matching`]. `message` and `tool_uses` are checked only for
    /// client libraries.
    pub(crate) expect: Value,
    /// Expected line for generated stubs, if it differs.
    #[serde(default)]
    pub(crate) expect_plain: Option<Value>,
    /// Expected list of calls of the simulator.
    #[serde(default)]
    pub(crate) upstream: Option<Value>,
    /// Expected calls of the prepared server: a list of `{path, headers, request}`.
    #[serde(default)]
    pub(crate) received: Option<Value>,
}

/// Server of a scenario.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Server {
    /// `switchboard` with the simulator.
    #[default]
    Switchboard,
    /// `switchboard` that accepts one call at a time and refuses unknown tasks.
    Strict,
    /// Server that sends prepared bytes, as a newer server might.
    Prepared,
    /// The same prepared answers on an address of their own, whose connections can be closed with GOAWAY.
    Closing,
}

/// Kind of client.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// The client library.
    Layer,
    /// Generated stubs only.
    Plain,
}

/// Answer of the prepared server to one call. The last answer is repeated for all further calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prepared {
    /// Messages of the answer, in order.
    #[serde(default)]
    pub(crate) messages: Vec<PreparedMessage>,
    /// Status of the call. Absent: OK.
    #[serde(default)]
    pub(crate) status: Option<PreparedStatus>,
    /// True: the connection is closed with GOAWAY and the call is returned as unprocessed. Only for
    /// [`Server::Closing`].
    #[serde(default)]
    pub(crate) goaway: bool,
}

/// Message with fields of the contract and fields that the contract does not have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreparedMessage {
    /// Type of the message, such as `ConverseStreamResponse`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Protobuf JSON of the message.
    #[serde(default)]
    pub(crate) json: Value,
    /// Additional fields, see [`crate::wire`].
    #[serde(default)]
    pub(crate) wire: Vec<Value>,
}

/// Status with details in protobuf JSON, which includes `@type`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreparedStatus {
    pub(crate) code: i32,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) details: Vec<Value>,
    /// Additional trailers, such as `grpc-retry-pushback-ms`.
    #[serde(default)]
    pub(crate) trailers: std::collections::BTreeMap<String, String>,
}

// === impl Scenario ===

impl Scenario {
    /// Returns all scenarios with the names of their files.
    pub(crate) fn all(folder: &Path) -> Vec<(String, Self)> {
        let mut files: Vec<_> =
            fs::read_dir(folder).expect("is there").map(|file| file.expect("is there").path()).collect();
        files.sort();
        let read = |file: &std::path::PathBuf| {
            let text = fs::read_to_string(file).expect("can be read");
            let scenario = serde_json::from_str(&text);
            let scenario: Self = scenario.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            (file.file_stem().expect("has a name").to_string_lossy().into_owned(), scenario)
        };
        files.iter().map(read).map(|(name, scenario)| (name, scenario.expanded())).collect()
    }

    pub(crate) fn is_for(&self, mode: Mode) -> bool {
        self.modes.is_empty() || self.modes.contains(&mode)
    }

    /// Returns the expected line of a driver in this mode.
    pub(crate) fn expected(&self, mode: Mode) -> Value {
        let mut expected = match (mode, &self.expect_plain) {
            (Mode::Plain, Some(expected)) => expected.clone(),
            _ => self.expect.clone(),
        };
        if let (Mode::Plain, Value::Object(members)) = (mode, &mut expected) {
            members.remove("message");
            members.remove("tool_uses");
        }
        expected
    }

    fn expanded(self) -> Self {
        let message = |message: PreparedMessage| PreparedMessage { json: expand(message.json), ..message };
        let prepared = self.prepared.into_iter().map(|prepared| Prepared {
            messages: prepared.messages.into_iter().map(message).collect(),
            ..prepared
        });
        Self { call: expand(self.call), prepared: prepared.collect(), ..self }
    }
}

/// Expands `{"$repeat": "text", "times": 3}`, and `{"$bytes": 3}` to the base64 text of that number of bytes.
fn expand(value: Value) -> Value {
    match value {
        Value::Object(members) if members.contains_key("$repeat") => {
            let times = members["times"].as_u64().and_then(|times| usize::try_from(times).ok());
            let text = members["$repeat"].as_str().expect("$repeat is a text");
            json!(text.repeat(times.expect("times is a number")))
        }
        Value::Object(members) if members.contains_key("$bytes") => {
            use base64::{Engine as _, prelude::BASE64_STANDARD};
            let count = members["$bytes"].as_u64().expect("$bytes is a number");
            let bytes: Vec<u8> = (0..count).map(|at| u8::try_from(at * 31 % 251).unwrap_or(0)).collect();
            json!(BASE64_STANDARD.encode(bytes))
        }
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, expand(value))).collect(),
        Value::Array(items) => items.into_iter().map(expand).collect(),
        other => other,
    }
}
