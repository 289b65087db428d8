//! Metrics: the instruments, and what each end of a call and of an attempt records.
use super::{
    CallSink,
    attempt::AttemptEnd,
    bound_series::BoundSeries,
    dropped::Dropped,
    in_flight::InFlightCalls,
    spans::CallSpan,
    tokens::{TokenCounts, usd},
};
use crate::{
    config::GenAi,
    deployment::{Deployment, Labels},
    reason::reason_name,
    route::Task,
    rpc::{Method, Rpc},
    semconv::{attribute as a, bounds, is_servers_error, metric as m, status},
    snapshot::Snapshots,
    summary::{CallOutcome, CallSummary},
};
use opentelemetry::{
    KeyValue,
    metrics::{BoundHistogram, Counter, Histogram, Meter},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use switchboard_proto::{
    names::{action_name, resolution_name},
    v1::{self as pb, BreakerState, ErrorReason, Resolution, StopReason},
};

/// Times between the deltas of one deployment's streams.
pub(super) type ChunkTimes = BoundHistogram<f64>;

/// Ids of the series of a task and of a deployment, where there is one.
type OfModel = (Option<u64>, Option<u64>);

/// The instruments. Series of failures are not bound: they are rare.
#[derive(Debug)]
pub(super) struct Metrics {
    genai: GenAi,
    operation_duration: BoundSeries<Histogram<f64>, (u64, Method)>,
    /// By deployment, method and token type.
    token_usage: BoundSeries<Histogram<u64>, (u64, Method, &'static str)>,
    time_to_first_chunk: BoundSeries<Histogram<f64>, u64>,
    time_per_output_chunk: BoundSeries<Histogram<f64>, u64>,
    /// Input, output, cache read, cache write.
    dev_usage: [Counter<u64>; 4],
    rpc_duration: BoundSeries<Histogram<f64>, (Rpc, i32)>,
    /// By task and deployment, outcome and fault domain, for calls that have no reason and named their task.
    calls: BoundSeries<Counter<u64>, (OfModel, CallOutcome, &'static str)>,
    call_duration: BoundSeries<Histogram<f64>, (OfModel, Rpc)>,
    first_content: BoundSeries<Histogram<f64>, OfModel>,
    own_time: BoundSeries<Histogram<f64>, (Option<u64>, Rpc)>,
    /// By task and deployment, and kind of token.
    tokens: BoundSeries<Counter<u64>, (OfModel, &'static str)>,
    /// By task and deployment, and outcome.
    attempts: BoundSeries<Counter<u64>, (OfModel, &'static str)>,
    fallbacks: Counter<u64>,
    adjustments: Counter<u64>,
    interventions: Counter<u64>,
    truncations: Counter<u64>,
    /// By task and deployment, and whether the cost is estimated.
    cost: BoundSeries<Counter<f64>, (OfModel, bool)>,
    prices_unknown: Counter<u64>,
    shed: Counter<u64>,
}

/// Paths of adjustments that have a series of their own. Paths into callers' messages and fields contain
/// indices and names, so every other path is "other".
const KNOWN_PATHS: [&str; 12] = [
    "inference_config.max_tokens",
    "inference_config.temperature",
    "inference_config.top_p",
    "inference_config.stop_sequences",
    "additional_model_request_fields.top_k",
    "additional_model_request_fields",
    "tool_config.tool_choice",
    "tool_config.tools",
    "cache_point",
    "reasoning_content",
    "system",
    "messages",
];

// === impl Metrics ===

impl Metrics {
    pub(super) fn new(meter: &Meter, genai: GenAi) -> Self {
        let counter = |(name, unit)| meter.u64_counter(name).with_unit(unit).build();
        let seconds = |(name, unit), bounds: &[f64]| {
            meter.f64_histogram(name).with_unit(unit).with_boundaries(bounds.to_vec()).build()
        };
        let (usage, usage_unit) = m::TOKEN_USAGE;
        let token_usage = meter.u64_histogram(usage).with_unit(usage_unit);
        let (cost, cost_unit) = m::COST;
        Self {
            genai,
            operation_duration: BoundSeries::new(seconds(m::OPERATION_DURATION, &bounds::OPERATION)),
            token_usage: BoundSeries::new(token_usage.with_boundaries(bounds::TOKENS.to_vec()).build()),
            time_to_first_chunk: BoundSeries::new(seconds(m::TIME_TO_FIRST_CHUNK, &bounds::OPERATION)),
            time_per_output_chunk: BoundSeries::new(seconds(m::TIME_PER_OUTPUT_CHUNK, &bounds::OPERATION)),
            dev_usage: [m::DEV_INPUT, m::DEV_OUTPUT, m::DEV_CACHE_READ, m::DEV_CACHE_WRITE].map(counter),
            rpc_duration: BoundSeries::new(seconds(m::RPC_DURATION, &bounds::RPC)),
            calls: BoundSeries::new(counter(m::CALLS)),
            call_duration: BoundSeries::new(seconds(m::CALL_DURATION, &bounds::OPERATION)),
            first_content: BoundSeries::new(seconds(m::FIRST_CONTENT, &bounds::OPERATION)),
            own_time: BoundSeries::new(seconds(m::OWN_TIME, &bounds::OWN_TIME)),
            tokens: BoundSeries::new(counter(m::TOKENS)),
            attempts: BoundSeries::new(counter(m::ATTEMPTS)),
            fallbacks: counter(m::FALLBACKS),
            adjustments: counter(m::ADJUSTMENTS),
            interventions: counter(m::INTERVENTIONS),
            truncations: counter(m::TRUNCATIONS),
            cost: BoundSeries::new(meter.f64_counter(cost).with_unit(cost_unit).build()),
            prices_unknown: counter(m::PRICES_UNKNOWN),
            shed: counter(m::SHED),
        }
    }

    /// Where the times between the deltas of a deployment's streams are recorded: there are hundreds in an
    /// answer.
    pub(super) fn chunk_times(&self, deployment: &Deployment) -> Arc<ChunkTimes> {
        let attributes = || genai(deployment.labels(), Method::ConverseStream, None);
        self.time_per_output_chunk.bind(deployment.series(), attributes)
    }

    fn count_call(&self, summary: &CallSummary, of_model: OfModel) {
        let resolution = summary.resolution.filter(|resolution| *resolution != Resolution::Named);
        let attributes = || {
            set([
                task_label(summary).cloned(),
                model_label(summary).cloned(),
                Some(KeyValue::new(a::OUTCOME, summary.outcome.name())),
                summary.reason.map(|reason| KeyValue::new(a::REASON, reason_name(reason))),
                Some(KeyValue::new(a::FAULT_DOMAIN, summary.fault_domain.name())),
                summary.resolution.map(|it| KeyValue::new(a::RESOLUTION, resolution_name(it))),
            ])
        };
        if summary.reason.is_none() && resolution.is_none() {
            self.calls.record((of_model, summary.outcome, summary.fault_domain.name()), 1, attributes);
        } else {
            self.calls.instrument.add(1, &attributes());
        }
    }

    fn record_rpc(&self, summary: &CallSummary) {
        let CallSummary { rpc, code, total, .. } = summary;
        self.rpc_duration.record((*rpc, i32::from(*code)), total.as_secs_f64(), || {
            set([
                Some(KeyValue::new(a::RPC_SYSTEM, "grpc")),
                Some(KeyValue::new(a::RPC_METHOD, rpc.full_name())),
                Some(KeyValue::new(a::RPC_STATUS, status(*code))),
                is_servers_error(*code).then(|| KeyValue::new(a::ERROR_TYPE, status(*code))),
            ])
        });
    }

    pub(super) fn attempt_ended(
        &self,
        end: &AttemptEnd<'_>,
        first_chunk: Option<Duration>,
        task: Option<&Task>,
    ) {
        let labels = AttemptLabels {
            method: end.method,
            series: (task.map(|task| task.state().series), Some(end.deployment.series())),
            deployment: end.deployment,
            task: task.map(|task| &task.state().label),
        };
        self.record_result(end, &labels);
        if let Some(took) = first_chunk {
            let deployment = end.deployment.series();
            self.time_to_first_chunk.record(deployment, took.as_secs_f64(), || labels.genai(None));
        }
        let model = &end.deployment.labels().model;
        for adjustment in &end.attempt.adjustments {
            let path = KeyValue::new(a::PATH, known_path(&adjustment.path));
            let action = KeyValue::new(a::ACTION, action_name(adjustment.action()));
            self.adjustments.add(1, &[model.clone(), path, action]);
        }
        if let Some(usage) = &end.attempt.usage {
            self.record_usage(usage, &labels);
        } else if self.genai.is_dev() && end.method != Method::CountTokens {
            self.add_dev_usage([0, 0, 0, 0], &labels, "unknown");
        }
        if let Some(cost) = end.attempt.cost {
            self.cost.record((labels.series, cost.estimated), usd(cost), || {
                labels.of_model(KeyValue::new(a::ESTIMATED, cost.estimated))
            });
        }
        if end.is_unpriced {
            self.prices_unknown.add(1, std::slice::from_ref(model));
        }
    }

    fn record_result(&self, end: &AttemptEnd<'_>, labels: &AttemptLabels<'_>) {
        let took = end.took.as_secs_f64();
        let attempts = |reason: Option<KeyValue>| {
            let Labels { model, region, .. } = end.deployment.labels();
            let outcome = Some(KeyValue::new(a::OUTCOME, end.outcome));
            set([labels.task.cloned(), Some(model.clone()), Some(region.clone()), outcome, reason])
        };
        if end.reason == ErrorReason::Unspecified {
            let deployment = end.deployment.series();
            self.operation_duration.record((deployment, end.method), took, || labels.genai(None));
            self.attempts.record((labels.series, end.outcome), 1, || attempts(None));
        } else {
            let reason = reason_name(end.reason);
            let error = KeyValue::new(a::ERROR_TYPE, reason);
            self.operation_duration.instrument.record(took, &labels.genai(Some(error)));
            self.attempts.instrument.add(1, &attempts(Some(KeyValue::new(a::REASON, reason))));
        }
    }

    fn record_usage(&self, usage: &pb::TokenUsage, labels: &AttemptLabels<'_>) {
        let used = TokenCounts::of(usage);
        let kinds = [
            ("input", used.input),
            ("output", used.output),
            ("cache_read", used.cache_read),
            ("cache_write", used.cache_write),
        ];
        for (kind, tokens) in kinds.into_iter().filter(|(_, tokens)| *tokens > 0) {
            self.tokens
                .record((labels.series, kind), tokens, || labels.of_model(KeyValue::new(a::TYPE, kind)));
        }
        if self.genai.is_released() {
            for (kind, tokens) in [("input", used.all_input()), ("output", used.output)] {
                let key = (labels.deployment.series(), labels.method, kind);
                let attributes = || labels.genai(Some(KeyValue::new(a::TOKEN_TYPE, kind)));
                self.token_usage.record(key, tokens, attributes);
            }
        }
        if self.genai.is_dev() {
            let counts = [used.all_input(), used.output, used.cache_read, used.cache_write];
            self.add_dev_usage(counts, labels, "text");
        }
    }

    fn add_dev_usage(&self, counts: [u64; 4], labels: &AttemptLabels<'_>, modality: &'static str) {
        for (counter, tokens) in self.dev_usage.iter().zip(counts) {
            counter.add(tokens, &labels.genai(Some(KeyValue::new(a::TOKEN_MODALITY, modality))));
        }
    }
}

impl CallSink for Metrics {
    fn call_ended(&self, summary: &CallSummary, _: &CallSpan) {
        let task = summary.task.as_ref().map(|task| task.state().series);
        let of_model = (task, summary.served().map(|served| served.deployment.series()));
        self.count_call(summary, of_model);
        self.record_rpc(summary);
        let method = || KeyValue::new(a::METHOD, summary.rpc.name());
        if summary.outcome == CallOutcome::Shed {
            self.shed.add(1, &[method()]);
            return;
        }
        let task = || task_label(summary).cloned();
        let model = || model_label(summary).cloned();
        self.call_duration.record((of_model, summary.rpc), summary.total.as_secs_f64(), || {
            set([task(), Some(method()), model()])
        });
        self.own_time.record((of_model.0, summary.rpc), summary.own_time.as_secs_f64(), || {
            set([task(), Some(method())])
        });
        let attributes = || set([task(), model()]);
        if let Some(took) = summary.first_content {
            self.first_content.record(of_model, took.as_secs_f64(), attributes);
        }
        if let Some(reason) = summary.fallback {
            let reason = Some(KeyValue::new(a::REASON, reason_name(reason)));
            self.fallbacks.add(1, &set([task(), model(), reason]));
        }
        if summary.is_truncated() {
            self.truncations.add(1, &attributes());
        }
        if summary.stop_reason == Some(StopReason::GuardrailIntervened) {
            self.interventions.add(1, &attributes());
        }
    }
}

fn task_label(summary: &CallSummary) -> Option<&KeyValue> {
    summary.task.as_ref().map(|task| &task.state().label)
}

fn model_label(summary: &CallSummary) -> Option<&KeyValue> {
    summary.served().map(|served| &served.deployment.labels().model)
}

/// Attributes of an attempt.
struct AttemptLabels<'a> {
    method: Method,
    series: OfModel,
    deployment: &'a Deployment,
    task: Option<&'a KeyValue>,
}

impl AttemptLabels<'_> {
    /// Attributes of the GenAI conventions.
    fn genai(&self, more: Option<KeyValue>) -> Vec<KeyValue> {
        genai(self.deployment.labels(), self.method, more)
    }

    /// Attributes of our own metrics.
    fn of_model(&self, more: KeyValue) -> Vec<KeyValue> {
        set([self.task.cloned(), Some(self.deployment.labels().model.clone()), Some(more)])
    }
}

fn genai(labels: &Labels, method: Method, more: Option<KeyValue>) -> Vec<KeyValue> {
    set([
        Some(KeyValue::new(a::OPERATION, method.operation_name())),
        Some(KeyValue::new(a::PROVIDER, "aws.bedrock")),
        Some(labels.request_model.clone()),
        more,
    ])
}

/// Instruments that are read when the metrics are collected.
pub(super) fn observe(meter: &Meter, snapshots: &Snapshots, in_flight: &Arc<InFlightCalls>) {
    let (name, unit) = m::BREAKER_STATE;
    let current = snapshots.clone();
    let breakers = meter.u64_observable_gauge(name).with_unit(unit).with_callback(move |observer| {
        for deployment in current.borrow().routes.deployments() {
            let state = match deployment.breaker_state() {
                BreakerState::Open | BreakerState::ForcedOpen => 2,
                BreakerState::HalfOpen => 1,
                _ => 0,
            };
            let Labels { model, region, .. } = deployment.labels();
            let tier = deployment.key.service_tier.clone().map(|tier| KeyValue::new(a::SERVICE_TIER, tier));
            observer.observe(state, &set([Some(model.clone()), Some(region.clone()), tier]));
        }
    });
    breakers.build();
    let (name, unit) = m::CALLS_ACTIVE;
    let in_flight = Arc::clone(in_flight);
    let calls = meter.i64_observable_up_down_counter(name).with_unit(unit).with_callback(move |observer| {
        for (rpc, count) in in_flight.counts() {
            observer.observe(count, &[KeyValue::new(a::METHOD, rpc.name())]);
        }
    });
    calls.build();
    let (name, unit) = m::CONFIG_INFO;
    let current = snapshots.clone();
    let info = meter.u64_observable_gauge(name).with_unit(unit).with_callback(move |observer| {
        let version = current.borrow().version.clone();
        observer.observe(1, &[KeyValue::new(a::CONFIG_VERSION, version)]);
    });
    info.build();
}

/// Counts JSON members in Bedrock's replies that the contract does not have.
pub(super) fn observe_unknown_members(meter: &Meter, members: Arc<AtomicU64>) {
    let (name, unit) = m::GAPS;
    let counter = meter.u64_observable_counter(name).with_unit(unit);
    counter.with_callback(move |observer| observer.observe(members.load(Relaxed), &[])).build();
}

/// Counts spans and metrics that were lost.
pub(super) fn observe_losses(meter: &Meter, dropped: &Arc<Dropped>) {
    let (name, unit) = m::DROPPED;
    let dropped = Arc::clone(dropped);
    let losses = meter.u64_observable_counter(name).with_unit(unit).with_callback(move |observer| {
        let lost = [("traces", &dropped.lost_spans), ("metrics", &dropped.lost_exports)];
        for (signal, lost) in lost {
            observer.observe(lost.load(Relaxed), &[KeyValue::new(a::SIGNAL, signal)]);
        }
    });
    losses.build();
}

/// The longest known path that is equal to this one or contains it.
fn known_path(path: &str) -> &'static str {
    let within = |known: &&str| {
        path.strip_prefix(*known).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    KNOWN_PATHS.into_iter().filter(within).max_by_key(|known| known.len()).unwrap_or("other")
}

fn set<const N: usize>(attributes: [Option<KeyValue>; N]) -> Vec<KeyValue> {
    attributes.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_adjustments_are_bounded() {
        for (path, expected) in [
            ("inference_config.temperature", "inference_config.temperature"),
            ("messages[17].content[3]", "messages"),
            ("tool_config.tools[2].tool_spec.strict", "tool_config.tools"),
            ("additional_model_request_fields.invented", "additional_model_request_fields"),
            ("messagesque", "other"),
            ("", "other"),
        ] {
            assert_eq!(known_path(path), expected, "{path}");
        }
    }
}
