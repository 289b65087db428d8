//! Captures the log lines of a test.
//!
//! One subscriber serves all tests and appends each line to the log of the thread that wrote it. A subscriber
//! per thread would be simpler, but `tracing` asks the subscriber of the thread that first reaches a line
//! whether the line is enabled, and caches the answer for all threads.
use serde_json::Value;
use std::{
    cell::RefCell,
    io,
    sync::{Arc, Mutex, Once},
};

thread_local! {
    static OF_THIS_THREAD: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// The log of the current thread. A test that uses it runs on one thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// Writes to the log of the current thread. Without one, lines are discarded.
pub(crate) struct Writer;

impl Log {
    /// Starts to capture the lines of this thread.
    pub(crate) fn capture() -> Self {
        static SUBSCRIBED: Once = Once::new();
        SUBSCRIBED.call_once(|| {
            tracing_subscriber::fmt().json().with_writer(|| Writer).init();
            tracing::callsite::rebuild_interest_cache(); // of lines that were reached before
        });
        let log = Self::default();
        OF_THIS_THREAD.set(Some(log.clone()));
        log
    }

    /// The fields of the lines with this message.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().expect("is not poisoned").clone()).expect("is text");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("is JSON"));
        lines.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == message).collect()
    }

    /// The ends of calls that were admitted, as in [`Log::calls`].
    pub(crate) fn admitted(&self) -> Vec<String> {
        self.calls().into_iter().filter(|call| !call.ends_with(" SHED")).collect()
    }

    /// The ends of all calls so far: method, outcome and reason, such as `ConverseStream ERROR SHED`.
    pub(crate) fn calls(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().expect("is not poisoned").clone()).expect("is text");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("is JSON"));
        let ended = lines.filter(|line| line["fields"]["message"] == "call ended");
        let field = |line: &Value, name: &str| line["fields"][name].as_str().unwrap_or_default().to_owned();
        let end = |line: Value| ["method", "outcome", "reason"].map(|name| field(&line, name)).join(" ");
        ended.map(|line| end(line).trim_end().to_owned()).collect()
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        OF_THIS_THREAD.with_borrow(|log| {
            if let Some(Log(written)) = log {
                written.lock().expect("is not poisoned").extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
