//! The attempts of a call, each from its begin to its end.
use crate::{
    attempt::{failure::Failure, skip::Skip},
    error::reason_name,
    route::Candidate,
    shape::Shaped,
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use switchboard_proto::v1::{self as pb, ErrorReason, Outcome};
use tokio::time::Instant;

/// Every attempt, in the order in which they began. Two may run at once, so it can be written to by several.
#[derive(Debug, Default)]
pub(super) struct AttemptLog(Mutex<Vec<Entry>>);

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) attempt: pb::Attempt,
    /// The candidate's name.
    pub(super) name: String,
    /// The candidate's [`Candidate::target`].
    pub(super) target: usize,
    /// Absent: it was skipped.
    pub(super) began: Option<Instant>,
    /// It answered, at least with its first content.
    pub(super) served: bool,
}

/// An attempt that is under way. Dropped before its end it was given up: another one was faster, or the caller left.
#[derive(Debug)]
pub struct Running<'a> {
    log: &'a AttemptLog,
    place: usize,
    ended: bool,
}

// === impl AttemptLog ===

impl AttemptLog {
    pub(super) fn begin(&self, candidate: &Candidate, shaped: &Shaped<'_>, hedge: bool) -> Running<'_> {
        let attempt = pb::Attempt {
            model_id: candidate.shown_id.clone(),
            region: candidate.region.clone(),
            adjustments: shaped.adjustments.clone(),
            service_tier: candidate.service_tier.clone().unwrap_or_default(),
            hedge,
            ..Default::default()
        };
        let entry = Entry {
            attempt,
            name: candidate.name.clone(),
            target: candidate.target,
            began: Some(Instant::now()),
            served: false,
        };
        let mut entries = self.entries();
        entries.push(entry);
        Running { log: self, place: entries.len() - 1, ended: false }
    }

    pub(super) fn skipped(&self, candidate: &Candidate, skip: &Skip) {
        let attempt = pb::Attempt {
            model_id: candidate.shown_id.clone(),
            region: candidate.region.clone(),
            outcome: Outcome::Skipped.into(),
            reason: reason_name(skip.reason()).to_owned(),
            unmet_requirement: skip.words(),
            service_tier: candidate.service_tier.clone().unwrap_or_default(),
            ..Default::default()
        };
        self.entries().push(Entry {
            attempt,
            name: candidate.name.clone(),
            target: candidate.target,
            began: None,
            served: false,
        });
    }

    /// The stream of the attempt that serves broke.
    pub(super) fn broke(&self, failure: &Failure) {
        if let Some(entry) = self.entries().iter_mut().rfind(|entry| entry.served) {
            let row = failure.kind.row();
            entry.served = false;
            entry.end(row.outcome, reason_name(row.reason), &failure.request_id);
        }
    }

    /// How many have begun.
    pub(super) fn begun(&self) -> usize {
        self.entries().iter().filter(|entry| entry.began.is_some()).count()
    }

    pub(super) fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, place: usize, outcome: Outcome, reason: &str, request_id: &str) {
        if let Some(entry) = self.entries().get_mut(place) {
            entry.end(outcome, reason, request_id);
            entry.served = outcome == Outcome::Ok;
        }
    }
}

// === impl Entry ===

impl Entry {
    fn end(&mut self, outcome: Outcome, reason: &str, request_id: &str) {
        self.attempt.set_outcome(outcome);
        reason.clone_into(&mut self.attempt.reason);
        request_id.clone_into(&mut self.attempt.bedrock_request_id);
        self.attempt.duration = self.began.and_then(|began| duration(began.elapsed()));
    }
}

// === impl Running ===

impl Running<'_> {
    /// It succeeded: with the whole answer, or with the first content of a stream.
    pub(crate) fn answered(mut self, request_id: &str) {
        self.end(Outcome::Ok, "", request_id);
    }

    /// It failed.
    pub(crate) fn failed(mut self, failure: &Failure) {
        let row = failure.kind.row();
        self.end(row.outcome, reason_name(row.reason), &failure.request_id);
        let entries = self.log.entries();
        let attempt = entries.get(self.place).map(|entry| &entry.attempt);
        tracing::info!(
            model = attempt.map(|attempt| attempt.model_id.as_str()),
            region = attempt.map(|attempt| attempt.region.as_str()),
            reason = reason_name(row.reason),
            kind = ?failure.kind,
            bedrock_request_id = failure.request_id,
            "attempt failed"
        );
    }

    /// The call's deadline ended it.
    pub(crate) fn ran_out(mut self) {
        self.end(Outcome::Timeout, reason_name(ErrorReason::DeadlineExceeded), "");
    }

    fn end(&mut self, outcome: Outcome, reason: &str, request_id: &str) {
        self.log.end(self.place, outcome, reason, request_id);
        self.ended = true;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Outcome::Cancelled, "", "");
        }
    }
}

pub(super) fn duration(duration: Duration) -> Option<prost_types::Duration> {
    duration.try_into().ok()
}
