//! The stage: a server with fake models, a caller, and a clock that stands still.
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
    failure::{Failure, FailureKind},
    model::{Answer, Counted, ModelRequest, Models, Opened},
    route::Candidate,
    serve,
    telemetry::Telemetry,
};
use tokio::{
    io::DuplexStream,
    sync::{mpsc, oneshot},
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

/// What a fake model does when it is asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behaviour {
    /// What it does in place of the rest when it is asked the first times.
    first: Vec<Vec<Step>>,
    /// Before it accepts.
    opening: Vec<Step>,
    /// After it has accepted.
    events: Vec<Step>,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a script of a few steps")]
enum Step {
    Wait(Duration),
    Say(Event),
    Fail(FailureKind, String),
    Throttle(Duration),
    Hang,
}

/// It fails so many times, and then answers with these words.
pub(crate) fn recovers(failures: usize, kind: FailureKind, words: &str) -> Behaviour {
    let failure = vec![Step::Fail(kind, "injected".to_owned())];
    Behaviour { first: vec![failure; failures], ..says(words) }
}

/// It is throttled, and says for how long.
pub(crate) fn asks_to_wait(pause: Duration) -> Behaviour {
    Behaviour { opening: vec![Step::Throttle(pause)], ..Behaviour::default() }
}

/// It answers with these words.
pub(crate) fn says(words: &str) -> Behaviour {
    Behaviour { events: [begins(), speaks(words), ends()].concat(), ..Behaviour::default() }
}

/// It says these words and stops for this reason.
pub(crate) fn says_and_stops(words: &str, reason: pb::StopReason, in_bedrocks_words: &str) -> Behaviour {
    let mut behaviour = says(words);
    for step in &mut behaviour.events {
        if let Step::Say(Event::MessageStop(stop)) = step {
            stop.set_stop_reason(reason);
            in_bedrocks_words.clone_into(&mut stop.raw_stop_reason);
        }
    }
    behaviour
}

/// It refuses with this failure.
pub(crate) fn fails(kind: FailureKind) -> Behaviour {
    fails_saying(kind, "injected")
}

pub(crate) fn fails_saying(kind: FailureKind, words: &str) -> Behaviour {
    Behaviour { opening: vec![Step::Fail(kind, words.to_owned())], ..Behaviour::default() }
}

pub(crate) fn throttled() -> Behaviour {
    fails(FailureKind::Throttled)
}

/// It never even accepts.
pub(crate) fn hangs() -> Behaviour {
    Behaviour { opening: vec![Step::Hang], ..Behaviour::default() }
}

/// It accepts, begins, and then says nothing.
pub(crate) fn begins_and_hangs() -> Behaviour {
    Behaviour { events: [begins(), vec![Step::Hang]].concat(), ..Behaviour::default() }
}

/// It accepts, begins, and then fails before any content.
pub(crate) fn begins_and_fails(kind: FailureKind) -> Behaviour {
    Behaviour {
        events: [begins(), vec![Step::Fail(kind, "injected".to_owned())]].concat(),
        ..Behaviour::default()
    }
}

/// It says these words and then fails.
pub(crate) fn says_and_fails(words: &str, kind: FailureKind) -> Behaviour {
    Behaviour {
        events: [begins(), speaks(words), vec![Step::Fail(kind, "injected".to_owned())]].concat(),
        ..Behaviour::default()
    }
}

/// It says these words and then falls silent.
pub(crate) fn says_and_hangs(words: &str) -> Behaviour {
    Behaviour { events: [begins(), speaks(words), vec![Step::Hang]].concat(), ..Behaviour::default() }
}

/// It says these words and then the stream ends, quietly, as if that were all.
pub(crate) fn says_and_ends_early(words: &str) -> Behaviour {
    Behaviour { events: [begins(), speaks(words)].concat(), ..Behaviour::default() }
}

/// Everything but the metadata.
pub(crate) fn says_without_metadata(words: &str) -> Behaviour {
    says(words).without_its_last_step()
}

/// It accepts, and then opens with pieces that are empty, before it fails.
pub(crate) fn says_nothing_and_fails(kind: FailureKind) -> Behaviour {
    let failure = vec![Step::Fail(kind, "injected".to_owned())];
    Behaviour { events: [begins(), vec![piece("")], failure].concat(), ..Behaviour::default() }
}

/// It says each word after a pause.
pub(crate) fn says_slowly(words: &[&str], pause: Duration) -> Behaviour {
    let spoken = words.iter().flat_map(|word| [Step::Wait(pause), piece(word)]).collect();
    Behaviour { events: [begins(), spoken, ends()].concat(), ..Behaviour::default() }
}

impl Behaviour {
    /// It ends a step sooner.
    pub(crate) fn without_its_last_step(mut self) -> Self {
        self.events.pop();
        self
    }

    /// It begins with what this one does when it is asked the first times.
    pub(crate) fn with_first_of(self, other: Self) -> Self {
        Self { first: other.first, ..self }
    }

    /// It waits before it accepts.
    pub(crate) fn after(mut self, pause: Duration) -> Self {
        self.opening.insert(0, Step::Wait(pause));
        self
    }
}

fn begins() -> Vec<Step> {
    vec![Step::Say(Event::MessageStart(pb::MessageStartEvent { role: "assistant".to_owned() }))]
}

fn speaks(words: &str) -> Vec<Step> {
    words.split_inclusive(' ').map(piece).collect()
}

fn piece(text: &str) -> Step {
    let delta = pb::content_block_delta::Delta::Text(text.to_owned());
    let delta = Some(pb::ContentBlockDelta { delta: Some(delta) });
    Step::Say(Event::ContentBlockDelta(pb::ContentBlockDeltaEvent { delta, content_block_index: 0 }))
}

fn ends() -> Vec<Step> {
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

/// Models that do as they are told, and remember what they were asked.
#[derive(Clone, Debug, Default)]
struct Fakes {
    behaviours: Arc<BTreeMap<String, Behaviour>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    streams: Arc<AtomicUsize>,
}

/// One call of a fake model.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) model: String,
    pub(crate) inference: pb::InferenceConfiguration,
    pub(crate) service_tier: Option<String>,
}

impl Fakes {
    async fn open(&self, candidate: &Candidate, request: ModelRequest<'_>) -> Result<Vec<Step>, Failure> {
        let service_tier = request.request.service_tier.as_ref().map(|tier| tier.r#type.clone());
        let asked = Asked {
            model: candidate.deployment.name.clone(),
            inference: request.inference.clone(),
            service_tier,
        };
        let times = {
            let mut all = self.asked.lock().expect("is not poisoned");
            all.push(asked);
            all.iter().filter(|asked| asked.model == candidate.deployment.name).count()
        };
        let behaviour = self.behaviours[&candidate.deployment.name].clone();
        for step in behaviour.first.get(times - 1).cloned().unwrap_or(behaviour.opening) {
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
            Self::Fail(kind, words) => return Err(Failure::new(kind, words).of_request("bedrock-request")),
            Self::Throttle(pause) => {
                let throttled = Failure::new(FailureKind::Throttled, "injected");
                return Err(Failure { retry_after: Some(pause), ..throttled });
            }
            Self::Hang => std::future::pending().await,
        }
        Ok(None)
    }
}

impl Models for Fakes {
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

/// The events of a fake model; counted as open until dropped.
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

/// What a test sets before it starts.
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
        scenario.config.retry.rounds = 0; // those that are about retries say so
        scenario.config.breaker.enabled = false; // and so do those about breakers
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

    pub(crate) fn seen_by(mut self, telemetry: &Telemetry) -> Self {
        self.telemetry = telemetry.clone();
        self
    }

    pub(crate) fn start(self) -> Running {
        let fakes = Fakes { behaviours: Arc::new(self.behaviours), ..Fakes::default() };
        Running { stage: Stage::start_seen(self.config, fakes.clone(), self.telemetry), fakes }
    }
}

/// A server that runs on fake models, and what a test does with it.
#[derive(Debug)]
pub(crate) struct Running {
    stage: Stage,
    fakes: Fakes,
}

impl Deref for Running {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}

impl Running {
    /// What the models were asked, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.fakes.asked.lock().expect("is not poisoned").clone()
    }

    pub(crate) fn models_asked(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.model).collect()
    }

    /// How many streams of models are open.
    pub(crate) fn open_streams(&self) -> usize {
        self.fakes.streams.load(SeqCst)
    }
}

