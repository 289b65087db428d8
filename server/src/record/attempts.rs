//! The attempts of a call, each from its start to its end.
use crate::{
    cost::{Bill, Bills, Cost},
    failure::Failure,
    model::ModelEvent,
    reason::reason_name,
    route::{Candidate, Skip},
    rpc::Method,
    shape::Shaped,
    summary::{AttemptSummary, FaultDomain},
    telemetry::{AttemptEnd, AttemptObserver, AttemptStart, CallObserver},
};
use parking_lot::{Mutex, MutexGuard};
use std::{sync::Arc, time::Duration};
use switchboard_proto::v1::{self as pb, ErrorReason, Outcome};
use tokio::time::Instant;

/// Every attempt of a call, in the order in which they started. Two attempts may run at once.
#[derive(Debug)]
pub(super) struct AttemptLog {
    entries: Mutex<Vec<Entry>>,
    observer: CallObserver,
}

#[derive(Debug)]
struct Entry {
    summary: AttemptSummary,
    /// True if the model was called; false if the candidate was skipped.
    started: bool,
    /// Cost of an attempt that has ended. The outer `None`: nothing, or not known yet; the inner: something,
    /// with an unknown price.
    charged: Option<Option<Cost>>,
}

/// An attempt that is running. Dropped before its end it was cancelled: another one was faster, or the caller
/// left.
#[derive(Debug)]
pub(crate) struct AttemptRecord {
    log: Arc<AttemptLog>,
    /// Which entry of the log this is.
    number: usize,
    method: Method,
    started_at: Instant,
    observer: AttemptObserver,
    /// What the attempt will cost. Absent: it is free of charge, or its cost is settled.
    bill: Option<Bill>,
    has_ended: bool,
}

/// What Bedrock reports at the end of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report<'a> {
    pub(crate) usage: Option<&'a pb::TokenUsage>,
    pub(crate) tier: Option<&'a pb::ServiceTier>,
    pub(crate) performance: Option<&'a pb::PerformanceConfiguration>,
}

// === impl AttemptLog ===

impl AttemptLog {
    pub(super) fn new(observer: CallObserver) -> Self {
        // Capacity for one: most calls have no other attempt, and a stream holds the allocation for as long
        // as it runs.
        Self { entries: Mutex::new(Vec::with_capacity(1)), observer }
    }

    pub(super) fn observer(&self) -> &CallObserver {
        &self.observer
    }

    pub(super) fn start(
        self: &Arc<Self>,
        candidate: &Candidate,
        shaped: &Shaped<'_>,
        method: Method,
        hedge: bool,
    ) -> AttemptRecord {
        let attempt = pb::Attempt { adjustments: shaped.adjustments.clone(), hedge, ..unstarted(candidate) };
        let bill = (method != Method::CountTokens).then(|| Bill::of(candidate, &shaped.request));
        let (request, inference) = (&*shaped.request, &shaped.inference);
        let start =
            AttemptStart { candidate, method, request, inference, adjustments: &shaped.adjustments, hedge };
        let observer = self.observer.attempt(&start);
        let number = {
            let mut entries = self.entries();
            entries.push(Entry::new(candidate, attempt, true));
            entries.len() - 1
        };
        let log = Arc::clone(self);
        AttemptRecord { log, number, method, started_at: Instant::now(), observer, bill, has_ended: false }
    }

    pub(super) fn skipped(&self, candidate: &Candidate, skip: &Skip) {
        let attempt = pb::Attempt {
            outcome: Outcome::Skipped.into(),
            reason: skip.reason().into(),
            unmet_requirement: skip.explanation(),
            ..unstarted(candidate)
        };
        self.observer.skipped(&candidate.deployment.name, skip.reason());
        self.entries().push(Entry::new(candidate, attempt, false));
    }

    /// Cost of all attempts that have ended.
    pub(super) fn bills(&self) -> Bills {
        let mut bills = Bills::default();
        self.entries().iter().filter_map(|entry| entry.charged).for_each(|cost| bills.add(cost));
        bills
    }

