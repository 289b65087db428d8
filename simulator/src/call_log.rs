//! The log of recent calls, for tests that ask what really arrived.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

/// One call, as far as it went.
#[derive(Clone, Debug, Serialize)]
pub struct CallLog {
    /// The `x-amzn-requestid` of the answer.
    pub request_id: String,
    /// `Converse`, `ConverseStream` or `CountTokens`.
    pub operation: String,
    /// The model id as the caller sent it, percent-decoded.
    pub model: String,
    /// The request body; null when it was not JSON.
    pub body: Value,
    /// The HTTP status; 0 while there is none.
    pub status: u16,
    /// The name of the error answered, if one was.
    pub error: Option<String>,
    /// The answer went out whole, or ended the way a fault wanted.
    pub finished: bool,
    /// The caller left before the end.
    pub hung_up: bool,
    /// Whole stream events handed to the connection.
    pub events_sent: u32,
}

/// The log: bounded, oldest out first.
#[derive(Debug)]
pub(crate) struct CallBook {
    calls: Mutex<VecDeque<Arc<Mutex<CallLog>>>>,
    room: usize,
}

/// The right to write one call's line. Dropped unfinished, it says that the caller hung up.
#[derive(Debug)]
pub(crate) struct Entry(Arc<Mutex<CallLog>>);

// === impl CallBook ===

impl CallBook {
    pub(crate) fn new(room: usize) -> Self {
        Self { calls: Mutex::default(), room }
    }

    pub(crate) fn open(&self, request_id: &str, operation: &str, model: &str, body: Value) -> Entry {
        let log = CallLog {
            request_id: request_id.to_owned(),
            operation: operation.to_owned(),
            model: model.to_owned(),
            body,
            status: 0,
            error: None,
            finished: false,
            hung_up: false,
            events_sent: 0,
        };
        let log = Arc::new(Mutex::new(log));
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push_back(Arc::clone(&log));
        while calls.len() > self.room {
            calls.pop_front();
        }
        Entry(log)
    }

    pub(crate) fn all(&self) -> Vec<CallLog> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().map(|call| call.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }

    pub(crate) fn clear(&self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

// === impl Entry ===

impl Entry {
    pub(crate) fn answered(&mut self, status: u16) {
        self.write(|log| log.status = status);
    }

    pub(crate) fn refused(&mut self, status: u16, error: &str) {
        self.write(|log| {
            log.status = status;
            log.error = Some(error.to_owned());
            log.finished = true;
        });
    }

    pub(crate) fn event_sent(&mut self) {
        self.write(|log| log.events_sent += 1);
    }

    pub(crate) fn finish(&mut self) {
        self.write(|log| log.finished = true);
    }

    fn write(&self, change: impl FnOnce(&mut CallLog)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.write(|log| log.hung_up = !log.finished);
    }
}
