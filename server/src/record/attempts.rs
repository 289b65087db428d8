//! The attempts of a call, each from its begin to its end.
use crate::{
    attempt::{failure::Failure, skip::Skip},
    bedrock::ModelEvent,
    cost::{Bill, Bills, Cost},
    error::reason_name,
    route::Candidate,
    shape::{Form, Shaped},
    telemetry::{AttemptBegin, AttemptEnd, AttemptSeen, Ended, Seen, blame::FaultDomain},
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use switchboard_proto::v1::{self as pb, ErrorReason, Outcome};
use tokio::time::Instant;

/// Every attempt, in the order in which they began. Two may run at once, so it can be written to by several.
#[derive(Debug)]
pub(super) struct AttemptLog {
    entries: Mutex<Vec<Entry>>,
    /// The call, as it is watched.
    seen: Seen,
}

#[derive(Debug)]
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
    /// What it will cost. Absent: that is known, or there is nothing to pay.
    bill: Option<Bill>,
    /// What it cost. The outer absent: nothing, or not known yet; the inner: something, and nobody knows what.
    charged: Option<Option<Cost>>,
    seen: AttemptSeen,
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
    pub(super) fn new(seen: Seen) -> Self {
        // Room for one: most calls have no other, and a stream holds what there is for as long as it runs.
        Self { entries: Mutex::new(Vec::with_capacity(1)), seen }
    }

    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Tokens are counted free of charge.
    pub(super) fn begin(
        &self,
        candidate: &Candidate,
        shaped: &Shaped<'_>,
        form: Form,
        hedge: bool,
    ) -> Running<'_> {
        let attempt = pb::Attempt {
            model_id: candidate.shown_id.clone(),
            region: candidate.region.clone(),
            adjustments: shaped.adjustments.clone(),
            service_tier: candidate.service_tier.clone().unwrap_or_default(),
            hedge,
            ..Default::default()
        };
        let bill = (form != Form::Counted).then(|| Bill::of(candidate, &shaped.request));
        let (request, inference) = (&*shaped.request, &shaped.inference);
        let seen = self.seen.attempt(
            &AttemptBegin { candidate, request, inference, adjustments: &shaped.adjustments, hedge },
            form,
        );
        let entry = Entry { began: Some(Instant::now()), bill, seen, ..Entry::new(candidate, attempt) };
        let mut entries = self.entries();
        entries.push(entry);
        Running { log: self, place: entries.len() - 1, ended: false }
    }

    pub(super) fn skipped(&self, candidate: &Candidate, skip: &Skip) {
        let attempt = pb::Attempt {
            model_id: candidate.shown_id.clone(),
            region: candidate.region.clone(),
            outcome: Outcome::Skipped.into(),
            reason: skip.reason().into(),
            unmet_requirement: skip.words(),
            service_tier: candidate.service_tier.clone().unwrap_or_default(),
            ..Default::default()
        };
        self.seen.skipped(&candidate.name, reason_name(skip.reason()));
        self.entries().push(Entry::new(candidate, attempt));
    }

    /// A piece of a stream is there; so long after the one before it. Absent: it is the first.
    pub(super) fn saw_chunk(&self, piece: &ModelEvent, since: Option<Duration>) {
        if let Some(entry) = self.entries().iter_mut().rfind(|entry| entry.served) {
            entry.seen.heard_piece(piece);
            if let Some(since) = since {
                self.seen.chunk(entry.target, since);
            }
        }
    }

    pub(super) fn saw_stop(&self, reason: &str) {
        if let Some(entry) = self.entries().iter_mut().rfind(|entry| entry.served) {
            reason.clone_into(&mut entry.seen.finish_reason);
        }
    }

    pub(super) fn saw_answer(&self, answer: &pb::ConverseResponse) {
        if let Some(entry) = self.entries().iter_mut().rfind(|entry| entry.served) {
            entry.seen.heard_answer(answer);
        }
    }

    /// The call is over, and so is the attempt that serves.
    pub(super) fn close(&self, ended: Ended, reason: &str) {
        for entry in self.entries().iter_mut().filter(|entry| entry.seen.is_open()) {
            let (outcome, reason) = if ended == Ended::Ok { ("ok", "") } else { (ended.word(), reason) };
            entry.told(&self.seen, outcome, reason);
        }
    }

    /// The stream of the attempt that serves broke, after so much of it.
    pub(super) fn broke(&self, failure: &Failure, received: Option<&pb::Received>) {
        if let Some(entry) = self.entries().iter_mut().rfind(|entry| entry.served) {
            let row = failure.kind.row();
            entry.served = false;
            entry.end(row.outcome, row.reason, &failure.request_id);
            entry.estimate(received);
            entry.told(&self.seen, outcome_word(row.outcome), reason_name(row.reason));
        }
    }

    /// The model that serves has told what it read and wrote, and Bedrock how it was served.
    pub(super) fn told(
        &self,
        usage: Option<&pb::TokenUsage>,
        tier: Option<&pb::ServiceTier>,
        performance: Option<&pb::PerformanceConfiguration>,
    ) {
        if let Some(entry) = self.entries().iter_mut().rfind(|entry| entry.served) {
            entry.attempt.usage = usage.cloned();
            entry.attempt.duration = entry.began.and_then(|began| duration(began.elapsed()));
            if let Some(mut bill) = entry.bill.take() {
                bill.served_in(tier, performance);
                entry.charge(usage.and_then(|usage| bill.cost(usage)));
            }
        }
    }

    /// The call is over: what nobody will count any more is estimated.
    pub(super) fn settle(&self, received: Option<&pb::Received>) {
        self.entries().iter_mut().for_each(|entry| entry.estimate(received));
    }

    /// What all of them cost so far.
    pub(super) fn bills(&self) -> Bills {
        let mut bills = Bills::default();
        self.entries().iter().filter_map(|entry| entry.charged).for_each(|cost| bills.add(cost));
        bills
    }

    /// How many have begun.
    pub(super) fn begun(&self) -> usize {
        self.entries().iter().filter(|entry| entry.began.is_some()).count()
    }

    pub(super) fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, place: usize, outcome: Outcome, reason: ErrorReason, request_id: &str) {
        if let Some(entry) = self.entries().get_mut(place) {
            entry.end(outcome, reason, request_id);
            entry.served = outcome == Outcome::Ok;
            if entry.served {
                entry.seen.has_answered(entry.began);
            }
        }
    }
}

