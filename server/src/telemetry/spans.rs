//! Spans: one for each call, a child of the caller's span, and under it one for each attempt.
//!
//! The call's span is a span of `tracing` that `tracing-opentelemetry` owns, so that other subscribers can
//! collect it too. The call's observer holds it and never enters it: entering it at each poll of a stream
//! would cost more than the poll. The spans of attempts are made through OpenTelemetry directly. Their dozen
//! attributes are known when they end, and `tracing` would take its registry's locks for each of them; it
//! also could not name a span after its model.
//!
//! Attributes that a sampler may look at are set when a span begins, the others at once when it ends. A span
//! that is not recorded costs its two ids.
use super::{
    CallSink, Style,
    attempt::{AttemptEnd, AttemptStart, TraceIds},
    tokens::{TokenCounts, usd},
};
use crate::{
    reason::reason_name,
    rpc::{Method, Rpc},
    semconv::{attribute as a, event, is_servers_error, status},
    summary::CallSummary,
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
use switchboard_proto::{
    names::{action_name, resolution_name},
    v1::{self as pb, ErrorReason},
};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Target of the spans that the layer of `tracing` exports.
pub(super) const TARGET: &str = "switchboard::call";

/// The span of a call; ends when dropped.
#[derive(Debug)]
pub(super) struct CallSpan {
    /// Keeps it open.
    _open: tracing::Span,
    /// Context of the span, or of the caller's span where nothing is traced here.
    context: Context,
}

/// The span of an attempt; ends when dropped.
pub(super) type AttemptSpan = Span;

// === impl CallSpan ===

impl CallSpan {
    /// Without a tracer there is only the caller's span.
    pub(super) fn begin(rpc: Rpc, headers: &HeaderMap, is_traced: bool) -> Self {
        let callers =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
        if !is_traced {
            return Self { _open: tracing::Span::none(), context: callers };
        }
        let name = rpc.full_name();
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

    /// Ids of the span, or of the caller's where nothing is traced here. `None`: there is none.
    pub(super) fn ids(&self) -> Option<TraceIds> {
        ids(self.context.span().span_context())
    }

    /// Adds an event.
    pub(super) fn event(&self, name: &'static str, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if self.is_recording() {
            self.context.span().add_event(name, attributes());
        }
    }

    /// The span of an attempt. `None`: the call is not recorded.
    pub(super) fn attempt(
        &self,
        tracer: &SdkTracer,
        start: &AttemptStart<'_>,
        style: Style,
    ) -> Option<AttemptSpan> {
        if !self.is_recording() {
            return None;
        }
        let labels = start.candidate.deployment.labels();
        let operation = start.method.operation_name();
        let mut attributes = vec![
            KeyValue::new(a::OPERATION, operation),
            KeyValue::new(a::PROVIDER, "aws.bedrock"),
            labels.request_model.clone(),
            labels.address.clone(),
            KeyValue::new(a::SERVER_PORT, labels.port),
            KeyValue::new(a::CLOUD_REGION, labels.region.value.clone()),
        ];
        if start.method == Method::ConverseStream {
            attributes.push(KeyValue::new(a::REQUEST_STREAM, true));
        }
        requested(start, &mut attributes);
        if style.capture {
            attributes.push(KeyValue::new(a::INPUT_MESSAGES, super::content::messages(start.request)));
            if !start.request.system.is_empty() {
                attributes.push(KeyValue::new(a::SYSTEM_INSTRUCTIONS, super::content::system(start.request)));
            }
        }
        let builder = tracer
            .span_builder(format!("{operation} {}", labels.model_id))
            .with_kind(SpanKind::Client)
            .with_attributes(attributes);
        Some(tracer.build_with_context(builder, &self.context))
    }
}

/// Sets the attributes of a call's span. The span ends when the call's observer is dropped.
#[derive(Debug)]
pub(super) struct SpanSink;

impl CallSink for SpanSink {
    fn call_ended(&self, summary: &CallSummary, span: &CallSpan) {
        if !span.is_recording() {
            return;
        }
        let span = span.context.span();
        for attribute in ended(summary) {
            span.set_attribute(attribute);
        }
        if is_servers_error(summary.code) {
            span.set_attribute(KeyValue::new(a::ERROR_TYPE, status(summary.code)));
            span.set_status(Status::error(summary.reason.map(reason_name).unwrap_or_default()));
        }
        span.add_event(event::ROUTE, decision(summary));
    }
}

/// The parameters of the request, after adjustments.
fn requested(start: &AttemptStart<'_>, attributes: &mut Vec<KeyValue>) {
    let inference = start.inference;
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
    let guardrail = start.request.guardrail_config.as_ref();
    if let Some(guardrail) = guardrail.and_then(|guardrail| guardrail.guardrail_identifier.as_deref()) {
        // An ARN has an account in it; the id is its last part.
        let id = guardrail.rsplit(['/', ':']).next().unwrap_or_default();
        attributes.push(KeyValue::new(a::GUARDRAIL_ID, id.to_owned()));
    }
    if start.hedge {
        attributes.push(KeyValue::new(a::OUR_HEDGE, true));
    }
}

/// What was observed of an attempt while it ran.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) first_chunk: Option<Duration>,
    pub(super) finish_reason: String,
    pub(super) answer: Option<String>,
}

