//! The guard of one attempt: its record and its breaker permit, which end together.
//!
//! Whatever ends an attempt is reported here once. The record learns it for the route, metrics and cost, the
//! permit for the deployment's health. A guard that is dropped belongs to an attempt that was cancelled,
//! because another one was faster or because the caller left: that says nothing of the model.
use crate::{
    deployment::BreakerPermit,
    failure::Failure,
    record::{AttemptRecord, Report},
};
use switchboard_proto::v1::ErrorReason;
use tokio::time::Instant;

/// One running attempt.
#[derive(Debug)]
pub(crate) struct AttemptGuard {
    /// What the route, the observability and the bill know of the attempt.
    pub(crate) record: AttemptRecord,
    permit: BreakerPermit,
    started_at: Instant,
}

// === impl AttemptGuard ===

impl AttemptGuard {
    pub(super) fn new(record: AttemptRecord, permit: BreakerPermit) -> Self {
        Self { record, permit, started_at: Instant::now() }
    }

    /// Reports the whole answer, or the first content of a stream.
    pub(super) fn answered(&mut self, request_id: &str) {
        self.record.answered(request_id);
        self.permit.answered(self.started_at.elapsed());
    }

    /// Reports a complete answer, with what Bedrock says of its usage.
    pub(crate) fn completed(mut self, report: Report<'_>) {
        self.record.saw_report(report);
        self.record.completed();
        self.permit.completed();
    }

    /// Ends the attempt and keeps its permit, for another attempt at the same deployment or for
    /// [`BreakerPermit::failed`].
    pub(super) fn end(self, failure: &Failure) -> BreakerPermit {
        self.record.failed(failure);
        self.permit
    }

    /// Reports a failure after the first content.
    pub(crate) fn failed(self, failure: &Failure) {
        self.end(failure).failed(failure);
    }

    /// Reports that the call's deadline ended the attempt.
    pub(super) fn deadline_exceeded(self) {
        self.record.deadline_exceeded();
    }

    /// Reports that the call failed during the answer, for a reason that says nothing of the model.
    pub(crate) fn call_failed(self, reason: ErrorReason) {
        self.record.call_failed(reason);
    }
}
