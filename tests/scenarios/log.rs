//! The log of a test: what was written about each call.
use serde_json::Value;
use std::{
    io,
    sync::{Arc, Mutex},
};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{fmt::MakeWriter, util::SubscriberInitExt as _};

/// The log of this thread, on which all of a test runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Written until the guard is dropped.
    pub(crate) fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().json().with_writer(log.clone()).finish();
        (log, subscriber.set_default())
    }

    /// How the calls ended so far, as `ConverseStream ERROR SHED`.
    pub(crate) fn calls(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().expect("is not poisoned").clone()).expect("is text");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("is JSON"));
        let ended = lines.filter(|line| line["fields"]["message"] == "call ended");
        let word = |line: &Value, name: &str| line["fields"][name].as_str().unwrap_or_default().to_owned();
        let words = |line: Value| ["method", "outcome", "reason"].map(|name| word(&line, name)).join(" ");
        ended.map(|line| words(line).trim_end().to_owned()).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, words: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("is not poisoned").extend_from_slice(words);
        Ok(words.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
