//! The test harness: a server on fake models, its callers, and what they receive. Tests run with the clock
//! paused.
use futures_util::{FutureExt as _, Stream, StreamExt as _, future::BoxFuture, stream};
use hyper_util::rt::TokioIo;
use std::{
    collections::BTreeMap,
    io,
    ops::{Deref, DerefMut},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};
use switchboard_proto::v1::{
    self as pb, content_block::Block, converse_service_client::ConverseServiceClient,
    converse_stream_response::Event, feedback_service_client::FeedbackServiceClient,
    routing_service_client::RoutingServiceClient,
};
use switchboard_server::{
    Drained, Parts,
    catalogue::Catalogue,
    config::{Config, Deadline, Model, Task, UnknownTasks},
    deployment::Registry,
    failure::{Failure, FailureKind},
    model::{Answer, Counted, ModelRequest, Models, Opened},
    route::Candidate,
    serve,
    snapshot::{Snapshot, Snapshots},
    telemetry::Telemetry,
};
use tokio::{
    io::DuplexStream,
    sync::{Semaphore, mpsc, oneshot, watch},
    task::JoinHandle,
    time::sleep,
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::health_client::HealthClient;

// === the models ===

/// What a fake model does when it is called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behaviour {
    /// Steps of the first calls, one list for each call, instead of `opening`.
    first: Vec<Vec<Step>>,
    /// Steps before the model accepts the call.
    opening: Vec<Step>,
    /// Steps after the model has accepted the call.
    events: Vec<Step>,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a script of a few steps")]
enum Step {
    Wait(Duration),
    Say(Event),
    Fail(FailureKind, String),
    Throttle(Duration),
    WaitFor(Gate),
    Hang,
}

/// A gate at which a model waits until the test opens it.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn open(&self) {
        self.0.close();
    }

    async fn opened(self) {
        assert!(self.0.acquire().await.is_err(), "a gate has no permits");
    }
}

/// Fails the given number of times, and then answers with `text`.
pub(crate) fn recovers_after(failures: usize, kind: FailureKind, text: &str) -> Behaviour {
    let failure = vec![Step::Fail(kind, "injected".to_owned())];
    Behaviour { first: vec![failure; failures], ..says(text) }
}

/// Is throttled, with `Retry-After`.
pub(crate) fn throttled_for(pause: Duration) -> Behaviour {
    Behaviour { opening: vec![Step::Throttle(pause)], ..Behaviour::default() }
}

/// Answers with `text`, one delta for each word.
pub(crate) fn says(text: &str) -> Behaviour {
    Behaviour { events: [message_start(), deltas(text), message_end()].concat(), ..Behaviour::default() }
}

/// Answers with `text` and stops for `reason`, which Bedrock calls `raw_reason`.
pub(crate) fn says_and_stops(text: &str, reason: pb::StopReason, raw_reason: &str) -> Behaviour {
    let mut behaviour = says(text);
    for step in &mut behaviour.events {
        if let Step::Say(Event::MessageStop(stop)) = step {
            stop.set_stop_reason(reason);
            raw_reason.clone_into(&mut stop.raw_stop_reason);
        }
    }
    behaviour
}

/// Fails before it accepts the call.
pub(crate) fn fails(kind: FailureKind) -> Behaviour {
    fails_with_message(kind, "injected")
}

pub(crate) fn fails_with_message(kind: FailureKind, message: &str) -> Behaviour {
    Behaviour { opening: vec![Step::Fail(kind, message.to_owned())], ..Behaviour::default() }
}

pub(crate) fn throttled() -> Behaviour {
    fails(FailureKind::Throttled)
}

/// Never accepts the call.
pub(crate) fn hangs() -> Behaviour {
    Behaviour { opening: vec![Step::Hang], ..Behaviour::default() }
}

/// Accepts the call, starts the message, and then sends nothing.
pub(crate) fn starts_and_hangs() -> Behaviour {
    Behaviour { events: [message_start(), vec![Step::Hang]].concat(), ..Behaviour::default() }
}

