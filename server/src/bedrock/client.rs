//! Client of Amazon Bedrock: the codec and an engine.
use super::{
    aws_config::{AwsConfig, ConnectError},
    codec::{self, EventStreamDecoder, UnknownMember},
    engine::Engine,
    failure::broken_body,
    transport::{Body, Reply},
};
use crate::{
    config,
    deployment::Key,
    failure::{Failure, FailureKind},
    model::{Answer, Counted, ModelEvent, ModelRequest, Models, Opened, stop_reason},
    route::Candidate,
    rpc::Method,
};
use futures_util::Stream;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use prost::Message;
use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use switchboard_proto::v1 as pb;
use tokio::time::Instant;

/// Amazon Bedrock in every region that the configuration names.
#[derive(Debug)]
pub struct Bedrock {
    engine: Engine,
    aws_config: tokio::sync::Mutex<LoadedConfig>,
    unknown_members: Arc<UnknownMembers>,
}

/// The AWS configuration in use.
#[derive(Debug)]
struct LoadedConfig {
    aws_config: AwsConfig,
    /// Absent: not loaded again since startup.
    reloaded_at: Option<Instant>,
}

/// Minimum time between two renewals of the credentials, so that many calls whose credentials have expired at
/// the same time renew them once.
const MIN_RENEWAL_INTERVAL: Duration = Duration::from_secs(5);

/// Maximum number of different unknown members that are logged. It bounds the memory that a service can fill
/// with made-up names.
const MAX_LOGGED_MEMBERS: usize = 1000;

// === impl Bedrock ===

impl Bedrock {
    /// Region of models that name none: the one of the settings, else the one that the SDK finds in the
    /// environment or the profile.
    ///
    /// # Errors
    /// [`ConnectError::NoRegion`] if there is none.
    pub async fn default_region(settings: &config::Bedrock) -> Result<String, ConnectError> {
        let aws_config = AwsConfig::load(settings).await;
        aws_config.sdk.region().map(ToString::to_string).ok_or(ConnectError::NoRegion)
    }

    /// Checks the credentials and the endpoint of each of `regions`, and opens `warm_connections` connections
    /// to each.
    ///
    /// # Errors
    /// If there are no credentials, or an endpoint cannot be reached within the connect timeout.
    pub async fn connect(
        settings: &config::Bedrock,
        regions: impl IntoIterator<Item = String>,
    ) -> Result<Self, ConnectError> {
        codec::warm_up();
        let aws_config = AwsConfig::load(settings).await;
        aws_config.check_credentials().await?;
        let regions = regions.into_iter().collect::<BTreeSet<_>>();
        for region in &regions {
            aws_config.check_endpoint(region).await?;
        }
        let engine = Engine::connect(settings, &aws_config, &regions).await?;
        let aws_config = tokio::sync::Mutex::new(LoadedConfig { aws_config, reloaded_at: None });
        Ok(Self { engine, aws_config, unknown_members: Arc::default() })
    }

    /// Reads the body of a reply and decodes it as the message `switchboard.v1.{name}`.
    async fn decode<T: Message + Default>(
        &self,
        name: &str,
        Reply { request_id, body }: Reply,
    ) -> Result<(T, String), Failure> {
        let json =
            body.collect().await.map_err(|error| broken_body(&*error).of_request(&request_id))?.to_bytes();
        let mut unknown = Vec::new();
        let message = codec::message(name, &json, &mut unknown);
        self.unknown_members.report(unknown);
        match message {
            Ok(message) => Ok((message, request_id)),
            Err(error) => Err(Failure::new(FailureKind::Protocol, error.to_string()).of_request(&request_id)),
        }
    }
}

impl Models for Bedrock {
    type Events = BedrockEvents;

    fn unknown_members(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.unknown_members.total)
    }

    async fn converse(&self, candidate: &Candidate, request: ModelRequest<'_>) -> Result<Answer, Failure> {
        let body = codec::request_body(request.request, request.inference).into();
        let Key { region, model_id, .. } = &candidate.deployment.key;
        let reply = self.engine.send(region, Method::Converse, model_id, body).await?;
        let (mut response, request_id): (pb::ConverseResponse, _) =
            self.decode("ConverseResponse", reply).await?;
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
            self.engine.send(region, Method::ConverseStream, model_id, body).await?;
        let events = BedrockEvents {
            body,
            decoder: EventStreamDecoder::default(),
            request_id: request_id.clone(),
            unknown_members: Arc::clone(&self.unknown_members),
        };
        Ok(Opened { events, request_id })
    }

    async fn renew(&self, candidate: &Candidate) -> bool {
        let mut loaded = self.aws_config.lock().await;
        if loaded.reloaded_at.is_some_and(|reloaded| reloaded.elapsed() < MIN_RENEWAL_INTERVAL) {
            return true;
        }
        let region = &candidate.deployment.key.region;
        tracing::warn!(region, "the credentials have expired; loading new ones");
        let aws_config = loaded.aws_config.reload().await;
        self.engine.renew(&aws_config);
        *loaded = LoadedConfig { aws_config, reloaded_at: Some(Instant::now()) };
        true
    }

    async fn count_tokens(
        &self,
        candidate: &Candidate,
        request: &pb::CountTokensRequest,
    ) -> Result<Counted, Failure> {
        let body = codec::json("CountTokensRequest", request).into();
        let model_id = candidate.counting_id();
        let reply =
            self.engine.send(&candidate.deployment.key.region, Method::CountTokens, model_id, body).await?;
        let (response, request_id): (pb::CountTokensResponse, _) =
            self.decode("CountTokensResponse", reply).await?;
        Ok(Counted { input_tokens: response.input_tokens, request_id })
    }
}

// === impl BedrockEvents ===

/// The events of one answer. Each poll reads the body as far as necessary.
pub struct BedrockEvents {
    body: Body,
    decoder: EventStreamDecoder,
    request_id: String,
    unknown_members: Arc<UnknownMembers>,
}

impl Stream for BedrockEvents {
    type Item = Result<ModelEvent, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let mut unknown = Vec::new();
            let event = this.decoder.next(&mut unknown);
            this.unknown_members.report(unknown);
            if let Some(event) = event.map_err(|failure| failure.of_request(&this.request_id)).transpose() {
                return Poll::Ready(Some(event));
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        this.decoder.push(bytes);
                    }
                }
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(broken_body(&*error).of_request(&this.request_id))));
                }
                None if this.decoder.is_between_frames() => return Poll::Ready(None),
                None => {
                    let cut = Failure::new(FailureKind::Protocol, "the stream ended inside a frame");
                    return Poll::Ready(Some(Err(cut.of_request(&this.request_id))));
                }
            }
        }
    }
}

// === impl UnknownMembers ===

/// JSON members that the contract does not have.
#[derive(Debug, Default)]
struct UnknownMembers {
    /// Message and member. At most [`MAX_LOGGED_MEMBERS`] entries.
    logged: Mutex<BTreeSet<(&'static str, String)>>,
    /// Number of occurrences.
    total: Arc<AtomicU64>,
}

impl UnknownMembers {
    /// Counts members and logs each once, because a stream repeats its unknown members with every event.
    fn report(&self, members: Vec<UnknownMember>) {
        if members.is_empty() {
            return;
        }
        self.total.fetch_add(members.len() as u64, Relaxed);
        let mut logged = self.logged.lock();
        for UnknownMember { message, member } in members {
            if logged.len() < MAX_LOGGED_MEMBERS && logged.insert((message, member.clone())) {
                tracing::warn!(message, member, "bedrock sent a member that the contract does not have");
            }
        }
    }
}
