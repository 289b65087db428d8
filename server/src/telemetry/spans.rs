//! Spans: one for each call, joined to its caller's trace, and under it one for each attempt.
//!
//! The call's span is a span of `tracing` that `tracing-opentelemetry` owns, so that it has its place among whatever else a
//! subscriber collects. It is held by the call's record, never entered: entering it at each poll of a stream would cost more
//! than the poll. The spans of attempts are made through OpenTelemetry itself. What they say is known when they end, a dozen
//! attributes at once, and `tracing` would take its registry's locks for every one; nor could it name a span for its model.
//!
//! What a sampler may look at is set when a span begins, the rest in one go when it ends; a span that nobody records costs
//! its two ids.
use super::{
    Style,
    ends::{AttemptBegin, AttemptEnd, CallEnd},
    labels::TargetLabels,
    metrics::{Kinds, usd},
    names::{attribute as a, event, full_method, is_servers_error, status},
};
use http::HeaderMap;
use opentelemetry::{
    Array, Context, KeyValue, StringValue, Value,
    propagation::TextMapPropagator as _,
    trace::{Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{SdkTracer, Span},
};
use std::time::Duration;
use switchboard_proto::{names::action_name, v1 as pb};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// What the layer of `tracing` listens to.
pub(super) const TARGET: &str = "switchboard::call";

/// The span of a call; ends when dropped.
#[derive(Debug)]
pub(super) struct CallSpan {
    /// Keeps it open.
    _open: tracing::Span,
    /// Of the span, or of the caller where nothing is traced here.
    context: Context,
}

/// The span of an attempt; ends when dropped.
pub(super) type AttemptSpan = Span;

// === impl CallSpan ===

impl CallSpan {
    /// Without a tracer there is only the caller's.
    pub(super) fn begin(method: &'static str, headers: &HeaderMap, is_traced: bool) -> Self {
        let callers =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
        if !is_traced {
            return Self { _open: tracing::Span::none(), context: callers };
        }
        let name = full_method(method);
        let open = tracing::info_span!(
            target: TARGET,
            parent: None,
            "call",
            otel.name = name,
            otel.kind = "server",
            rpc.system.name = "grpc",
            rpc.method = name,
        );
        if open.is_disabled() || open.set_parent(callers.clone()).is_err() {
            return Self { _open: tracing::Span::none(), context: callers };
        }
        let context = open.context();
        Self { _open: open, context }
    }

    pub(super) fn is_recording(&self) -> bool {
        self.context.span().is_recording()
    }

    /// The trace's and the span's, in hexadecimal. Absent: there is none.
    pub(super) fn ids(&self) -> (Option<String>, Option<String>) {
        ids(self.context.span().span_context())
    }

    /// Something happened.
    pub(super) fn event(&self, name: &'static str, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if self.is_recording() {
            self.context.span().add_event(name, attributes());
        }
    }

    pub(super) fn attempt(
        &self,
        tracer: &SdkTracer,
        begin: &AttemptBegin<'_>,
        (operation, is_stream): (&'static str, bool),
        target: &TargetLabels,
        style: Style,
    ) -> Option<AttemptSpan> {
        if !self.is_recording() {
            return None;
        }
        let mut attributes = vec![
            KeyValue::new(a::OPERATION, operation),
            KeyValue::new(a::PROVIDER, "aws.bedrock"),
            target.request_model.clone(),
            target.address.clone(),
            KeyValue::new(a::SERVER_PORT, target.port),
            KeyValue::new(a::CLOUD_REGION, target.region.value.clone()),
        ];
        if is_stream {
            attributes.push(KeyValue::new(a::REQUEST_STREAM, true));
        }
        asked(begin, &mut attributes);
        if style.capture {
            attributes.push(KeyValue::new(a::INPUT_MESSAGES, super::content::messages(begin.request)));
            if !begin.request.system.is_empty() {
                attributes.push(KeyValue::new(a::SYSTEM_INSTRUCTIONS, super::content::system(begin.request)));
            }
        }
        let builder = tracer
            .span_builder(format!("{operation} {}", target.model_id))
            .with_kind(SpanKind::Client)
            .with_attributes(attributes);
        Some(tracer.build_with_context(builder, &self.context))
    }

    /// What there is to say at the end; it ends when it is dropped.
    pub(super) fn end(&self, end: &CallEnd<'_>) {
        if !self.is_recording() {
            return;
        }
        let span = self.context.span();
        for attribute in ended(end) {
            span.set_attribute(attribute);
        }
        if is_servers_error(end.code) {
            span.set_attribute(KeyValue::new(a::ERROR_TYPE, status(end.code)));
            span.set_status(Status::error(end.reason.to_owned()));
        }
        span.add_event(event::ROUTE, decision(end));
    }
}

/// What was asked of the model, after what was changed of it.
fn asked(begin: &AttemptBegin<'_>, attributes: &mut Vec<KeyValue>) {
    let inference = begin.inference;
    if let Some(most) = inference.max_tokens {
        attributes.push(KeyValue::new(a::MAX_TOKENS, i64::from(most)));
    }
    if let Some(temperature) = inference.temperature {
        attributes.push(KeyValue::new(a::TEMPERATURE, temperature));
    }
    if let Some(top_p) = inference.top_p {
        attributes.push(KeyValue::new(a::TOP_P, top_p));
    }
    if !inference.stop_sequences.is_empty() {
        attributes.push(KeyValue::new(a::STOP_SEQUENCES, texts(inference.stop_sequences.iter().cloned())));
    }
    let guardrail = begin.request.guardrail_config.as_ref();
    if let Some(guardrail) = guardrail.and_then(|guardrail| guardrail.guardrail_identifier.as_deref()) {
        // An ARN has an account in it; the id is its last part.
        let id = guardrail.rsplit(['/', ':']).next().unwrap_or_default();
        attributes.push(KeyValue::new(a::GUARDRAIL_ID, id.to_owned()));
    }
    if begin.hedge {
        attributes.push(KeyValue::new(a::OUR_HEDGE, true));
    }
}

/// Ends the span of an attempt.
pub(super) fn end_attempt(mut span: AttemptSpan, end: &AttemptEnd<'_>, style: Style) {
    let mut attributes = vec![KeyValue::new(a::OUR_OUTCOME, end.outcome)];
    if !end.reason.is_empty() {
        attributes.push(KeyValue::new(a::ERROR_TYPE, end.reason.to_owned()));
        span.set_status(Status::error(end.reason.to_owned()));
    }
    if !end.attempt.bedrock_request_id.is_empty() {
        attributes.push(KeyValue::new(a::RESPONSE_ID, end.attempt.bedrock_request_id.clone()));
    }
    if !end.finish_reason.is_empty() {
        attributes.push(KeyValue::new(a::FINISH_REASONS, texts([end.finish_reason.to_owned()])));
    }
    if let Some(took) = end.first_chunk {
        attributes.push(KeyValue::new(a::TIME_TO_FIRST_CHUNK, took.as_secs_f64()));
    }
    if let Some(usage) = &end.attempt.usage {
        used(usage, style, &mut attributes);
    }
    if !end.attempt.adjustments.is_empty() {
        let made = end
            .attempt
            .adjustments
            .iter()
            .map(|made| format!("{} {}", action_name(made.action()), made.path));
        attributes.push(KeyValue::new(a::OUR_ADJUSTMENTS, texts(made)));
    }
    if let Some(cost) = end.attempt.cost {
        attributes.push(KeyValue::new(a::OUR_COST, usd(cost)));
        attributes.push(KeyValue::new(a::OUR_COST_ESTIMATED, cost.estimated));
    }
    if let Some(answer) = &end.answer {
        attributes.push(KeyValue::new(a::OUTPUT_MESSAGES, super::content::answer(answer, end.finish_reason)));
    }
    span.set_attributes(attributes);
    span.end();
}

fn used(usage: &pb::TokenUsage, style: Style, attributes: &mut Vec<KeyValue>) {
    let kinds = Kinds::of(usage);
    let mut add = |name, tokens: u64| {
        attributes.push(KeyValue::new(name, i64::try_from(tokens).unwrap_or(i64::MAX)));
    };
    add(a::INPUT_TOKENS, kinds.all_input());
    add(a::OUTPUT_TOKENS, kinds.output);
    if usage.cache_read_input_tokens.is_some() {
        add(a::CACHE_READ, kinds.cache_read);
    }
    if usage.cache_write_input_tokens.is_some() {
        if style.genai.is_released() {
            add(a::CACHE_CREATION, kinds.cache_write);
        }
        if style.genai.is_dev() {
            add(a::CACHE_WRITE, kinds.cache_write);
        }
    }
}

fn ended(end: &CallEnd<'_>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(a::RPC_STATUS, status(end.code)),
        KeyValue::new(a::OUR_OUTCOME, end.ended.word()),
        KeyValue::new(a::OUR_FAULT_DOMAIN, end.domain.word()),
        KeyValue::new(a::OUR_FALLBACK, end.fell_back.is_some()),
        KeyValue::new(a::OUR_ATTEMPTS, i64::try_from(end.attempts).unwrap_or(i64::MAX)),
        KeyValue::new(a::OUR_OWN_TIME, end.own_time.as_secs_f64()),
    ];
    let mut add = |name, value: &str| {
        if !value.is_empty() {
            attributes.push(KeyValue::new(name, value.to_owned()));
        }
    };
    add(a::OUR_REQUEST_ID, end.request_id);
    add(a::OUR_CONFIG_VERSION, end.config_version);
    add(a::OUR_REASON, end.reason);
    add(a::OUR_TASK, end.task.map_or("", |task| &task.name));
    add(a::OUR_RESOLUTION, end.resolution.unwrap_or_default());
    add(a::OUR_REQUESTED_TASK, end.requested_task);
    if let Some(served) = end.served() {
        add(a::OUR_MODEL, served.name);
        add(a::OUR_REGION, &served.attempt.region);
    }
    if let Some(cost) = end.cost {
        attributes.push(KeyValue::new(a::OUR_COST, usd(cost)));
        attributes.push(KeyValue::new(a::OUR_COST_ESTIMATED, cost.estimated));
    }
    attributes
}

