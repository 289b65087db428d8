//! A minimal substitute for Bedrock: all answers are prepared in advance.
//!
//! The model id selects the behaviour: `plain` answers at once, `paced` sends an event every 2 ms with its
//! creation time, `idle` sends one event and then nothing, `brief` sends one event and the end, `throttled`
//! answers with an error. Requests are not checked; the simulator does that.
use crate::Result;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use clap::Args;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Either, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::spawn_local,
    time::{MissedTickBehavior, interval},
};

/// Number of deltas of a stream.
const DELTAS: u64 = 200;
/// Time between two events of a paced stream.
const PACE: Duration = Duration::from_millis(2);

#[derive(Debug, Args)]
pub(crate) struct Upstream {
    #[arg(long)]
    listen: SocketAddr,
}

type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>;

/// The prepared answers.
#[derive(Debug)]
struct Answers {
    whole: Bytes,
    /// Answers in Anthropic's format, for InvokeModel.
    invoked: Bytes,
    events: Vec<Bytes>,
    brief: Vec<Bytes>,
    invoked_events: Vec<Bytes>,
}

impl Upstream {
    pub(crate) async fn run(self) -> Result {
        crate::program::allow_many_files()?;
        let listener = TcpListener::bind(self.listen).await?;
        let answers = Arc::new(Answers::new());
        loop {
            let (stream, _) = listener.accept().await?;
            spawn_local(serve(stream, Arc::clone(&answers)));
        }
    }
}

async fn serve(stream: TcpStream, answers: Arc<Answers>) {
    let _ignored = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(Arc::clone(&answers), request));
    let mut http = http1::Builder::new();
    let connection = http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let _hung_up = connection.await;
}

