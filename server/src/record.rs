//! The record of a call: begun at the edge when the call arrives, moved along with it, ended when its
//! response ends.
//!
//! Every call has one record and ends it once, whatever became of the call. The summary then goes to every
//! sink ([`crate::telemetry`]). A record that is dropped before its end belongs to a caller who left, and
//! says "cancelled", or to a slow consumer.
mod attempts;
mod consumer;
mod poll_time;
mod slot;

pub use poll_time::{PollTimer, Timed};

pub(crate) use attempts::{AttemptRecord, Report};
pub(crate) use consumer::Consumer;
pub(crate) use slot::RecordSlot;

use crate::{
    error::{CallError, Context},
    feedback::{AnswerRecord, Feedback},
    model::ModelEvent,
    reason::code,
    route::{Candidate, RoutePlan, Skip},
    rpc::{Method, Rpc},
    shape::Shaped,
    snapshot::Snapshot,
    summary::{AttemptSummary, CallOutcome, CallSummary, FaultDomain},
    telemetry::{CallObserver, Observability},
};
use attempts::AttemptLog;
use http::HeaderMap;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use switchboard_proto::v1::{self as pb, ErrorReason, Resolution};
use tokio::time::Instant;
use tonic::{Code, Status};

/// What became of a call so far.
#[derive(Debug)]
pub struct CallRecord {
    rpc: Rpc,
    request_id: String,
    snapshot: Arc<Snapshot>,
    arrived: Instant,
    timer: PollTimer,
    /// Absent: no task was resolved yet.
    plan: Option<RoutePlan>,
    /// The requested task, if there is no such task and the call was refused.
    unknown_task: Option<String>,
    attempts: Arc<AttemptLog>,
    first_content: Option<Duration>,
    usage: Option<pb::TokenUsage>,
    stop_reason: Option<pb::StopReason>,
    /// The part of a stream that has been sent. Absent: nothing.
    received: Option<pb::Received>,
    /// The consumer of the response. Absent: the call was not accepted yet.
    consumer: Option<Consumer>,
    /// Absent: the answer is none that feedback could be given on.
    feedback: Option<Feedback>,
    /// Time after which the whole answer was complete. Set while the record waits for the response to be
    /// read.
    completed_after: Option<Duration>,
    has_ended: bool,
}

// === impl CallRecord ===

impl CallRecord {
    /// Begins the record of a call that has just arrived.
    #[must_use]
    pub fn begin(
        rpc: Rpc,
        snapshot: Arc<Snapshot>,
        observability: &Arc<Observability>,
        headers: &HeaderMap,
    ) -> Self {
        Self {
            rpc,
            // Version 7: ids of one moment are neighbours in the index of the feedback store, so that a batch
            // writes few of its pages.
            request_id: uuid::Uuid::now_v7().to_string(),
            snapshot,
            arrived: Instant::now(),
            timer: PollTimer::new(),
            plan: None,
            unknown_task: None,
            attempts: Arc::new(AttemptLog::new(CallObserver::begin(observability, rpc, headers))),
            first_content: None,
            usage: None,
            stop_reason: None,
            received: None,
            consumer: None,
            feedback: None,
            completed_after: None,
            has_ended: false,
        }
    }

    /// The configuration with which the call started.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Time of the call's arrival.
    #[must_use]
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Times the polls of this call.
    #[must_use]
    pub fn timer(&self) -> &PollTimer {
        &self.timer
    }

