//! The record of a call: begun when the call arrives, moved along with it, closed when its body ends.
//!
//! It writes one log line for each call, whatever became of it: a record that is dropped unfinished belongs to a caller
//! who left, and says "cancelled".
use crate::{
    attempt::failure::Failure,
    error::{CallError, Context, reason_name},
    route::{Candidate, Routes, Task},
    shape::{Shaped, Unmet},
};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context as Cx, Poll},
    time::Duration,
};
use switchboard_proto::v1::{self as pb, Outcome};
use tokio::time::Instant;
use tonic::Status;

/// What became of a call so far.
#[derive(Debug)]
pub struct CallRecord {
    method: &'static str,
    request_id: String,
    config_version: String,
    arrived: Instant,
    busy: Busy,
    task: Option<Arc<Task>>,
    attempts: Vec<pb::Attempt>,
    first_content: Option<Duration>,
    usage: Option<pb::TokenUsage>,
    ended: bool,
}

// === impl CallRecord ===

impl CallRecord {
    /// Begins when the call arrives.
    #[must_use]
    pub fn begin(method: &'static str, routes: &Routes, busy: Busy) -> Self {
        Self {
            method,
            request_id: uuid::Uuid::new_v4().to_string(),
            config_version: routes.version().to_owned(),
            arrived: Instant::now(),
            busy,
            task: None,
            attempts: Vec::new(),
            first_content: None,
            usage: None,
            ended: false,
        }
    }

    /// When the call arrived.
    #[must_use]
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Counts the polls of this call's work.
    #[must_use]
    pub fn busy(&self) -> &Busy {
        &self.busy
    }

    /// How many attempts have ended.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts.len()
    }

    /// The task has been resolved.
    pub fn resolved(&mut self, task: &Arc<Task>) {
        self.task = Some(Arc::clone(task));
    }

    /// An attempt failed.
    pub fn failed(&mut self, candidate: &Candidate, began: Instant, shaped: &Shaped<'_>, failure: &Failure) {
        let row = failure.kind.row();
        tracing::info!(
            request_id = self.request_id,
            model = candidate.model_id,
            region = candidate.region,
            reason = reason_name(row.reason),
            kind = ?failure.kind,
            bedrock_request_id = failure.request_id,
            "attempt failed"
        );
        self.push(candidate, began, shaped, row.outcome, reason_name(row.reason), &failure.request_id);
    }

    /// A candidate cannot serve the request at all.
    pub fn skipped(&mut self, candidate: &Candidate, unmet: &Unmet) {
        self.attempts.push(pb::Attempt {
            model_id: candidate.model_id.clone(),
            region: candidate.region.clone(),
            outcome: Outcome::Skipped.into(),
            reason: reason_name(pb::ErrorReason::NoEligibleModel).to_owned(),
            unmet_requirement: unmet.lacks.clone(),
            ..Default::default()
        });
    }

    /// The call's deadline ended an attempt.
    pub fn ran_out(&mut self, candidate: &Candidate, began: Instant, shaped: &Shaped<'_>) {
        let reason = reason_name(pb::ErrorReason::DeadlineExceeded);
        self.push(candidate, began, shaped, Outcome::Timeout, reason, "");
    }

    /// An attempt succeeded: with the whole answer, or with the first content of a stream.
    pub fn answered(&mut self, candidate: &Candidate, began: Instant, shaped: &Shaped<'_>, request_id: &str) {
        self.push(candidate, began, shaped, Outcome::Ok, "", request_id);
    }

    /// The first content of a stream is there.
    pub fn saw_first_content(&mut self) {
        self.first_content = Some(self.arrived.elapsed());
    }

    /// The model has told what it read and wrote.
    pub fn saw_usage(&mut self, usage: Option<&pb::TokenUsage>) {
        self.usage = usage.cloned();
    }

    fn push(
        &mut self,
        candidate: &Candidate,
        began: Instant,
        shaped: &Shaped<'_>,
        outcome: Outcome,
        reason: &str,
        request_id: &str,
    ) {
        self.attempts.push(pb::Attempt {
            model_id: candidate.model_id.clone(),
            region: candidate.region.clone(),
            outcome: outcome.into(),
            reason: reason.to_owned(),
            bedrock_request_id: request_id.to_owned(),
            duration: duration(began.elapsed()),
            adjustments: shaped.adjustments.clone(),
            unmet_requirement: String::new(),
        });
    }

    /// Who served and every attempt, so far.
    #[must_use]
    pub fn route(&self) -> pb::Route {
        let served = self.attempts.last().filter(|attempt| attempt.outcome() == Outcome::Ok);
        let first = self.task.as_ref().map(|task| &task.candidates[0]);
        pb::Route {
            request_id: self.request_id.clone(),
            task_type: self.task.as_ref().map(|task| task.name.clone()).unwrap_or_default(),
            model_id: served.map(|attempt| attempt.model_id.clone()).unwrap_or_default(),
            region: served.map(|attempt| attempt.region.clone()).unwrap_or_default(),
            variant: String::new(),
            config_version: self.config_version.clone(),
            fallback_used: served.zip(first).is_some_and(|(served, first)| {
                (&served.model_id, &served.region) != (&first.model_id, &first.region)
            }),
            attempts: self.attempts.clone(),
        }
    }

    /// Where the time went, so far.
    #[must_use]
    pub fn latency(&self) -> pb::Latency {
        pb::Latency {
            first_token: self.first_content.and_then(duration),
            total: duration(self.arrived.elapsed()),
            switchboard: duration(self.busy.so_far()),
        }
    }

    /// The call has ended well.
    pub fn completed(&mut self) {
        self.end("OK", "");
    }

    /// The call has ended with an error; its status.
    pub fn refused(&mut self, error: CallError) -> Status {
        self.end("ERROR", reason_name(error.reason()));
        let route = self.task.is_some().then(|| self.route());
        error.into_status(&Context { request_id: self.request_id.clone(), route })
    }

    /// The stream of the last attempt broke after content had been sent; the call's status.
    pub fn interrupted(&mut self, failure: Failure) -> Status {
        if let Some(attempt) = self.attempts.last_mut() {
            let row = failure.kind.row();
            attempt.set_outcome(row.outcome);
            reason_name(row.reason).clone_into(&mut attempt.reason);
        }
        self.refused(CallError::Interrupted(failure))
    }

    fn end(&mut self, outcome: &'static str, reason: &str) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let served = self.attempts.last();
        let usage = self.usage.as_ref();
        tracing::info!(
            method = self.method,
            request_id = self.request_id,
            task = self.task.as_ref().map(|task| task.name.as_str()),
            outcome,
            reason = Some(reason).filter(|reason| !reason.is_empty()),
            model = served.map(|attempt| attempt.model_id.as_str()),
            attempts = self.attempts.len(),
            adjustments = served.map(|attempt| attempt.adjustments.len()),
            input_tokens = usage.map(|usage| usage.input_tokens),
            output_tokens = usage.map(|usage| usage.output_tokens),
            first_token_ms = self.first_content.map(millis),
            total_ms = millis(self.arrived.elapsed()),
            switchboard_us = u64::try_from(self.busy.so_far().as_micros()).ok(),
            "call ended"
        );
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        self.end("CANCELLED", "");
    }
}

