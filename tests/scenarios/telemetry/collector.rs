//! An OTLP collector on real sockets, one for gRPC and one for HTTP, that keeps what it receives.
//!
//! The collector has its own thread and runtime, like the exporters, because the clock of a test may be
//! paused.
use crate::captured_log::{Log, Writer};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint, metric::Data, number_data_point},
    trace::v1::Span,
};
use prost::Message as _;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use switchboard_server::{
    config,
    telemetry::{
        Telemetry,
        settings::{Otlp, Protocol, Settings},
    },
};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{
    Layer as _, filter::LevelFilter, fmt, layer::SubscriberExt as _, registry, util::SubscriberInitExt as _,
};

/// What the collector has received.
#[derive(Clone, Debug, Default)]
struct Received {
    spans: Arc<Mutex<Vec<Span>>>,
    /// The metrics of the last export, which are cumulative.
    metrics: Arc<Mutex<Vec<Metric>>>,
    resource: Arc<Mutex<Vec<KeyValue>>>,
}

/// A running collector.
#[derive(Debug)]
pub(super) struct Collector {
    address: SocketAddr,
    http: SocketAddr,
    received: Received,
    /// Absent: the collector has ended.
    runtime: Option<Runtime>,
}

/// The telemetry of one test.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) telemetry: Telemetry,
    pub(super) log: Log,
    _subscribed: DefaultGuard,
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
            *self.resource.lock().expect("is not poisoned") = attributes;
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.spans.lock().expect("is not poisoned").extend(spans);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Received {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let resources = request.into_inner().resource_metrics.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_metrics);
        *self.metrics.lock().expect("is not poisoned") = scopes.flat_map(|scope| scope.metrics).collect();
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Collector {
    pub(super) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("starts");
        let received = Received::default();
        // A runtime must not block its own thread on another runtime, so the sockets are bound on the
        // collector's thread.
        let (bound, address) = std::sync::mpsc::channel();
        let served = received.clone();
        runtime.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
            let over_http = TcpListener::bind("127.0.0.1:0").await.expect("binds");
            let address = |listener: &TcpListener| listener.local_addr().expect("has an address");
            bound.send((address(&listener), address(&over_http))).expect("is awaited");
            tokio::spawn(serve_http(over_http, served.clone()));
            Server::builder()
                .add_service(TraceServiceServer::new(served.clone()))
                .add_service(MetricsServiceServer::new(served))
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
        });
        let (address, http) = address.recv().expect("is bound");
        Self { address, http, received, runtime: Some(runtime) }
    }

    /// Telemetry of the calls on this thread, exported to this collector over gRPC.
    pub(super) fn capture(&self, change: impl FnOnce(&mut Settings, &mut config::Telemetry)) -> Capture {
        capture(&format!("http://{}", self.address), change)
    }

    /// Telemetry of the calls on this thread, exported to this collector over HTTP.
    pub(super) fn capture_over_http(&self) -> Capture {
        capture("-", |settings, _| {
            let otlp = |signal: &str| Otlp {
                endpoint: format!("http://{}/v1/{signal}", self.http),
                protocol: Protocol::Http,
            };
            (settings.traces, settings.metrics) = (Some(otlp("traces")), Some(otlp("metrics")));
        })
    }

    /// Telemetry of the calls on this thread, exported to `endpoint` with a small queue.
    pub(super) fn capture_to(&self, endpoint: &str) -> Capture {
        capture(endpoint, |settings, _| settings.max_queued = Some(4))
    }

    /// The spans that have arrived so far.
    pub(super) fn spans(&self, capture: &Capture) -> Vec<Span> {
        capture.telemetry.flush();
        self.received.spans.lock().expect("is not poisoned").clone()
    }

    pub(super) fn resource(&self, name: &str) -> String {
        value(&self.received.resource.lock().expect("is not poisoned"), name)
    }

    pub(super) fn metrics(&self, capture: &Capture) -> Vec<Metric> {
        capture.telemetry.flush();
        self.received.metrics.lock().expect("is not poisoned").clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.telemetry.flush();
    }
}