/// A server that runs, and its callers.
#[derive(Debug)]
pub(crate) struct Stage {
    connections: mpsc::UnboundedSender<io::Result<DuplexStream>>,
    drain: Option<oneshot::Sender<()>>,
    server: JoinHandle<Drained>,
}

impl Stage {
    pub(crate) fn start(config: Config, models: impl Models) -> Self {
        Self::start_seen(config, models, Telemetry::default())
    }

    pub(crate) fn start_seen(config: Config, models: impl Models, telemetry: Telemetry) -> Self {
        let (connections, incoming) = mpsc::unbounded_channel::<io::Result<DuplexStream>>();
        let (drain, drained) = oneshot::channel::<()>();
        let server = tokio::task::spawn(async move {
            let incoming = UnboundedReceiverStream::new(incoming);
            let drained = drained.map(drop);
            let parts = Parts::fixed(&config, &Catalogue::built_in(), "us-east-1", models, &telemetry);
            serve(parts, incoming, drained).await.expect("serves")
        });
        Self { connections, drain: Some(drain), server }
    }

    /// A new connection.
    pub(crate) fn channel(&self) -> Channel {
        let connections = self.connections.clone();
        Endpoint::from_static("http://switchboard.test").connect_with_connector_lazy(tower::service_fn(
            move |_| {
                let connected = connect(&connections);
                async move { connected.map(TokioIo::new) }
            },
        ))
    }

