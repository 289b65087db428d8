//! Observers: a call and its attempts while they run. What they observed goes to spans and metrics.
use super::{
    Observability,
    attempt::{AttemptEnd, AttemptStart, TraceIds},
    content,
    in_flight::InFlight,
    metrics::ChunkTimes,
    spans::{self, AttemptSpan, CallSpan},
};
use crate::{
    deployment::Deployment,
    model::ModelEvent,
    reason::reason_name,
    route::Task,
    rpc::{Method, Rpc},
    semconv::event,
    summary::CallSummary,
};
use http::HeaderMap;
use std::{
    sync::{Arc, OnceLock, atomic::Ordering},
    time::Duration,
};
use switchboard_proto::v1::{self as pb, ErrorReason};

/// A call that runs.
#[derive(Debug)]
pub(crate) struct CallObserver {
    observability: Arc<Observability>,
    span: CallSpan,
    /// Absent: no task was resolved yet.
    task: OnceLock<Arc<Task>>,
    _in_flight: InFlight,
}

/// An attempt that runs, or whose answer is not at its end yet.
#[derive(Debug)]
pub(crate) struct AttemptObserver {
    span: Option<AttemptSpan>,
    /// Time to the first content of a stream. Absent: not a stream, or no content yet.
    first_chunk: Option<Duration>,
    /// Time to a whole answer. Absent: it is a stream, or is not there yet.
    answered_after: Option<Duration>,
    /// Why the model stopped, in Bedrock's word. Empty: it has not stopped.
    finish_reason: String,
    /// Text of the answer. Absent: the configuration does not capture content.
    answer: Option<String>,
    /// Absent: there was no delta after the first, or metrics are off.
    chunk_times: Option<Arc<ChunkTimes>>,
    deployment: Arc<Deployment>,
}

// === impl CallObserver ===

impl CallObserver {
    /// Begins with the call.
    pub(crate) fn begin(observability: &Arc<Observability>, rpc: Rpc, headers: &HeaderMap) -> Self {
        Self {
            span: CallSpan::begin(rpc, headers, observability.tracer.is_some()),
            task: OnceLock::new(),
            _in_flight: observability.in_flight.begin(rpc),
            observability: Arc::clone(observability),
        }
    }

    /// True if the server cuts off what still runs.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.observability.is_cut_off.load(Ordering::Relaxed)
    }

    pub(crate) fn resolved(&self, task: &Arc<Task>) {
        let _once = self.task.set(Arc::clone(task));
    }

    /// An attempt starts.
    pub(crate) fn attempt(&self, start: &AttemptStart<'_>) -> AttemptObserver {
        let Observability { tracer, style, .. } = &*self.observability;
        let span = tracer.as_ref().and_then(|tracer| self.span.attempt(tracer, start, *style));
        if !start.adjustments.is_empty() {
            self.span.event(event::ADJUSTED, || spans::adjusted(start));
        }
        let captures = style.capture && span.is_some() && start.method != Method::CountTokens;
        AttemptObserver {
            span,
            first_chunk: None,
            answered_after: None,
            finish_reason: String::new(),
            answer: captures.then(String::new),
            chunk_times: None,
            deployment: Arc::clone(&start.candidate.deployment),
        }
    }

    pub(crate) fn skipped(&self, model: &str, reason: ErrorReason) {
        self.span.event(event::SKIPPED, || spans::skipped(model, reason_name(reason)));
    }

    pub(crate) fn first_content(&self, took: Duration) {
        self.span.event(event::FIRST_CONTENT, || spans::after(took));
    }

    pub(crate) fn restarted(&self) {
        self.span.event(event::RESTART, Vec::new);
    }

    /// Ids of the call's span. `None`: the call is not traced.
    pub(crate) fn trace_ids(&self) -> Option<TraceIds> {
        self.span.ids()
    }

    /// The call has ended: every sink gets its summary.
    pub(crate) fn end(&self, summary: CallSummary) {
        for sink in &self.observability.sinks {
            sink.call_ended(&summary, &self.span);
        }
    }
}

// === impl AttemptObserver ===

impl AttemptObserver {
    /// The whole answer, or the first content of a stream, is there.
    pub(crate) fn answered(&mut self, method: Method, took: Duration) {
        match method {
            Method::ConverseStream => self.first_chunk = Some(took),
            Method::Converse | Method::CountTokens => self.answered_after = Some(took),
        }
    }

    /// A delta is about to be sent, so long after the one before. Absent: it is the first.
    pub(crate) fn saw_delta(&mut self, call: &CallObserver, event: &ModelEvent, since: Option<Duration>) {
        if let Some(answer) = &mut self.answer {
            content::add_delta(answer, event);
        }
        if let (Some(since), Some(metrics)) = (since, &call.observability.metrics) {
            let times = self.chunk_times.get_or_insert_with(|| metrics.chunk_times(&self.deployment));
            times.record(since.as_secs_f64());
        }
    }

    pub(crate) fn saw_answer(&mut self, response: &pb::ConverseResponse) {
        if let Some(answer) = &mut self.answer {
            content::add_answer(answer, response);
        }
    }

    pub(crate) fn saw_stop(&mut self, raw_reason: &str) {
        raw_reason.clone_into(&mut self.finish_reason);
    }

    /// Time to a whole answer. Absent: it is a stream, or there is none.
    pub(crate) fn duration(&self) -> Option<Duration> {
        self.answered_after
    }

    /// Ids of the attempt's span. `None`: the attempt is not traced.
    pub(crate) fn trace_ids(&self) -> Option<TraceIds> {
        self.span.as_ref().and_then(spans::ids_of)
    }

    /// The attempt has ended.
    pub(crate) fn end(&mut self, call: &CallObserver, end: &AttemptEnd<'_>) {
        if let Some(metrics) = &call.observability.metrics {
            metrics.attempt_ended(end, self.first_chunk, call.task.get().map(AsRef::as_ref));
        }
        if let Some(span) = self.span.take() {
            let observed = spans::Observed {
                first_chunk: self.first_chunk,
                finish_reason: std::mem::take(&mut self.finish_reason),
                answer: self.answer.take(),
            };
            spans::end_attempt(span, end, observed, call.observability.style);
        }
    }
}
