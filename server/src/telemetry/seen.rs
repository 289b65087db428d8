//! Seen: a call and its attempts, as they are watched while they run.
use super::{
    AttemptBegin, AttemptEnd, CallEnd, Ended, Signals,
    active::Counted,
    blame::FaultDomain,
    content, log,
    names::event,
    spans::{self, AttemptSpan, CallSpan},
};
use crate::{bedrock::ModelEvent, route::Task, shape::Form};
use http::{HeaderMap, HeaderValue};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use switchboard_proto::v1 as pb;
use tokio::time::Instant;
use tonic::{Code, Status};

/// A call that runs.
#[derive(Debug)]
pub(crate) struct Seen {
    signals: Arc<Signals>,
    span: CallSpan,
    /// Absent: none was resolved yet.
    task: OnceLock<Arc<Task>>,
    _active: Option<Counted>,
}

/// An attempt that runs, or whose answer is not at its end yet. Empty once it has been told of.
#[derive(Debug, Default)]
pub(crate) struct AttemptSeen {
    span: Option<AttemptSpan>,
    /// Absent: it has ended.
    form: Option<Form>,
    pub(crate) first_chunk: Option<Duration>,
    /// How long a whole answer took. Absent: it is none, or is not there yet.
    pub(crate) whole_after: Option<Duration>,
    pub(crate) finish_reason: String,
    /// Absent: it is not to be kept.
    pub(crate) answer: Option<String>,
}

/// A call that has arrived at the edge. It may never reach an RPC: because it cannot be read, or because its caller leaves
/// while it is being sent. Then this is the one who tells of it.
#[derive(Debug)]
pub(crate) struct Arrival {
    signals: Arc<Signals>,
    method: &'static str,
    at: Instant,
    traceparent: Option<HeaderValue>,
    reached: Reached,
    /// Absent: it was not answered yet.
    code: Option<Code>,
}

/// Whether a call reached its RPC; travels among the request's extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached(Arc<AtomicBool>);

// === impl Seen ===

impl Seen {
    /// A call begins.
    pub(crate) fn begin(signals: &Arc<Signals>, method: &'static str, headers: &HeaderMap) -> Self {
        Self {
            span: CallSpan::begin(method, headers, signals.tracer.is_some()),
            task: OnceLock::new(),
            _active: signals.active.begin(method),
            signals: Arc::clone(signals),
        }
    }

    pub(crate) fn resolved(&self, task: &Arc<Task>) {
        let _once = self.task.set(Arc::clone(task));
    }

    /// An attempt begins.
    pub(crate) fn attempt(&self, begin: &AttemptBegin<'_>, form: Form) -> AttemptSeen {
        let Signals { tracer, labels, style, .. } = &*self.signals;
        let kind = (operation(form), form == Form::Streamed);
        let target = labels.target(begin.candidate.target);
        let span = tracer.as_ref().zip(target);
        let span = span.and_then(|(tracer, target)| self.span.attempt(tracer, begin, kind, target, *style));
        if !begin.adjustments.is_empty() {
            self.span.event(event::ADJUSTED, || spans::adjusted(begin));
        }
        let answer = (style.capture && span.is_some() && form != Form::Counted).then(String::new);
        AttemptSeen { span, form: Some(form), answer, ..AttemptSeen::default() }
    }

    /// An attempt has ended; only the first of its ends counts.
    pub(crate) fn attempt_ended(&self, seen: &mut AttemptSeen, end: &AttemptEnd<'_>) {
        let Some(form) = seen.form.take() else { return };
        let Signals { metrics, labels, style, .. } = &*self.signals;
        if let Some(metrics) = metrics {
            let task = self.task.get().map(AsRef::as_ref);
            metrics.attempt_ended(end, operation(form), task, labels);
        }
        if let Some(span) = seen.span.take() {
            spans::end_attempt(span, end, *style);
        }
    }

    pub(crate) fn skipped(&self, model: &str, reason: &'static str) {
        self.span.event(event::SKIPPED, || spans::skipped(model, reason));
    }

    pub(crate) fn first_content(&self, took: Duration) {
        self.span.event(event::FIRST_CONTENT, || spans::after(took));
    }

    pub(crate) fn restarts(&self) {
        self.span.event(event::RESTART, Vec::new);
    }

