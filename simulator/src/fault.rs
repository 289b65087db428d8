//! Misbehaviour on request.
//!
//! A rule names a model (or `*`), a fault and how often. Rules are tried in the order they were injected; the first
//! that refuses the call ends it, those that bend the stream add up. A rule is used up only by calls it changed: a
//! fault of streams does not count a call that was not streamed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::{DAILY_QUOTA, Refusal};

mod store;

pub(crate) use store::{FaultBook, Verdict};

/// A fault for one model or for all.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// A model id as callers send it, a base model id (then every profile of it is meant), or `*`.
    #[serde(default = "every_model")]
    pub model: String,
    /// What goes wrong.
    pub fault: Fault,
    /// How many calls it spoils. Absent: until cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// What goes wrong. Event counts begin at 0: `after_events = 0` acts as the first frame.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// `ThrottlingException`: for every call, for those above a rate, or for some by chance.
    Throttle {
        /// Calls per second that still pass.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        calls_per_second: Option<f64>,
        /// The share of calls refused, from 0 to 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        probability: Option<f64>,
        /// Says that the tokens of the day are used up.
        #[serde(default)]
        daily: bool,
        /// Sent as `Retry-After`, in whole seconds. Bedrock itself was never seen to send it.
        #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
    },
    /// Any error by its name, modelled or not, before anything else happens.
    Error {
        /// `AccessDeniedException`, `ModelTimeoutException`, …
        name: String,
        /// Absent: the service's own words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// The HTTP status. Absent: the one that belongs to the name, or 400.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// `originalStatusCode` of `ModelErrorException`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        original_status: Option<u16>,
        /// `resourceName` of `ModelErrorException`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resource: Option<String>,
        /// Sent as `Retry-After`, in whole seconds.
        #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
    },
    /// The connection is open and nothing ever comes, not even a status.
    Hang,
    /// The status comes at once, the first event (or the whole unary body) this much later. Not scaled by `speed`.
    SlowFirstToken {
        /// The extra wait.
        #[serde(with = "humantime_serde")]
        delay: Duration,
    },
    /// The stream falls silent.
    Stall {
        /// Events sent before.
        after_events: u32,
        /// How long. Absent: for ever.
        #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
        duration: Option<Duration>,
    },
    /// The socket is closed in mid-answer. A unary body is cut in half.
    Cut {
        /// Whole events sent before.
        after_events: u32,
        /// Also send the first half of the next frame.
        #[serde(default)]
        mid_frame: bool,
    },
    /// An exception frame ends the stream.
    Exception {
        /// Events sent before.
        after_events: u32,
        /// `throttlingException` or `ThrottlingException`; names outside the service model are sent as they are.
        name: String,
        /// Absent: the service's own words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// A frame with `:message-type: error` ends the stream.
    ErrorFrame {
        /// Events sent before.
        after_events: u32,
        /// `:error-code`.
        code: String,
        /// `:error-message`.
        message: String,
    },
    /// The event with this number arrives with a wrong checksum; the stream goes on.
    BadCrc {
        /// Which event, counted from 0.
        at_event: u32,
    },
    /// The stream ends cleanly, but without `messageStop` and what follows it.
    EndWithoutMessageStop,
    /// The stream ends cleanly after `messageStop`: no usage.
    EndWithoutMetadata,
    /// An event type no SDK knows is slipped in.
    UnknownEvent {
        /// Events sent before.
        after_events: u32,
    },
    /// A delta with a member no SDK knows is slipped in.
    UnknownDelta {
        /// Events sent before.
        after_events: u32,
    },
}

fn every_model() -> String {
    "*".to_owned()
}

// === impl FaultRule ===

impl FaultRule {
    /// The fault for every model, until cleared.
    pub fn all(fault: Fault) -> Self {
        Self::on("*", fault)
    }

    /// The fault for one model, until cleared.
    pub fn on(model: impl Into<String>, fault: Fault) -> Self {
        Self { model: model.into(), fault, times: None }
    }

    /// Only for the next `times` calls.
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    fn matches(&self, ids: &[&str]) -> bool {
        self.model == "*" || ids.contains(&self.model.as_str())
    }
}

// === impl Fault ===

impl Fault {
    /// Every call is throttled.
    pub fn throttle() -> Self {
        Self::Throttle { calls_per_second: None, probability: None, daily: false, retry_after: None }
    }

    /// The error with this name, in the service's own words.
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

    /// The first event comes this much later.
    pub fn slow_first_token(delay: Duration) -> Self {
        Self::SlowFirstToken { delay }
    }

    /// Silence for ever after so many events.
    pub fn stall(after_events: u32) -> Self {
        Self::Stall { after_events, duration: None }
    }

    /// The socket closes after so many whole events.
    pub fn cut(after_events: u32) -> Self {
        Self::Cut { after_events, mid_frame: false }
    }

    /// An exception frame after so many events, in the service's own words.
    pub fn exception(after_events: u32, name: impl Into<String>) -> Self {
        Self::Exception { after_events, name: name.into(), message: None }
    }

    fn only_for_streams(&self) -> bool {
        !matches!(
            self,
            Self::Throttle { .. }
                | Self::Error { .. }
                | Self::Hang
                | Self::SlowFirstToken { .. }
                | Self::Cut { .. }
        )
    }

    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Throttle { daily, retry_after, .. } => {
                let mut refusal = Refusal::named("ThrottlingException");
                if *daily {
                    refusal = refusal.saying(DAILY_QUOTA);
                }
                Some(Refusal { retry_after: *retry_after, ..refusal })
            }
            Self::Error { name, message, status, original_status, resource, retry_after } => {
                let mut refusal = Refusal { retry_after: *retry_after, ..Refusal::named(name) };
                if let Some(message) = message {
                    refusal = refusal.saying(message);
                }
                if let Some(status) = status.and_then(|status| http::StatusCode::from_u16(status).ok()) {
                    refusal.status = status;
                }
                if let Some(original) = original_status {
                    refusal.body["originalStatusCode"] = json!(original);
                }
                if let Some(resource) = resource {
                    refusal.body["resourceName"] = json!(resource);
                }
                Some(refusal)
            }
            _ => None,
        }
    }
}