/// Accepts the call, starts the message, and fails before any content.
pub(crate) fn starts_and_fails(kind: FailureKind) -> Behaviour {
    Behaviour {
        events: [message_start(), vec![Step::Fail(kind, "injected".to_owned())]].concat(),
        ..Behaviour::default()
    }
}

/// Sends `text` and then fails.
pub(crate) fn says_and_fails(text: &str, kind: FailureKind) -> Behaviour {
    Behaviour {
        events: [message_start(), deltas(text), vec![Step::Fail(kind, "injected".to_owned())]].concat(),
        ..Behaviour::default()
    }
}

/// Sends `text` and then nothing more.
pub(crate) fn says_and_hangs(text: &str) -> Behaviour {
    Behaviour { events: [message_start(), deltas(text), vec![Step::Hang]].concat(), ..Behaviour::default() }
}

/// Sends `text`, and then the stream ends without `messageStop`, as if it were complete.
pub(crate) fn says_and_ends_early(text: &str) -> Behaviour {
    Behaviour { events: [message_start(), deltas(text)].concat(), ..Behaviour::default() }
}

/// Sends a complete answer without its metadata.
pub(crate) fn says_without_metadata(text: &str) -> Behaviour {
    says(text).without_last_step()
}

/// Starts the message, sends an empty delta, and then fails.
pub(crate) fn sends_empty_content_and_fails(kind: FailureKind) -> Behaviour {
    let failure = vec![Step::Fail(kind, "injected".to_owned())];
    Behaviour { events: [message_start(), vec![delta("")], failure].concat(), ..Behaviour::default() }
}

/// Sends each of `deltas` after a pause.
pub(crate) fn says_slowly(deltas: &[&str], pause: Duration) -> Behaviour {
    let content = deltas.iter().flat_map(|text| [Step::Wait(pause), delta(text)]).collect();
    Behaviour { events: [message_start(), content, message_end()].concat(), ..Behaviour::default() }
}

/// Sends `first`, waits at the gate, and then completes the answer with `rest`.
pub(crate) fn says_in_two_parts(first: &str, gate: &Gate, rest: &str) -> Behaviour {
    let wait = vec![Step::WaitFor(gate.clone())];
    Behaviour {
        events: [message_start(), vec![delta(first)], wait, vec![delta(rest)], message_end()].concat(),
        ..Behaviour::default()
    }
}

/// Sends `text`, waits at the gate, and then fails.
pub(crate) fn says_and_fails_later(text: &str, gate: &Gate, kind: FailureKind) -> Behaviour {
    let end = vec![Step::WaitFor(gate.clone()), Step::Fail(kind, "injected".to_owned())];
    Behaviour { events: [message_start(), deltas(text), end].concat(), ..Behaviour::default() }
}

impl Behaviour {
    /// Removes the last event.
    pub(crate) fn without_last_step(mut self) -> Self {
        self.events.pop();
        self
    }

    /// Takes the first calls of `other`.
    pub(crate) fn with_first_calls_of(self, other: Self) -> Self {
        Self { first: other.first, ..self }
    }

    /// Waits before the model accepts the call.
    pub(crate) fn after(mut self, pause: Duration) -> Self {
        self.opening.insert(0, Step::Wait(pause));
        self
    }
}

fn message_start() -> Vec<Step> {
    vec![Step::Say(Event::MessageStart(pb::MessageStartEvent { role: "assistant".to_owned() }))]
}

fn deltas(text: &str) -> Vec<Step> {
    text.split_inclusive(' ').map(delta).collect()
}

fn delta(text: &str) -> Step {
    let delta = pb::content_block_delta::Delta::Text(text.to_owned());
    let delta = Some(pb::ContentBlockDelta { delta: Some(delta) });
    Step::Say(Event::ContentBlockDelta(pb::ContentBlockDeltaEvent { delta, content_block_index: 0 }))
}

fn message_end() -> Vec<Step> {
    vec![
        Step::Say(Event::ContentBlockStop(pb::ContentBlockStopEvent { content_block_index: 0 })),
        Step::Say(Event::MessageStop(pb::MessageStopEvent {
            stop_reason: pb::StopReason::EndTurn.into(),
            raw_stop_reason: "end_turn".to_owned(),
            ..Default::default()
        })),
        Step::Say(Event::Metadata(pb::ConverseStreamMetadataEvent {
            usage: Some(usage()),
            ..Default::default()
        })),
    ]
}

