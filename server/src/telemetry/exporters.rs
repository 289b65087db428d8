//! Exporters of spans and metrics over OTLP, and counts of what could not be exported.
//!
//! The SDK assembles batches on threads of its own. They are sent from one more thread with a runtime of its
//! own: a batch is most of a megabyte, and calls would wait while a worker thread writes it. All these
//! threads run at lower priority.
use super::{
    StartError,
    dropped::Dropped,
    error_sampling::{KeepErrors, RecordAll},
    settings::{Otlp, Protocol, Settings},
};
use crate::thread_priority;
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
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    time::timeout,
};

/// Spans per batch, unless `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` is set: some 700 KB, where a collector's receiver
/// accepts 4 MiB. Twice OpenTelemetry's default: one batch is in flight at a time, so its size limits the
/// rate to a distant collector.
const MAX_BATCH_SPANS: usize = 1024;
/// Spans in the queue, unless `OTEL_BSP_MAX_QUEUE_SIZE` is set: four batches, as in OpenTelemetry's defaults.
const MAX_QUEUED_SPANS: usize = 4 * MAX_BATCH_SPANS;
/// Longest time for a request to a collector. OpenTelemetry's own timeouts are shorter.
const MAX_EXPORT_TIME: Duration = Duration::from_secs(60);
/// Longest response of a collector, in bytes.
const MAX_RESPONSE_BYTES: usize = 4 << 20;

/// An exporter that counts what it could not export.
#[derive(Debug)]
pub(super) struct CountDropped<E> {
    inner: E,
    dropped: Arc<Dropped>,
}

/// An HTTP client for threads without a runtime: it hands each request to one.
#[derive(Clone, Debug)]
struct RuntimeHttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

/// Runtime thread for OTLP exports; stops when dropped.
#[derive(Debug)]
pub(super) struct ExportRuntime {
    pub(super) runtime: Handle,
    _end: oneshot::Sender<Infallible>,
}

/// The provider of traces.
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
            .with_http_client(RuntimeHttpClient::new(runtime)?)
            .with_endpoint(&otlp.endpoint)
            .build(),
    };
    let exporter = exporter.map_err(|error| StartError(format!("traces to {}: {error}", otlp.endpoint)))?;
    let max_queued = settings.max_queued.unwrap_or(MAX_QUEUED_SPANS).max(1);
    let max_batch = settings.max_batch.unwrap_or(MAX_BATCH_SPANS).clamp(1, max_queued);
    let mut batches =
        BatchConfigBuilder::default().with_max_queue_size(max_queued).with_max_export_batch_size(max_batch);
    if let Some(delay) = settings.span_delay {
        batches = batches.with_scheduled_delay(delay);
    }
    let exporter = CountDropped { inner: exporter, dropped: Arc::clone(dropped) };
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(batches.build()).build();
    let everything = || Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
    let sampler = settings.sampler.clone().unwrap_or_else(everything);
    let provider = SdkTracerProvider::builder()
        .with_resource(resource(settings))
        .with_span_processor(KeepErrors::new(batches, max_queued, Arc::clone(dropped)));
    Ok(if keep_errors {
        provider.with_sampler(RecordAll(sampler)).build()
    } else {
        provider.with_sampler(sampler).build()
    })
}

/// The exporter of metrics.
pub(super) fn metrics(
    otlp: &Otlp,
    dropped: &Arc<Dropped>,
    runtime: &Handle,
) -> Result<CountDropped<MetricExporter>, StartError> {
    let exporter = match otlp.protocol {
        Protocol::Grpc => MetricExporter::builder().with_tonic().with_endpoint(&otlp.endpoint).build(),
        Protocol::Http => MetricExporter::builder()
            .with_http()
            .with_http_client(RuntimeHttpClient::new(runtime)?)
            .with_endpoint(&otlp.endpoint)
            .build(),
    };
    let exporter = exporter.map_err(|error| StartError(format!("metrics to {}: {error}", otlp.endpoint)))?;
    Ok(CountDropped { inner: exporter, dropped: Arc::clone(dropped) })
}

/// The resource that all telemetry describes. The environment takes precedence.
pub(super) fn resource(settings: &Settings) -> Resource {
    let resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let named = settings.is_named;
    if named { resource.build() } else { resource.with_service_name("switchboard").build() }
}

// === impl CountDropped ===

impl<E: ExportSpans> ExportSpans for CountDropped<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        thread_priority::lower();
        let count = batch.len();
        let exported = self.inner.export(batch).await;
        self.dropped.queued.fetch_sub(count, Relaxed);
        if exported.is_err() {
            self.dropped.spans(count);
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

impl<E: PushMetricExporter> PushMetricExporter for CountDropped<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        thread_priority::lower();
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

// === impl ExportRuntime ===

impl ExportRuntime {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        thread::Builder::new().name("exports".to_owned()).spawn(move || {
            thread_priority::lower();
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { runtime: handle, _end: end })
    }
}

// === impl RuntimeHttpClient ===

impl RuntimeHttpClient {
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
impl HttpClient for RuntimeHttpClient {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let sending = self.client.request(request.map(Full::new));
        let sent = self.runtime.spawn(async move {
            let answered = timeout(MAX_EXPORT_TIME, async move {
                let (head, body) = sending.await?.into_parts();
                let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await?.to_bytes();
                Ok::<_, HttpError>(http::Response::from_parts(head, body))
            });
            answered.await?
        });
        sent.await?
    }
}