    /// A chunk of a stream after its first.
    pub(crate) fn chunk(&self, target: usize, took: Duration) {
        if let Some(metrics) = &self.signals.metrics {
            metrics.chunk(target, took, &self.signals.labels);
        }
    }

    /// The trace's id and that of the attempt's span, or else of the call's.
    pub(crate) fn ids(&self, attempt: Option<&AttemptSeen>) -> (Option<String>, Option<String>) {
        match spans::ids_of(attempt.and_then(|seen| seen.span.as_ref())) {
            (None, None) => self.span.ids(),
            ids => ids,
        }
    }

    /// The call has ended.
    pub(crate) fn ended(&self, end: &CallEnd<'_>) {
        if let Some(metrics) = &self.signals.metrics {
            metrics.call_ended(end, &self.signals.labels);
        }
        self.span.end(end);
        log::call_ended(end, self.span.ids());
    }
}

impl AttemptSeen {
    /// It succeeded: with the whole answer, or with the first content of a stream.
    pub(crate) fn has_answered(&mut self, began: Option<Instant>) {
        let took = began.map(|began| began.elapsed());
        match self.form {
            Some(Form::Streamed) => self.first_chunk = took,
            _ => self.whole_after = took,
        }
    }

    /// A piece of a stream, kept where a setting asks for that.
    pub(crate) fn heard_piece(&mut self, piece: &ModelEvent) {
        if let Some(answer) = &mut self.answer {
            content::add_piece(answer, piece);
        }
    }

    /// A whole answer, kept where a setting asks for that.
    pub(crate) fn heard_answer(&mut self, whole: &pb::ConverseResponse) {
        if let Some(answer) = &mut self.answer {
            content::add_answer(answer, whole);
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.form.is_some()
    }
}

fn operation(form: Form) -> &'static str {
    match form {
        Form::Whole | Form::Streamed => "chat",
        Form::Counted => "count_tokens",
    }
}

// === impl Signals ===

impl Signals {
    /// A call was shed.
    pub(crate) fn shed(self: &Arc<Self>, method: &'static str, headers: &HeaderMap) {
        let seen = Seen { _active: None, ..Seen::begin(self, method, headers) };
        let domain = FaultDomain::Switchboard;
        seen.ended(&CallEnd::of_nobody(method, Ended::Shed, "SHED", Code::Unavailable, domain));
    }
}

// === impl Arrival ===

impl Arrival {
    /// A call has been admitted.
    pub(crate) fn new(signals: &Arc<Signals>, method: &'static str, headers: &HeaderMap) -> Self {
        Self {
            signals: Arc::clone(signals),
            method,
            at: Instant::now(),
            traceparent: headers.get("traceparent").cloned(),
            reached: Reached::default(),
            code: None,
        }
    }

    /// For the request to take along.
    pub(crate) fn reached(&self) -> Reached {
        self.reached.clone()
    }

    /// It was answered.
    pub(crate) fn answered(&mut self, headers: &HeaderMap) {
        self.code = Some(Status::from_header_map(headers).map_or(Code::Ok, |status| status.code()));
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if self.reached.0.load(Relaxed) {
            return;
        }
        let mut headers = HeaderMap::new();
        headers.extend(
            self.traceparent
                .take()
                .map(|value| (http::header::HeaderName::from_static("traceparent"), value)),
        );
        let seen = Seen { _active: None, ..Seen::begin(&self.signals, self.method, &headers) };
        let (ended, reason, code) = match self.code {
            None => (Ended::Cancelled, "", Code::Cancelled),
            Some(Code::InvalidArgument) => (Ended::Error, "INVALID_FIELD", Code::InvalidArgument),
            Some(code) => (Ended::Error, "", code),
        };
        let end = CallEnd::of_nobody(self.method, ended, reason, code, FaultDomain::Caller);
        seen.ended(&CallEnd { total: self.at.elapsed(), ..end });
    }
}

// === impl Reached ===

impl Reached {
    /// The RPC has it.
    pub(crate) fn mark(&self) {
        self.0.store(true, Relaxed);
    }
}

/// The method that a path names. Absent: it is none of ours.
pub(crate) fn method(name: &str) -> &'static str {
    ["Converse", "ConverseStream", "CountTokens"].into_iter().find(|known| *known == name).unwrap_or("_OTHER")
}
