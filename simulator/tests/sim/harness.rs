//! A simulator without delays, an SDK client without retries, and an HTTP client for requests that no SDK
//! sends.

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime as bedrock;
use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::config::timeout::TimeoutConfig;
use aws_sdk_bedrockruntime::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_smithy_http_client::tls;
use bedrock::operation::converse_stream::ConverseStreamOutput;
use bedrock::types::ConverseStreamOutput as Event;
use bedrock::types::{ContentBlock, ContentBlockDelta, ConversationRole, Message};
use bedrock_sim::{Config, Fault, FaultRule, Simulator};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

/// A model with few restrictions.
pub(crate) const NOVA: &str = "us.amazon.nova-lite-v1:0";
/// A model with reasoning, citations and strict validation.
pub(crate) const SONNET: &str = "us.anthropic.claude-sonnet-4-6";

pub(crate) struct Scenario {
    pub(crate) simulator: Simulator,
    pub(crate) client: bedrock::Client,
}

/// A stream that was read to its end or to its first error.
#[derive(Debug, Default)]
pub(crate) struct StreamResult {
    pub(crate) text: String,
    /// Event names; for deltas, the name of the delta.
    pub(crate) events: Vec<&'static str>,
    pub(crate) usage: Option<bedrock::types::TokenUsage>,
    pub(crate) stop_reason: Option<String>,
    pub(crate) error: Option<String>,
}

impl Scenario {
    pub(crate) async fn start() -> Self {
        Self::with(Config { speed: 0.0, ..Config::default() }).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let simulator = Simulator::start(config).await.expect("a free port");
        let client = client(&simulator.endpoint_url());
        Self { simulator, client }
    }

    pub(crate) fn inject(&self, fault: Fault) -> &Self {
        self.simulator.handle().inject(FaultRule::all(fault));
        self
    }

    /// Makes a unary call.
    pub(crate) async fn converse(
        &self,
        model: &str,
        prompt: &str,
    ) -> Result<
        bedrock::operation::converse::ConverseOutput,
        bedrock::error::SdkError<bedrock::operation::converse::ConverseError>,
    > {
        self.client.converse().model_id(model).messages(user(prompt)).send().await
    }

    pub(crate) async fn stream(&self, model: &str, prompt: &str) -> StreamResult {
        let sent = self.client.converse_stream().model_id(model).messages(user(prompt)).send().await;
        read_stream(sent.expect("a stream")).await
    }

    /// Posts a raw body.
    pub(crate) async fn post(&self, model: &str, operation: &str, body: &Value) -> (u16, Value) {
        let model = model.replace(':', "%3A").replace('/', "%2F");
        let path = format!("/model/{model}/{operation}");
        send(&self.simulator, "POST", &path, Some("Bearer key"), body).await
    }

    pub(crate) async fn admin(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        send(&self.simulator, method, path, None, body).await
    }
}

/// Sends one HTTP request over its own connection. Returns the status and the body, null if it is not JSON.
pub(crate) async fn send(
    simulator: &Simulator,
    method: &str,
    path: &str,
    authorization: Option<&str>,
    body: &Value,
) -> (u16, Value) {
    let response = send_raw(simulator, method, path, authorization, body).await;
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap_or(Value::Null))
}

/// Sends one HTTP request over its own connection. Returns the raw response.
pub(crate) async fn send_raw(
    simulator: &Simulator,
    method: &str,
    path: &str,
    authorization: Option<&str>,
    body: &Value,
) -> http::Response<Bytes> {
    let address = simulator.endpoint_url().replace("http://", "");
    let socket = tokio::net::TcpStream::connect(&address).await.expect("the simulator listens");
    let io = hyper_util::rt::TokioIo::new(socket);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP/1.1");
    let mut request = http::Request::builder().method(method).uri(path).header("host", address);
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let request = request.body(Full::new(Bytes::from(body.to_string()))).expect("a valid request");
    let exchange = async move {
        let (head, body) = sender.send_request(request).await.expect("a response").into_parts();
        http::Response::from_parts(head, body.collect().await.expect("a complete body").to_bytes())
    };
    tokio::join!(exchange, connection).0
}

pub(crate) fn client(endpoint: &str) -> bedrock::Client {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let config = bedrock::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("simulated", "simulated", None, None, "test"))
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    bedrock::Client::from_conf(config)
}

pub(crate) fn user(prompt: &str) -> Message {
    message(ConversationRole::User, ContentBlock::Text(prompt.to_owned()))
}

pub(crate) fn message(role: ConversationRole, block: ContentBlock) -> Message {
    Message::builder().role(role).content(block).build().expect("role and content")
}

/// Returns a request body with one user message.
pub(crate) fn body(prompt: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": [{ "text": prompt }] }] })
}

pub(crate) fn text(output: &bedrock::operation::converse::ConverseOutput) -> String {
    let message = output.output().and_then(|output| output.as_message().ok()).expect("a message");
    message.content().iter().filter_map(|block| block.as_text().ok()).map(String::as_str).collect()
}

/// Reads until the end or the first error.
pub(crate) async fn read_stream(output: ConverseStreamOutput) -> StreamResult {
    let (mut stream, mut result) = (output.stream, StreamResult::default());
    loop {
        match stream.recv().await {
            Ok(Some(event)) => result.add(&event),
            Ok(None) => return result,
            Err(error) => {
                result.error = Some(format!("{error:?}"));
                return result;
            }
        }
    }
}

impl StreamResult {
    fn add(&mut self, event: &Event) {
        let name = match event {
            Event::MessageStart(_) => "messageStart",
            Event::ContentBlockStart(_) => "contentBlockStart",
            Event::ContentBlockDelta(delta) => match delta.delta() {
                Some(ContentBlockDelta::Text(text)) => {
                    self.text.push_str(text);
                    "text"
                }
                Some(ContentBlockDelta::ToolUse(_)) => "toolUse",
                Some(ContentBlockDelta::ReasoningContent(_)) => "reasoning",
                Some(ContentBlockDelta::Citation(_)) => "citation",
                _ => "unknownDelta",
            },
            Event::ContentBlockStop(_) => "contentBlockStop",
            Event::MessageStop(stop) => {
                self.stop_reason = Some(stop.stop_reason().as_str().to_owned());
                "messageStop"
            }
            Event::Metadata(metadata) => {
                self.usage = metadata.usage().cloned();
                "metadata"
            }
            _ => "unknown",
        };
        self.events.push(name);
    }

    /// Returns the events without consecutive duplicates.
    pub(crate) fn outline(&self) -> Vec<&'static str> {
        let mut outline = self.events.clone();
        outline.dedup();
        outline
    }
}