/// Who was considered, in order.
fn decision(end: &CallEnd<'_>) -> Vec<KeyValue> {
    let candidates = end.task.iter().flat_map(|task| &task.candidates);
    vec![KeyValue::new("candidates", texts(candidates.map(|candidate| candidate.name.clone())))]
}

fn texts(texts: impl IntoIterator<Item = String>) -> Value {
    Value::Array(Array::String(texts.into_iter().map(StringValue::from).collect()))
}

fn ids(context: &SpanContext) -> (Option<String>, Option<String>) {
    if !context.is_valid() {
        return (None, None);
    }
    (Some(context.trace_id().to_string()), Some(context.span_id().to_string()))
}

/// The ids of a span. Absent: there is none.
pub(super) fn ids_of(span: Option<&AttemptSpan>) -> (Option<String>, Option<String>) {
    span.map_or((None, None), |span| ids(span.span_context()))
}

/// As an attribute.
pub(super) fn skipped(model: &str, reason: &'static str) -> Vec<KeyValue> {
    vec![KeyValue::new(a::MODEL, model.to_owned()), KeyValue::new(a::REASON, reason)]
}

/// As attributes.
pub(super) fn adjusted(begin: &AttemptBegin<'_>) -> Vec<KeyValue> {
    let made = begin.adjustments.iter().map(|made| format!("{} {}", action_name(made.action()), made.path));
    vec![
        KeyValue::new(a::MODEL, begin.candidate.name.clone()),
        KeyValue::new(a::OUR_ADJUSTMENTS, texts(made)),
    ]
}

/// As an attribute.
pub(super) fn after(took: Duration) -> Vec<KeyValue> {
    vec![KeyValue::new("seconds", took.as_secs_f64())]
}
