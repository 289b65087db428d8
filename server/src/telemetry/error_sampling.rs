//! Error sampling: calls that failed or fell back are exported even if the sampler dropped them.
//!
//! The sampler decides when a call begins, before its result is known. So a span that it would drop is
//! recorded anyway. The spans of its attempts are held until the call's own span ends, and then exported with
//! it, or discarded. This is no tail sampling: it covers only this process, not the spans of the caller. A
//! positive decision of the sampler is never changed.
//!
//! The number of held calls and of attempts per call is bounded, and so is the queue of the exporter. What
//! exceeds a bound is dropped and counted: nothing here waits.
use super::dropped::Dropped;
use crate::semconv::{attribute, status};
use opentelemetry::{
    Context, KeyValue, Value,
    trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tonic::Code;

/// Most calls with held spans.
const MAX_HELD_CALLS: usize = 4096;
/// Most held spans of one call.
const MAX_HELD_ATTEMPTS: usize = 32;

/// A sampler that records what the inner sampler would drop.
#[derive(Clone, Debug)]
pub(super) struct RecordAll<S>(pub(super) S);

/// A span processor that passes on sampled spans, and those of calls that failed or fell back.
#[derive(Debug)]
pub(super) struct KeepErrors<P> {
    inner: P,
    dropped: Arc<Dropped>,
    /// Most spans in the queue of the exporter.
    max_queued: usize,
    /// Spans of attempts, by the id of the call's span.
    held: Mutex<HashMap<SpanId, Vec<SpanData>>>,
}

// === impl RecordAll ===

impl<S: ShouldSample + Clone + 'static> ShouldSample for RecordAll<S> {
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

// === impl KeepErrors ===

impl<P> KeepErrors<P> {
    pub(super) fn new(inner: P, max_queued: usize, dropped: Arc<Dropped>) -> Self {
        Self { inner, dropped, max_queued, held: Mutex::default() }
    }
}

impl<P: SpanProcessor> KeepErrors<P> {
    fn pass_on(&self, span: SpanData) {
        if self.dropped.queued.fetch_add(1, Relaxed) >= self.max_queued {
            self.dropped.queued.fetch_sub(1, Relaxed);
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
        self.pass_on(span);
    }

    fn hold(&self, span: SpanData) {
        let mut held = self.held.lock();
        if held.len() >= MAX_HELD_CALLS && !held.contains_key(&span.parent_span_id) {
            self.dropped.spans(1);
            return;
        }
        let attempts = held.entry(span.parent_span_id).or_default();
        if attempts.len() < MAX_HELD_ATTEMPTS {
            attempts.push(span);
        } else {
            self.dropped.spans(1);
        }
    }
}

impl<P: SpanProcessor> SpanProcessor for KeepErrors<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            return self.pass_on(span);
        }
        match span.span_kind {
            SpanKind::Server => {}
            SpanKind::Internal => return self.keep(span), // an evaluation: its call has ended before
            _ => return self.hold(span),
        }
        let id = span.span_context.span_id();
        let attempts = self.held.lock().remove(&id);
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

/// True if a call failed or fell back. A caller who left is no failure.
fn is_kept(call: &SpanData) -> bool {
    let value =
        |name: &str| call.attributes.iter().find(|one| one.key.as_str() == name).map(|one| &one.value);
    let failed = value(attribute::RPC_STATUS)
        .is_some_and(|code| code.as_str() != status(Code::Ok) && code.as_str() != status(Code::Cancelled));
    let fell_back = matches!(value(attribute::OUR_FALLBACK), Some(Value::Bool(true)));
    failed || fell_back || matches!(call.status, Status::Error { .. })
}
