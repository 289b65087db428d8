//! The real models: the AWS SDK with our bodies in it.
use super::{
    Answer, Ask, Counted, ModelEvent, Models, Opened,
    codec::{self, Frames, Gap},
    failure::broken,
    source::{ConnectError, Source},
    stop_reason,
    swap::Swap,
};
use crate::{
    attempt::failure::{Failure, FailureKind},
    config,
    route::Candidate,
};
use aws_sdk_bedrockruntime::Client;
use aws_smithy_types::body::SdkBody;
use futures_util::Stream;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use prost::Message;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use switchboard_proto::v1 as pb;
use tokio::time::Instant;

/// Amazon Bedrock: one SDK client for each region.
#[derive(Debug)]
pub struct Bedrock {
    clients: RwLock<HashMap<String, Client>>,
    /// Where the clients came from, and when that was last looked at anew.
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

    /// Makes the clients of `regions` and checks that there are credentials and that every endpoint answers.
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
        let mut clients = HashMap::new();
        for region in regions.into_iter().collect::<BTreeSet<_>>() {
            source.check_endpoint(&region).await?;
            let client = source.client(&region);
            clients.insert(region, client);
        }
        let (clients, source) = (RwLock::new(clients), tokio::sync::Mutex::new((source, None)));
        Ok(Self { clients, source, known_gaps: Arc::default() })
    }

    /// A handle; all of a region's share their connections.
    fn client(&self, region: &str) -> Result<Client, Failure> {
        let unknown =
            || Failure::new(FailureKind::Misconfigured, format!("no client for the region {region}"));
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        clients.get(region).cloned().ok_or_else(unknown)
    }

    /// Reads a whole answer as the message `switchboard.v1.{name}`.
    async fn read<T: Message + Default>(
        &self,
        name: &str,
        body: SdkBody,
        request_id: &str,
    ) -> Result<T, Failure> {
        let json = body.collect().await.map_err(|error| broken(&*error).of_request(request_id))?.to_bytes();
        let mut gaps = Vec::new();
        let message = codec::message(name, &json, &mut gaps);
        self.known_gaps.report(gaps);
        message.map_err(|error| Failure::new(FailureKind::Protocol, error.to_string()).of_request(request_id))
    }
}

impl Models for Bedrock {
    type Events = BedrockEvents;

    fn gaps(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.known_gaps.all)
    }

    async fn converse(&self, candidate: &Candidate, ask: Ask<'_>) -> Result<Answer, Failure> {
        let swap = Swap::new(codec::request_body(ask.request, ask.inference));
        let call = self.client(&candidate.region)?.converse().model_id(&candidate.model_id);
        let sent = call.customize().interceptor(swap.clone()).send().await;
        let (request_id, body) = swap.answer(sent.err())?;
        let mut response: pb::ConverseResponse = self.read("ConverseResponse", body, &request_id).await?;
        response.stop_reason = stop_reason(&response.raw_stop_reason).into();
        Ok(Answer { response, request_id })
    }

    async fn converse_stream(
        &self,
        candidate: &Candidate,
        ask: Ask<'_>,
    ) -> Result<Opened<BedrockEvents>, Failure> {
        let swap = Swap::new(codec::request_body(ask.request, ask.inference));
        let call = self.client(&candidate.region)?.converse_stream().model_id(&candidate.model_id);
        let sent = call.customize().interceptor(swap.clone()).send().await;
        let (request_id, body) = swap.answer(sent.err())?;
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
        tracing::warn!(region = candidate.region, "the credentials have expired: looking for new ones");
        *source = (source.0.reload().await, Some(Instant::now()));
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        for (region, client) in clients.iter_mut() {
            *client = source.0.client(region);
        }
        true
    }

    async fn count_tokens(
        &self,
        candidate: &Candidate,
        request: &pb::CountTokensRequest,
    ) -> Result<Counted, Failure> {
        let swap = Swap::new(codec::json("CountTokensRequest", request));
        let call = self.client(&candidate.region)?.count_tokens().model_id(candidate.counting_id());
        let sent = call.customize().interceptor(swap.clone()).send().await;
        let (request_id, body) = swap.answer(sent.err())?;
        let response: pb::CountTokensResponse = self.read("CountTokensResponse", body, &request_id).await?;
        Ok(Counted { input_tokens: response.input_tokens, request_id })
    }
}

// === impl BedrockEvents ===

/// The events of one answer, read from its body as they are polled.
pub struct BedrockEvents {
    body: SdkBody,
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