async fn answer(
    answers: Arc<Answers>,
    request: Request<Incoming>,
) -> std::result::Result<Response<Body>, hyper::Error> {
    let (head, mut body) = request.into_parts();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    let path = head.uri.path();
    let streams = path.ends_with("stream");
    let invoked = path.contains("/invoke");
    if path.contains("throttled") {
        let refused = Full::from(r#"{"message":"Too many requests"}"#);
        return Ok(respond(429, "application/json", Either::Left(refused)));
    }
    if !streams {
        let whole = if invoked { answers.invoked.clone() } else { answers.whole.clone() };
        return Ok(respond(200, "application/json", Either::Left(Full::from(whole))));
    }
    let body = match path {
        path if path.contains("paced") => paced(&answers),
        path if path.contains("idle") => idle(&answers),
        path if path.contains("brief") => at_once(answers, |answers| &answers.brief),
        _ if invoked => at_once(answers, |answers| &answers.invoked_events),
        _ => at_once(answers, |answers| &answers.events),
    };
    Ok(respond(200, "application/vnd.amazon.eventstream", Either::Right(body)))
}

fn respond(status: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", content_type);
    let response = response.header("x-amzn-requestid", "5f9b4b6e-0000-4000-8000-000000000000");
    let response =
        if status == 429 { response.header("x-amzn-errortype", "ThrottlingException") } else { response };
    response.body(body).unwrap_or_else(|error| unreachable!("every header is well formed: {error}"))
}

/// Sends event by event.
fn at_once(answers: Arc<Answers>, events: fn(&Answers) -> &[Bytes]) -> UnsyncBoxBody<Bytes, Infallible> {
    let all = stream::iter((0..).map_while(move |place: usize| events(&answers).get(place).cloned()));
    boxed(all)
}

/// A stream in which each delta contains its creation time.
fn paced(answers: &Answers) -> UnsyncBoxBody<Bytes, Infallible> {
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let deltas = stream::unfold((ticks, 0), |(mut ticks, sent)| async move {
        if sent == DELTAS {
            return None;
        }
        ticks.tick().await;
        Some((delta(&now().as_nanos().to_string()), (ticks, sent + 1)))
    });
    let (start, end) = (answers.events[..1].to_vec(), answers.events[answers.events.len() - 3..].to_vec());
    boxed(stream::iter(start).chain(deltas).chain(stream::iter(end)))
}

fn idle(answers: &Answers) -> UnsyncBoxBody<Bytes, Infallible> {
    boxed(stream::iter(answers.events[..2].to_vec()).chain(stream::pending()))
}

fn boxed(
    events: impl futures_util::Stream<Item = Bytes> + 'static + Send,
) -> UnsyncBoxBody<Bytes, Infallible> {
    StreamBody::new(events.map(|event| Ok(Frame::data(event)))).boxed_unsync()
}

/// The clock that both ends of a stream read.
pub(crate) fn now() -> Duration {
    clock_gettime(ClockId::Monotonic).try_into().unwrap_or_default()
}

// === impl Answers ===

impl Answers {
    fn new() -> Self {
        let text = "A token of the answer, ".repeat(50);
        let usage = json!({ "inputTokens": 60, "outputTokens": 200, "totalTokens": 260 });
        let whole = json!({
            "output": { "message": { "role": "assistant", "content": [{ "text": text }] } },
            "stopReason": "end_turn", "usage": usage, "metrics": { "latencyMs": 1200 },
        });
        let invoked = json!({
            "id": "msg_0", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
            "content": [{ "type": "text", "text": text }], "usage": { "input_tokens": 60, "output_tokens": 200 },
        });
        let mut events =
            vec![event("messageStart", &json!({ "role": "assistant", "p": "abcdefgh" }).to_string())];
        events.extend((0..DELTAS).map(|_| delta(" token")));
        events.push(event(
            "contentBlockStop",
            &json!({ "contentBlockIndex": 0, "p": "abcdefghijkl" }).to_string(),
        ));
        events.push(event("messageStop", &json!({ "stopReason": "end_turn", "p": "abcdefgh" }).to_string()));
        let metadata = json!({ "usage": usage, "metrics": { "latencyMs": 1200 }, "p": "abcdefghijklmnop" });
        events.push(event("metadata", &metadata.to_string()));
        let (whole, invoked) = (whole.to_string().into(), invoked.to_string().into());
        let brief = [&events[..2], &events[events.len() - 3..]].concat();
        Self { whole, invoked, events, brief, invoked_events: invoked_events() }
    }
}

fn delta(text: &str) -> Bytes {
    let payload =
        json!({ "contentBlockIndex": 0, "delta": { "text": text }, "p": "abcdefghijklmnopqrstuvwxyzABCD" });
    event("contentBlockDelta", &payload.to_string())
}

fn event(event_type: &str, payload: &str) -> Bytes {
    let header =
        |name: &str, value: &str| Header::new(name.to_owned(), HeaderValue::String(value.to_owned().into()));
    let message = Message::new(payload.to_owned().into_bytes())
        .add_header(header(":event-type", event_type))
        .add_header(header(":content-type", "application/json"))
        .add_header(header(":message-type", "event"));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap_or_default();
    bytes.into()
}

/// A stream of InvokeModel: Anthropic's events, each in base64.
fn invoked_events() -> Vec<Bytes> {
    use aws_smithy_types::base64::encode;
    let chunk =
        |inner: serde_json::Value| event("chunk", &json!({ "bytes": encode(inner.to_string()) }).to_string());
    let message = json!({ "id": "msg_0", "type": "message", "role": "assistant", "content": [], "model": "claude",
        "stop_reason": null, "usage": { "input_tokens": 60, "output_tokens": 1 } });
    let mut events = vec![
        chunk(json!({ "type": "message_start", "message": message })),
        chunk(
            json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        ),
    ];
    let delta = json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": " token" } });
    events.extend((0..DELTAS).map(|_| chunk(delta.clone())));
    events.push(chunk(json!({ "type": "content_block_stop", "index": 0 })));
    let stop = json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": 200 } });
    events.push(chunk(stop));
    events.push(chunk(json!({ "type": "message_stop" })));
    events
}
