//! The log of a test: what was written about each call.
//!
//! One subscriber serves all tests, and gives each line to the log of the thread that wrote it. One for each thread would
//! be simpler, but `tracing` asks whoever first meets a line whether anybody wants it, and remembers the answer for all.
use serde_json::Value;
use std::{
    cell::RefCell,
    io,
    sync::{Arc, Mutex, Once},
};

thread_local! {
    static OF_THIS_THREAD: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// The log of this thread, on which all of a test runs that uses it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// What the log is written by. Where nobody reads, nothing is kept.
pub(crate) struct Writer;

impl Log {
    pub(crate) fn begin() -> Self {
        static SUBSCRIBED: Once = Once::new();
        SUBSCRIBED.call_once(|| {
            tracing_subscriber::fmt().json().with_writer(|| Writer).init();
            tracing::callsite::rebuild_interest_cache(); // of lines that were met meanwhile
        });
        let log = Self::default();
        OF_THIS_THREAD.set(Some(log.clone()));
        log
    }

    /// The lines that say this, with their fields.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().expect("is not poisoned").clone()).expect("is text");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("is JSON"));
        lines.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == message).collect()
    }

    /// The same of those that were admitted.
    pub(crate) fn admitted(&self) -> Vec<String> {
        self.calls().into_iter().filter(|call| !call.ends_with(" SHED")).collect()
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

impl io::Write for Writer {
    fn write(&mut self, words: &[u8]) -> io::Result<usize> {
        OF_THIS_THREAD.with_borrow(|log| {
            if let Some(Log(written)) = log {
                written.lock().expect("is not poisoned").extend_from_slice(words);
            }
        });
        Ok(words.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