pub(crate) fn usage() -> pb::TokenUsage {
    pb::TokenUsage { input_tokens: 7, output_tokens: 3, total_tokens: 10, ..Default::default() }
}

/// Models with scripted behaviour, which record their calls.
#[derive(Clone, Debug, Default)]
struct FakeModels {
    behaviours: Arc<BTreeMap<String, Behaviour>>,
    calls: Arc<Mutex<Vec<ModelCall>>>,
    streams: Arc<AtomicUsize>,
}

/// One call of a fake model.
#[derive(Clone, Debug)]
pub(crate) struct ModelCall {
    pub(crate) model: String,
    pub(crate) inference: pb::InferenceConfiguration,
    pub(crate) service_tier: Option<String>,
}

impl FakeModels {
    async fn open(&self, candidate: &Candidate, request: ModelRequest<'_>) -> Result<Vec<Step>, Failure> {
        let service_tier = request.request.service_tier.as_ref().map(|tier| tier.r#type.clone());
        let call = ModelCall {
            model: candidate.deployment.name.clone(),
            inference: request.inference.clone(),
            service_tier,
        };
        let number = {
            let mut all = self.calls.lock().expect("is not poisoned");
            all.push(call);
            all.iter().filter(|call| call.model == candidate.deployment.name).count()
        };
        let behaviour = self.behaviours[&candidate.deployment.name].clone();
        for step in behaviour.first.get(number - 1).cloned().unwrap_or(behaviour.opening) {
            step.play().await?;
        }
        Ok(behaviour.events)
    }
}

impl Step {
    async fn play(self) -> Result<Option<Event>, Failure> {
        match self {
            Self::Wait(pause) => sleep(pause).await,
            Self::Say(event) => return Ok(Some(event)),
            Self::Fail(kind, message) => {
                return Err(Failure::new(kind, message).of_request("bedrock-request"));
            }
            Self::Throttle(pause) => {
                let throttled = Failure::new(FailureKind::Throttled, "injected");
                return Err(Failure { retry_after: Some(pause), ..throttled });
            }
            Self::WaitFor(gate) => gate.opened().await,
            Self::Hang => std::future::pending().await,
        }
        Ok(None)
    }
}

impl Models for FakeModels {
    type Events = FakeEvents;

    async fn converse(&self, candidate: &Candidate, request: ModelRequest<'_>) -> Result<Answer, Failure> {
        let mut text = String::new();
        for step in self.open(candidate, request).await? {
            if let Some(Event::ContentBlockDelta(event)) = step.play().await? {
                text += &text_of(&event);
            }
        }
        let content = vec![pb::ContentBlock { block: Some(Block::Text(text)) }];
        let message = pb::Message { role: "assistant".to_owned(), content };
        let response = pb::ConverseResponse {
            output: Some(pb::ConverseOutput { output: Some(pb::converse_output::Output::Message(message)) }),
            usage: Some(usage()),
            ..Default::default()
        };
        Ok(Answer { response, request_id: "bedrock-request".to_owned() })
    }

    async fn converse_stream(
        &self,
        candidate: &Candidate,
        request: ModelRequest<'_>,
    ) -> Result<Opened<FakeEvents>, Failure> {
        let steps = self.open(candidate, request).await?;
        let events = stream::iter(steps).then(Step::play).filter_map(|played| async { played.transpose() });
        self.streams.fetch_add(1, SeqCst);
        let events = FakeEvents { events: events.boxed(), open: Arc::clone(&self.streams) };
        Ok(Opened { events, request_id: "bedrock-request".to_owned() })
    }

    async fn renew(&self, _: &Candidate) -> bool {
        true
    }