    /// Number of attempts that called a model.
    pub(super) fn started(&self) -> usize {
        self.entries().iter().filter(|entry| entry.started).count()
    }

    /// True if an attempt has called this candidate's deployment.
    pub(super) fn has_called(&self, candidate: &Candidate) -> bool {
        let key = &candidate.deployment.key;
        self.entries().iter().any(|entry| entry.started && entry.summary.deployment.key == *key)
    }

    /// All attempts, with the one that serves last.
    pub(super) fn summaries(&self) -> Vec<AttemptSummary> {
        let entries = self.entries();
        let (serving, others): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.summary.served);
        others.into_iter().chain(serving).map(|entry| entry.summary.clone()).collect()
    }

    /// The attempt whose answer goes to the caller. Absent: none so far.
    pub(super) fn served(&self) -> Option<AttemptSummary> {
        self.entries().iter().rfind(|entry| entry.summary.served).map(|entry| entry.summary.clone())
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock()
    }
}

/// What is known of an attempt before it starts.
fn unstarted(candidate: &Candidate) -> pb::Attempt {
    let deployment = &candidate.deployment;
    pb::Attempt {
        model_id: deployment.shown_id.clone(),
        region: deployment.key.region.clone(),
        service_tier: deployment.key.service_tier.clone().unwrap_or_default(),
        ..Default::default()
    }
}

// === impl Entry ===

impl Entry {
    fn new(candidate: &Candidate, attempt: pb::Attempt, started: bool) -> Self {
        let deployment = Arc::clone(&candidate.deployment);
        Self { summary: AttemptSummary { attempt, deployment, served: false }, started, charged: None }
    }
}

// === impl AttemptRecord ===

impl AttemptRecord {
    /// Records that the whole answer, or the first content of a stream, is there.
    pub(crate) fn answered(&mut self, request_id: &str) {
        let took = self.started_at.elapsed();
        self.observer.answered(self.method, took);
        self.update(|entry| {
            entry.summary.served = true;
            end(entry, Outcome::Ok, ErrorReason::Unspecified, request_id, took);
        });
    }

    /// Records one delta of a stream that is about to be sent, and the time since the one before. Absent: it
    /// is the first.
    pub(crate) fn saw_delta(&mut self, event: &ModelEvent, text_bytes: u64, since: Option<Duration>) {
        if let Some(bill) = &mut self.bill {
            bill.received(text_bytes);
        }
        self.observer.saw_delta(self.log.observer(), event, since);
    }

    /// Keeps the text of a whole answer, where the configuration captures content.
    pub(crate) fn saw_answer(&mut self, answer: &pb::ConverseResponse) {
        self.observer.saw_answer(answer);
    }

    /// Records why the model stopped, in Bedrock's word.
    pub(crate) fn saw_stop(&mut self, raw_reason: &str) {
        self.observer.saw_stop(raw_reason);
    }

    /// Records usage and cost, with the time until the last event of the answer.
    pub(crate) fn saw_report(&mut self, report: Report<'_>) {
        let took = self.started_at.elapsed();
        let charged = self.bill.take().map(|mut bill| {
            bill.served_in(report.tier, report.performance);
            report.usage.and_then(|usage| bill.cost(usage))
        });
        self.update(|entry| {
            entry.summary.attempt.usage = report.usage.cloned();
            entry.summary.attempt.duration = took.try_into().ok();
            if let Some(cost) = charged {
                charge(entry, cost);
            }
        });
    }

    /// The attempt is complete: its answer was whole.
    pub(crate) fn completed(mut self) {
        self.settle();
        self.finish("ok", ErrorReason::Unspecified);
    }

    /// The attempt failed, before or after its first content.
    pub(crate) fn failed(mut self, failure: &Failure) {
        let row = failure.kind.row();
        let took = self.started_at.elapsed();
        let had_answered = self.update(|entry| {
            let had_answered = std::mem::take(&mut entry.summary.served);
            end(entry, row.outcome, row.reason, &failure.request_id, took);
            had_answered
        });
        if had_answered || row.charged {
            self.settle();
        } else {
            self.bill = None;
        }
        if !had_answered {
            self.log_failure(failure);
        }
        self.finish(outcome_label(row.outcome), row.reason);
    }

