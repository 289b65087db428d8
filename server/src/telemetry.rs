//! Telemetry: what is told of each call, to whoever runs this: traces, metrics and one line in the log.
//!
//! ```text
//!   a call    ──▶ Seen          its span; how many run                 active.rs, spans.rs
//!   attempts  ──▶ AttemptSeen   a span under it; chunks
//!   their ends ─▶ AttemptEnd, CallEnd   the same facts for all          ends.rs, blame.rs
//!                   ├─▶ spans ─▶ keep.rs ─▶ OTLP                        exporters.rs
//!                   ├─▶ metrics ─▶ OTLP, or a page for Prometheus       metrics.rs, prometheus.rs
//!                   └─▶ the log                                         log.rs
//! ```
//!
//! Nothing here waits: spans and metrics are exported from threads of their own. What a collector does not take
//! is lost and counted (`switchboard.telemetry.dropped`); no call notices.
mod active;
pub mod blame;
mod content;
mod ends;
mod evaluation;
mod exporters;
mod keep;
mod labels;
mod log;
mod metrics;
pub mod names;
mod prometheus;
mod quality;
mod seen;
mod series;
pub mod settings;
mod spans;

pub(crate) use ends::{AttemptBegin, AttemptEnd, CallEnd, Ended, Last};
pub(crate) use seen::{Arrival, AttemptSeen, Reached, Seen, method};

use crate::{
    attempt::targets::Targets,
    config::{self, Config, GenAi},
    feedback::{LogJudged, OnJudged},
    route::Routes,
};
use ::prometheus::Registry;
use active::Active;
use evaluation::Evaluations;
use exporters::{Dropped, Leaving};
use labels::Labels;
use metrics::Metrics;
use opentelemetry::{metrics::MeterProvider as _, trace::TracerProvider as _};
use opentelemetry_sdk::{
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{SdkTracer, SdkTracerProvider},
};
use settings::Settings;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
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
    _leaving: Option<Arc<Leaving>>,
    style: Style,
}

/// What spans and metrics look like.
#[derive(Clone, Copy, Debug, Default)]
struct Style {
    genai: GenAi,
    capture: bool,
}

/// Where the calls of a server tell of themselves.
#[derive(Debug)]
pub struct Signals {
    tracer: Option<SdkTracer>,
    metrics: Option<Metrics>,
    labels: Labels,
    active: Arc<Active>,
    style: Style,
}

/// Why telemetry cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub(crate) String);

// === impl Telemetry ===

impl Telemetry {
    /// Starts what the settings name.
    ///
    /// # Errors
    /// When an exporter cannot be made: a wrong endpoint, or certificates that cannot be read. Whether anybody is there is
    /// not looked at.
    pub fn start(settings: &Settings, config: config::Telemetry) -> Result<Self, StartError> {
        let genai = settings.genai.unwrap_or(config.genai_semconv);
        let style = Style { genai, capture: config.capture_content };
        if settings.disabled {
            return Ok(Self { style, ..Self::default() });
        }
        let dropped = Arc::new(Dropped::default());
        let leaving =
            Leaving::start().map_err(|error| StartError(format!("a thread for exports: {error}")))?;
        let runtime = &leaving.runtime;
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
            metrics::observe_losses(&metrics.meter(names::SCOPE), &dropped);
        }
        Ok(Self {
            traces: traces.transpose()?,
            metrics,
            page,
            dropped,
            style,
            _leaving: Some(Arc::new(leaving)),
        })
    }

    /// Whether traces are exported.
    #[must_use]
    pub fn traces(&self) -> bool {
        self.traces.is_some()
    }

    /// The metrics, as Prometheus reads them. Empty: none are kept.
    #[must_use]
    pub fn page(&self) -> Registry {
        self.page.clone().unwrap_or_default()
    }

    /// How many spans were lost: those that an exporter could not bring away, and those for which there was no room.
    #[must_use]
    pub fn lost_spans(&self) -> u64 {
        self.dropped.lost_spans.load(Relaxed)
    }

    /// What a subscriber of `tracing` needs for calls to be traced.
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

    /// Where the calls of a server tell of themselves.
    #[must_use]
    pub fn signals(
        &self,
        config: &Config,
        routes: &Routes,
        targets: &Arc<Targets>,
        gaps: Arc<AtomicU64>,
    ) -> Signals {
        let active = Arc::default();
        let meter = self.metrics.as_ref().map(|metrics| metrics.meter(names::SCOPE));
        if let Some(meter) = &meter {
            metrics::observe(meter, targets, &active, routes);
            metrics::observe_gaps(meter, gaps);
        }
        let labels = Labels::new(config, routes);
        Signals {
            tracer: self.tracer(),
            metrics: meter.map(|meter| Metrics::new(&meter, self.style.genai, &labels)),
            labels,
            active,
            style: self.style,
        }
    }

    /// Who is told of every judgement.
    pub(crate) fn judgements(&self, routes: &Routes) -> Arc<dyn OnJudged> {
        let meter = self.metrics.as_ref().map(|metrics| metrics.meter(names::SCOPE));
        let counted: Arc<dyn OnJudged> = match meter {
            Some(meter) => Arc::new(quality::Judgements::new(&meter, routes)),
            None => Arc::new(LogJudged),
        };
        match self.tracer() {
            Some(tracer) => Arc::new(Evaluations::new(tracer, self.style.capture, counted)),
            None => counted,
        }
    }

    /// Serves the page for Prometheus for as long as it is polled.
    pub async fn serve_page(&self, listener: TcpListener) {
        prometheus::serve(&self.page(), listener).await;
    }

    /// Exports what waits. It blocks its thread, so it is for ends and for tests.
    pub fn flush(&self) {
        if let Some(Err(error)) = self.traces.as_ref().map(SdkTracerProvider::force_flush) {
            tracing::warn!(%error, "traces were lost");
        }
        if let Some(Err(error)) = self.metrics.as_ref().map(SdkMeterProvider::force_flush) {
            tracing::warn!(%error, "metrics were lost");
        }
    }

    /// Exports what waits, for as long as `patience` at the most.
    pub async fn finish(self, patience: Duration) {
        let flushed = tokio::task::spawn_blocking(move || self.flush());
        if tokio::time::timeout(patience, flushed).await.is_err() {
            tracing::warn!("the collector is too slow: the last traces and metrics are lost");
        }
    }

    fn tracer(&self) -> Option<SdkTracer> {
        self.traces.as_ref().map(|traces| traces.tracer(names::SCOPE))
    }
}

/// Whether a span is for traces alone: the log has no need of it.
#[must_use]
pub fn is_for_traces(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == spans::TARGET
}