    /// Number of attempts that called a model.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts.started()
    }

    /// True if an attempt has called this candidate.
    #[must_use]
    pub fn has_called(&self, candidate: &Candidate) -> bool {
        self.attempts.has_called(candidate)
    }

    /// Records the resolved task.
    pub fn resolved(&mut self, plan: &RoutePlan) {
        self.plan = Some(plan.clone());
        self.attempts.observer().resolved(&plan.task);
    }

    /// Sets the consumer of the response.
    pub(crate) fn set_consumer(&mut self, consumer: Consumer) {
        self.consumer = Some(consumer);
    }

    /// The consumer of the response. Absent: the call was not accepted yet.
    pub(crate) fn consumer(&self) -> Option<&Consumer> {
        self.consumer.as_ref()
    }

    /// Starts an attempt.
    pub(crate) fn attempt(
        &self,
        candidate: &Candidate,
        shaped: &Shaped<'_>,
        method: Method,
        hedge: bool,
    ) -> AttemptRecord {
        self.attempts.start(candidate, shaped, method, hedge)
    }

    /// Records a candidate that is not called.
    pub(crate) fn skipped(&self, candidate: &Candidate, skip: &Skip) {
        self.attempts.skipped(candidate, skip);
    }

    /// Sets the store that accepts feedback on the answer.
    pub(crate) fn set_feedback(&mut self, feedback: &Feedback) {
        self.feedback = Some(feedback.clone());
    }

    /// Accepts feedback on the answer from now on: a model has answered.
    pub(crate) fn accept_feedback(&self) {
        let Some(feedback) = &self.feedback else { return };
        let Some((plan, served)) = self.plan.as_ref().zip(self.attempts.served()) else { return };
        let ids = self.attempts.observer().trace_ids().unwrap_or_default();
        feedback.remember(AnswerRecord {
            request_id: self.request_id.clone(),
            at: SystemTime::now(),
            task_type: plan.task.name.clone(),
            model_id: served.attempt.model_id,
            region: served.attempt.region,
            variant: String::new(),
            config_version: self.snapshot.version.clone(),
            trace_id: ids.trace_id,
            span_id: ids.span_id,
        });
    }

    /// Records that the first content of a stream is there.
    pub fn saw_first_content(&mut self) {
        let took = self.arrived.elapsed();
        self.first_content = Some(took);
        self.attempts.observer().first_content(took);
    }

    /// Records an event that is about to be sent.
    pub(crate) fn saw_event(&mut self, event: &ModelEvent) {
        match event {
            ModelEvent::MessageStop(stop) => self.stop_reason = Some(stop.stop_reason()),
            ModelEvent::Restart(_) => {
                self.stop_reason = None;
                self.attempts.observer().restarted();
            }
            _ => {}
        }
    }

    /// Records why the model stopped.
    pub(crate) fn saw_stop_reason(&mut self, reason: pb::StopReason) {
        self.stop_reason = Some(reason);
    }

    /// Records the usage that the caller is told.
    pub(crate) fn saw_usage(&mut self, usage: Option<&pb::TokenUsage>) {
        self.usage = usage.cloned();
    }

    /// Cost of the call so far. Absent: nothing, or the price of a part is unknown.
    #[must_use]
    pub fn cost(&self) -> Option<pb::Cost> {
        self.attempts.bills().total().and_then(|cost| cost.to_pb())
    }

    /// Records the part of the stream that has been sent so far.
    pub fn sent(&mut self, received: pb::Received) {
        self.received = Some(received);
    }

    /// The route so far. The attempt that serves is the last.
    #[must_use]
    pub fn route(&self) -> pb::Route {
        let attempts = self.attempts.summaries();
        let served = attempts.iter().rfind(|attempt| attempt.served);
        let plan = self.plan.as_ref();
        pb::Route {
            request_id: self.request_id.clone(),
            task_type: plan.map(|plan| plan.task.name.clone()).unwrap_or_default(),
            model_id: served.map(|served| served.attempt.model_id.clone()).unwrap_or_default(),
            region: served.map(|served| served.attempt.region.clone()).unwrap_or_default(),
            variant: String::new(),
            config_version: self.snapshot.version.clone(),
            fallback_used: served.is_some_and(|served| self.is_fallback(served)),
            requested_task_type: plan.map(|plan| plan.requested.clone()).unwrap_or_default(),
            resolution: plan.map(|plan| plan.resolution).unwrap_or_default().into(),
            attempts: attempts.into_iter().map(|attempt| attempt.attempt).collect(),
        }
    }

    fn is_fallback(&self, served: &AttemptSummary) -> bool {
        let first = self.plan.as_ref().and_then(|plan| plan.candidates.first());
        first.is_some_and(|first| first.deployment.name != served.deployment.name)
    }

    /// Where the time went, so far.
    #[must_use]
    pub fn latency(&self) -> pb::Latency {
        pb::Latency {
            first_token: self.first_content.and_then(|took| took.try_into().ok()),
            total: self.arrived.elapsed().try_into().ok(),
            switchboard: self.timer.total().try_into().ok(),
        }
    }

    /// Ends the record of a successful call.
    pub fn completed(&mut self) {
        self.end(CallOutcome::Ok, None, FaultDomain::of_stop(self.stop_reason), Code::Ok);
    }

    /// Ends the record of a successful call when the record is dropped: the response is still being written,
    /// and the caller must not wait for spans, metrics and the log line.
    pub(crate) fn complete_on_drop(&mut self) {
        self.completed_after = Some(self.arrived.elapsed());
    }

    /// Ends the record of a call that failed.
    ///
    /// Returns the status for the caller.
    pub fn failed(&mut self, error: CallError) -> Status {
        let reason = error.reason();
        if let CallError::UnknownTask(unknown) = &error {
            self.unknown_task = Some(unknown.requested.clone());
        }
        self.end(CallOutcome::of_error(&error), Some(reason), FaultDomain::of_error(&error), code(reason));
        let route = self.plan.is_some().then(|| self.route());
        let context = Context { request_id: self.request_id.clone(), route, received: self.received.clone() };
        let status = error.into_status(&context);
        if let Some(consumer) = &self.consumer {
            consumer.set_status(&status);
        }
        status
    }

    /// Ends the record of a call that was answered without its record: by a service that has no use for it,
    /// or by the gRPC library, which refuses unknown methods and requests that cannot be decoded.
    pub(crate) fn answered_with(&mut self, code: Code, reason: Option<ErrorReason>) {
        let outcome = if code == Code::Ok { CallOutcome::Ok } else { CallOutcome::Error };
        self.end(outcome, reason, FaultDomain::of_code(code), code);
    }

    fn end(
        &mut self,
        outcome: CallOutcome,
        reason: Option<ErrorReason>,
        fault_domain: FaultDomain,
        code: Code,
    ) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let attempts = self.attempts.summaries();
        let fell_back =
            attempts.iter().rfind(|attempt| attempt.served).is_some_and(|it| self.is_fallback(it));
        let reasons = attempts.iter().map(|attempt| attempt.attempt.reason());
        let first_reason = reasons.into_iter().find(|reason| *reason != ErrorReason::Unspecified);
        let bills = self.attempts.bills();
        let plan = self.plan.as_ref();
        self.attempts.observer().end(CallSummary {
            rpc: self.rpc,
            request_id: self.request_id.clone(),
            snapshot: Arc::clone(&self.snapshot),
            task: plan.map(|plan| Arc::clone(&plan.task)),
            resolution: plan
                .map(|plan| plan.resolution)
                .or(self.unknown_task.is_some().then_some(Resolution::Unknown)),
            requested_task: plan
                .map(|plan| plan.requested.clone())
                .or_else(|| self.unknown_task.clone())
                .unwrap_or_default(),
            outcome,
            reason,
            fault_domain,
            code,
            fallback: fell_back.then(|| first_reason.unwrap_or_default()),
            attempts,
            stop_reason: self.stop_reason,
            usage: self.usage.clone(),
            cost: bills.total().and_then(|cost| cost.to_pb()),
            unpriced: bills.unpriced(),
            first_content: self.first_content,
            total: self.completed_after.unwrap_or_else(|| self.arrived.elapsed()),
            own_time: self.timer.total(),
        });
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        if self.completed_after.is_some() {
            return self.completed();
        }
        let consumer = self.consumer.as_ref().filter(|_| !self.has_ended);
        match consumer.and_then(|consumer| consumer.error(self.attempts())) {
            Some(error) => drop(self.failed(error)),
            None if self.attempts.observer().is_cut_off() => {
                self.end(CallOutcome::Error, None, FaultDomain::Switchboard, Code::Unavailable);
            }
            None => self.end(CallOutcome::Cancelled, None, FaultDomain::Caller, Code::Cancelled),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
