//! The log of recent calls, from which tests read the requests that arrived.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

/// One call, completed or in progress.
#[derive(Clone, Debug, Serialize)]
pub struct CallLog {
    /// `x-amzn-requestid` of the response.
    pub request_id: String,
    /// `Converse`, `ConverseStream` or `CountTokens`.
    pub operation: String,
    /// Model id as the caller sent it, percent-decoded.
    pub model: String,
    /// Request body; null if it was not JSON.
    pub body: Value,
    /// HTTP status; 0 until the status is sent.
    pub status: u16,
    /// Name of the error that was returned. Absent: no error.
    pub error: Option<String>,
    /// True if the response was sent completely, or ended as a fault required.
    pub finished: bool,
    /// True if the caller disconnected before the end.
    pub hung_up: bool,
    /// Number of complete stream events that were handed to the connection.
    pub events_sent: u32,
}

/// A bounded log of calls. The oldest call is removed first.
#[derive(Debug)]
pub(crate) struct CallLogStore {
    calls: Mutex<VecDeque<Arc<Mutex<CallLog>>>>,
    /// Maximum number of calls.
    capacity: usize,
}

/// Writes the log of one call. If dropped before `finish`, it records that the caller disconnected.
#[derive(Debug)]
pub(crate) struct CallLogEntry(Arc<Mutex<CallLog>>);

// === impl CallLogStore ===

impl CallLogStore {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { calls: Mutex::default(), capacity }
    }

    pub(crate) fn open(&self, request_id: &str, operation: &str, model: &str, body: Value) -> CallLogEntry {
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
        while calls.len() > self.capacity {
            calls.pop_front();
        }
        CallLogEntry(log)
    }

    pub(crate) fn all(&self) -> Vec<CallLog> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().map(|call| call.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }

    pub(crate) fn clear(&self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

// === impl CallLogEntry ===

impl CallLogEntry {
    pub(crate) fn set_status(&mut self, status: u16) {
        self.update(|log| log.status = status);
    }

    /// Records an error response and finishes the entry.
    pub(crate) fn fail(&mut self, status: u16, error: &str) {
        self.update(|log| {
            log.status = status;
            log.error = Some(error.to_owned());
            log.finished = true;
        });
    }

    pub(crate) fn add_event(&mut self) {
        self.update(|log| log.events_sent += 1);
    }

    pub(crate) fn finish(&mut self) {
        self.update(|log| log.finished = true);
    }

    fn update(&self, change: impl FnOnce(&mut CallLog)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for CallLogEntry {
    fn drop(&mut self) {
        self.update(|log| log.hung_up = !log.finished);
    }
}
