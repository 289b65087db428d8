//! Limits for the consumer of one response, and the verdict on it: what a call's record and its response body
//! share.
//!
//! The body (`edge/slow_consumer.rs`) decides that a consumer is too slow; the record turns that into an
//! error and gives the status back, so that the consumer learns it when it reads on.
use crate::error::CallError;
use http::HeaderMap;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::time::Instant;
use tonic::Status;

/// The consumer of one response. Clones share the verdict; one travels among the response's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Consumer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    timeout: Duration,
    deadline: Instant,
    abandoned: OnceLock<AbandonReason>,
    /// The error with which the call has ended. Absent: the call is running, or has ended well.
    status: OnceLock<Status>,
}

/// Why a consumer was abandoned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AbandonReason {
    /// It read nothing for longer than the timeout.
    Stalled,
    /// The call's deadline passed while it read nothing.
    Deadline,
}

// === impl Consumer ===

impl Consumer {
    /// A consumer that may leave a ready response unread for `timeout`, in a call that ends at `deadline`.
    pub(crate) fn new(timeout: Duration, deadline: Instant) -> Self {
        Self(Arc::new(Inner { timeout, deadline, abandoned: OnceLock::new(), status: OnceLock::new() }))
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// When a response that has been ready since `ready_since` has been left unread for too long, and the
    /// reason then.
    pub(crate) fn abandoned_at(&self, ready_since: Instant) -> (Instant, AbandonReason) {
        let Inner { timeout, deadline, .. } = *self.0;
        match ready_since.checked_add(timeout).filter(|stalled| *stalled < deadline) {
            Some(stalled) => (stalled, AbandonReason::Stalled),
            None => (deadline, AbandonReason::Deadline),
        }
    }

    /// Gives the verdict. Only the first one counts.
    pub(crate) fn abandon(&self, reason: AbandonReason) {
        let _first = self.0.abandoned.set(reason);
    }

    /// The error of a call that ended because of its consumer. `None`: it did not.
    pub(crate) fn error(&self, attempts: usize) -> Option<CallError> {
        self.0.abandoned.get().map(|reason| match reason {
            AbandonReason::Stalled => CallError::SlowConsumer { timeout: self.0.timeout },
            AbandonReason::Deadline => CallError::DeadlineExceeded { attempts },
        })
    }

    /// Stores the status with which the call has ended. Only the first one counts.
    pub(crate) fn set_status(&self, status: &Status) {
        let _first = self.0.status.set(status.clone());
    }

    /// True if the call has ended with an error.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.status.get().is_some()
    }

    /// The trailers that tell the consumer how the call has ended.
    pub(crate) fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        let _fits = self.0.status.get().unwrap_or(&Status::ok("")).add_header(&mut trailers);
        trailers
    }
}
