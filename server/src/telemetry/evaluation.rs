//! Evaluations: feedback on an answer, as the event `gen_ai.evaluation.result` in the answer's own trace.
//!
//! The call's span has ended before, and a span that has ended accepts no events. So the event is in a span of its own, a child
//! of the call's. It is always exported: judgements are rare, and worth more than the spans that a sampler drops.
use crate::{
    feedback::{Judged, JudgementSink},
    semconv::{attribute as a, event},
};
use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{Span as _, SpanContext, SpanKind, TraceContextExt as _, TraceState, Tracer as _},
};
use opentelemetry_sdk::trace::SdkTracer;
use std::sync::Arc;

/// Adds judgements to traces, and passes them on.
pub(super) struct Evaluations {
    tracer: SdkTracer,
    /// True if comments may be exported: they are content.
    capture: bool,
    next: Arc<dyn JudgementSink>,
}

// === impl Evaluations ===

impl Evaluations {
    pub(super) fn new(tracer: SdkTracer, capture: bool, next: Arc<dyn JudgementSink>) -> Self {
        Self { tracer, capture, next }
    }

    fn attributes(&self, judged: &Judged) -> Vec<KeyValue> {
        let judgement = &judged.judgement;
        let judged_as = judgement.thumb.or(judgement.task_success);
        let value = judgement.normalized_score();
        let word =
            judgement.label.clone().or(judged_as.map(|good| if good { "pass" } else { "fail" }.to_owned()));
        let explanation = judgement.comment.clone().filter(|_| self.capture);
        let mut attributes = vec![
            KeyValue::new(a::EVALUATION_NAME, judgement.criterion.clone()),
            KeyValue::new(a::OUR_REQUEST_ID, judged.answer.request_id.clone()),
            KeyValue::new(a::JUDGE, judgement.judge_kind.clone()),
        ];
        attributes.extend(value.map(|value| KeyValue::new(a::EVALUATION_SCORE, value)));
        attributes.extend(word.map(|word| KeyValue::new(a::EVALUATION_LABEL, word)));
        attributes.extend(explanation.map(|words| KeyValue::new(a::EVALUATION_EXPLANATION, words)));
        attributes
    }
}

impl JudgementSink for Evaluations {
    fn judged(&self, judged: &Judged) {
        self.next.judged(judged);
        let mut span = self
            .tracer
            .span_builder(event::EVALUATION)
            .with_kind(SpanKind::Internal)
            .start_with_context(&self.tracer, &context_of(&judged.answer.trace_id, &judged.answer.span_id));
        span.add_event(event::EVALUATION, self.attributes(judged));
        span.end();
    }
}

/// The call's span as a parent; without ids a root of its own.
fn context_of(trace_id: &str, span_id: &str) -> Context {
    match (TraceId::from_hex(trace_id), SpanId::from_hex(span_id)) {
        (Ok(trace), Ok(span)) => {
            let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
            Context::new().with_remote_span_context(context)
        }
        _ => Context::new(),
    }
}
