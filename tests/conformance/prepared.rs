//! Server that sends prepared bytes, as a newer Switchboard might, and records the calls it receives.
use crate::{
    goaway,
    scenario::{Prepared, PreparedMessage, PreparedStatus},
    wire,
};
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use futures_util::future::{BoxFuture, Ready, ready};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, combinators::WithTrailers};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use prost_reflect::{DescriptorPool, DynamicMessage, prost::Message as _};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio::net::{TcpListener, TcpStream};
use tonic::codegen::Bytes;

/// Maximum number of bytes in flight, in both directions: more than the largest scenario needs.
const WINDOW: u32 = 16 << 20;

type Reply = WithTrailers<Full<Bytes>, Ready<Option<Result<HeaderMap, Infallible>>>>;

/// Server with prepared answers.
#[derive(Clone, Debug)]
pub(crate) struct PreparedServer {
    pub(crate) address: SocketAddr,
    /// Address of the server whose connections can be closed with GOAWAY.
    pub(crate) closing_address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    answers: VecDeque<Answer>,
    received: Vec<Value>,
}

#[derive(Clone, Debug)]
enum Answer {
    Reply {
        /// Every message with its length prefix, as gRPC frames it.
        frames: Vec<u8>,
        trailers: HeaderMap,
    },
    /// The connection is closed with GOAWAY, which says that the call was not processed.
    Goaway,
}

// === impl PreparedServer ===

impl PreparedServer {
    pub(crate) async fn start() -> Self {
        let state = Arc::default();
        let address = listen(&state).await;
        let closing_address = listen(&state).await;
        Self { address, closing_address, state }
    }

    /// Sets the answers of the next scenario and forgets earlier calls.
    pub(crate) fn prepare(&self, prepared: &[Prepared]) {
        let answers = prepared.iter().map(Answer::from).collect();
        *self.state.lock().expect("is not poisoned") = State { answers, received: Vec::new() };
    }

    pub(crate) fn received(&self) -> Value {
        Value::Array(self.state.lock().expect("is not poisoned").received.clone())
    }
}

/// Serves on a free port and returns its address.
async fn listen(state: &Arc<Mutex<State>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("the listener is bound");
    #[expect(clippy::disallowed_methods, reason = "runs as long as the runtime of the test")]
    tokio::spawn(serve(listener, Arc::clone(state)));
    address
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((socket, _)) = listener.accept().await {
        #[expect(clippy::disallowed_methods, reason = "runs as long as the runtime of the test")]
        tokio::spawn(serve_connection(socket, Arc::clone(&state)));
    }
}

async fn serve_connection(socket: TcpStream, state: Arc<Mutex<State>>) {
    let closes = state.lock().expect("is not poisoned").answers.pop_front_if(|answer| answer.is_goaway());
    if closes.is_some() {
        // An error means that the driver closed the connection.
        let _ = goaway::return_unprocessed(socket).await;
        return;
    }
    let mut builder = Builder::new(TokioExecutor::new()).http2_only();
    builder.http2().initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
    // An error means that the driver closed the connection.
    let _ = builder.serve_connection(TokioIo::new(socket), TowerToHyperService::new(Service(state))).await;
}

// === impl Service ===

/// Answers calls on one connection.
#[derive(Clone)]
struct Service(Arc<Mutex<State>>);

impl<B> tower::Service<Request<B>> for Service
where
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let state = Arc::clone(&self.0);
        Box::pin(async move { Ok(answer(&state, request).await) })
    }
}

// === impl Answer ===

impl Answer {
    fn is_goaway(&self) -> bool {
        matches!(self, Self::Goaway)
    }
}

impl From<&Prepared> for Answer {
    fn from(prepared: &Prepared) -> Self {
        if prepared.goaway {
            return Self::Goaway;
        }
        let frames = prepared.messages.iter().map(|message| {
            let bytes = message.encode();
            let length = u32::try_from(bytes.len()).expect("fits into a frame").to_be_bytes();
            [&[0], &length[..], &bytes].concat()
        });
        let trailers = prepared.status.as_ref().map_or_else(success, PreparedStatus::trailers);
        Self::Reply { frames: frames.collect::<Vec<_>>().concat(), trailers }
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
        let fixed = [("grpc-message", &self.message), ("grpc-status-details-bin", &details)];
        let more = self.trailers.iter().map(|(name, value)| (name.as_str(), value));
        for (name, value) in fixed.into_iter().chain(more) {
            let name: HeaderName = name.parse().expect("is a name");
            trailers.insert(name, value.parse().expect("is a value"));
        }
        trailers
    }
}

fn success() -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))])
}

fn descriptor(name: &str) -> prost_reflect::MessageDescriptor {
    let mut pool = DescriptorPool::decode(switchboard_proto::FILE_DESCRIPTOR_SET).expect("is the contract");
    pool.decode_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET).expect("is google.rpc");
    pool.get_message_by_name(name).unwrap_or_else(|| panic!("no message {name}"))
}

async fn answer<B: Body<Data = Bytes>>(state: &Mutex<State>, request: Request<B>) -> Response<Reply> {
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
    let answer = {
        let mut state = state.lock().expect("is not poisoned");
        state.received.push(received);
        match state.answers.len() {
            0 => panic!("the scenario has no prepared answer"),
            1 => state.answers[0].clone(),
            _ => state.answers.pop_front().expect("is not empty"),
        }
    };
    let Answer::Reply { frames, trailers } = answer else { panic!("only the closing server sends GOAWAY") };
    let mut response = Response::new(Full::from(frames).with_trailers(ready(Some(Ok(trailers)))));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

/// Decodes a request to protobuf JSON. The path has the name of the method.
fn decode(path: &str, message: &[u8]) -> Value {
    let pool = DescriptorPool::decode(switchboard_proto::FILE_DESCRIPTOR_SET).expect("is the contract");
    let mut parts = path.trim_start_matches('/').split('/');
    let service = parts.next().and_then(|name| pool.get_service_by_name(name)).expect("is a service");
    let method = parts.next().and_then(|name| service.methods().find(|method| method.name() == name));
    let input = method.expect("is a method").input();
    let message = DynamicMessage::decode(input, message).expect("is a request of the method");
    serde_json::to_value(&message).expect("converts to JSON")
}
