//! Every gRPC call except health checks and reflection ends with exactly one log line and one span, however it ends.
use super::{
    collector::{Capture, Collector, value},
    of_kind,
};
use crate::harness::*;
use futures_util::stream;
use http::uri::PathAndQuery;
use std::time::Duration;
use switchboard_proto::v1::{self as pb, count_tokens_input::Input};
use switchboard_server::failure::FailureKind;
use tokio::time::{sleep, timeout};
use tonic::{Code, Request, Status, client::Grpc, transport::Channel};
use tonic_health::pb::HealthCheckRequest;
use tonic_prost::ProstCodec;

const CONVERSE: &str = "/switchboard.v1.ConverseService/Converse";

/// The server, and everything that it reports.
struct Setup {
    collector: Collector,
    capture: Capture,
    switchboard: ScenarioServer,
}

impl Setup {
    /// A server for one call at once, with two models of the same behaviour.
    fn start(behaviour: Behaviour) -> Self {
        let collector = Collector::start();
        let capture = collector.capture(|_, _| {});
        let switchboard = super::scenario(&capture, behaviour.clone(), behaviour);
        Self { collector, capture, switchboard }
    }

    /// The ends of all calls: method, outcome and reason, in the log and in the spans, which must agree.
    async fn ends(&self) -> Vec<String> {
        sleep(Duration::from_secs(1)).await; // the record of a response ends after its last byte
        let lines = self.capture.log.calls();
        let spans = self.collector.spans(&self.capture);
        let mut ends: Vec<_> = of_kind(&spans, opentelemetry_proto::tonic::trace::v1::span::SpanKind::Server)
            .into_iter()
            .map(|span| {
                let attribute = |name| value(&span.attributes, name);
                let method = attribute("rpc.method");
                let method = method.rsplit('/').next().unwrap_or_default();
                let outcome = attribute("switchboard.outcome").to_uppercase();
                format!("{method} {outcome} {}", attribute("switchboard.reason")).trim_end().to_owned()
            })
            .collect();
        let mut sorted = lines.clone();
        sorted.sort();
        ends.sort();
        assert_eq!(ends, sorted, "spans and log lines");
        lines
    }

    fn grpc(&self) -> Grpc<Channel> {
        Grpc::new(self.switchboard.channel())
    }
}

/// Sends a message to a path, whatever the contract says.
async fn send<T: prost::Message + 'static>(setup: &Setup, path: &'static str, message: T) -> Status {
    let mut grpc = setup.grpc();
    grpc.ready().await.expect("connects");
    let codec = ProstCodec::<T, pb::ConverseResponse>::default();
    let sent = grpc.unary(Request::new(message), PathAndQuery::from_static(path), codec).await;
    sent.expect_err("is refused")
}

fn counted(task: &str) -> pb::CountTokensRequest {
    let conversation =
        pb::ConverseTokensRequest { messages: vec![text_message("user", "Hello.")], ..Default::default() };
    let input = Some(pb::CountTokensInput { input: Some(Input::Converse(conversation)) });
    pb::CountTokensRequest { task_type: task.to_owned(), input }
}

