//! Keeping: calls that failed or fell back are exported even when the sampler said no.
//!
//! The sampler decides when a call begins, and nobody knows then how it ends. So a span that it would drop is recorded
//! all the same; the spans of its attempts are held until the call's own span ends, and then exported with it, or
//! forgotten. This is no tail sampling: it looks at nothing beyond this process, and the spans of the caller stay out.
//! A sampler's own yes is never changed.
//!
//! What is held is bounded, by calls and by attempts of a call; so is what waits for the exporter. What is beyond that is
//! dropped and counted: nothing here waits.
use super::{
    exporters::Dropped,
    names::{attribute, status},
};
use opentelemetry::{
    Context, KeyValue, Value,
    trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};
use tonic::Code;

/// How many calls may have spans held at once, and how many of one call.
const MOST_CALLS: usize = 4096;
const MOST_ATTEMPTS: usize = 32;

/// Records what the sampler within would drop.
#[derive(Clone, Debug)]
pub(super) struct Recording<S>(pub(super) S);

/// Hands on what is sampled, and what has to be kept.
#[derive(Debug)]
pub(super) struct Keep<P> {
    inner: P,
    dropped: Arc<Dropped>,
    /// How many spans may wait for the exporter.
    most_waiting: usize,
    /// By the id of the call's span.
    held: Mutex<HashMap<SpanId, Vec<SpanData>>>,
}

// === impl Recording ===

impl<S: ShouldSample + Clone + 'static> ShouldSample for Recording<S> {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let mut result = self.0.should_sample(parent, trace, name, kind, attributes, links);
        if result.decision == SamplingDecision::Drop {
            result.decision = SamplingDecision::RecordOnly;
        }
        result
    }
}

// === impl Keep ===

impl<P> Keep<P> {
    pub(super) fn new(inner: P, most_waiting: usize, dropped: Arc<Dropped>) -> Self {
        Self { inner, dropped, most_waiting, held: Mutex::default() }
    }
}

impl<P: SpanProcessor> Keep<P> {
    fn hand_on(&self, span: SpanData) {
        if self.dropped.waiting.fetch_add(1, Relaxed) >= self.most_waiting {
            self.dropped.waiting.fetch_sub(1, Relaxed);
            self.dropped.spans(1);
        } else {
            self.inner.on_end(span);
        }
    }

    fn keep(&self, mut span: SpanData) {
        let context = &span.span_context;
        let flags = context.trace_flags() | TraceFlags::SAMPLED;
        let (trace, id, state) = (context.trace_id(), context.span_id(), context.trace_state().clone());
        span.span_context = SpanContext::new(trace, id, flags, context.is_remote(), state);
        self.hand_on(span);
    }

    fn hold(&self, span: SpanData) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MOST_CALLS && !held.contains_key(&span.parent_span_id) {
            self.dropped.spans(1);
            return;
        }
        let attempts = held.entry(span.parent_span_id).or_default();
        if attempts.len() < MOST_ATTEMPTS {
            attempts.push(span);
        } else {
            self.dropped.spans(1);
        }
    }
}

impl<P: SpanProcessor> SpanProcessor for Keep<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            return self.hand_on(span);
        }
        match span.span_kind {
            SpanKind::Server => {}
            SpanKind::Internal => return self.keep(span), // a judgement: its call has ended long ago
            _ => return self.hold(span),
        }
        let id = span.span_context.span_id();
        let attempts = self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if is_kept(&span) {
            for span in attempts.into_iter().flatten() {
                self.keep(span);
            }
            self.keep(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Whether a call failed or fell back. A caller who left is no failure.
fn is_kept(call: &SpanData) -> bool {
    let value =
        |name: &str| call.attributes.iter().find(|one| one.key.as_str() == name).map(|one| &one.value);
    let failed = value(attribute::RPC_STATUS)
        .is_some_and(|code| code.as_str() != status(Code::Ok) && code.as_str() != status(Code::Cancelled));
    let fell_back = matches!(value(attribute::OUR_FALLBACK), Some(Value::Bool(true)));
    failed || fell_back || matches!(call.status, Status::Error { .. })
}