// === impl Entry ===

impl Entry {
    fn new(candidate: &Candidate, attempt: pb::Attempt) -> Self {
        let (name, target) = (candidate.name.clone(), candidate.target);
        let seen = AttemptSeen::default();
        Self { attempt, name, target, began: None, served: false, bill: None, charged: None, seen }
    }

    /// It is over.
    fn told(&mut self, call: &Seen, outcome: &'static str, reason: &str) {
        let Some(began) = self.began else { return };
        let mut seen = std::mem::take(&mut self.seen);
        let end = AttemptEnd {
            attempt: &self.attempt,
            target: self.target,
            outcome,
            reason,
            took: seen.whole_after.unwrap_or_else(|| began.elapsed()),
            first_chunk: seen.first_chunk,
            finish_reason: &std::mem::take(&mut seen.finish_reason),
            is_unpriced: self.charged == Some(None),
            answer: seen.answer.take(),
        };
        call.attempt_ended(&mut seen, &end);
    }

    fn charge(&mut self, cost: Option<Cost>) {
        self.attempt.cost = cost.and_then(|cost| cost.to_pb());
        self.charged = Some(cost);
    }

    /// It worked, nobody says how much: what it read and what was received of it is charged.
    fn estimate(&mut self, received: Option<&pb::Received>) {
        if let Some(mut bill) = self.bill.take() {
            bill.received(received.and_then(|it| u64::try_from(it.text_bytes).ok()).unwrap_or(0));
            self.charge(bill.estimate());
        }
    }

    fn end(&mut self, outcome: Outcome, reason: ErrorReason, request_id: &str) {
        self.attempt.set_outcome(outcome);
        self.attempt.set_reason(reason);
        request_id.clone_into(&mut self.attempt.bedrock_request_id);
        self.attempt.duration = self.began.and_then(|began| duration(began.elapsed()));
    }
}

// === impl Running ===

impl Running<'_> {
    /// It succeeded: with the whole answer, or with the first content of a stream.
    pub(crate) fn answered(mut self, request_id: &str) {
        self.end(Outcome::Ok, ErrorReason::Unspecified, request_id);
    }

    /// It failed.
    pub(crate) fn failed(mut self, failure: &Failure) {
        let row = failure.kind.row();
        self.end(row.outcome, row.reason, &failure.request_id);
        let mut entries = self.log.entries();
        if let Some(entry) = entries.get_mut(self.place) {
            match failure.kind.is_charged() {
                true => entry.estimate(None),
                false => entry.bill = None,
            }
        }
        let ids = self.log.seen.ids(entries.get(self.place).map(|entry| &entry.seen));
        if let Some(entry) = entries.get_mut(self.place) {
            entry.told(&self.log.seen, outcome_word(row.outcome), reason_name(row.reason));
        }
        let attempt = entries.get(self.place).map(|entry| &entry.attempt);
        tracing::info!(
            trace_id = ids.0,
            span_id = ids.1,
            model = attempt.map(|attempt| attempt.model_id.as_str()),
            region = attempt.map(|attempt| attempt.region.as_str()),
            reason = reason_name(row.reason),
            kind = ?failure.kind,
            fault_domain = FaultDomain::of_failure(failure.kind).word(),
            bedrock_request_id = failure.request_id,
            "attempt failed"
        );
    }

    /// The call's deadline ended it.
    pub(crate) fn ran_out(mut self) {
        self.end(Outcome::Timeout, ErrorReason::DeadlineExceeded, "");
        self.estimate(Outcome::Timeout, reason_name(ErrorReason::DeadlineExceeded));
    }

    /// It was given up: what it cost is not known, and nothing more will be heard of it.
    fn estimate(&self, outcome: Outcome, reason: &str) {
        if let Some(entry) = self.log.entries().get_mut(self.place) {
            entry.estimate(None);
            entry.told(&self.log.seen, outcome_word(outcome), reason);
        }
    }

    fn end(&mut self, outcome: Outcome, reason: ErrorReason, request_id: &str) {
        self.log.end(self.place, outcome, reason, request_id);
        self.ended = true;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Outcome::Cancelled, ErrorReason::Unspecified, "");
            self.estimate(Outcome::Cancelled, "");
        }
    }
}

pub(super) fn duration(duration: Duration) -> Option<prost_types::Duration> {
    duration.try_into().ok()
}

/// An outcome as metrics have it: `model_error`.
fn outcome_word(outcome: Outcome) -> &'static str {
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
        _ => "unknown",
    }
}