#[tokio::test(start_paused = true)]
async fn an_answered_call() {
    let setup = Setup::start(says("Done."));
    setup.switchboard.converse("chat", "Hello.").await.expect("answers");
    assert_eq!(setup.ends().await, ["Converse OK"]);
    assert!(setup.switchboard.converse_stream("chat", "Hello.").await.status.is_none());
    assert_eq!(setup.ends().await, ["Converse OK", "ConverseStream OK"]);
    setup.switchboard.caller().count_tokens(counted("chat")).await.expect("counts");
    assert_eq!(setup.ends().await, ["Converse OK", "ConverseStream OK", "CountTokens OK"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_call() {
    let setup = Setup::start(throttled());
    setup.switchboard.converse("chat", "Hello.").await.expect_err("fails");
    setup.switchboard.converse_stream("chat", "Hello.").await.status();
    setup.switchboard.caller().count_tokens(counted("chat")).await.expect_err("fails");
    let reason = "ERROR BEDROCK_THROTTLED";
    let expected = ["Converse", "ConverseStream", "CountTokens"].map(|method| format!("{method} {reason}"));
    assert_eq!(setup.ends().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_after_content() {
    let setup = Setup::start(says_and_fails("Half an ", FailureKind::Internal));
    setup.switchboard.converse_stream("chat", "Hello.").await.status();
    assert_eq!(setup.ends().await, ["ConverseStream ERROR STREAM_INTERRUPTED"]);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_call() {
    let setup = Setup::start(says("Done."));
    let empty = pb::ConverseRequest { task_type: "chat".to_owned(), ..Default::default() };
    setup.switchboard.caller().converse(empty.clone()).await.expect_err("is refused");
    setup.switchboard.caller().converse_stream(empty).await.expect_err("is refused");
    setup.switchboard.converse("poetry", "Sing.").await.expect_err("is refused");
    setup.switchboard.caller().count_tokens(pb::CountTokensRequest::default()).await.expect_err("is refused");
    assert_eq!(
        setup.ends().await,
        [
            "Converse ERROR INVALID_FIELD",
            "ConverseStream ERROR INVALID_FIELD",
            "Converse ERROR UNKNOWN_TASK",
            "CountTokens ERROR INVALID_FIELD",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_rejected_call() {
    let setup = Setup::start(says_and_hangs("Once upon"));
    let caller = setup.switchboard.caller().converse_stream(chat_request("chat", "A story!")).await;
    let running = caller.expect("begins");
    setup.switchboard.converse("chat", "And me?").await.expect_err("is rejected");
    setup.switchboard.converse_stream("chat", "And me?").await.status();
    drop(running);
    assert_eq!(
        setup.ends().await,
        ["Converse SHED SHED", "ConverseStream SHED SHED", "ConverseStream CANCELLED"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_deadline_passes() {
    let setup = Setup::start(hangs());
    let mut request = Request::new(chat_request("chat", "Hello."));
    request.metadata_mut().insert("grpc-timeout", "3S".parse().expect("is a header"));
    setup.switchboard.caller().converse(request).await.expect_err("has too little time");
    assert_eq!(setup.ends().await, ["Converse ERROR DEADLINE_EXCEEDED"]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call() {
    let setup = Setup::start(hangs());
    let mut caller = setup.switchboard.caller();
    let unary = timeout(Duration::from_secs(1), caller.converse(chat_request("chat", "Hello."))).await;
    assert!(unary.is_err(), "no model answers");
    assert_eq!(setup.ends().await, ["Converse CANCELLED"]);
    let stream = timeout(Duration::from_secs(1), caller.converse_stream(chat_request("chat", "Go."))).await;
    assert!(stream.is_err(), "no model answers");
    assert_eq!(setup.ends().await, ["Converse CANCELLED", "ConverseStream CANCELLED"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cancelled_during_its_upload() {
    let setup = Setup::start(says("Done."));
    let mut grpc = setup.grpc();
    grpc.ready().await.expect("connects");
    let nothing = Request::new(stream::pending::<pb::ConverseRequest>());
    let codec = ProstCodec::<pb::ConverseRequest, pb::ConverseResponse>::default();
    let call = grpc.client_streaming(nothing, PathAndQuery::from_static(CONVERSE), codec);
    assert!(timeout(Duration::from_secs(1), call).await.is_err(), "the request is not complete");
    assert_eq!(setup.ends().await, ["Converse CANCELLED"]);
}

/// How a caller leaves before its request is complete.
#[derive(Clone, Copy)]
enum Leaves {
    Reset(h2::Reason),
    ClosesTheConnection,
}

/// Sends a part of a request over HTTP/2 and leaves.
async fn leave_during_upload(setup: &Setup, path: &str, part: &'static [u8], how: Leaves) {
    let handshake = h2::client::handshake(setup.switchboard.connection()).await;
    let (mut calls, connection) = handshake.expect("connects");
    let connection = tokio::spawn(async move { drop(connection.await) });
    let head = http::Request::post(format!("http://switchboard.test{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let (_response, mut request) =
        calls.send_request(head.body(()).expect("is valid"), false).expect("is sent");
    request.send_data(part.into(), false).expect("is sent");
    sleep(Duration::from_millis(10)).await;
    match how {
        Leaves::Reset(reason) => request.send_reset(reason),
        Leaves::ClosesTheConnection => connection.abort(),
    }
    sleep(Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_during_its_upload_has_cancelled_however_it_leaves() {
    const STREAM: &str = "/switchboard.v1.ConverseService/ConverseStream";
    const FEEDBACK: &str = "/switchboard.v1.FeedbackService/RecordFeedback";
    for how in [
        Leaves::Reset(h2::Reason::CANCEL),
        Leaves::Reset(h2::Reason::INTERNAL_ERROR),
        Leaves::Reset(h2::Reason::REFUSED_STREAM),
        Leaves::ClosesTheConnection,
    ] {
        for part in [&b""[..], b"\0\0", b"\0\0\0\0\x09coding"] {
            let setup = Setup::start(says("Done."));
            for path in [CONVERSE, STREAM, FEEDBACK] {
                leave_during_upload(&setup, path, part, how).await;
            }
            let ends = setup.ends().await;
            assert_eq!(ends, ["Converse CANCELLED", "ConverseStream CANCELLED", "RecordFeedback CANCELLED"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_sends_its_request() {
    let setup = Setup::start(says("Done."));
    let mut grpc = setup.grpc();
    grpc.ready().await.expect("connects");
    let nothing = Request::new(stream::pending::<pb::ConverseRequest>());
    let codec = ProstCodec::<pb::ConverseRequest, pb::ConverseResponse>::default();
    let call = grpc.client_streaming(nothing, PathAndQuery::from_static(CONVERSE), codec);
    call.await.expect_err("the upload timeout ends it");
    assert_eq!(setup.ends().await, ["Converse ERROR DEADLINE_EXCEEDED"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_decoded() {
    let setup = Setup::start(says("Done."));
    // Its first field is a number, that of a ConverseRequest a string.
    let other = prost_types::Duration { seconds: 1, nanos: 1 };
    let status = send(&setup, CONVERSE, other).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    assert_eq!(setup.ends().await, ["Converse ERROR INVALID_FIELD"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_above_the_size_limit() {
    let setup = Setup::start(says("Done."));
    let large = chat_request("chat", &"x".repeat(40 << 20));
    setup.switchboard.caller().converse(large).await.expect_err("is too large");
    assert_eq!(setup.ends().await, ["Converse ERROR INVALID_FIELD"]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_method_or_service() {
    let setup = Setup::start(says("Done."));
    for path in ["/switchboard.v1.ConverseService/Nothing", "/switchboard.v2.ConverseService/Converse"] {
        assert_eq!(send(&setup, path, chat_request("chat", "Hello.")).await.code(), Code::Unimplemented);
    }
    assert_eq!(setup.ends().await, ["_OTHER ERROR", "_OTHER ERROR"]);
}

#[tokio::test(start_paused = true)]
async fn a_health_check_has_neither_a_line_nor_a_span() {
    let setup = Setup::start(says("Done."));
    setup.switchboard.health().check(HealthCheckRequest::default()).await.expect("answers");
    assert_eq!(setup.ends().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_the_routing_service() {
    let setup = Setup::start(says("Done."));
    setup.switchboard.routing().list_tasks(pb::ListTasksRequest {}).await.expect("lists");
    let explained = |task: &str| pb::ExplainRouteRequest { task_type: task.to_owned(), request: None };
    setup.switchboard.routing().explain_route(explained("chat")).await.expect("explains");
    setup.switchboard.routing().explain_route(explained("poetry")).await.expect_err("is refused");
    assert_eq!(setup.ends().await, ["ListTasks OK", "ExplainRoute OK", "ExplainRoute ERROR UNKNOWN_TASK"]);
}

/// The clock is not paused: the feedback store has its own thread.
#[tokio::test]
async fn a_call_of_the_feedback_service() {
    let setup = Setup::start(says("Done."));
    let reply = setup.switchboard.converse("chat", "Hello.").await.expect("answers");
    let feedback = |request_id: &str, thumb: pb::Thumb| pb::RecordFeedbackRequest {
        request_id: request_id.to_owned(),
        judge: Some(pb::Judge { kind: pb::JudgeKind::Human.into(), id: "alice".to_owned() }),
        thumb: thumb.into(),
        ..Default::default()
    };
    let known = reply.route.expect("has a route").request_id;
    let mut caller = setup.switchboard.feedback();
    caller.record_feedback(feedback(&known, pb::Thumb::Up)).await.expect("is recorded");
    let unknown = caller.record_feedback(feedback("unknown", pb::Thumb::Up)).await.expect_err("is unknown");
    assert_eq!(unknown.code(), Code::NotFound);
    let invalid = pb::RecordFeedbackRequest { request_id: known, ..Default::default() };
    caller.record_feedback(invalid).await.expect_err("is invalid");
    assert_eq!(
        setup.ends().await,
        [
            "Converse OK",
            "RecordFeedback OK",
            "RecordFeedback ERROR UNKNOWN_REQUEST",
            "RecordFeedback ERROR INVALID_FIELD",
        ]
    );
}
