//! Switchboard decodes Bedrock's answers as the AWS SDK does: every recorded exchange is replayed to both,
//! and the two results are compared member by member.
//!
//! `sdk` converts the types of the SDK to JSON by hand; the contract's messages are converted by their
//! descriptors. Neither conversion shares code with the codec. A member that only one of the two results has
//! is a difference too.
mod sdk;

use crate::{
    engine,
    recorded::{
        compare::{as_bedrock, difference, from_json, neutral},
        replay,
    },
};
use aws_sdk_bedrockruntime::{
    Client, Config,
    config::{
        BehaviorVersion, Credentials, Region, StalledStreamProtectionConfig, http::HttpRequest,
        retry::RetryConfig,
    },
    error::DisplayErrorContext,
};
use aws_smithy_types::body::SdkBody;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use switchboard_proto::v1 as pb;
use switchboard_server::{
    bedrock::Bedrock,
    catalogue::Catalogue,
    config,
    failure::Failure,
    model::{ModelRequest, Models as _},
    route::Candidate,
    snapshot::Snapshot,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Child,
};

#[tokio::test]
async fn answers_are_decoded_as_the_sdk_decodes_them() {
    let oracle = Oracle::start().await;
    let mut values = 0;
    let exchanges = replay::lines::<Value>("public/converse.jsonl");
    for exchange in &exchanges {
        let (theirs, ours) = (oracle.sdk_answer(exchange).await, oracle.our_answer(exchange).await);
        values += same(exchange, theirs, ours);
    }
    println!("Converse: {} exchanges, {values} values, all equal", exchanges.len());
    assert!(values > exchanges.len(), "only {values} values were compared");
}

#[tokio::test]
async fn streams_are_decoded_event_by_event_as_the_sdk_decodes_them() {
    let oracle = Oracle::start().await;
    let (mut values, mut events) = (0, 0);
    let exchanges = replay::lines::<Value>("public/converse_stream.jsonl");
    for exchange in &exchanges {
        let (theirs, ours) = (oracle.sdk_events(exchange).await, oracle.our_events(exchange).await);
        events += ours.len();
        values += same(exchange, theirs.into(), ours.into());
    }
    println!("ConverseStream: {} exchanges, {events} events, {values} values, all equal", exchanges.len());
    assert!(values > events && events > exchanges.len(), "only {values} values of {events} events");
}

/// Asserts that both results are equal. Returns the number of values compared.
fn same(exchange: &Value, theirs: Value, ours: Value) -> usize {
    let (theirs, ours) = (neutral(theirs), neutral(without_unknown_to_sdk(ours)));
    let difference = difference(&theirs, &ours, "answer");
    assert_eq!(difference, None, "{}", exchange["id"]);
    leaves(&theirs)
}

/// Removes the one member that recordings have and the SDK does not know.
fn without_unknown_to_sdk(json: Value) -> Value {
    match json {
        Value::Array(entries) => entries.into_iter().map(without_unknown_to_sdk).collect(),
        Value::Object(members) => {
            let known = members.into_iter().filter(|(name, _)| name != "serverToolUsage");
            known.map(|(name, value)| (name, without_unknown_to_sdk(value))).collect()
        }
        other => other,
    }
}

fn leaves(json: &Value) -> usize {
    match json {
        Value::Array(entries) => entries.iter().map(leaves).sum(),
        Value::Object(members) => members.values().map(leaves).sum(),
        _ => 1,
    }
}

/// The replay server, and both clients that call it.
struct Oracle {
    sdk: Client,
    ours: Bedrock,
    control: String,
    _python: Child,
}

