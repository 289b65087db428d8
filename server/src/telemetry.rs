//! Observability: traces, metrics and one log line for each call.
//!
//! ```text
//!   a call    ──▶ CallObserver      its span; calls in flight          observer.rs, spans.rs, in_flight.rs
//!   attempts  ──▶ AttemptObserver   a span under it; delta times
//!   the end   ──▶ CallSummary       to every CallSink
//!                   ├─▶ spans ─▶ error_sampling.rs ─▶ OTLP              exporters.rs
//!                   ├─▶ metrics ─▶ OTLP, or a page for Prometheus       metrics.rs, prometheus.rs
//!                   └─▶ the log                                         log.rs
//! ```
//!
//! Nothing here waits: spans and metrics are exported from threads of their own. What a collector does not
//! accept is lost and counted (`switchboard.telemetry.dropped`); no call notices.
mod attempt;
mod bound_series;
mod content;
mod dropped;
mod error_sampling;
mod evaluation;
mod exporters;
mod in_flight;
mod log;
mod metrics;
mod observer;
mod prometheus;
mod quality;
pub mod settings;
mod spans;
mod tokens;

pub(crate) use attempt::{AttemptEnd, AttemptStart};
pub(crate) use observer::{AttemptObserver, CallObserver};

use crate::{
    config::{self, GenAi},
    feedback::{JudgementSink, LogJudgements},
    semconv,
    snapshot::Snapshots,
    summary::CallSummary,
};
use ::prometheus::Registry;
use dropped::Dropped;
use evaluation::Evaluations;
use exporters::ExportRuntime;
use in_flight::InFlightCalls;
use metrics::Metrics;
use opentelemetry::{metrics::MeterProvider as _, trace::TracerProvider as _};
use opentelemetry_sdk::{
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{SdkTracer, SdkTracerProvider},
};
use settings::Settings;
use spans::CallSpan;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::net::TcpListener;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, filter_fn},
    registry::LookupSpan,
};

/// What is exported, and how. The default exports nothing.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    page: Option<Registry>,
    dropped: Arc<Dropped>,
    /// Absent: nothing is sent.
    _exports: Option<Arc<ExportRuntime>>,
    style: Style,
}

/// Form of spans and metrics.
#[derive(Clone, Copy, Debug, Default)]
struct Style {
    genai: GenAi,
    capture: bool,
}

/// Where the calls of a server report to.
#[derive(Debug)]
pub struct Observability {
    tracer: Option<SdkTracer>,
    metrics: Option<Arc<Metrics>>,
    in_flight: Arc<InFlightCalls>,
    style: Style,
    /// In the order in which they get each summary.
    sinks: Vec<Arc<dyn CallSink>>,
    /// True once the drain timeout is over: what is dropped now was cut off, and has not been cancelled.
    is_cut_off: AtomicBool,
}

impl Observability {
    /// From now on a call whose record is dropped was cut off by this server.
    pub(crate) fn cut_off(&self) {
        self.is_cut_off.store(true, Relaxed);
    }
}

/// Receives the summary of every call.
trait CallSink: std::fmt::Debug + Send + Sync {
    /// A call has ended. Must not block.
    fn call_ended(&self, summary: &CallSummary, span: &CallSpan);
}

/// Why telemetry cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub(crate) String);

// === impl Telemetry ===

impl Telemetry {
    /// Starts the exporters that the settings name.
    ///
    /// # Errors
    /// When an exporter cannot be made: a wrong endpoint, or certificates that cannot be read. Whether a
    /// collector listens there is not checked.
    pub fn start(settings: &Settings, config: config::Telemetry) -> Result<Self, StartError> {
        let genai = settings.genai.unwrap_or(config.genai_semconv);
        let style = Style { genai, capture: config.capture_content };
        if settings.disabled {
            return Ok(Self { style, ..Self::default() });
        }
        let dropped = Arc::new(Dropped::default());
        let exports = ExportRuntime::start();
        let exports =
            exports.map_err(|error| StartError(format!("cannot start a thread for exports: {error}")))?;
        let runtime = &exports.runtime;
        let _inside = runtime.enter();
        let traces = settings.traces.as_ref();
        let traces =
            traces.map(|otlp| exporters::traces(otlp, settings, config.keep_errors, &dropped, runtime));
        let is_read = config.prometheus.or(settings.prometheus).is_some() || settings.keep_page;
        let page = is_read.then(Registry::new);
        let mut provider = SdkMeterProvider::builder().with_resource(exporters::resource(settings));
        if let Some(otlp) = &settings.metrics {
            let exporter = exporters::metrics(otlp, &dropped, runtime)?;
            provider = provider.with_reader(PeriodicReader::builder(exporter).build());
        }
        if let Some(registry) = &page {
            let page = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build();
            provider = provider.with_reader(page.map_err(|error| StartError(error.to_string()))?);
        }
        let metrics = (settings.metrics.is_some() || page.is_some()).then(|| provider.build());
        if let Some(metrics) = &metrics {
            metrics::observe_losses(&metrics.meter(semconv::SCOPE), &dropped);
        }
        Ok(Self {
            traces: traces.transpose()?,
            metrics,
            page,
            dropped,
            style,
            _exports: Some(Arc::new(exports)),
        })
    }