    /// The call's deadline ended the attempt.
    pub(crate) fn deadline_exceeded(mut self) {
        self.abort(Outcome::Timeout, ErrorReason::DeadlineExceeded);
    }

    /// The call has ended with an error while the answer was being sent: the model is not to blame.
    pub(crate) fn call_failed(mut self, reason: ErrorReason) {
        self.settle();
        self.finish("error", reason);
    }

    fn abort(&mut self, outcome: Outcome, reason: ErrorReason) {
        let took = self.started_at.elapsed();
        let had_answered = self.update(|entry| {
            if !entry.summary.served {
                end(entry, outcome, reason, "", took);
            }
            entry.summary.served
        });
        self.settle();
        let label = if had_answered { "cancelled" } else { outcome_label(outcome) };
        self.finish(label, reason);
    }

    /// Estimates the cost of an attempt whose usage will never be known: the whole request was read, and what
    /// was received was written.
    fn settle(&mut self) {
        if let Some(bill) = self.bill.take() {
            let cost = bill.estimate();
            self.update(|entry| charge(entry, cost));
        }
    }

    fn finish(&mut self, outcome: &'static str, reason: ErrorReason) {
        self.has_ended = true;
        let entries = self.log.entries();
        let Some(entry) = entries.get(self.number) else { return };
        let end = AttemptEnd {
            attempt: &entry.summary.attempt,
            deployment: &entry.summary.deployment,
            method: self.method,
            outcome,
            reason,
            took: self.observer.duration().unwrap_or_else(|| self.started_at.elapsed()),
            is_unpriced: entry.charged == Some(None),
        };
        self.observer.end(self.log.observer(), &end);
    }

    fn log_failure(&self, failure: &Failure) {
        let ids = self.observer.trace_ids().or(self.log.observer().trace_ids());
        let (trace_id, span_id) = ids.map(|ids| (ids.trace_id, ids.span_id)).unzip();
        let entries = self.log.entries();
        let attempt = entries.get(self.number).map(|entry| &entry.summary.attempt);
        tracing::info!(
            trace_id,
            span_id,
            model = attempt.map(|attempt| attempt.model_id.as_str()),
            region = attempt.map(|attempt| attempt.region.as_str()),
            reason = reason_name(failure.kind.row().reason),
            kind = ?failure.kind,
            fault_domain = FaultDomain::of_failure(failure.kind).name(),
            bedrock_request_id = failure.request_id,
            "attempt failed"
        );
    }

    fn update<T: Default>(&self, update: impl FnOnce(&mut Entry) -> T) -> T {
        self.log.entries().get_mut(self.number).map(update).unwrap_or_default()
    }
}

impl Drop for AttemptRecord {
    fn drop(&mut self) {
        if !self.has_ended {
            self.abort(Outcome::Cancelled, ErrorReason::Unspecified);
        }
    }
}

fn end(entry: &mut Entry, outcome: Outcome, reason: ErrorReason, request_id: &str, took: Duration) {
    let attempt = &mut entry.summary.attempt;
    attempt.set_outcome(outcome);
    attempt.set_reason(reason);
    request_id.clone_into(&mut attempt.bedrock_request_id);
    attempt.duration = took.try_into().ok();
}

fn charge(entry: &mut Entry, cost: Option<Cost>) {
    entry.summary.attempt.cost = cost.and_then(|cost| cost.to_pb());
    entry.charged = Some(cost);
}

/// The outcome as metrics have it: `model_error`.
fn outcome_label(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Throttled => "throttled",
        Outcome::Timeout => "timeout",
        Outcome::Unavailable => "unavailable",
        Outcome::ModelError => "model_error",
        Outcome::Misconfigured => "misconfigured",
        Outcome::Rejected => "rejected",
        Outcome::Cancelled => "cancelled",
        Outcome::Skipped => "skipped",
        Outcome::Unspecified => "unspecified",
    }
}