impl Oracle {
    async fn start() -> Self {
        // Some recorded requests have members that the service model lacks. Bedrock accepted them.
        let (python, control) = replay::replay_server(&["--allow-unknown"]).await;

        let sdk = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("RECORDED", "RECORDED", None, None, "recordings"))
            .endpoint_url(format!("http://{control}"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        let settings = engine::simulated_at(format!("http://{control}"));
        let ours = Bedrock::connect(&settings, ["us-east-1".to_owned()]).await.expect("connects");
        Self { sdk: Client::from_conf(sdk), ours, control, _python: python }
    }

    /// Queues `exchange` as the next answer.
    async fn queue(&self, exchange: &Value) {
        let body = json!({ "id": exchange["id"] }).to_string();
        let mut socket = TcpStream::connect(&self.control).await.expect("is there");
        let head = "POST /_replay/next HTTP/1.1\r\nconnection: close\r\ncontent-length";
        socket.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).await.expect("listens");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    // === the SDK ===

    async fn sdk_answer(&self, exchange: &Value) -> Value {
        self.queue(exchange).await;
        let call = self.sdk.converse().model_id(model_id(exchange)).customize();
        let answer = call.mutate_request(with_body(&exchange["request_json"])).send().await;
        let answer =
            answer.unwrap_or_else(|error| panic!("{}: {}", exchange["id"], DisplayErrorContext(error)));
        sdk::answer(&answer)
    }

    async fn sdk_events(&self, exchange: &Value) -> Vec<Value> {
        self.queue(exchange).await;
        let call = self.sdk.converse_stream().model_id(model_id(exchange)).customize();
        let answer = call.mutate_request(with_body(&exchange["request_json"])).send().await;
        let mut stream = answer
            .unwrap_or_else(|error| panic!("{}: {}", exchange["id"], DisplayErrorContext(error)))
            .stream;
        let mut events = Vec::new();
        loop {
            match stream.recv().await {
                Ok(Some(event)) => events.push(sdk::event(&event)),
                Ok(None) => return events,
                Err(error) => {
                    events.push(json!({ "exception": sdk::exception(&error) }));
                    return events;
                }
            }
        }
    }

    // === ours ===

    async fn our_answer(&self, exchange: &Value) -> Value {
        self.queue(exchange).await;
        let (candidate, request, inference) = self.asking(exchange);
        let ask = ModelRequest { request: &request, inference: &inference };
        let answer = self.ours.converse(&candidate, ask).await;
        let answer = answer.unwrap_or_else(|failure| panic!("{}: {failure:?}", exchange["id"]));
        as_bedrock("ConverseResponse", &answer.response)
    }

    async fn our_events(&self, exchange: &Value) -> Vec<Value> {
        self.queue(exchange).await;
        let (candidate, request, inference) = self.asking(exchange);
        let ask = ModelRequest { request: &request, inference: &inference };
        let opened = self.ours.converse_stream(&candidate, ask).await;
        let opened = opened.unwrap_or_else(|failure| panic!("{}: {failure:?}", exchange["id"]));
        let event = |event: Result<_, Failure>| match event {
            Ok(event) => {
                as_bedrock("ConverseStreamResponse", &pb::ConverseStreamResponse { event: Some(event) })
            }
            Err(failure) => json!({ "exception": failure.message }),
        };
        opened.events.map(event).collect().await
    }

    fn asking(&self, exchange: &Value) -> (Candidate, pb::ConverseRequest, pb::InferenceConfiguration) {
        let mut request: pb::ConverseRequest =
            from_json("ConverseRequest", &exchange["request_json"]).expect("is a request");
        let inference = request.inference_config.take().unwrap_or_default();
        (candidate(&model_id(exchange)), request, inference)
    }
}

fn model_id(exchange: &Value) -> String {
    exchange["model_id"].as_str().expect("names its model").to_owned()
}

/// Replaces the body that the SDK made.
fn with_body(json: &Value) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    let body = json.to_string();
    move |request| {
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body.clone());
    }
}

/// The candidate that calls a model id.
fn candidate(model_id: &str) -> Candidate {
    let config = config::Config::for_two_models(model_id, model_id);
    let snapshot = Snapshot::build(&config, &Catalogue::built_in(), "us-east-1", &Default::default());
    snapshot.routes.plan("").expect("is a task").candidates[0].clone()
}
