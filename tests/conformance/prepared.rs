//! A server that sends prepared bytes, as a newer Switchboard might, and remembers what it received.
use crate::{
    scenario::{Prepared, PreparedMessage, PreparedStatus},
    wire,
};
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use futures_util::future::{BoxFuture, ready};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use prost_reflect::{DescriptorPool, DynamicMessage, prost::Message as _};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    convert::Infallible,
    marker::PhantomData,
    net::SocketAddr,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use switchboard_proto::v1::{
    converse_service_server::ConverseServiceServer, feedback_service_server::FeedbackServiceServer,
    routing_service_server::RoutingServiceServer,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{body::Body, server::NamedService, service::Routes};

/// What it shall answer, and what it received.
#[derive(Clone, Debug)]
pub(crate) struct PreparedServer {
    pub(crate) address: SocketAddr,
    stage: Arc<Mutex<Stage>>,
}

#[derive(Debug, Default)]
struct Stage {
    answers: VecDeque<Answer>,
    received: Vec<Value>,
}

#[derive(Clone, Debug)]
struct Answer {
    /// Every message behind its length, as gRPC frames them.
    frames: Vec<u8>,
    trailers: HeaderMap,
}

/// The prepared server in the place of the service `S`.
struct At<S>(Arc<Mutex<Stage>>, PhantomData<fn() -> S>);

// === impl PreparedServer ===

impl PreparedServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("is bound");
        let stage = Arc::default();
        let routes = Routes::default()
            .add_service(At::<ConverseServiceServer<()>>(Arc::clone(&stage), PhantomData))
            .add_service(At::<FeedbackServiceServer<()>>(Arc::clone(&stage), PhantomData))
            .add_service(At::<RoutingServiceServer<()>>(Arc::clone(&stage), PhantomData));
        let serving = tonic::transport::Server::builder()
            .initial_stream_window_size(16 << 20)
            .initial_connection_window_size(16 << 20)
            .add_routes(routes)
            .serve_with_incoming(TcpListenerStream::new(listener));
        #[expect(
            clippy::disallowed_methods,
            reason = "the test's own stand-in lives as long as its runtime"
        )]
        tokio::spawn(serving);
        Self { address, stage }
    }

    /// Takes the answers of the next scenario, and forgets what was before.
    pub(crate) fn prepare(&self, prepared: &[Prepared]) {
        let answers = prepared.iter().map(Answer::from).collect();
        *self.stage.lock().expect("is not poisoned") = Stage { answers, received: Vec::new() };
    }

    pub(crate) fn received(&self) -> Value {
        Value::Array(self.stage.lock().expect("is not poisoned").received.clone())
    }
}

// === impl Answer ===

impl From<&Prepared> for Answer {
    fn from(prepared: &Prepared) -> Self {
        let frames = prepared.messages.iter().map(|message| {
            let bytes = message.encode();
            let length = u32::try_from(bytes.len()).expect("is no giant").to_be_bytes();
            [&[0], &length[..], &bytes].concat()
        });
        let trailers = prepared.status.as_ref().map_or_else(well, PreparedStatus::trailers);
        Self { frames: frames.collect::<Vec<_>>().concat(), trailers }
    }
}

impl PreparedMessage {
    fn encode(&self) -> Vec<u8> {
        let json = if self.json.is_null() { json!({}) } else { self.json.clone() };
        let message = DynamicMessage::deserialize(descriptor(&format!("switchboard.v1.{}", self.kind)), json);
        let message = message.unwrap_or_else(|error| panic!("a {}: {error}", self.kind));
        [message.encode_to_vec(), wire::encode(&self.wire)].concat()
    }
}

impl PreparedStatus {
    fn trailers(&self) -> HeaderMap {
        let status = json!({ "code": self.code, "message": self.message, "details": self.details });
        let status =
            DynamicMessage::deserialize(descriptor("google.rpc.Status"), status).expect("is a status");
        let details = BASE64_STANDARD_NO_PAD.encode(status.encode_to_vec());
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(self.code));
        let all = [("grpc-message", &self.message), ("grpc-status-details-bin", &details)];
        let more = self.trailers.iter().map(|(name, value)| (name.as_str(), value));
        for (name, value) in all.into_iter().chain(more) {
            let name: HeaderName = name.parse().expect("is a name");
            trailers.insert(name, value.parse().expect("is a value"));
        }
        trailers
    }
}

fn well() -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))])
}

fn descriptor(name: &str) -> prost_reflect::MessageDescriptor {
    let mut pool = DescriptorPool::decode(switchboard_proto::FILE_DESCRIPTOR_SET).expect("is the contract");
    pool.decode_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET).expect("is google.rpc");
    pool.get_message_by_name(name).unwrap_or_else(|| panic!("there is no {name}"))
}

// === impl At ===

impl<S> Clone for At<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

impl<S: NamedService> NamedService for At<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> tower::Service<Request<Body>> for At<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let stage = Arc::clone(&self.0);
        Box::pin(async move { Ok(answer(&stage, request).await) })
    }
}

async fn answer(stage: &Mutex<Stage>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let headers = head.headers.iter().map(|(name, value)| {
        (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned()))
    });
    let received = json!({
        "path": head.uri.path(),
        "headers": headers.collect::<serde_json::Map<_, _>>(),
        "request": decode(head.uri.path(), body.get(5..).unwrap_or_default()),
    });
    let Answer { frames, trailers } = {
        let mut stage = stage.lock().expect("is not poisoned");
        stage.received.push(received);
        match stage.answers.len() {
            0 => panic!("nothing was prepared"),
            1 => stage.answers[0].clone(),
            _ => stage.answers.pop_front().expect("is not empty"),
        }
    };
    let body = Full::from(frames).with_trailers(ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

/// The request as protobuf JSON, by the method that its path names.
fn decode(path: &str, message: &[u8]) -> Value {
    let pool = DescriptorPool::decode(switchboard_proto::FILE_DESCRIPTOR_SET).expect("is the contract");
    let mut words = path.trim_start_matches('/').split('/');
    let service = words.next().and_then(|name| pool.get_service_by_name(name)).expect("is a service");
    let method = words.next().and_then(|name| service.methods().find(|method| method.name() == name));
    let input = method.expect("is a method").input();
    let message = DynamicMessage::decode(input, message).expect("is its request");
    serde_json::to_value(&message).expect("is JSON")
}