fn duration(duration: Duration) -> Option<prost_types::Duration> {
    duration.try_into().ok()
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a call fit a double")]
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

// === impl Busy ===

/// The time in which a call was worked on: the sum of its polls. Between them it waited, for Bedrock or for its reader.
#[derive(Clone, Debug)]
pub struct Busy(Arc<BusyClock>);

#[derive(Debug)]
struct BusyClock {
    origin: Instant,
    /// Nanoseconds of the polls that have ended.
    ended: AtomicU64,
    /// When the poll that runs began, in nanoseconds since the origin; zero when none runs.
    began: AtomicU64,
}

impl Busy {
    /// Nothing has been polled yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(BusyClock {
            origin: Instant::now(),
            ended: AtomicU64::new(0),
            began: AtomicU64::new(0),
        }))
    }

    /// Counts one poll. A call is polled by one task at a time, so plain loads and stores do.
    pub fn count<T>(&self, poll: impl FnOnce() -> T) -> T {
        let began = self.now();
        self.0.began.store(began, Relaxed);
        let polled = poll();
        self.0.ended.store(self.0.ended.load(Relaxed) + (self.now() - began), Relaxed);
        self.0.began.store(0, Relaxed);
        polled
    }

    /// Counts every poll of `work`.
    pub fn track<F: Future>(&self, work: F) -> Tracked<F> {
        Tracked { busy: self.clone(), work }
    }

    /// The sum, the poll that runs included.
    #[must_use]
    pub fn so_far(&self) -> Duration {
        let running = match self.0.began.load(Relaxed) {
            0 => 0,
            began => self.now() - began,
        };
        Duration::from_nanos(self.0.ended.load(Relaxed) + running)
    }

    /// Since the origin, in nanoseconds, from 1: a call lasts less than five hundred years.
    fn now(&self) -> u64 {
        u64::try_from(self.0.origin.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

impl Default for Busy {
    fn default() -> Self {
        Self::new()
    }
}

pin_project! {
    /// A future whose polls are counted.
    pub struct Tracked<F> {
        busy: Busy,
        #[pin]
        work: F,
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.busy.count(|| this.work.poll(cx))
    }
}
