//! Exporters: to where spans and metrics go, and what is counted when they cannot.
//!
//! The SDK puts batches together on threads of its own, and they leave on one more, with a runtime for that alone: a batch is
//! most of a megabyte, and a call that came while it was written would wait. All of them step back for calls.
use super::{
    StartError,
    keep::{Keep, Recording},
    settings::{Otlp, Protocol, Settings},
};
use crate::background;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData,
        SpanExporter as ExportSpans,
    },
};
use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    time::timeout,
};

/// How many spans are sent at once, where `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` says nothing: some 700 KB, where a collector's receiver
/// takes 4 MiB. Twice OpenTelemetry's default: one batch is on its way at a time, so it bounds what a collector that is
/// far away can be told, and each one interrupts the calls that share its core.
const MOST_AT_ONCE: usize = 1024;
/// How many spans may wait, where `OTEL_BSP_MAX_QUEUE_SIZE` says nothing: four batches, as OpenTelemetry has it.
const MOST_WAITING: usize = 4 * MOST_AT_ONCE;
/// How long a request to a collector may take; OpenTelemetry's own clocks are shorter.
const LONGEST_EXPORT: Duration = Duration::from_secs(60);
/// What a collector may answer.
const LARGEST_ANSWER: usize = 4 << 20;

/// What was lost, and what waits.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    pub(super) waiting: AtomicUsize,
    pub(super) lost_spans: AtomicU64,
    pub(super) lost_exports: AtomicU64,
}

/// An exporter that counts what it could not bring away.
#[derive(Debug)]
pub(super) struct Counting<E> {
    inner: E,
    dropped: Arc<Dropped>,
}

/// A client for HTTP that works from any thread: it hands each request to a runtime.
#[derive(Clone, Debug)]
struct OnRuntime {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

/// The thread that exports leave on, until this is dropped.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) runtime: Handle,
    _end: oneshot::Sender<Infallible>,
}

/// Where spans go.
pub(super) fn traces(
    otlp: &Otlp,
    settings: &Settings,
    keep_errors: bool,
    dropped: &Arc<Dropped>,
    runtime: &Handle,
) -> Result<SdkTracerProvider, StartError> {
    let exporter = match otlp.protocol {
        Protocol::Grpc => SpanExporter::builder().with_tonic().with_endpoint(&otlp.endpoint).build(),
        Protocol::Http => SpanExporter::builder()
            .with_http()
            .with_http_client(OnRuntime::new(runtime)?)
            .with_endpoint(&otlp.endpoint)
            .build(),
    };
    let exporter = exporter.map_err(|error| StartError(format!("traces to {}: {error}", otlp.endpoint)))?;
    let most_waiting = settings.most_waiting.unwrap_or(MOST_WAITING).max(1);
    let most_at_once = settings.most_at_once.unwrap_or(MOST_AT_ONCE).clamp(1, most_waiting);
    let mut batches = BatchConfigBuilder::default()
        .with_max_queue_size(most_waiting)
        .with_max_export_batch_size(most_at_once);
    if let Some(delay) = settings.span_delay {
        batches = batches.with_scheduled_delay(delay);
    }
    let exporter = Counting { inner: exporter, dropped: Arc::clone(dropped) };
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(batches.build()).build();
    let everything = || Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
    let sampler = settings.sampler.clone().unwrap_or_else(everything);
    let provider = SdkTracerProvider::builder()
        .with_resource(resource(settings))
        .with_span_processor(Keep::new(batches, most_waiting, Arc::clone(dropped)));
    Ok(if keep_errors {
        provider.with_sampler(Recording(sampler)).build()
    } else {
        provider.with_sampler(sampler).build()
    })
}

/// Where metrics are pushed to.
pub(super) fn metrics(
    otlp: &Otlp,
    dropped: &Arc<Dropped>,
    runtime: &Handle,
) -> Result<Counting<MetricExporter>, StartError> {
    let exporter = match otlp.protocol {
        Protocol::Grpc => MetricExporter::builder().with_tonic().with_endpoint(&otlp.endpoint).build(),
        Protocol::Http => MetricExporter::builder()
            .with_http()
            .with_http_client(OnRuntime::new(runtime)?)
            .with_endpoint(&otlp.endpoint)
            .build(),
    };
    let exporter = exporter.map_err(|error| StartError(format!("metrics to {}: {error}", otlp.endpoint)))?;
    Ok(Counting { inner: exporter, dropped: Arc::clone(dropped) })
}

/// Who tells all this. What the environment says of it comes first.
pub(super) fn resource(settings: &Settings) -> Resource {
    let resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let named = settings.is_named;
    if named { resource.build() } else { resource.with_service_name("switchboard").build() }
}

// === impl Dropped ===

impl Dropped {
    pub(super) fn spans(&self, many: usize) {
        self.lost_spans.fetch_add(many as u64, Relaxed);
    }
}

// === impl Counting ===

impl<E: ExportSpans> ExportSpans for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        background::step_back();
        let many = batch.len();
        let exported = self.inner.export(batch).await;
        self.dropped.waiting.fetch_sub(many, Relaxed);
        if exported.is_err() {
            self.dropped.spans(many);
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Counting<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        background::step_back();
        let exported = self.inner.export(metrics).await;
        if exported.is_err() {
            self.dropped.lost_exports.fetch_add(1, Relaxed);
        }
        exported
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}

// === impl Leaving ===

impl Leaving {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        thread::Builder::new().name("exports".to_owned()).spawn(move || {
            background::step_back();
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { runtime: handle, _end: end })
    }
}

// === impl OnRuntime ===

impl OnRuntime {
    fn new(runtime: &Handle) -> Result<Self, StartError> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| StartError(format!("cannot read the system's certificates: {error}")))?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, runtime: runtime.clone() })
    }
}

#[tonic::async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let sending = self.client.request(request.map(Full::new));
        let sent = self.runtime.spawn(async move {
            let answered = timeout(LONGEST_EXPORT, async move {
                let (head, body) = sending.await?.into_parts();
                let body = Limited::new(body, LARGEST_ANSWER).collect().await?.to_bytes();
                Ok::<_, HttpError>(http::Response::from_parts(head, body))
            });
            answered.await?
        });
        sent.await?
    }
}
