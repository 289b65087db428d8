//! The summary of a call: what its record hands to every sink when the call has ended.
mod fault_domain;

pub(crate) use fault_domain::FaultDomain;

use crate::{deployment::Deployment, error::CallError, route::Task, rpc::Rpc, snapshot::Snapshot};
use std::{sync::Arc, time::Duration};
use switchboard_proto::v1::{self as pb, ErrorReason, Resolution, StopReason};
use tonic::Code;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CallOutcome {
    /// With an answer.
    Ok,
    /// With an error.
    Error,
    /// The caller left.
    Cancelled,
    /// It was rejected at capacity.
    Shed,
}

/// Everything that observability, feedback and later audit and limits need to know of a call. Owned, so that
/// a sink may keep it.
#[derive(Debug)]
pub(crate) struct CallSummary {
    pub(crate) rpc: Rpc,
    pub(crate) request_id: String,
    /// The configuration with which the call started.
    pub(crate) snapshot: Arc<Snapshot>,
    /// Absent: no task was resolved.
    pub(crate) task: Option<Arc<Task>>,
    /// Absent: no task was resolved.
    pub(crate) resolution: Option<Resolution>,
    /// The task type that the caller sent. Empty: none, or no task was resolved.
    pub(crate) requested_task: String,
    pub(crate) outcome: CallOutcome,
    /// Absent: the call ended without an error, or with an error that has no reason of ours.
    pub(crate) reason: Option<ErrorReason>,
    pub(crate) fault_domain: FaultDomain,
    pub(crate) code: Code,
    /// Every attempt in order, skipped ones included.
    pub(crate) attempts: Vec<AttemptSummary>,
    /// Reason of the first attempt that failed or was skipped, where another model served. Absent: no
    /// fallback.
    pub(crate) fallback: Option<ErrorReason>,
    pub(crate) stop_reason: Option<StopReason>,
    /// What the caller was told. Absent: Bedrock did not say.
    pub(crate) usage: Option<pb::TokenUsage>,
    /// Sum of all attempts. Absent: nothing to pay, or the price of a part is unknown.
    pub(crate) cost: Option<pb::Cost>,
    /// Number of attempts with an unknown price.
    pub(crate) unpriced: usize,
    /// Absent: not a stream, or there was no content.
    pub(crate) first_content: Option<Duration>,
    pub(crate) total: Duration,
    /// Part of `total` in which this process worked on the call.
    pub(crate) own_time: Duration,
}

/// One attempt of a call that has ended.
#[derive(Clone, Debug)]
pub(crate) struct AttemptSummary {
    pub(crate) attempt: pb::Attempt,
    pub(crate) deployment: Arc<Deployment>,
    /// True if its answer went to the caller.
    pub(crate) served: bool,
}

// === impl CallOutcome ===

impl CallOutcome {
    pub(crate) const fn of_error(error: &CallError) -> Self {
        match error {
            CallError::Overloaded => Self::Shed,
            _ => Self::Error,
        }
    }

    /// The outcome as metrics and spans have it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Shed => "shed",
        }
    }

    /// The outcome as the log has it.
    pub(crate) const fn log_name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Error => "ERROR",
            Self::Cancelled => "CANCELLED",
            Self::Shed => "SHED",
        }
    }
}

// === impl CallSummary ===

impl CallSummary {
    /// The attempt whose answer went to the caller. Absent: none.
    pub(crate) fn served(&self) -> Option<&AttemptSummary> {
        self.attempts.iter().rfind(|attempt| attempt.served)
    }

    /// The attempt that served, or else the last one. Absent: there was none.
    pub(crate) fn last(&self) -> Option<&AttemptSummary> {
        self.served().or(self.attempts.last())
    }

    /// True if the answer was cut off at a token limit.
    pub(crate) fn is_truncated(&self) -> bool {
        matches!(self.stop_reason, Some(StopReason::MaxTokens | StopReason::ModelContextWindowExceeded))
    }
}