    async fn count_tokens(
        &self,
        candidate: &Candidate,
        _: &pb::CountTokensRequest,
    ) -> Result<Counted, Failure> {
        let (request, inference) = Default::default();
        self.open(candidate, ModelRequest { request: &request, inference: &inference }).await?;
        Ok(Counted { input_tokens: 11, request_id: "bedrock-request".to_owned() })
    }
}

/// The events of a fake model. The stream counts as open until it is dropped.
pub(crate) struct FakeEvents {
    events: Pin<Box<dyn Stream<Item = Result<Event, Failure>> + Send>>,
    open: Arc<AtomicUsize>,
}

impl Stream for FakeEvents {
    type Item = Result<Event, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(cx)
    }
}

impl Drop for FakeEvents {
    fn drop(&mut self) {
        self.open.fetch_sub(1, SeqCst);
    }
}

// === the scenario ===

/// Configuration and models of a test.
#[derive(Debug, Default)]
pub(crate) struct Scenario {
    config: Config,
    behaviours: BTreeMap<String, Behaviour>,
    telemetry: Telemetry,
}

impl Scenario {
    pub(crate) fn new() -> Self {
        let mut scenario = Self::default();
        scenario.config.routing.unknown_tasks = UnknownTasks::Refuse;
        scenario.config.retry.rounds = 0; // tests of retries turn them on
        scenario.config.breaker.enabled = false; // and so do tests of breakers
        scenario
    }

    pub(crate) fn route<const N: usize>(mut self, task: &str, models: [&'static str; N]) -> Self {
        for model in models {
            let max_output_tokens = 1000.try_into().ok();
            let entry = Model { max_output_tokens, ..Model::new(&format!("test.{model}")) };
            self.config.models.insert(model.to_owned(), entry);
        }
        self.config.tasks.insert(task.to_owned(), Task::new("", models));
        self
    }

    pub(crate) fn model(mut self, name: &str, behaviour: Behaviour) -> Self {
        self.behaviours.insert(name.to_owned(), behaviour);
        self
    }

    pub(crate) fn deadline(mut self, change: impl FnOnce(&mut Deadline)) -> Self {
        change(&mut self.config.deadline);
        self
    }

    pub(crate) fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    pub(crate) fn with_telemetry(mut self, telemetry: &Telemetry) -> Self {
        self.telemetry = telemetry.clone();
        self
    }

    /// Configuration and models, for a test that starts the server itself.
    pub(crate) fn into_parts(self) -> (Config, impl Models) {
        let models = FakeModels { behaviours: Arc::new(self.behaviours), ..FakeModels::default() };
        (self.config, models)
    }

    /// Starts a server whose configuration can be replaced.
    pub(crate) fn start_reloadable(self) -> (ScenarioServer, Reload) {
        let models = FakeModels { behaviours: Arc::new(self.behaviours), ..FakeModels::default() };
        let registry = Registry::default();
        let first = Snapshot::build(&self.config, &Catalogue::built_in(), "us-east-1", &registry);
        let snapshots = watch::Sender::new(Arc::new(first));
        let source = Source { snapshots: snapshots.subscribe(), registry: registry.clone() };
        let server = TestServer::start_from(self.config.clone(), source, models.clone(), self.telemetry);
        (ScenarioServer { server, models }, Reload { config: self.config, snapshots, registry })
    }

    pub(crate) fn start(self) -> ScenarioServer {
        let models = FakeModels { behaviours: Arc::new(self.behaviours), ..FakeModels::default() };
        ScenarioServer {
            server: TestServer::start_with_telemetry(self.config, models.clone(), self.telemetry),
            models,
        }
    }
}

/// A running server on fake models.
#[derive(Debug)]
pub(crate) struct ScenarioServer {
    server: TestServer,
    models: FakeModels,
}

impl Deref for ScenarioServer {
    type Target = TestServer;

    fn deref(&self) -> &TestServer {
        &self.server
    }
}

impl DerefMut for ScenarioServer {
    fn deref_mut(&mut self) -> &mut TestServer {
        &mut self.server
    }
}

impl ScenarioServer {
    /// All calls of models so far, in order.
    pub(crate) fn model_calls(&self) -> Vec<ModelCall> {
        self.models.calls.lock().expect("is not poisoned").clone()
    }

