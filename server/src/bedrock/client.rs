//! The real models: the AWS SDK with our bodies in it.
use super::{
    Answer, Ask, Counted, ErrorBody, ModelEvent, Models, Opened,
    codec::{self, Frames, Gap},
    stop_reason,
};
use crate::{
    attempt::failure::{Exception, Failure, FailureKind},
    config,
    route::Candidate,
};
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, sts::AssumeRoleProvider};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, SharedCredentialsProvider},
};
use aws_sdk_bedrockruntime::{
    Client,
    config::{
        Builder, ConfigBag, Intercept, RuntimeComponents, StalledStreamProtectionConfig,
        endpoint::{DefaultResolver, Params, ResolveEndpoint as _},
        interceptors::BeforeDeserializationInterceptorContextMut,
        interceptors::BeforeTransmitInterceptorContextMut,
        timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::{interceptors::OverriddenHooks, orchestrator::HttpResponse};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures_util::Stream;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use prost::Message;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    error::Error,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use switchboard_proto::v1 as pb;
use tokio::{net::TcpStream, time::timeout};

/// Amazon Bedrock: one SDK client for each region.
#[derive(Debug)]
pub struct Bedrock {
    clients: HashMap<String, Client>,
    known_gaps: Arc<KnownGaps>,
}

/// Why Bedrock cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing says which region to call.
    #[error("no AWS region is set")]
    NoRegion,
    /// The credential chain found nothing that works.
    #[error("no usable AWS credentials: {0}")]
    NoCredentials(String),
    /// The region has no endpoint, or none that answers.
    #[error("region {region}: {endpoint} cannot be reached ({cause})")]
    Unreachable {
        /// The region.
        region: String,
        /// Its endpoint.
        endpoint: String,
        /// What the network said.
        cause: String,
    },
}

/// What the SDK was told and found, before any region's client is made.
#[derive(Debug)]
struct Source {
    sdk: SdkConfig,
    settings: config::Bedrock,
}

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
        Ok(Self { clients, known_gaps: Arc::default() })
    }

    fn client(&self, region: &str) -> Result<&Client, Failure> {
        let unknown =
            || Failure::new(FailureKind::Misconfigured, format!("no client for the region {region}"));
        self.clients.get(region).ok_or_else(unknown)
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

// === impl Source ===

impl Source {
    async fn load(settings: &config::Bedrock) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &settings.profile {
            loader = loader.profile_name(profile);
        }
        if settings.simulated {
            loader = loader.credentials_provider(Credentials::from_keys("SIMULATED", "SIMULATED", None));
        }
        let mut sdk = loader.load().await;
        if let Some(role) = &settings.assume_role_arn {
            let mut provider = AssumeRoleProvider::builder(role).session_name("switchboard").configure(&sdk);
            if let Some(id) = &settings.assume_role_external_id {
                provider = provider.external_id(id);
            }
            let provider = SharedCredentialsProvider::new(provider.build().await);
            sdk = sdk.into_builder().credentials_provider(provider).build();
        }
        Self { sdk, settings: settings.clone() }
    }

    fn client(&self, region: &str) -> Client {
        let timeouts = TimeoutConfig::builder().connect_timeout(self.settings.connect_timeout).build();
        let mut config = Builder::from(&self.sdk)
            .region(Region::new(region.to_owned()))
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts);
        if let Some(url) = &self.settings.endpoint_url {
            config = config.endpoint_url(url);
        }
        Client::from_conf(config.build())
    }

    /// A bearer key needs no credentials; with neither, every call would fail, so the start does.
    async fn check_credentials(&self) -> Result<(), ConnectError> {
        if self.sdk.token_provider().is_some() && self.uses_bearer_key() {
            return Ok(());
        }
        let none = || ConnectError::NoCredentials("no source is configured".to_owned());
        let provider = self.sdk.credentials_provider().ok_or_else(none)?;
        match provider.provide_credentials().await {
            Ok(_) => Ok(()),
            Err(error) => Err(ConnectError::NoCredentials(first_line(&root_cause(&error)))),
        }
    }

    fn uses_bearer_key(&self) -> bool {
        let client = self.client("us-east-1");
        client.config().auth_scheme_preference().is_some()
    }

    async fn check_endpoint(&self, region: &str) -> Result<(), ConnectError> {
        let endpoint = self.endpoint(region).await;
        let reached = async {
            let url: http::Uri = endpoint.as_ref().map_err(Clone::clone)?.parse().map_err(|_| "not a URL")?;
            let host = url.host().ok_or("no host")?.trim_matches(['[', ']']).to_owned();
            let default_port = if url.scheme_str() == Some("http") { 80 } else { 443 };
            let connecting = TcpStream::connect((host, url.port_u16().unwrap_or(default_port)));
            match timeout(self.settings.connect_timeout, connecting).await {
                Ok(connected) => connected.map(drop).map_err(|error| error.to_string()),
                Err(_elapsed) => Err("no answer in time".to_owned()),
            }
        };
        reached.await.map_err(|cause: String| ConnectError::Unreachable {
            region: region.to_owned(),
            endpoint: endpoint.unwrap_or_default(),
            cause,
        })
    }

    async fn endpoint(&self, region: &str) -> Result<String, String> {
        let configured = self.settings.endpoint_url.as_deref().or_else(|| self.sdk.endpoint_url());
        let mut params = Params::builder().region(region);
        if let Some(url) = configured.map(ToOwned::to_owned).or_else(|| self.service_endpoint()) {
            params = params.endpoint(url);
        }
        let params = params.build().map_err(|error| error.to_string())?;
        let resolved = DefaultResolver::new().resolve_endpoint(&params).await;
        resolved.map(|endpoint| endpoint.url().to_owned()).map_err(|error| error.to_string())
    }

    /// `AWS_ENDPOINT_URL_BEDROCK_RUNTIME` and its form in a profile, which only the SDK's service config reads.
    fn service_endpoint(&self) -> Option<String> {
        let key = aws_types::service_config::ServiceConfigKey::builder()
            .service_id("Bedrock Runtime")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()?;
        self.sdk.service_config()?.load_config(key)
    }
}

