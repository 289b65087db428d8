//! Fake server that returns prepared answers and records the calls it receives.

use futures_util::{Stream, StreamExt as _, stream};
use pb::{
    converse_service_server::{ConverseService, ConverseServiceServer},
    feedback_service_server::{FeedbackService, FeedbackServiceServer},
    routing_service_server::{RoutingService, RoutingServiceServer},
};
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex},
};
use switchboard_client::{Event, MAX_MESSAGE_BYTES, Options, Switchboard, pb};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    transport::{Server, ServerTlsConfig, server::TcpIncoming},
};

/// Answer to the next call.
pub(crate) enum Answer {
    Complete(Box<pb::ConverseResponse>),
    /// The events, then the end.
    Events(Vec<Event>),
    /// The events, then the status.
    BreaksOff(Vec<Event>, Status),
    /// The events, then nothing; the call stays open.
    Hangs(Vec<Event>),
    Fails(Status),
}

/// Received call.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) metadata: MetadataMap,
    pub(crate) request: pb::ConverseRequest,
}

#[derive(Clone, Default)]
struct Service {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    feedback: Arc<Mutex<Vec<pb::RecordFeedbackRequest>>>,
}

/// Running fake server; stops when dropped.
pub(crate) struct Fake {
    pub(crate) address: String,
    service: Service,
    _server: JoinSet<()>,
}

// === impl Fake ===

impl Fake {
    pub(crate) async fn playing(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start(Server::builder(), "http", answers).await
    }

    pub(crate) async fn with_tls(tls: ServerTlsConfig, answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start(Server::builder().tls_config(tls).unwrap(), "https", answers).await
    }

    async fn start(mut server: Server, scheme: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        let service = Service::default();
        service.answers.lock().unwrap().extend(answers);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
        let calls = ConverseServiceServer::new(service.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let served = server
            .add_service(calls)
            .add_service(RoutingServiceServer::new(service.clone()))
            .add_service(FeedbackServiceServer::new(service.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { served.await.unwrap() });
        Self { address, service, _server: tasks }
    }

    pub(crate) async fn client(&self) -> Switchboard {
        Switchboard::connect(self.address.as_str()).await.unwrap()
    }

    pub(crate) fn options(&self) -> Options {
        Options::new(&self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.service.seen.lock().unwrap().clone()
    }

    pub(crate) fn feedback(&self) -> Vec<pb::RecordFeedbackRequest> {
        self.service.feedback.lock().unwrap().clone()
    }
}

// === impl Service ===

impl Service {
    fn next(&self, request: Request<pb::ConverseRequest>) -> Answer {
        let (metadata, _, request) = request.into_parts();
        self.seen.lock().unwrap().push(Seen { metadata, request });
        self.answers.lock().unwrap().pop_front().expect("an answer is prepared for every call")
    }
}

type Replies = Pin<Box<dyn Stream<Item = Result<pb::ConverseStreamResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ConverseService for Service {
    type ConverseStreamStream = Replies;

    async fn converse(
        &self,
        request: Request<pb::ConverseRequest>,
    ) -> Result<Response<pb::ConverseResponse>, Status> {
        match self.next(request) {
            Answer::Complete(response) => Ok(Response::new(*response)),
            Answer::Fails(status) => Err(status),
            Answer::Hangs(_) => std::future::pending().await,
            Answer::Events(_) | Answer::BreaksOff(..) => panic!("Converse needs a complete answer"),
        }
    }

    async fn converse_stream(
        &self,
        request: Request<pb::ConverseRequest>,
    ) -> Result<Response<Replies>, Status> {
        let replies: Replies = match self.next(request) {
            Answer::Events(events) => Box::pin(replies(events)),
            Answer::BreaksOff(events, status) => Box::pin(replies(events).chain(stream::iter([Err(status)]))),
            Answer::Hangs(events) => Box::pin(replies(events).chain(stream::pending())),
            Answer::Fails(status) => return Err(status),
            Answer::Complete(_) => panic!("ConverseStream needs events"),
        };
        Ok(Response::new(replies))
    }

    async fn count_tokens(
        &self,
        request: Request<pb::CountTokensRequest>,
    ) -> Result<Response<pb::CountTokensResponse>, Status> {
        let task_type = request.into_inner().task_type;
        let route = pb::Route { task_type, ..Default::default() };
        Ok(Response::new(pb::CountTokensResponse { input_tokens: 11, route: Some(route) }))
    }
}

#[tonic::async_trait]
impl RoutingService for Service {
    async fn list_tasks(
        &self,
        _: Request<pb::ListTasksRequest>,
    ) -> Result<Response<pb::ListTasksResponse>, Status> {
        let task = |name: &str, models: &[&str]| pb::Task {
            task_type: name.to_owned(),
            candidates: models.iter().copied().map(candidate).collect(),
            max_tokens: 4096,
            ..Default::default()
        };
        Ok(Response::new(pb::ListTasksResponse {
            tasks: vec![task("coding", &["opus", "haiku"]), task("summarization", &["haiku"])],
            unknown_tasks: pb::UnknownTasks::Default.into(),
            config_version: "c0ffee".to_owned(),
        }))
    }

    async fn explain_route(
        &self,
        request: Request<pb::ExplainRouteRequest>,
    ) -> Result<Response<pb::ExplainRouteResponse>, Status> {
        let (task_type, resolution) = match request.into_inner().task_type {
            task if task == "coding" => (task, pb::Resolution::Named),
            _ => ("default".to_owned(), pb::Resolution::Unknown),
        };
        Ok(Response::new(pb::ExplainRouteResponse {
            task_type,
            resolution: resolution.into(),
            candidates: vec![candidate("opus")],
            deadlines: Some(pb::TaskDeadlines {
                first_content: Some(prost_types::Duration { seconds: 4, nanos: 0 }),
                ..Default::default()
            }),
            config_version: "c0ffee".to_owned(),
            ..Default::default()
        }))
    }
}

fn replies(events: Vec<Event>) -> impl Stream<Item = Result<pb::ConverseStreamResponse, Status>> {
    stream::iter(events).map(|event| Ok(pb::ConverseStreamResponse { event: Some(event) }))
}

fn candidate(name: &str) -> pb::Candidate {
    pb::Candidate {
        name: name.to_owned(),
        model_id: format!("us.anthropic.{name}"),
        region: "us-east-1".to_owned(),
        max_tokens: 4096,
        ..Default::default()
    }
}

#[tonic::async_trait]
impl FeedbackService for Service {
    async fn record_feedback(
        &self,
        request: Request<pb::RecordFeedbackRequest>,
    ) -> Result<Response<pb::RecordFeedbackResponse>, Status> {
        let mut feedback = self.feedback.lock().unwrap();
        feedback.push(request.into_inner());
        Ok(Response::new(pb::RecordFeedbackResponse {
            replaced: feedback.len() > 1,
            task_type: "coding".to_owned(),
            model_id: "us.opus".to_owned(),
            variant: String::new(),
        }))
    }
}