    /// The names of the models that were called so far, in order.
    pub(crate) fn called_models(&self) -> Vec<String> {
        self.model_calls().into_iter().map(|call| call.model).collect()
    }

    /// Number of model streams that are open.
    pub(crate) fn open_streams(&self) -> usize {
        self.models.streams.load(SeqCst)
    }
}

/// Publishes new versions of a configuration.
#[derive(Debug)]
pub(crate) struct Reload {
    config: Config,
    snapshots: watch::Sender<Arc<Snapshot>>,
    registry: Registry,
}

impl Reload {
    /// Changes the configuration and publishes its snapshot.
    pub(crate) fn publish(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        let snapshot = Snapshot::build(&self.config, &Catalogue::built_in(), "us-east-1", &self.registry);
        self.snapshots.send_replace(Arc::new(snapshot));
    }
}

/// The snapshots of a server, and what it learns of their deployments.
struct Source {
    snapshots: Snapshots,
    registry: Registry,
}

/// A running server on in-memory connections.
#[derive(Debug)]
pub(crate) struct TestServer {
    connections: mpsc::UnboundedSender<io::Result<DuplexStream>>,
    drain: Option<oneshot::Sender<()>>,
    server: JoinHandle<Drained>,
}

impl TestServer {
    pub(crate) fn start(config: Config, models: impl Models) -> Self {
        Self::start_with_telemetry(config, models, Telemetry::default())
    }

    pub(crate) fn start_with_telemetry(config: Config, models: impl Models, telemetry: Telemetry) -> Self {
        let registry = Registry::default();
        let snapshots = Snapshot::build(&config, &Catalogue::built_in(), "us-east-1", &registry).fixed();
        Self::start_from(config, Source { snapshots, registry }, models, telemetry)
    }

    fn start_from(config: Config, source: Source, models: impl Models, telemetry: Telemetry) -> Self {
        let (connections, incoming) = mpsc::unbounded_channel::<io::Result<DuplexStream>>();
        let (drain, drained) = oneshot::channel::<()>();
        let server = tokio::task::spawn(async move {
            let incoming = UnboundedReceiverStream::new(incoming);
            let Source { snapshots, registry } = source;
            let parts = Parts { config: &config, snapshots, registry, models, telemetry: &telemetry };
            serve(parts, incoming, drained.map(drop)).await.expect("serves")
        });
        Self { connections, drain: Some(drain), server }
    }

    /// A gRPC channel with a connection of its own.
    pub(crate) fn channel(&self) -> Channel {
        let connections = self.connections.clone();
        Endpoint::from_static("http://switchboard.test").connect_with_connector_lazy(tower::service_fn(
            move |_| {
                let connected = connect(&connections);
                async move { connected.map(TokioIo::new) }
            },
        ))
    }

    /// A new connection, for tests that use HTTP/2 directly.
    pub(crate) fn connection(&self) -> DuplexStream {
        connect(&self.connections).expect("the server runs")
    }

    pub(crate) fn caller(&self) -> ConverseServiceClient<Channel> {
        ConverseServiceClient::new(self.channel())
    }

    pub(crate) fn routing(&self) -> RoutingServiceClient<Channel> {
        RoutingServiceClient::new(self.channel())
    }

    pub(crate) fn feedback(&self) -> FeedbackServiceClient<Channel> {
        FeedbackServiceClient::new(self.channel())
    }

    pub(crate) fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel())
    }

    pub(crate) async fn converse(&self, task: &str, text: &str) -> Result<pb::ConverseResponse, Status> {
        self.caller().converse(chat_request(task, text)).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn converse_stream(&self, task: &str, text: &str) -> ReceivedStream {
        match self.caller().converse_stream(chat_request(task, text)).await {
            Ok(response) => ReceivedStream::read_all(response.into_inner()).await,
            Err(status) => ReceivedStream { events: Vec::new(), status: Some(status) },
        }
    }

    /// Starts the drain; resolves when the server has ended.
    pub(crate) fn drain(&mut self) -> BoxFuture<'_, Drained> {
        drop(self.drain.take());
        async { (&mut self.server).await.expect("ends") }.boxed()
    }
}