    /// True if traces are exported.
    #[must_use]
    pub fn traces(&self) -> bool {
        self.traces.is_some()
    }

    /// The metrics in the form of Prometheus. Empty: metrics are off.
    #[must_use]
    pub fn page(&self) -> Registry {
        self.page.clone().unwrap_or_default()
    }

    /// Number of lost spans: those that could not be exported, and those that did not fit the queue.
    #[must_use]
    pub fn lost_spans(&self) -> u64 {
        self.dropped.lost_spans.load(Relaxed)
    }

    /// The layer of `tracing` that traces calls. `None`: traces are off.
    pub fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer = self.tracer()?;
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false);
        Some(layer.with_filter(filter_fn(is_for_traces).with_max_level_hint(LevelFilter::INFO)))
    }

    /// Where the calls of a server report to. `unknown_members` counts JSON members in replies that the
    /// contract does not have.
    #[must_use]
    pub fn observability(&self, snapshots: &Snapshots, unknown_members: Arc<AtomicU64>) -> Observability {
        let in_flight = Arc::default();
        let metrics = self.metrics.as_ref().map(|metrics| {
            let meter = metrics.meter(semconv::SCOPE);
            metrics::observe(&meter, snapshots, &in_flight);
            metrics::observe_unknown_members(&meter, unknown_members);
            Arc::new(Metrics::new(&meter, self.style.genai))
        });
        let mut sinks: Vec<Arc<dyn CallSink>> = Vec::new();
        sinks.extend(metrics.clone().map(|metrics| metrics as Arc<dyn CallSink>));
        sinks.push(Arc::new(spans::SpanSink));
        sinks.push(Arc::new(log::CallLog));
        Observability {
            tracer: self.tracer(),
            metrics,
            in_flight,
            style: self.style,
            sinks,
            is_cut_off: AtomicBool::new(false),
        }
    }

    /// Where judgements are reported.
    pub(crate) fn judgement_sink(&self, snapshots: &Snapshots) -> Arc<dyn JudgementSink> {
        let meter = self.metrics.as_ref().map(|metrics| metrics.meter(semconv::SCOPE));
        let counted: Arc<dyn JudgementSink> = match meter {
            Some(meter) => Arc::new(quality::QualityMetrics::new(&meter, snapshots.clone())),
            None => Arc::new(LogJudgements),
        };
        match self.tracer() {
            Some(tracer) => Arc::new(Evaluations::new(tracer, self.style.capture, counted)),
            None => counted,
        }
    }

    /// Serves the Prometheus page for as long as it is polled.
    pub async fn serve_page(&self, listener: TcpListener) {
        prometheus::serve(&self.page(), listener).await;
    }

    /// Exports what is queued. It blocks its thread, so it is for shutdown and for tests.
    pub fn flush(&self) {
        if let Some(Err(error)) = self.traces.as_ref().map(SdkTracerProvider::force_flush) {
            tracing::warn!(%error, "traces were lost");
        }
        if let Some(Err(error)) = self.metrics.as_ref().map(SdkMeterProvider::force_flush) {
            tracing::warn!(%error, "metrics were lost");
        }
    }

    /// Exports what is queued, within `timeout`.
    pub async fn finish(self, timeout: Duration) {
        let flushed = tokio::task::spawn_blocking(move || self.flush());
        if tokio::time::timeout(timeout, flushed).await.is_err() {
            tracing::warn!("the collector is too slow: the last traces and metrics are lost");
        }
    }

    fn tracer(&self) -> Option<SdkTracer> {
        self.traces.as_ref().map(|traces| traces.tracer(semconv::SCOPE))
    }
}

/// True if a span is for traces only: the log does not need it.
#[must_use]
pub fn is_for_traces(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == spans::TARGET
}
