//! The real models: the codec around an engine.
use super::{
    codec::{self, Frames, Gap},
    engine::{Engine, Operation, Reply, ReplyBody},
    failure::broken,
    source::{ConnectError, Source},
};
use crate::{
    config,
    deployment::Key,
    failure::{Failure, FailureKind},
    model::{Answer, Counted, ModelEvent, ModelRequest, Models, Opened, stop_reason},
    route::Candidate,
};
use futures_util::Stream;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use prost::Message;
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use switchboard_proto::v1 as pb;
use tokio::time::Instant;

/// Amazon Bedrock, in every region that the configuration names.
#[derive(Debug)]
pub struct Bedrock {
    engine: Engine,
    /// Where the credentials came from, and when that was last looked at anew.
    source: tokio::sync::Mutex<(Source, Option<Instant>)>,
    known_gaps: Arc<KnownGaps>,
}

/// Calls that find their credentials expired together renew them once.
const RENEWED_FOR: Duration = Duration::from_secs(5);

// === impl Bedrock ===

impl Bedrock {
    /// The region of models that name none, as the settings or the SDK's own search have it.
    ///
    /// # Errors
    /// [`ConnectError::NoRegion`] when neither says one.
    pub async fn default_region(settings: &config::Bedrock) -> Result<String, ConnectError> {
        let source = Source::load(settings).await;
        source.sdk.region().map(ToString::to_string).ok_or(ConnectError::NoRegion)
    }

    /// Prepares the way to each of `regions` and checks that there are credentials and that every endpoint answers.
    /// Resolves when the first calls can go out without waiting for connections, as far as `warm_connections` says.
    ///
    /// # Errors
    /// When there are no credentials, or an endpoint cannot be reached within the connect timeout.
    pub async fn connect(
        settings: &config::Bedrock,
        regions: impl IntoIterator<Item = String>,
    ) -> Result<Self, ConnectError> {
        codec::warm_up(); // not in the time of the first call
        let source = Source::load(settings).await;
        source.check_credentials().await?;
        let regions = regions.into_iter().collect::<BTreeSet<_>>();
        for region in &regions {
            source.check_endpoint(region).await?;
        }
        let engine = Engine::connect(settings, &source, &regions).await?;
        Ok(Self { engine, source: tokio::sync::Mutex::new((source, None)), known_gaps: Arc::default() })
    }

    /// Reads a whole answer as the message `switchboard.v1.{name}`.
    async fn read<T: Message + Default>(
        &self,
        name: &str,
        Reply { request_id, body }: Reply,
    ) -> Result<(T, String), Failure> {
        let json = body.collect().await.map_err(|error| broken(&*error).of_request(&request_id))?.to_bytes();
        let mut gaps = Vec::new();
        let message = codec::message(name, &json, &mut gaps);
        self.known_gaps.report(gaps);
        match message {
            Ok(message) => Ok((message, request_id)),
            Err(error) => Err(Failure::new(FailureKind::Protocol, error.to_string()).of_request(&request_id)),
        }
    }
}

impl Models for Bedrock {
    type Events = BedrockEvents;

    fn unknown_members(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.known_gaps.all)
    }

    async fn converse(&self, candidate: &Candidate, request: ModelRequest<'_>) -> Result<Answer, Failure> {
        let body = codec::request_body(request.request, request.inference).into();
        let Key { region, model_id, .. } = &candidate.deployment.key;
        let reply = self.engine.send(region, Operation::Converse, model_id, body).await?;
        let (mut response, request_id): (pb::ConverseResponse, _) =
            self.read("ConverseResponse", reply).await?;
        response.stop_reason = stop_reason(&response.raw_stop_reason).into();
        Ok(Answer { response, request_id })
    }

    async fn converse_stream(
        &self,
        candidate: &Candidate,
        request: ModelRequest<'_>,
    ) -> Result<Opened<BedrockEvents>, Failure> {
        let body = codec::request_body(request.request, request.inference).into();
        let Key { region, model_id, .. } = &candidate.deployment.key;
        let Reply { request_id, body } =
            self.engine.send(region, Operation::ConverseStream, model_id, body).await?;
        let events = BedrockEvents {
            body,
            frames: Frames::default(),
            request_id: request_id.clone(),
            known_gaps: Arc::clone(&self.known_gaps),
        };
        Ok(Opened { events, request_id })
    }

    async fn renew(&self, candidate: &Candidate) -> bool {
        let mut source = self.source.lock().await;
        if source.1.is_some_and(|renewed| renewed.elapsed() < RENEWED_FOR) {
            return true;
        }
        tracing::warn!(
            region = candidate.deployment.key.region,
            "the credentials have expired: looking for new ones"
        );
        *source = (source.0.reload().await, Some(Instant::now()));
        self.engine.renew(&source.0);
        true
    }

    async fn count_tokens(
        &self,
        candidate: &Candidate,
        request: &pb::CountTokensRequest,
    ) -> Result<Counted, Failure> {
        let body = codec::json("CountTokensRequest", request).into();
        let model_id = candidate.counting_id();
        let reply = self
            .engine
            .send(&candidate.deployment.key.region, Operation::CountTokens, model_id, body)
            .await?;
        let (response, request_id): (pb::CountTokensResponse, _) =
            self.read("CountTokensResponse", reply).await?;
        Ok(Counted { input_tokens: response.input_tokens, request_id })
    }
}

// === impl BedrockEvents ===

/// The events of one answer, read from its body as they are polled.
pub struct BedrockEvents {
    body: ReplyBody,
    frames: Frames,
    request_id: String,
    known_gaps: Arc<KnownGaps>,
}

impl Stream for BedrockEvents {
    type Item = Result<ModelEvent, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let mut gaps = Vec::new();
            let event = this.frames.next(&mut gaps);
            this.known_gaps.report(gaps);
            if let Some(event) = event.map_err(|failure| failure.of_request(&this.request_id)).transpose() {
                return Poll::Ready(Some(event));
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        this.frames.push(bytes);
                    }
                }
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(broken(&*error).of_request(&this.request_id))));
                }
                None if this.frames.is_between_frames() => return Poll::Ready(None),
                None => {
                    let cut = Failure::new(FailureKind::Protocol, "the stream ended inside a frame");
                    return Poll::Ready(Some(Err(cut.of_request(&this.request_id))));
                }
            }
        }
    }
}

// === impl KnownGaps ===

/// Members that the contract has no room for, counted. Each is told of once; a stream repeats them with every event.
#[derive(Debug, Default)]
struct KnownGaps {
    each: Mutex<BTreeMap<(&'static str, String), u64>>,
    all: Arc<AtomicU64>,
}

impl KnownGaps {
    fn report(&self, gaps: Vec<Gap>) {
        if gaps.is_empty() {
            return;
        }
        self.all.fetch_add(gaps.len() as u64, Relaxed);
        let mut known = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        for Gap { message, member } in gaps {
            if let Some(count) = known.get_mut(&(message, member.clone())) {
                *count += 1;
            } else if known.len() < MAX_KNOWN_GAPS {
                tracing::warn!(message, member, "bedrock sent a member that the contract has no room for");
                known.insert((message, member), 1);
            }
        }
    }
}

/// A service that made up names without end must not fill our memory with them.
const MAX_KNOWN_GAPS: usize = 1000;