fn connect(connections: &mpsc::UnboundedSender<io::Result<DuplexStream>>) -> io::Result<DuplexStream> {
    let (near, far) = tokio::io::duplex(1 << 20);
    connections.send(Ok(far)).map(|()| near).map_err(io::Error::other)
}

// === the caller ===

pub(crate) fn chat_request(task: &str, text: &str) -> pb::ConverseRequest {
    pb::ConverseRequest {
        task_type: task.to_owned(),
        messages: vec![text_message("user", text)],
        ..Default::default()
    }
}

pub(crate) fn text_message(role: &str, text: &str) -> pb::Message {
    let content = vec![pb::ContentBlock { block: Some(Block::Text(text.to_owned())) }];
    pb::Message { role: role.to_owned(), content }
}

/// Everything that a caller received of a stream.
#[derive(Debug)]
pub(crate) struct ReceivedStream {
    pub(crate) events: Vec<Event>,
    /// The error with which the stream ended. Absent: it completed.
    pub(crate) status: Option<Status>,
}

impl ReceivedStream {
    pub(crate) async fn read_all(mut stream: tonic::Streaming<pb::ConverseStreamResponse>) -> Self {
        let mut received = Self { events: Vec::new(), status: None };
        loop {
            match stream.message().await {
                Ok(Some(reply)) => received.events.push(reply.event.expect("has an event")),
                Ok(None) => return received,
                Err(status) => {
                    received.status = Some(status);
                    return received;
                }
            }
        }
    }

    pub(crate) fn text(&self) -> String {
        let deltas = self.events.iter().filter_map(|event| match event {
            Event::ContentBlockDelta(event) => Some(text_of(event)),
            _ => None,
        });
        deltas.collect()
    }

    /// The route of the first event.
    pub(crate) fn route(&self) -> &pb::Route {
        match self.events.first() {
            Some(Event::Route(route)) => route,
            other => panic!("the first event is not the route but {other:?} ({:?})", self.status),
        }
    }

    pub(crate) fn metadata(&self) -> Option<&pb::ConverseStreamMetadataEvent> {
        match self.events.last() {
            Some(Event::Metadata(metadata)) => Some(metadata),
            _ => None,
        }
    }

    pub(crate) fn status(&self) -> &Status {
        self.status.as_ref().expect("ended with an error")
    }
}

fn text_of(event: &pb::ContentBlockDeltaEvent) -> String {
    match event.delta.as_ref().and_then(|delta| delta.delta.as_ref()) {
        Some(pb::content_block_delta::Delta::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

/// The attempts of a route, such as `sonnet THROTTLED`.
pub(crate) fn attempts(route: &pb::Route) -> Vec<String> {
    let attempt = |attempt: &pb::Attempt| {
        let outcome = attempt.outcome().as_str_name().trim_start_matches("OUTCOME_");
        format!("{} {outcome}", attempt.model_id.trim_start_matches("test."))
    };
    route.attempts.iter().map(attempt).collect()
}

pub(crate) use switchboard_proto::names::{action_name, reason_name};

/// The reason of a status.
pub(crate) fn reason(status: &Status) -> String {
    let info = tonic_types::StatusExt::get_details_error_info(status).expect("has an ErrorInfo");
    assert_eq!(info.domain, "switchboard");
    info.reason
}

/// The invalid fields that a status names.
pub(crate) fn invalid_fields(status: &Status) -> Vec<String> {
    let details = tonic_types::StatusExt::get_details_bad_request(status).expect("has a BadRequest");
    details.field_violations.into_iter().map(|violation| violation.field).collect()
}

/// The route in the details of a status.
pub(crate) fn route_of(status: &Status) -> Option<pb::Route> {
    use prost::Message as _;
    let decoded = tonic_types::pb::Status::decode(status.details()).expect("has details");
    let route = decoded.details.iter().find(|detail| detail.type_url.ends_with("/switchboard.v1.Route"))?;
    Some(pb::Route::decode(route.value.as_slice()).expect("is a route"))
}
