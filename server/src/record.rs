//! The record of a call: begun when the call arrives, moved along with it, closed when its body ends.
//!
//! It tells of each call once, whatever became of it ([`crate::telemetry`]): a record that is dropped unfinished belongs to a caller
//! who left, and says "cancelled", or to one who was given up (reader.rs).
mod attempts;

pub use attempts::Running;

use crate::{
    attempt::{failure::Failure, skip::Skip},
    bedrock::ModelEvent,
    error::{CallError, Context, code, reason_name},
    feedback::{Feedback, Remembered},
    reader::Reader,
    route::{Candidate, RoutePlan, Routes, Task},
    shape::{Form, Shaped},
    telemetry::{CallEnd, Ended, Last, Seen, Signals, blame::FaultDomain},
};
use attempts::{AttemptLog, duration};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context as Cx, Poll},
    time::{Duration, SystemTime},
};
use switchboard_proto::{
    names::resolution_name,
    v1::{self as pb, ErrorReason, Resolution},
};
use tokio::time::Instant;
use tonic::{Code, Status, metadata::MetadataMap};

/// What became of a call so far.
#[derive(Debug)]
pub struct CallRecord {
    method: &'static str,
    request_id: String,
    config_version: String,
    arrived: Instant,
    busy: Busy,
    task: Option<Arc<Task>>,
    resolution: Option<Resolution>,
    /// The task type that the caller sent. Empty: none, or no task was resolved.
    requested_task: String,
    attempts: AttemptLog,
    first_content: Option<Duration>,
    /// When the last piece of a stream was there. Absent: there was none yet.
    last_chunk: Option<Instant>,
    usage: Option<pb::TokenUsage>,
    stop: Option<pb::StopReason>,
    /// What of a stream has been sent. Absent: nothing.
    received: Option<pb::Received>,
    reader: Option<Reader>,
    /// Who remembers the answer. Absent: nobody, for it is none that could be judged.
    feedback: Option<Feedback>,
    /// How long the call took, if it has ended well and that is still to be told.
    well_after: Option<Duration>,
    ended: bool,
}

// === impl CallRecord ===

impl CallRecord {
    /// Begins when the call arrives.
    #[must_use]
    pub fn begin(
        method: &'static str,
        routes: &Routes,
        signals: &Arc<Signals>,
        headers: &MetadataMap,
        busy: Busy,
    ) -> Self {
        Self {
            method,
            // Of the seventh version: ids of one moment are neighbours in feedback's index, and pages of it are not all
            // written for every batch.
            request_id: uuid::Uuid::now_v7().to_string(),
            config_version: routes.version().to_owned(),
            arrived: Instant::now(),
            busy,
            task: None,
            resolution: None,
            requested_task: String::new(),
            attempts: AttemptLog::new(Seen::begin(signals, method, headers.as_ref())),
            first_content: None,
            last_chunk: None,
            usage: None,
            stop: None,
            received: None,
            reader: None,
            feedback: None,
            well_after: None,
            ended: false,
        }
    }

    /// The same, of a call whose answer can be judged.
    #[must_use]
    pub fn to_be_judged(mut self, feedback: &Feedback) -> Self {
        self.feedback = Some(feedback.clone());
        self
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

    /// How many attempts have begun.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts.begun()
    }

    /// Whom they asked, as [`Candidate::target`].
    #[must_use]
    pub fn targets_asked(&self) -> Vec<usize> {
        self.attempts
            .entries()
            .iter()
            .filter(|entry| entry.began.is_some())
            .map(|entry| entry.target)
            .collect()
    }

    /// The task has been resolved.
    pub fn resolved(&mut self, plan: &RoutePlan) {
        self.task = Some(Arc::clone(&plan.task));
        self.resolution = Some(plan.resolution);
        self.requested_task.clone_from(&plan.requested);
        self.attempts.seen().resolved(&plan.task);
    }

