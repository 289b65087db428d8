//! Feedback in traces: the event `gen_ai.evaluation.result` in the trace of the answer.
//!
//! A span that has ended accepts no events, and the call's span has ended. The event is therefore in a span
//! of its own, a child of the call's. The span is always exported: judgements are rare, and more valuable
//! than the spans that a sampler drops.
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

/// Adds judgements to traces, and passes them to the next sink.
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
        let is_positive = judgement.thumb.or(judgement.task_success);
        let pass_or_fail = |is_positive| if is_positive { "pass" } else { "fail" };
        let label = judgement.label.clone().or(is_positive.map(|it| pass_or_fail(it).to_owned()));
        let score = judgement.normalized_score();
        let explanation = judgement.comment.clone().filter(|_| self.capture);
        let mut attributes = vec![
            KeyValue::new(a::EVALUATION_NAME, judgement.criterion.clone()),
            KeyValue::new(a::OUR_REQUEST_ID, judged.answer.request_id.clone()),
            KeyValue::new(a::JUDGE, judgement.judge_kind.clone()),
        ];
        attributes.extend(score.map(|score| KeyValue::new(a::EVALUATION_SCORE, score)));
        attributes.extend(label.map(|label| KeyValue::new(a::EVALUATION_LABEL, label)));
        attributes.extend(explanation.map(|text| KeyValue::new(a::EVALUATION_EXPLANATION, text)));
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

/// Context with the call's span as the parent. Without ids the new span is a root.
fn context_of(trace_id: &str, span_id: &str) -> Context {
    match (TraceId::from_hex(trace_id), SpanId::from_hex(span_id)) {
        (Ok(trace), Ok(span)) => {
            let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
            Context::new().with_remote_span_context(context)
        }
        _ => Context::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::{AnswerRecord, Judgement, LogJudgements, Score};
    use opentelemetry::{Value, trace::TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use std::time::SystemTime;

    fn judged(score: Score) -> Judged {
        let answer = AnswerRecord {
            request_id: "one".to_owned(),
            at: SystemTime::UNIX_EPOCH,
            task_type: "coding".to_owned(),
            model_id: "us.opus".to_owned(),
            region: "us-east-1".to_owned(),
            variant: String::new(),
            config_version: String::new(),
            trace_id: String::new(),
            span_id: String::new(),
        };
        let judgement = Judgement {
            judge_kind: "human".to_owned(),
            judge_id: "alice".to_owned(),
            criterion: "overall".to_owned(),
            thumb: None,
            score: Some(score),
            label: None,
            comment: None,
            task_success: None,
        };
        Judged { answer, judgement, replaced: false }
    }

    /// The difference between the ends of the widest scale is more than the largest f64.
    #[test]
    fn the_score_of_the_widest_scale_is_reported() {
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let evaluations = Evaluations::new(tracer, false, Arc::new(LogJudgements));
        for (value, expected) in [(f64::MAX, 1.0), (0.0, 0.5), (f64::MIN, 0.0)] {
            let attributes = evaluations.attributes(&judged(Score { value, min: f64::MIN, max: f64::MAX }));
            let score = attributes.iter().find(|attribute| attribute.key.as_str() == a::EVALUATION_SCORE);
            assert_eq!(score.map(|score| &score.value), Some(&Value::F64(expected)), "{value}");
        }
    }
}
