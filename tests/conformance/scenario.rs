//! Scenarios are data: a file each in `scenarios/`, in the order of their names.
use serde::Deserialize;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// One promise to callers: what is set up, what is called, and what the caller must see.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The promise, in a few words: its row in the table.
    pub(crate) title: String,
    /// Who answers.
    #[serde(default)]
    pub(crate) server: Server,
    /// Who can be asked to do it; empty: both modes. What only a hand-written layer does is not asked of plain stubs.
    #[serde(default)]
    pub(crate) modes: Vec<Mode>,
    /// What goes wrong at the simulator, as it takes it at `/_sim/faults`.
    #[serde(default)]
    pub(crate) faults: Vec<Value>,
    /// What the prepared server answers.
    #[serde(default)]
    pub(crate) prepared: Vec<Prepared>,
    /// A call that the runner itself holds open meanwhile.
    #[serde(default)]
    pub(crate) meanwhile: Option<Value>,
    /// The driver's line, see [`expand`].
    pub(crate) call: Value,
    /// What the driver's line must say, see [`crate::matching`]. `message` and `tool_uses` are only asked of layers.
    pub(crate) expect: Value,
    /// The same for plain stubs, where they see something else.
    #[serde(default)]
    pub(crate) expect_plain: Option<Value>,
    /// What the simulator must have seen in the end: its list of calls.
    #[serde(default)]
    pub(crate) upstream: Option<Value>,
    /// What the prepared server must have received: a list of `{headers, request}`.
    #[serde(default)]
    pub(crate) received: Option<Value>,
}

/// Who answers.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Server {
    /// `switchboard` in front of the simulator.
    #[default]
    Switchboard,
    /// The same, with one place for calls and a closed list of tasks.
    Strict,
    /// A stand-in that sends prepared bytes, as a newer server might.
    Prepared,
}

/// Which of a language's two clients.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// The layer written by hand.
    Layer,
    /// The generated stubs alone.
    Plain,
}

/// What the prepared server answers to one call; the last one also to all that follow.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prepared {
    /// The messages, one after another.
    #[serde(default)]
    pub(crate) messages: Vec<PreparedMessage>,
    /// How the call ends. Absent: well.
    #[serde(default)]
    pub(crate) status: Option<PreparedStatus>,
}

/// A message: what the contract can say of it, and fields that it cannot.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreparedMessage {
    /// Its type, such as `ConverseStreamResponse`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Its protobuf JSON.
    #[serde(default)]
    pub(crate) json: Value,
    /// Fields that follow, see [`crate::wire`].
    #[serde(default)]
    pub(crate) wire: Vec<Value>,
}

/// A status with details in protobuf JSON, `@type` included.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreparedStatus {
    pub(crate) code: i32,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) details: Vec<Value>,
    /// More trailers, such as `grpc-retry-pushback-ms`.
    #[serde(default)]
    pub(crate) trailers: std::collections::BTreeMap<String, String>,
}

// === impl Scenario ===

impl Scenario {
    /// All scenarios, under the names of their files.
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

    /// What a driver in this mode must say.
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

/// Writes out what is too long for a file: `{"$repeat": "text", "times": 3}` and `{"$bytes": 3}`, base64 of so many bytes.
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