/// Ends the span of an attempt.
pub(super) fn end_attempt(mut span: AttemptSpan, end: &AttemptEnd<'_>, observed: Observed, style: Style) {
    let Observed { first_chunk, finish_reason, answer } = observed;
    let mut attributes = vec![KeyValue::new(a::OUR_OUTCOME, end.outcome)];
    if end.reason != ErrorReason::Unspecified {
        let reason = reason_name(end.reason);
        attributes.push(KeyValue::new(a::ERROR_TYPE, reason));
        span.set_status(Status::error(reason));
    }
    if !end.attempt.bedrock_request_id.is_empty() {
        attributes.push(KeyValue::new(a::RESPONSE_ID, end.attempt.bedrock_request_id.clone()));
    }
    if !finish_reason.is_empty() {
        attributes.push(KeyValue::new(a::FINISH_REASONS, texts([finish_reason.clone()])));
    }
    if let Some(took) = first_chunk {
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
    if let Some(answer) = &answer {
        attributes.push(KeyValue::new(a::OUTPUT_MESSAGES, super::content::answer(answer, &finish_reason)));
    }
    span.set_attributes(attributes);
    span.end();
}

fn used(usage: &pb::TokenUsage, style: Style, attributes: &mut Vec<KeyValue>) {
    let counts = TokenCounts::of(usage);
    let mut add = |name, tokens: u64| {
        attributes.push(KeyValue::new(name, i64::try_from(tokens).unwrap_or(i64::MAX)));
    };
    add(a::INPUT_TOKENS, counts.all_input());
    add(a::OUTPUT_TOKENS, counts.output);
    if usage.cache_read_input_tokens.is_some() {
        add(a::CACHE_READ, counts.cache_read);
    }
    if usage.cache_write_input_tokens.is_some() {
        if style.genai.is_released() {
            add(a::CACHE_CREATION, counts.cache_write);
        }
        if style.genai.is_dev() {
            add(a::CACHE_WRITE, counts.cache_write);
        }
    }
}

fn ended(summary: &CallSummary) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(a::RPC_STATUS, status(summary.code)),
        KeyValue::new(a::OUR_OUTCOME, summary.outcome.name()),
        KeyValue::new(a::OUR_FAULT_DOMAIN, summary.fault_domain.name()),
        KeyValue::new(a::OUR_FALLBACK, summary.fallback.is_some()),
        KeyValue::new(a::OUR_ATTEMPTS, i64::try_from(summary.attempts.len()).unwrap_or(i64::MAX)),
        KeyValue::new(a::OUR_OWN_TIME, summary.own_time.as_secs_f64()),
    ];
    let mut add = |name, value: &str| {
        if !value.is_empty() {
            attributes.push(KeyValue::new(name, value.to_owned()));
        }
    };
    add(a::OUR_REQUEST_ID, &summary.request_id);
    add(a::OUR_CONFIG_VERSION, &summary.snapshot.version);
    add(a::OUR_REASON, summary.reason.map(reason_name).unwrap_or_default());
    add(a::OUR_TASK, summary.task.as_ref().map_or("", |task| &task.name));
    add(a::OUR_RESOLUTION, summary.resolution.map(resolution_name).unwrap_or_default());
    add(a::OUR_REQUESTED_TASK, &summary.requested_task);
    if let Some(served) = summary.served() {
        add(a::OUR_MODEL, &served.deployment.name);
        add(a::OUR_REGION, &served.attempt.region);
    }
    if let Some(cost) = summary.cost {
        attributes.push(KeyValue::new(a::OUR_COST, usd(cost)));
        attributes.push(KeyValue::new(a::OUR_COST_ESTIMATED, cost.estimated));
    }
    attributes
}

/// The candidates of the call, in order.
fn decision(summary: &CallSummary) -> Vec<KeyValue> {
    let candidates = summary.task.iter().flat_map(|task| task.candidates.iter());
    vec![KeyValue::new("candidates", texts(candidates.map(|candidate| candidate.deployment.name.clone())))]
}

fn texts(texts: impl IntoIterator<Item = String>) -> Value {
    Value::Array(Array::String(texts.into_iter().map(StringValue::from).collect()))
}

fn ids(context: &SpanContext) -> Option<TraceIds> {
    let (trace_id, span_id) = (context.trace_id(), context.span_id());
    context.is_valid().then(|| TraceIds { trace_id: trace_id.to_string(), span_id: span_id.to_string() })
}

/// Ids of an attempt's span. `None`: it is not valid.
pub(super) fn ids_of(span: &AttemptSpan) -> Option<TraceIds> {
    ids(span.span_context())
}

/// Attributes of the event of a skipped candidate.
pub(super) fn skipped(model: &str, reason: &'static str) -> Vec<KeyValue> {
    vec![KeyValue::new(a::MODEL, model.to_owned()), KeyValue::new(a::REASON, reason)]
}

/// Attributes of the event of an adjusted request.
pub(super) fn adjusted(start: &AttemptStart<'_>) -> Vec<KeyValue> {
    let made = start.adjustments.iter().map(|made| format!("{} {}", action_name(made.action()), made.path));
    vec![start.candidate.deployment.labels().model.clone(), KeyValue::new(a::OUR_ADJUSTMENTS, texts(made))]
}

/// Attribute of an event that happened `took` after the call's arrival.
pub(super) fn after(took: Duration) -> Vec<KeyValue> {
    vec![KeyValue::new("seconds", took.as_secs_f64())]
}
