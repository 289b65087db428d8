//! Fault injection.
//!
//! A rule names a model (or `*`), a fault and a number of calls. Rules are evaluated in the order of
//! injection. The first rule that rejects the call ends the evaluation; the faults of the stream accumulate.
//! Only calls that a rule affects count towards its `times`: a fault of streams does not count unary calls.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use crate::error::{DAILY_QUOTA_MESSAGE, ServiceError};

mod store;

pub(crate) use store::{FaultDecision, FaultStore};

/// `model` of a rule that applies to every model.
const EVERY_MODEL: &str = "*";

/// A fault for one model or for every model.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// A model id as callers send it, a base model id (matches all its inference profiles too), or `*`.
    /// Absent: `*`.
    #[serde(default = "every_model")]
    pub model: String,
    /// The fault to inject.
    pub fault: Fault,
    /// Number of calls to affect. Absent: until the rule is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// A fault. Events are counted from 0: `after_events = 0` takes effect before the first event.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Returns `ThrottlingException` for every call, for the calls above a rate, or for a random share of the
    /// calls.
    Throttle {
        /// Number of calls per second that are served. Absent: no rate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        calls_per_second: Option<f64>,
        /// Share of the calls that are throttled, from 0 to 1. Ignored with `calls_per_second`. Absent: all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        probability: Option<f64>,
        /// True to report that the daily token quota is exhausted.
        #[serde(default)]
        daily: bool,
        /// `Retry-After` header, rounded down to seconds and at least 1. Bedrock has not been observed to
        /// send it.
        #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
    },
    /// Returns an error by name, modelled or not, before any other processing.
    Error {
        /// `AccessDeniedException`, `ModelTimeoutException`, …
        name: String,
        /// Error message. Absent: the message that Bedrock uses for the name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// HTTP status. Absent: the status that Bedrock uses for the name, or 400.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// `originalStatusCode` of `ModelErrorException`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        original_status: Option<u16>,
        /// `resourceName` of `ModelErrorException`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resource: Option<String>,
        /// `Retry-After` header, rounded down to seconds and at least 1. Absent: no header.
        #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
    },
    /// Keeps the connection open and never sends a response, not even a status.
    #[serde(deserialize_with = "no_fields")]
    Hang,
    /// Sends the status at once and delays the first event, or delays the whole unary response.
    SlowFirstToken {
        /// The additional delay. Not scaled by `speed`.
        #[serde(with = "humantime_serde")]
        delay: Duration,
    },
    /// Stops sending events and keeps the connection open.
    Stall {
        /// Number of events sent before the stall.
        after_events: u32,
        /// Duration of the stall; then the stream continues. Absent: the stall never ends.
        #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
        duration: Option<Duration>,
    },
    /// Closes the socket in the middle of the response. A unary body is cut in half.
    Cut {
        /// Number of complete events sent before the close.
        after_events: u32,
        /// True to send the first half of the next frame too.
        #[serde(default)]
        mid_frame: bool,
    },
    /// Ends the stream with an exception frame.
    Exception {
        /// Number of events sent before the frame.
        after_events: u32,
        /// `throttlingException` or `ThrottlingException`. Names outside the service model are sent as given.
        name: String,
        /// Exception message. Absent: the message that Bedrock uses for the name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// Ends the stream with a frame of `:message-type: error`.
    ErrorFrame {
        /// Number of events sent before the frame.
        after_events: u32,
        /// `:error-code`.
        code: String,
        /// `:error-message`.
        message: String,
    },
    /// Sends one event with a wrong checksum and continues the stream.
    BadCrc {
        /// Number of the event, counted from 0.
        at_event: u32,
    },
    /// Ends the stream cleanly before `messageStop`.
    #[serde(deserialize_with = "no_fields")]
    EndWithoutMessageStop,
    /// Ends the stream cleanly after `messageStop`, so that usage is missing.
    #[serde(deserialize_with = "no_fields")]
    EndWithoutMetadata,
    /// Inserts an event of a type that no SDK knows.
    UnknownEvent {
        /// Number of events sent before it.
        after_events: u32,
    },
    /// Inserts a delta with a member that no SDK knows.
    UnknownDelta {
        /// Number of events sent before it.
        after_events: u32,
    },
}

fn every_model() -> String {
    EVERY_MODEL.to_owned()
}

/// Rejects fields of a fault that has none. `deny_unknown_fields` has no effect on unit variants.
fn no_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NoFields {}
    NoFields::deserialize(deserializer).map(|NoFields {}| ())
}

// === impl FaultRule ===

impl FaultRule {
    /// Returns a rule for every model, active until it is removed.
    pub fn all(fault: Fault) -> Self {
        Self::on(EVERY_MODEL, fault)
    }

    /// Returns a rule for one model, active until it is removed.
    pub fn on(model: impl Into<String>, fault: Fault) -> Self {
        Self { model: model.into(), fault, times: None }
    }

    /// Limits the rule to the next `times` calls.
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    pub(crate) fn is_for_every_model(&self) -> bool {
        self.model == EVERY_MODEL
    }

    fn matches(&self, ids: &[&str]) -> bool {
        self.is_for_every_model() || ids.contains(&self.model.as_str())
    }
}

// === impl Fault ===

impl Fault {
    /// Throttles every call.
    pub fn throttle() -> Self {
        Self::Throttle { calls_per_second: None, probability: None, daily: false, retry_after: None }
    }

    /// Returns the error with this name and Bedrock's message for it.
    pub fn error(name: impl Into<String>) -> Self {
        Self::Error {
            name: name.into(),
            message: None,
            status: None,
            original_status: None,
            resource: None,
            retry_after: None,
        }
    }

    /// Delays the first event.
    pub fn slow_first_token(delay: Duration) -> Self {
        Self::SlowFirstToken { delay }
    }

    /// Stalls the stream without end after `after_events` events.
    pub fn stall(after_events: u32) -> Self {
        Self::Stall { after_events, duration: None }
    }

    /// Closes the socket after `after_events` complete events.
    pub fn cut(after_events: u32) -> Self {
        Self::Cut { after_events, mid_frame: false }
    }

    /// Ends the stream with an exception frame, with Bedrock's message, after `after_events` events.
    pub fn exception(after_events: u32, name: impl Into<String>) -> Self {
        Self::Exception { after_events, name: name.into(), message: None }
    }

    fn is_stream_only(&self) -> bool {
        !matches!(
            self,
            Self::Throttle { .. }
                | Self::Error { .. }
                | Self::Hang
                | Self::SlowFirstToken { .. }
                | Self::Cut { .. }
        )
    }

    /// Returns the error response of the fault. Absent: the fault is not an error response.
    fn to_error(&self) -> Option<ServiceError> {
        match self {
            Self::Throttle { daily, retry_after, .. } => {
                let mut error = ServiceError::named("ThrottlingException");
                if *daily {
                    error = error.with_message(DAILY_QUOTA_MESSAGE);
                }
                Some(ServiceError { retry_after: *retry_after, ..error })
            }
            Self::Error { name, message, status, original_status, resource, retry_after } => {
                let mut error = ServiceError { retry_after: *retry_after, ..ServiceError::named(name) };
                if let Some(message) = message {
                    error = error.with_message(message);
                }
                if let Some(status) = status.and_then(|status| http::StatusCode::from_u16(status).ok()) {
                    error.status = status;
                }
                if let Some(original) = original_status {
                    error.body["originalStatusCode"] = json!(original);
                }
                if let Some(resource) = resource {
                    error.body["resourceName"] = json!(resource);
                }
                Some(error)
            }
            _ => None,
        }
    }
}
