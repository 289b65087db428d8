//! Ends: what is told of an attempt and of a call when they are over. The same facts make the span, the metrics and the log.
use super::blame::FaultDomain;
use crate::route::{Candidate, Task};
use std::time::Duration;
use switchboard_proto::v1::{self as pb, StopReason};
use tonic::Code;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With an answer.
    Ok,
    /// With an error.
    Error,
    /// Its caller left.
    Cancelled,
    /// It was never admitted.
    Shed,
}

/// What became of a call.
#[derive(Debug)]
pub(crate) struct CallEnd<'a> {
    pub(crate) method: &'static str,
    pub(crate) request_id: &'a str,
    pub(crate) config_version: &'a str,
    /// Absent: none was resolved.
    pub(crate) task: Option<&'a Task>,
    pub(crate) resolution: Option<&'static str>,
    /// The task type that the caller sent. Empty: none, or no task was resolved.
    pub(crate) requested_task: &'a str,
    pub(crate) ended: Ended,
    /// Empty: there is none.
    pub(crate) reason: &'a str,
    pub(crate) domain: FaultDomain,
    pub(crate) code: Code,
    /// The attempt that served, or else the last. Absent: nobody was asked.
    pub(crate) last: Option<Last<'a>>,
    /// Why the first attempt that failed did, where another model served. Absent: none did.
    pub(crate) fell_back: Option<&'a str>,
    /// Skipped ones included.
    pub(crate) attempts: usize,
    pub(crate) stop: Option<StopReason>,
    pub(crate) usage: Option<&'a pb::TokenUsage>,
    pub(crate) cost: Option<pb::Cost>,
    pub(crate) unpriced: usize,
    pub(crate) first_content: Option<Duration>,
    pub(crate) total: Duration,
    pub(crate) own_time: Duration,
}

/// The attempt that served, or else the last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Last<'a> {
    pub(crate) attempt: &'a pb::Attempt,
    /// The candidate's name.
    pub(crate) name: &'a str,
    pub(crate) target: usize,
    pub(crate) served: bool,
}

/// What became of an attempt.
#[derive(Debug)]
pub(crate) struct AttemptEnd<'a> {
    pub(crate) attempt: &'a pb::Attempt,
    pub(crate) target: usize,
    pub(crate) outcome: &'static str,
    /// Empty: there is none.
    pub(crate) reason: &'a str,
    pub(crate) took: Duration,
    /// Until the first content of a stream. Absent: it is none, or there was no content.
    pub(crate) first_chunk: Option<Duration>,
    /// In Bedrock's words. Empty: it did not say.
    pub(crate) finish_reason: &'a str,
    /// Something is to be paid for it, and nobody knows what.
    pub(crate) is_unpriced: bool,
    /// Absent: it is not to be kept.
    pub(crate) answer: Option<String>,
}

/// An attempt that begins.
#[derive(Debug)]
pub(crate) struct AttemptBegin<'a> {
    pub(crate) candidate: &'a Candidate,
    pub(crate) request: &'a pb::ConverseRequest,
    pub(crate) inference: &'a pb::InferenceConfiguration,
    pub(crate) adjustments: &'a [pb::Adjustment],
    pub(crate) hedge: bool,
}

// === impl Ended ===

impl Ended {
    /// As metrics and spans have it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Shed => "shed",
        }
    }

    /// As the log has it.
    pub(crate) const fn loud(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Error => "ERROR",
            Self::Cancelled => "CANCELLED",
            Self::Shed => "SHED",
        }
    }
}

impl<'a> CallEnd<'a> {
    /// A call that asked nobody.
    pub(crate) fn of_nobody(
        method: &'static str,
        ended: Ended,
        reason: &'a str,
        code: Code,
        domain: FaultDomain,
    ) -> Self {
        Self {
            method,
            request_id: "",
            config_version: "",
            task: None,
            resolution: None,
            requested_task: "",
            ended,
            reason,
            domain,
            code,
            last: None,
            fell_back: None,
            attempts: 0,
            stop: None,
            usage: None,
            cost: None,
            unpriced: 0,
            first_content: None,
            total: Duration::ZERO,
            own_time: Duration::ZERO,
        }
    }

    /// The attempt that served. Absent: none did.
    pub(crate) fn served(&self) -> Option<Last<'a>> {
        self.last.filter(|last| last.served)
    }

    pub(crate) fn is_truncated(&self) -> bool {
        matches!(self.stop, Some(StopReason::MaxTokens | StopReason::ModelContextWindowExceeded))
    }
}