    /// A new connection, for a test that speaks HTTP/2 by itself.
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

    pub(crate) async fn converse(&self, task: &str, words: &str) -> Result<pb::ConverseResponse, Status> {
        self.caller().converse(asking(task, words)).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn converse_stream(&self, task: &str, words: &str) -> Heard {
        match self.caller().converse_stream(asking(task, words)).await {
            Ok(response) => Heard::all_of(response.into_inner()).await,
            Err(status) => Heard { events: Vec::new(), status: Some(status) },
        }
    }

    /// Asks the server to drain; resolves when it has.
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

pub(crate) fn asking(task: &str, words: &str) -> pb::ConverseRequest {
    pb::ConverseRequest {
        task_type: task.to_owned(),
        messages: vec![turn("user", words)],
        ..Default::default()
    }
}

pub(crate) fn turn(role: &str, words: &str) -> pb::Message {
    let content = vec![pb::ContentBlock { block: Some(Block::Text(words.to_owned())) }];
    pb::Message { role: role.to_owned(), content }
}

/// All that a caller heard of a stream.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) events: Vec<Event>,
    /// Absent: the stream ended well.
    pub(crate) status: Option<Status>,
}

impl Heard {
    pub(crate) async fn all_of(mut stream: tonic::Streaming<pb::ConverseStreamResponse>) -> Self {
        let mut heard = Self { events: Vec::new(), status: None };
        loop {
            match stream.message().await {
                Ok(Some(reply)) => heard.events.push(reply.event.expect("has an event")),
                Ok(None) => return heard,
                Err(status) => {
                    heard.status = Some(status);
                    return heard;
                }
            }
        }
    }

    pub(crate) fn text(&self) -> String {
        let pieces = self.events.iter().filter_map(|event| match event {
            Event::ContentBlockDelta(event) => Some(text_of(event)),
            _ => None,
        });
        pieces.collect()
    }

    /// The route, which is the first event.
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

/// The attempts of a route, as `sonnet THROTTLED`.
pub(crate) fn attempts(route: &pb::Route) -> Vec<String> {
    let attempt = |attempt: &pb::Attempt| {
        let outcome = attempt.outcome().as_str_name().trim_start_matches("OUTCOME_");
        format!("{} {outcome}", attempt.model_id.trim_start_matches("test."))
    };
    route.attempts.iter().map(attempt).collect()
}

pub(crate) use switchboard_proto::names::{action_name, reason_name};

/// What a status says to a program: its reason.
pub(crate) fn reason(status: &Status) -> String {
    let info = tonic_types::StatusExt::get_details_error_info(status).expect("has an ErrorInfo");
    assert_eq!(info.domain, "switchboard");
    info.reason
}

/// The fields that a status complains of.
pub(crate) fn wrong_fields(status: &Status) -> Vec<String> {
    let details = tonic_types::StatusExt::get_details_bad_request(status).expect("has a BadRequest");
    details.field_violations.into_iter().map(|violation| violation.field).collect()
}

/// The route that a status carries.
pub(crate) fn route_of(status: &Status) -> Option<pb::Route> {
    use prost::Message as _;
    let whole = tonic_types::pb::Status::decode(status.details()).expect("has details");
    let route = whole.details.iter().find(|detail| detail.type_url.ends_with("/switchboard.v1.Route"))?;
    Some(pb::Route::decode(route.value.as_slice()).expect("is a route"))
}