// === impl Swap ===

/// Puts our body into the SDK's request and takes the body out of the answer.
#[derive(Clone)]
struct Swap {
    request: Bytes,
    answer: Arc<Mutex<Taken>>,
}

/// What came back.
#[derive(Default)]
struct Taken {
    request_id: String,
    body: Option<SdkBody>,
}

impl Swap {
    fn new(request: Vec<u8>) -> Self {
        Self { request: request.into(), answer: Arc::default() }
    }

    /// The answer's body if there is one; it is there only when the status said success. The SDK's own opinion of the
    /// empty body that it got in its place does not count.
    fn answer<E: ProvideErrorMetadata + Error + Send + Sync + 'static>(
        &self,
        error: Option<SdkError<E, HttpResponse>>,
    ) -> Result<(String, SdkBody), Failure> {
        let mut taken = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        match (taken.body.take(), error) {
            (Some(body), _) => Ok((std::mem::take(&mut taken.request_id), body)),
            (None, Some(error)) => Err(failure(&error)),
            (None, None) => Err(Failure::new(FailureKind::Protocol, "an answer without a body")),
        }
    }
}

impl fmt::Debug for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Swap") // never the prompt
    }
}

impl Intercept for Swap {
    fn name(&self) -> &'static str {
        "Swap"
    }

    /// Spares the SDK the calls of the seventeen hooks that do nothing here.
    fn overridden_hooks(&self) -> OverriddenHooks {
        OverriddenHooks::MODIFY_BEFORE_SIGNING | OverriddenHooks::MODIFY_BEFORE_DESERIALIZATION
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.request.len().to_string());
        *request.body_mut() = SdkBody::from(self.request.clone());
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let response = context.response_mut();
        if response.status().is_success() {
            let request_id = request_id(response);
            let body = std::mem::replace(response.body_mut(), SdkBody::from("{}"));
            let mut taken = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
            *taken = Taken { request_id, body: Some(body) };
        }
        Ok(())
    }
}

fn request_id(response: &HttpResponse) -> String {
    response.headers().get("x-amzn-requestid").unwrap_or_default().to_owned()
}

// === failures ===

/// What the SDK reports, as a failure.
fn failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let words = root_cause(error);
    let kind = match error {
        SdkError::ServiceError(service) => return service_failure(service.err(), service.raw()),
        SdkError::ConstructionFailure(_) => FailureKind::Misconfigured,
        SdkError::TimeoutError(_) => FailureKind::AttemptTimeout,
        SdkError::DispatchFailure(dispatch) if dispatch.is_timeout() || dispatch.is_io() => {
            FailureKind::Unreachable
        }
        SdkError::DispatchFailure(dispatch) if dispatch.is_user() => FailureKind::Misconfigured,
        SdkError::DispatchFailure(_) => FailureKind::Unreachable,
        _ => FailureKind::Protocol,
    };
    let request_id = error.raw_response().map(request_id).unwrap_or_default();
    Failure::new(kind, words).of_request(&request_id)
}

fn service_failure(error: &impl ProvideErrorMetadata, raw: &HttpResponse) -> Failure {
    let body = raw.body().bytes().map(ErrorBody::read).unwrap_or_default();
    let name = error.code().unwrap_or_default();
    let exception = Exception {
        name,
        status: Some(raw.status().as_u16()),
        message: &body.message,
        original_status: body.original_status_code,
    };
    Failure {
        kind: exception.kind(),
        message: format!("{name}: {}", body.message),
        request_id: request_id(raw),
        retry_after: raw.headers().get("retry-after").and_then(|s| s.parse().ok()).map(Duration::from_secs),
    }
}

/// A body that ended before its end.
fn broken(error: &(dyn Error + 'static)) -> Failure {
    Failure::new(FailureKind::Unreachable, format!("the connection broke: {}", root_cause(error)))
}

/// The innermost words: the outer ones only say that something failed.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The SDK lists everything that it tried, a line each; what to do about it is ours to say.
fn first_line(words: &str) -> String {
    words.lines().next().unwrap_or_default().trim_end_matches(" Attempted:").trim_end_matches('.').to_owned()
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
struct KnownGaps(Mutex<BTreeMap<(&'static str, String), u64>>);

impl KnownGaps {
    fn report(&self, gaps: Vec<Gap>) {
        if gaps.is_empty() {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