    /// The answer will have this reader.
    pub(crate) fn read_by(&mut self, reader: Reader) {
        self.reader = Some(reader);
    }

    /// The reader of the answer. Absent: the call was not accepted yet.
    pub(crate) fn reader(&self) -> Option<&Reader> {
        self.reader.as_ref()
    }

    /// An attempt begins.
    pub fn attempt(
        &self,
        candidate: &Candidate,
        shaped: &Shaped<'_>,
        form: Form,
        hedge: bool,
    ) -> Running<'_> {
        self.attempts.begin(candidate, shaped, form, hedge)
    }

    /// A candidate is not asked.
    pub fn skipped(&self, candidate: &Candidate, skip: &Skip) {
        self.attempts.skipped(candidate, skip);
    }

    /// A model answers the caller: from now on its answer can be judged.
    pub fn served(&self) {
        let entries = self.attempts.entries();
        let served = entries.iter().rfind(|entry| entry.served).map(|entry| &entry.attempt);
        if let Some((feedback, served)) = self.feedback.as_ref().zip(served) {
            let (trace_id, span_id) = self.attempts.seen().ids(None);
            feedback.remember(Remembered {
                request_id: self.request_id.clone(),
                at: SystemTime::now(),
                task_type: self.task.as_ref().map(|task| task.name.clone()).unwrap_or_default(),
                model_id: served.model_id.clone(),
                region: served.region.clone(),
                variant: String::new(),
                config_version: self.config_version.clone(),
                trace_id: trace_id.unwrap_or_default(),
                span_id: span_id.unwrap_or_default(),
            });
        }
    }

    /// The first content of a stream is there.
    pub fn saw_first_content(&mut self) {
        let took = self.arrived.elapsed();
        self.first_content = Some(took);
        self.attempts.seen().first_content(took);
    }

    /// Something of the answer is about to be sent.
    pub(crate) fn saw_event(&mut self, event: &ModelEvent) {
        match event {
            ModelEvent::ContentBlockDelta(_) => {
                let now = Instant::now();
                let since = self.last_chunk.replace(now).map(|last| now - last);
                self.attempts.saw_chunk(event, since);
            }
            ModelEvent::MessageStop(stop) => self.saw_stop(stop.stop_reason(), &stop.raw_stop_reason),
            ModelEvent::Restart(_) => {
                (self.last_chunk, self.stop) = (None, None);
                self.attempts.seen().restarts();
            }
            _ => {}
        }
    }

    /// The whole answer is there.
    pub(crate) fn saw_answer(&mut self, answer: &pb::ConverseResponse) {
        self.saw_stop(answer.stop_reason(), &answer.raw_stop_reason);
        self.attempts.saw_answer(answer);
    }

    fn saw_stop(&mut self, reason: pb::StopReason, in_bedrocks_words: &str) {
        self.stop = Some(reason);
        self.attempts.saw_stop(in_bedrocks_words);
    }

    /// The model has told what it read and wrote, and Bedrock how it was served.
    pub fn saw_usage(
        &mut self,
        usage: Option<&pb::TokenUsage>,
        tier: Option<&pb::ServiceTier>,
        performance: Option<&pb::PerformanceConfiguration>,
    ) {
        self.usage = usage.cloned();
        self.attempts.told(usage, tier, performance);
    }

    /// What the call has cost so far. Absent: nothing, or the price of a part is unknown.
    #[must_use]
    pub fn cost(&self) -> Option<pb::Cost> {
        self.attempts.bills().total().and_then(|cost| cost.to_pb())
    }

    /// What of the stream has been sent so far.
    pub fn sent(&mut self, received: pb::Received) {
        self.received = Some(received);
    }

    /// Who served and every attempt, so far; the one that serves is the last.
    #[must_use]
    pub fn route(&self) -> pb::Route {
        let entries = self.attempts.entries();
        let (serving, others): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.served);
        let served = serving.last().map(|entry| &entry.attempt);
        let first = self.task.as_ref().map(|task| &task.candidates[0]);
        pb::Route {
            request_id: self.request_id.clone(),
            task_type: self.task.as_ref().map(|task| task.name.clone()).unwrap_or_default(),
            model_id: served.map(|attempt| attempt.model_id.clone()).unwrap_or_default(),
            region: served.map(|attempt| attempt.region.clone()).unwrap_or_default(),
            variant: String::new(),
            config_version: self.config_version.clone(),
            fallback_used: serving.last().zip(first).is_some_and(|(served, first)| served.name != first.name),
            attempts: others.into_iter().chain(serving).map(|entry| entry.attempt.clone()).collect(),
            requested_task_type: self.requested_task.clone(),
            resolution: self.resolution.unwrap_or_default().into(),
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
        self.end(Ended::Ok, "", FaultDomain::of_stop(self.stop), Code::Ok);
    }

    /// The call has ended well, which is told when the record is dropped.
    pub(crate) fn completed_and_dropped_later(&mut self) {
        self.well_after = Some(self.arrived.elapsed());
    }

    /// The call has ended with an error; its status.
    pub fn refused(&mut self, error: CallError) -> Status {
        let (reason, domain) = (error.reason(), FaultDomain::of_error(&error));
        self.end(Ended::Error, reason_name(reason), domain, code(reason));
        let route = self.task.is_some().then(|| self.route());
        let request_id = self.request_id.clone();
        let status = error.into_status(&Context { request_id, route, received: self.received.clone() });
        if let Some(reader) = &self.reader {
            reader.learns(&status);
        }
        status
    }

    /// The stream of the attempt that serves broke after content had been sent.
    pub fn broke(&mut self, failure: &Failure) {
        self.attempts.broke(failure, self.received.as_ref());
    }

    fn end(&mut self, ended: Ended, reason: &'static str, domain: FaultDomain, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.attempts.settle(self.received.as_ref());
        self.attempts.close(ended, reason);
        let (cost, unpriced) = (self.cost(), self.attempts.bills().unpriced());
        let entries = self.attempts.entries();
        let last = entries.iter().rfind(|entry| entry.served).or(entries.last());
        let first = self.task.as_ref().map(|task| &task.candidates[0].name);
        let fell_back = last.is_some_and(|last| last.served && Some(&last.name) != first);
        let others = || entries.iter().find(|entry| entry.attempt.reason() != ErrorReason::Unspecified);
        self.attempts.seen().ended(&CallEnd {
            method: self.method,
            request_id: &self.request_id,
            config_version: &self.config_version,
            task: self.task.as_deref(),
            resolution: self.resolution.map(resolution_name),
            requested_task: &self.requested_task,
            ended,
            reason,
            domain,
            code,
            last: last.map(|last| Last {
                attempt: &last.attempt,
                name: &last.name,
                target: last.target,
                served: last.served,
            }),
            fell_back: fell_back.then(|| others().map_or("", |other| reason_name(other.attempt.reason()))),
            attempts: entries.len(),
            stop: self.stop,
            usage: self.usage.as_ref(),
            cost,
            unpriced,
            first_content: self.first_content,
            total: self.well_after.unwrap_or_else(|| self.arrived.elapsed()),
            own_time: self.busy.so_far(),
        });
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        if self.well_after.is_some() {
            return self.completed();
        }
        let reader = self.reader.as_ref().filter(|_| !self.ended);
        match reader.and_then(|reader| reader.given_up(self.attempts())) {
            Some(error) => drop(self.refused(error)),
            None => self.end(Ended::Cancelled, "", FaultDomain::Caller, Code::Cancelled),
        }
    }
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        attempt::{failure::FailureKind, targets::Targets},
        catalogue::Catalogue,
        config::Config,
        telemetry::Telemetry,
    };
    use std::borrow::Cow;

    const HAIKU: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

    pub(crate) fn begun() -> (CallRecord, Arc<Task>) {
        let config = Config::for_two_models(HAIKU, HAIKU);
        let routes = Routes::new(&config, &Catalogue::built_in(), "us-east-1");
        let targets = Arc::new(Targets::new(config.breaker, &routes));
        let signals = Arc::new(Telemetry::default().signals(&config, &routes, &targets, Arc::default()));
        let task = routes.plan("coding").expect("is a task").task;
        let headers = MetadataMap::new();
        (CallRecord::begin("ConverseStream", &routes, &signals, &headers, Busy::new()), task)
    }

    fn leave(record: &mut CallRecord) {
        record.end(Ended::Cancelled, "", FaultDomain::Caller, Code::Cancelled);
    }

    fn sends(text: &str) -> Shaped<'static> {
        let text = pb::content_block::Block::Text(text.to_owned());
        let content = vec![pb::ContentBlock { block: Some(text) }];
        let messages = vec![pb::Message { role: "user".to_owned(), content }];
        let request = Cow::Owned(pb::ConverseRequest { messages, ..Default::default() });
        Shaped { request, inference: pb::InferenceConfiguration::default(), adjustments: Vec::new() }
    }

    fn received(text_bytes: i64) -> pb::Received {
        pb::Received { text_bytes, ..Default::default() }
    }

    #[test]
    fn a_caller_who_leaves_before_any_content_has_cost_the_prompt() {
        let (mut record, task) = begun();
        drop(record.attempt(&task.candidates[0], &sends("eight by"), Form::Streamed, false));
        leave(&mut record);
        let cost = record.cost().expect("has a price");
        assert_eq!((cost.pico_usd, cost.estimated), (2 * 1_100_000, true));
        assert_eq!(record.route().attempts[0].cost, Some(cost));
    }

    #[test]
    fn a_caller_who_leaves_in_the_midst_has_cost_what_was_heard_too() {
        let (mut record, task) = begun();
        record.attempt(&task.candidates[0], &sends("eight by"), Form::Streamed, false).answered("");
        assert_eq!(record.cost(), None);
        record.sent(received(4));
        leave(&mut record);
        let cost = record.cost().expect("has a price");
        assert_eq!((cost.pico_usd, cost.estimated), (2 * 1_100_000 + 5_500_000, true));
        assert_eq!(record.route().attempts[0].cost, Some(cost));
    }

    #[test]
    fn a_hedge_that_lost_is_part_of_the_bill() {
        let (mut record, task) = begun();
        let (first, second) = (&task.candidates[0], &task.candidates[1]);
        let slow = record.attempt(first, &sends("eight by"), Form::Streamed, false);
        record.attempt(second, &sends("eight by"), Form::Streamed, true).answered("");
        drop(slow);
        let usage = pb::TokenUsage { input_tokens: 2, output_tokens: 1, ..Default::default() };
        record.saw_usage(Some(&usage), None, None);
        record.completed();
        let cost = record.cost().expect("has a price");
        assert_eq!((cost.pico_usd, cost.estimated), (2 * 2 * 1_100_000 + 5_500_000, true));
    }

    #[test]
    fn a_stream_that_broke_and_the_one_that_began_anew_are_both_paid() {
        let (mut record, task) = begun();
        record.attempt(&task.candidates[0], &sends("eight by"), Form::Streamed, false).answered("");
        record.sent(received(4));
        record.broke(&Failure::new(FailureKind::ModelError, ""));
        record.attempt(&task.candidates[1], &sends("eight by"), Form::Streamed, false).answered("");
        record.saw_usage(Some(&pb::TokenUsage { input_tokens: 2, ..Default::default() }), None, None);
        assert_eq!(record.cost().expect("has a price").pico_usd, 2 * 2 * 1_100_000 + 5_500_000);
    }

    #[test]
    fn counting_tokens_is_free() {
        let (mut record, task) = begun();
        drop(record.attempt(&task.candidates[0], &sends("eight by"), Form::Counted, false));
        record.completed();
        assert_eq!((record.cost(), record.attempts.bills().unpriced()), (None, 0));
    }
}
