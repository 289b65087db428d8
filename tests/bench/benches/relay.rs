//! A call through the whole server without a network: the cost of Switchboard and gRPC over an in-memory
//! connection.
//!
//! Measures the caller's tonic, the server with all layers, and a scripted model on one thread, so that a
//! figure is work and not waiting. Every event is ready when it is polled, so tonic sends many at once; a
//! model that pauses between events costs a wake-up for each.
//!
//! Not measured: sockets, TLS, the codec (`codec.rs`), the AWS SDK, logs, traces and metrics. The thread of
//! the feedback store runs in parallel, on another core if there is one.
#![expect(clippy::expect_used, reason = "a benchmark that cannot continue reports the reason")]

use criterion::{BenchmarkId, Criterion, Throughput};
use futures_util::{Stream, StreamExt as _, stream};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    future, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use switchboard_proto::v1::{
    self as pb, content_block::Block, content_block_delta::Delta,
    converse_service_client::ConverseServiceClient, converse_stream_response::Event,
};
use switchboard_server::{
    Parts,
    catalogue::Catalogue,
    config::{Config, DEFAULT_FALLBACK, DEFAULT_PRIMARY},
    failure::Failure,
    model::{Answer, Counted, ModelRequest, Models, Opened},
    route::Candidate,
    serve,
    telemetry::Telemetry,
};
use tikv_jemallocator::Jemalloc;
use tokio::{
    io::{DuplexStream, duplex},
    runtime::{Builder, Runtime},
};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Number of text deltas of a stream.
const DELTAS: u64 = 200;
/// Number of events of a stream: the deltas, the start, two ends and the metadata. The caller also receives
/// the route.
const EVENTS: u64 = DELTAS + 4;
/// Capacity of the connection in each direction, in bytes.
const PIPE: usize = 1 << 20;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Builder::new_current_thread().enable_time().build().expect("builds");
    let caller = start(&runtime);
    let request = request();
    let mut group = criterion.benchmark_group("relay");
    group.bench_function("whole", |bencher| {
        bencher.to_async(&runtime).iter(|| whole(caller.clone(), request.clone()));
    });
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function(BenchmarkId::new("events", EVENTS), |bencher| {
        bencher.to_async(&runtime).iter(|| streamed(caller.clone(), request.clone()));
    });
    group.finish();
    criterion.final_summary();
}

// === the caller ===

type Caller = ConverseServiceClient<Channel>;

async fn whole(mut caller: Caller, request: pb::ConverseRequest) {
    let answer = caller.converse(request).await.expect("answers").into_inner();
    assert_eq!(answer.usage, Some(usage()));
}

async fn streamed(mut caller: Caller, request: pb::ConverseRequest) {
    let mut stream = caller.converse_stream(request).await.expect("answers").into_inner();
    let mut received = 0;
    while stream.message().await.expect("continues").is_some() {
        received += 1;
    }
    assert_eq!(received, EVENTS + 1);
}

fn request() -> pb::ConverseRequest {
    let content = vec![text("Tell me of the sea. ", 10)];
    pb::ConverseRequest {
        task_type: "coding".to_owned(),
        messages: vec![pb::Message { role: "user".to_owned(), content }],
        ..Default::default()
    }
}

fn text(words: &str, times: usize) -> pb::ContentBlock {
    pb::ContentBlock { block: Some(Block::Text(words.repeat(times))) }
}

// === the server ===

/// A server on `runtime`, and a client on its only connection.
fn start(runtime: &Runtime) -> Caller {
    let (near, far) = duplex(PIPE);
    runtime.spawn(serve_one(far));
    let mut near = Some(near);
    let connector = service_fn(move |_| {
        let end = near.take().map(TokioIo::new);
        async move { end.ok_or_else(|| io::Error::other("the only connection is lost")) }
    });
    let _inside = runtime.enter();
    let endpoint = Endpoint::from_static("http://switchboard.bench");
    ConverseServiceClient::new(endpoint.connect_with_connector_lazy(connector))
}

async fn serve_one(connection: DuplexStream) {
    let config = Config::for_two_models(DEFAULT_PRIMARY, DEFAULT_FALLBACK);
    let telemetry = Telemetry::default();
    let parts = Parts::fixed(&config, &Catalogue::built_in(), "us-east-1", Script::new(), &telemetry);
    let incoming = stream::iter([Ok::<_, Infallible>(connection)]).chain(stream::pending());
    serve(parts, incoming, future::pending()).await.expect("serves");
}

// === the model ===

/// A model with prepared answers.
#[derive(Debug)]
struct Script {
    whole: pb::ConverseResponse,
    events: Arc<[Event]>,
}

impl Script {
    fn new() -> Self {
        let content = vec![text("A token of the answer, ", 50)];
        let message = pb::Message { role: "assistant".to_owned(), content };
        let whole = pb::ConverseResponse {
            output: Some(pb::ConverseOutput { output: Some(pb::converse_output::Output::Message(message)) }),
            stop_reason: pb::StopReason::EndTurn.into(),
            raw_stop_reason: "end_turn".to_owned(),
            usage: Some(usage()),
            ..Default::default()
        };
        Self { whole, events: events() }
    }
}

impl Models for Script {
    type Events = Played;

    async fn converse(&self, _: &Candidate, _: ModelRequest<'_>) -> Result<Answer, Failure> {
        Ok(Answer { response: self.whole.clone(), request_id: request_id() })
    }

    async fn converse_stream(&self, _: &Candidate, _: ModelRequest<'_>) -> Result<Opened<Played>, Failure> {
        let events = Played { events: Arc::clone(&self.events), next: 0 };
        Ok(Opened { events, request_id: request_id() })
    }

    async fn count_tokens(&self, _: &Candidate, _: &pb::CountTokensRequest) -> Result<Counted, Failure> {
        Ok(Counted { input_tokens: usage().input_tokens, request_id: request_id() })
    }
}

/// The events of a script, each cloned when it is polled: a codec would create each of them.
struct Played {
    events: Arc<[Event]>,
    next: usize,
}

impl Stream for Played {
    type Item = Result<Event, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = self.events.get(self.next).cloned();
        self.next += 1;
        Poll::Ready(event.map(Ok))
    }
}

fn events() -> Arc<[Event]> {
    let start = Event::MessageStart(pb::MessageStartEvent { role: "assistant".to_owned() });
    let ends = [
        Event::ContentBlockStop(pb::ContentBlockStopEvent { content_block_index: 0 }),
        Event::MessageStop(pb::MessageStopEvent {
            stop_reason: pb::StopReason::EndTurn.into(),
            raw_stop_reason: "end_turn".to_owned(),
            ..Default::default()
        }),
        Event::Metadata(pb::ConverseStreamMetadataEvent { usage: Some(usage()), ..Default::default() }),
    ];
    [start].into_iter().chain((0..DELTAS).map(|_| delta())).chain(ends).collect()
}

fn delta() -> Event {
    let delta = pb::ContentBlockDelta { delta: Some(Delta::Text(" token".to_owned())) };
    Event::ContentBlockDelta(pb::ContentBlockDeltaEvent { delta: Some(delta), content_block_index: 0 })
}

fn usage() -> pb::TokenUsage {
    pb::TokenUsage { input_tokens: 60, output_tokens: 200, total_tokens: 260, ..Default::default() }
}

fn request_id() -> String {
    "5f9b4b6e-0000-4000-8000-000000000000".to_owned()
}
