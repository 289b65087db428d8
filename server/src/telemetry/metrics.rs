//! Metrics: the instruments, and what each end of a call and of an attempt tells them.
use super::{
    active::Active,
    ends::{AttemptEnd, CallEnd, Ended},
    exporters::Dropped,
    labels::{Labels, TargetLabels},
    names::{attribute as a, bounds, full_method, is_servers_error, metric as m, status},
    series::Series,
};
use crate::{
    attempt::targets::Targets,
    config::GenAi,
    route::{Routes, Task},
};
use opentelemetry::{
    KeyValue,
    metrics::{BoundHistogram, Counter, Histogram, Meter},
};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use switchboard_proto::{
    names::action_name,
    v1::{self as pb, BreakerState, StopReason},
};

/// The instruments.
#[derive(Debug)]
pub(super) struct Metrics {
    genai: GenAi,
    /// By target and operation, where nothing failed.
    operation_duration: Series<Histogram<f64>, (usize, &'static str)>,
    /// By target, operation and kind.
    token_usage: Series<Histogram<u64>, (usize, &'static str, &'static str)>,
    time_to_first_chunk: Histogram<f64>,
    time_per_output_chunk: Histogram<f64>,
    /// The same by [`crate::route::Candidate::target`], its attributes looked up with the first chunk: there are hundreds in
    /// an answer.
    chunks: Box<[OnceLock<BoundHistogram<f64>>]>,
    /// Input, output, cache read, cache write.
    dev_usage: [Counter<u64>; 4],
    /// By method and status.
    rpc_duration: Series<Histogram<f64>, (&'static str, i32)>,
    /// By task and target, how it ended and whose fault it was, where there is no reason.
    calls: Series<Counter<u64>, (OfModel, &'static str, &'static str)>,
    /// By task, target and method.
    call_duration: Series<Histogram<f64>, (OfModel, &'static str)>,
    /// By task and target.
    first_content: Series<Histogram<f64>, OfModel>,
    /// By task and method.
    own_time: Series<Histogram<f64>, (Option<usize>, &'static str)>,
    /// By task, target and kind.
    tokens: Series<Counter<u64>, (OfModel, &'static str)>,
    /// By task, target and outcome, where nothing failed.
    attempts: Series<Counter<u64>, (OfModel, &'static str)>,
    fallbacks: Counter<u64>,
    adjustments: Counter<u64>,
    interventions: Counter<u64>,
    truncations: Counter<u64>,
    /// By task and target, and whether it is estimated.
    cost: Series<Counter<f64>, (OfModel, bool)>,
    prices_unknown: Counter<u64>,
    shed: Counter<u64>,
}

/// A [`Task::index`] and a [`crate::route::Candidate::target`], where there is one.
type OfModel = (Option<usize>, Option<usize>);

/// The paths of adjustments that have a series of their own. Callers' messages and fields have indices and names in them,
/// so what is beyond these is "other".
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
    pub(super) fn new(meter: &Meter, genai: GenAi, labels: &Labels) -> Self {
        let counter = |(name, unit)| meter.u64_counter(name).with_unit(unit).build();
        let seconds = |(name, unit), bounds: &[f64]| {
            meter.f64_histogram(name).with_unit(unit).with_boundaries(bounds.to_vec()).build()
        };
        let (usage, usage_unit) = m::TOKEN_USAGE;
        let token_usage = meter.u64_histogram(usage).with_unit(usage_unit);
        let (cost, cost_unit) = m::COST;
        Self {
            genai,
            operation_duration: Series::new(seconds(m::OPERATION_DURATION, &bounds::OPERATION)),
            token_usage: Series::new(token_usage.with_boundaries(bounds::TOKENS.to_vec()).build()),
            time_to_first_chunk: seconds(m::TIME_TO_FIRST_CHUNK, &bounds::OPERATION),
            time_per_output_chunk: seconds(m::TIME_PER_OUTPUT_CHUNK, &bounds::OPERATION),
            chunks: labels.targets().map(|_| OnceLock::new()).collect(),
            dev_usage: [m::DEV_INPUT, m::DEV_OUTPUT, m::DEV_CACHE_READ, m::DEV_CACHE_WRITE].map(counter),
            rpc_duration: Series::new(seconds(m::RPC_DURATION, &bounds::RPC)),
            calls: Series::new(counter(m::CALLS)),
            call_duration: Series::new(seconds(m::CALL_DURATION, &bounds::OPERATION)),
            first_content: Series::new(seconds(m::FIRST_CONTENT, &bounds::OPERATION)),
            own_time: Series::new(seconds(m::OWN_TIME, &bounds::OWN_TIME)),
            tokens: Series::new(counter(m::TOKENS)),
            attempts: Series::new(counter(m::ATTEMPTS)),
            fallbacks: counter(m::FALLBACKS),
            adjustments: counter(m::ADJUSTMENTS),
            interventions: counter(m::INTERVENTIONS),
            truncations: counter(m::TRUNCATIONS),
            cost: Series::new(meter.f64_counter(cost).with_unit(cost_unit).build()),
            prices_unknown: counter(m::PRICES_UNKNOWN),
            shed: counter(m::SHED),
        }
    }

    pub(super) fn call_ended(&self, end: &CallEnd<'_>, labels: &Labels) {
        let task = end.task.and_then(|task| labels.task(task));
        let served = end.served().and_then(|last| labels.target(last.target));
        let model = served.map(|target| &target.model);
        let of_model = (end.task.map(|task| task.index), end.served().map(|last| last.target));
        let method = || KeyValue::new(a::METHOD, end.method);

        let counted = || {
            set([
                task.cloned(),
                model.cloned(),
                Some(KeyValue::new(a::OUTCOME, end.ended.word())),
                some(a::REASON, end.reason),
                Some(KeyValue::new(a::FAULT_DOMAIN, end.domain.word())),
                end.resolution.map(|resolution| KeyValue::new(a::RESOLUTION, resolution)),
            ])
        };
        if end.reason.is_empty() && end.resolution == Some("named") {
            self.calls.tell((of_model, end.ended.word(), end.domain.word()), 1, counted);
        } else {
            self.calls.instrument.add(1, &counted());
        }
        self.rpc_duration.tell((end.method, i32::from(end.code)), end.total.as_secs_f64(), || {
            set([
                Some(KeyValue::new(a::RPC_SYSTEM, "grpc")),
                Some(KeyValue::new(a::RPC_METHOD, full_method(end.method))),
                Some(KeyValue::new(a::RPC_STATUS, status(end.code))),
                is_servers_error(end.code).then(|| KeyValue::new(a::ERROR_TYPE, status(end.code))),
            ])
        });
        if end.ended == Ended::Shed {
            self.shed.add(1, &[method()]);
            return;
        }
        let with_model = || set([task.cloned(), Some(method()), model.cloned()]);
        self.call_duration.tell((of_model, end.method), end.total.as_secs_f64(), with_model);
        let of_task = || set([task.cloned(), Some(method())]);
        self.own_time.tell((of_model.0, end.method), end.own_time.as_secs_f64(), of_task);
        let attributes = || set([task.cloned(), model.cloned()]);
        if let Some(took) = end.first_content {
            self.first_content.tell(of_model, took.as_secs_f64(), attributes);
        }
        if let Some(reason) = end.fell_back {
            let reason = some(a::REASON, reason);
            self.fallbacks.add(1, &set([task.cloned(), model.cloned(), reason]));
        }
        if end.is_truncated() {
            self.truncations.add(1, &attributes());
        }
        if end.stop == Some(StopReason::GuardrailIntervened) {
            self.interventions.add(1, &attributes());
        }
    }

    pub(super) fn attempt_ended(
        &self,
        end: &AttemptEnd<'_>,
        operation: &'static str,
        task: Option<&Task>,
        labels: &Labels,
    ) {
        let Some(target) = labels.target(end.target) else { return };
        let told = Told {
            operation,
            index: (task.map(|task| task.index), Some(end.target)),
            target,
            task: task.and_then(|task| labels.task(task)),
        };
        let took = end.took.as_secs_f64();
        let attempts = |error: Option<KeyValue>| {
            let outcome = Some(KeyValue::new(a::OUTCOME, end.outcome));
            set([told.task.cloned(), Some(target.model.clone()), Some(target.region.clone()), outcome, error])
        };
        if end.reason.is_empty() {
            self.operation_duration.tell((end.target, operation), took, || told.genai(None));
            self.attempts.tell((told.index, end.outcome), 1, || attempts(None));
        } else {
            let error = some(a::ERROR_TYPE, end.reason);
            self.operation_duration.instrument.record(took, &told.genai(error));
            self.attempts.instrument.add(1, &attempts(some(a::REASON, end.reason)));
        }
        if let Some(took) = end.first_chunk {
            self.time_to_first_chunk.record(took.as_secs_f64(), &told.genai(None));
        }
        for adjustment in &end.attempt.adjustments {
            self.adjustments.add(
                1,
                &[
                    target.model.clone(),
                    KeyValue::new(a::PATH, known_path(&adjustment.path)),
                    KeyValue::new(a::ACTION, action_name(adjustment.action())),
                ],
            );
        }
        if let Some(usage) = &end.attempt.usage {
            self.used(usage, &told);
        } else if self.genai.is_dev() && operation == "chat" {
            self.add_dev([0, 0, 0, 0], &told, "unknown");
        }
        if let Some(cost) = end.attempt.cost {
            self.cost.tell((told.index, cost.estimated), usd(cost), || {
                told.of_model(KeyValue::new(a::ESTIMATED, cost.estimated))
            });
        }
        if end.is_unpriced {
            self.prices_unknown.add(1, std::slice::from_ref(&target.model));
        }
    }

    /// One chunk of a stream after its first.
    pub(super) fn chunk(&self, target: usize, took: Duration, labels: &Labels) {
        let Some((known, target)) = self.chunks.get(target).zip(labels.target(target)) else { return };
        let bound = known.get_or_init(|| {
            let told = Told { operation: "chat", index: (None, None), target, task: None };
            self.time_per_output_chunk.bind(&told.genai(None))
        });
        bound.record(took.as_secs_f64());
    }

    fn used(&self, usage: &pb::TokenUsage, told: &Told<'_>) {
        let used = Kinds::of(usage);
        let kinds = [
            ("input", used.input),
            ("output", used.output),
            ("cache_read", used.cache_read),
            ("cache_write", used.cache_write),
        ];
        for (kind, tokens) in kinds.into_iter().filter(|(_, tokens)| *tokens > 0) {
            self.tokens.tell((told.index, kind), tokens, || told.of_model(KeyValue::new(a::TYPE, kind)));
        }
        if let (true, Some(target)) = (self.genai.is_released(), told.index.1) {
            for (kind, tokens) in [("input", used.all_input()), ("output", used.output)] {
                self.token_usage.tell((target, told.operation, kind), tokens, || {
                    told.genai(Some(KeyValue::new(a::TOKEN_TYPE, kind)))
                });
            }
        }
        if self.genai.is_dev() {
            let counts = [used.all_input(), used.output, used.cache_read, used.cache_write];
            self.add_dev(counts, told, "text");
        }
    }

    fn add_dev(&self, counts: [u64; 4], told: &Told<'_>, modality: &'static str) {
        for (counter, tokens) in self.dev_usage.iter().zip(counts) {
            counter.add(tokens, &told.genai(Some(KeyValue::new(a::TOKEN_MODALITY, modality))));
        }
    }
}

/// Whose attempt is told of.
struct Told<'a> {
    operation: &'static str,
    index: OfModel,
    target: &'a TargetLabels,
    task: Option<&'a KeyValue>,
}

impl Told<'_> {
    /// As the conventions name a model.
    fn genai(&self, more: Option<KeyValue>) -> Vec<KeyValue> {
        set([
            Some(KeyValue::new(a::OPERATION, self.operation)),
            Some(KeyValue::new(a::PROVIDER, "aws.bedrock")),
            Some(self.target.request_model.clone()),
            more,
        ])
    }

    /// As we name it.
    fn of_model(&self, more: KeyValue) -> Vec<KeyValue> {
        set([self.task.cloned(), Some(self.target.model.clone()), Some(more)])
    }
}

/// What is looked at when the metrics are collected.
pub(super) fn observe(meter: &Meter, targets: &Arc<Targets>, active: &Arc<Active>, routes: &Routes) {
    let (name, unit) = m::BREAKER_STATE;
    let targets = Arc::clone(targets);
    let breakers = meter.u64_observable_gauge(name).with_unit(unit).with_callback(move |observer| {
        for (target, state) in targets.states() {
            let state = match state {
                BreakerState::Open | BreakerState::ForcedOpen => 2,
                BreakerState::HalfOpen => 1,
                _ => 0,
            };
            let tier = target.service_tier.clone().map(|tier| KeyValue::new(a::SERVICE_TIER, tier));
            observer.observe(
                state,
                &set([
                    Some(KeyValue::new(a::MODEL, target.name.clone())),
                    Some(KeyValue::new(a::REGION, target.region.clone())),
                    tier,
                ]),
            );
        }
    });
    breakers.build();
    let (name, unit) = m::CALLS_ACTIVE;
    let active = Arc::clone(active);
    let calls = meter.i64_observable_up_down_counter(name).with_unit(unit).with_callback(move |observer| {
        for (method, count) in active.counts() {
            observer.observe(count, &[KeyValue::new(a::METHOD, method)]);
        }
    });
    calls.build();
    let (name, unit) = m::CONFIG_INFO;
    let version = KeyValue::new(a::CONFIG_VERSION, routes.version().to_owned());
    let info = meter.u64_observable_gauge(name).with_unit(unit);
    info.with_callback(move |observer| observer.observe(1, std::slice::from_ref(&version))).build();
}

/// What Bedrock said and nobody could hear.
pub(super) fn observe_gaps(meter: &Meter, gaps: Arc<AtomicU64>) {
    let (name, unit) = m::GAPS;
    let counter = meter.u64_observable_counter(name).with_unit(unit);
    counter.with_callback(move |observer| observer.observe(gaps.load(Relaxed), &[])).build();
}

/// What was lost on its way.
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

/// What was used, by kind; what Bedrock did not say is nothing.
pub(super) struct Kinds {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write: u64,
}

impl Kinds {
    pub(super) fn of(usage: &pb::TokenUsage) -> Self {
        let count = |tokens: i32| u64::try_from(tokens).unwrap_or(0);
        Self {
            input: count(usage.input_tokens),
            output: count(usage.output_tokens),
            cache_read: count(usage.cache_read_input_tokens.unwrap_or(0)),
            cache_write: count(usage.cache_write_input_tokens.unwrap_or(0)),
        }
    }

    /// As the conventions count input: with what was cached.
    pub(super) fn all_input(&self) -> u64 {
        self.input + self.cache_read + self.cache_write
    }
}

/// For charts; bills are made of the integers.
#[expect(clippy::cast_precision_loss, reason = "a chart needs no more than fifteen digits")]
pub(super) fn usd(cost: pb::Cost) -> f64 {
    cost.pico_usd as f64 / 1e12
}

/// The longest of the known paths that this one is, or lies within.
fn known_path(path: &str) -> &'static str {
    let within = |known: &&str| {
        path.strip_prefix(*known).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    KNOWN_PATHS.into_iter().filter(within).max_by_key(|known| known.len()).unwrap_or("other")
}

fn some(name: &'static str, value: &str) -> Option<KeyValue> {
    (!value.is_empty()).then(|| KeyValue::new(name, value.to_owned()))
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

    #[test]
    fn what_was_cached_is_input_too() {
        let usage = pb::TokenUsage {
            input_tokens: 5,
            output_tokens: 7,
            cache_read_input_tokens: Some(11),
            cache_write_input_tokens: Some(13),
            ..Default::default()
        };
        let kinds = Kinds::of(&usage);
        assert_eq!((kinds.all_input(), kinds.input, kinds.output), (29, 5, 7));
    }
}