/// Serves OTLP over HTTP.
async fn serve_http(listener: TcpListener, received: Received) {
    while let Ok((stream, _)) = listener.accept().await {
        let received = received.clone();
        let service = tower::service_fn(move |request: http::Request<_>| receive(request, received.clone()));
        tokio::spawn(async move {
            let service = TowerToHyperService::new(service);
            let served = auto::Builder::new(TokioExecutor::new());
            drop(served.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn receive<B>(
    request: http::Request<B>,
    received: Received,
) -> Result<http::Response<http_body_util::Empty<Bytes>>, Status>
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let path = request.uri().path().to_owned();
    let content_type = request.headers().get("content-type").cloned();
    assert_eq!(content_type.as_ref().map(|it| it.as_bytes()), Some(b"application/x-protobuf".as_slice()));
    let body = request.into_body().collect().await.expect("ends").to_bytes();
    match path.as_str() {
        "/v1/traces" => {
            let traces = ExportTraceServiceRequest::decode(body).expect("is OTLP");
            TraceService::export(&received, Request::new(traces)).await?;
        }
        "/v1/metrics" => {
            let metrics = ExportMetricsServiceRequest::decode(body).expect("is OTLP");
            MetricsService::export(&received, Request::new(metrics)).await?;
        }
        other => panic!("unexpected path {other}"),
    }
    Ok(http::Response::default())
}

fn capture(endpoint: &str, change: impl FnOnce(&mut Settings, &mut config::Telemetry)) -> Capture {
    let log = Log::capture(); // first: with a single subscriber, `tracing` would ask that of another thread about our spans
    let otlp = Otlp { endpoint: endpoint.to_owned(), protocol: Protocol::Grpc };
    let mut settings = Settings {
        traces: Some(otlp.clone()),
        metrics: Some(otlp),
        span_delay: Some(Duration::from_millis(10)),
        ..Settings::default()
    };
    let mut config = config::Telemetry::default();
    change(&mut settings, &mut config);
    let telemetry = Telemetry::start(&settings, config).expect("starts");
    let lines = fmt::layer().json().with_writer(|| Writer).with_filter(LevelFilter::INFO);
    let subscribed = registry().with(telemetry.layer()).with(lines).set_default();
    Capture { telemetry, log, _subscribed: subscribed }
}

/// An attribute as text. Empty: there is no such attribute.
pub(super) fn value(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == name);
    found.and_then(|attribute| attribute.value.as_ref()).map(text).unwrap_or_default()
}

fn text(value: &AnyValue) -> String {
    match value.value.as_ref() {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(it)) => it.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::ArrayValue(values)) => values.values.iter().map(text).collect::<Vec<_>>().join(", "),
        other => panic!("unexpected type of attribute: {other:?}"),
    }
}

/// Values of the points of a sum or gauge that have these attributes.
pub(super) fn points(metrics: &[Metric], name: &str, with: &[(&str, &str)]) -> Vec<f64> {
    let metric = metrics.iter().find(|metric| metric.name == name);
    let points: &[NumberDataPoint] = match metric.and_then(|metric| metric.data.as_ref()) {
        Some(Data::Sum(sum)) => &sum.data_points,
        Some(Data::Gauge(gauge)) => &gauge.data_points,
        Some(other) => panic!("{name} is not a sum but {other:?}"),
        None => &[],
    };
    let points = points.iter().filter(|point| has(&point.attributes, with));
    let number = |point: &NumberDataPoint| match point.value {
        #[expect(clippy::cast_precision_loss, reason = "tests count to ten")]
        Some(number_data_point::Value::AsInt(number)) => number as f64,
        Some(number_data_point::Value::AsDouble(number)) => number,
        None => panic!("{name} has no value"),
    };
    points.map(number).collect()
}

/// The points of a histogram that have these attributes.
pub(super) fn histograms(metrics: &[Metric], name: &str, with: &[(&str, &str)]) -> Vec<HistogramDataPoint> {
    let metric = metrics.iter().find(|metric| metric.name == name);
    match metric.and_then(|metric| metric.data.as_ref()) {
        Some(Data::Histogram(histogram)) => {
            histogram.data_points.iter().filter(|point| has(&point.attributes, with)).cloned().collect()
        }
        Some(other) => panic!("{name} is not a histogram but {other:?}"),
        None => Vec::new(),
    }
}

fn has(attributes: &[KeyValue], with: &[(&str, &str)]) -> bool {
    with.iter().all(|(name, expected)| value(attributes, name) == *expected)
}
