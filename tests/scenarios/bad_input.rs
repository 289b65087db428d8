//! Invalid requests are refused with the path of each invalid field, before any model is called.
use crate::harness::*;
use switchboard_proto::v1::{self as pb, content_block::Block};
use tonic::{Code, Status};

fn switchboard() -> ScenarioServer {
    Scenario::new().route("coding", ["one"]).model("one", says("Yes.")).start()
}

fn coding(messages: Vec<pb::Message>) -> pb::ConverseRequest {
    pb::ConverseRequest { task_type: "coding".to_owned(), messages, ..Default::default() }
}

fn with(change: impl FnOnce(&mut pb::InferenceConfiguration)) -> pb::ConverseRequest {
    let mut inference = pb::InferenceConfiguration::default();
    change(&mut inference);
    pb::ConverseRequest { inference_config: Some(inference), ..chat_request("coding", "Write a program.") }
}

#[tokio::test(start_paused = true)]
async fn names_the_invalid_field_in_both_rpcs() {
    let switchboard = switchboard();
    let without_content = pb::Message { role: "user".to_owned(), content: Vec::new() };
    let empty_block =
        pb::Message { role: "user".to_owned(), content: vec![pb::ContentBlock { block: None }] };
    for (request, field) in [
        (coding(Vec::new()), "messages"),
        (coding(vec![text_message("robot", "Hello")]), "messages[0].role"),
        (coding(vec![text_message("assistant", "Hello")]), "messages[0].role"),
        (coding(vec![without_content]), "messages[0].content"),
        (coding(vec![empty_block]), "messages[0].content[0]"),
        (with(|inference| inference.max_tokens = Some(0)), "inference_config.max_tokens"),
        (with(|inference| inference.max_tokens = Some(-5)), "inference_config.max_tokens"),
        (with(|inference| inference.temperature = Some(1.01)), "inference_config.temperature"),
        (with(|inference| inference.top_p = Some(f64::NAN)), "inference_config.top_p"),
        (chat_request("poetry", "Sing."), "task_type"),
    ] {
        let unary = switchboard.caller().converse(request.clone()).await.expect_err("is refused");
        let streamed = switchboard.caller().converse_stream(request).await.expect_err("is refused");
        for status in [unary, streamed] {
            assert_eq!(
                (status.code(), invalid_fields(&status)),
                (Code::InvalidArgument, vec![field.to_owned()])
            );
            let message = status.message();
            assert!(message.contains(field) || message.contains("there is no task"), "{message}");
        }
    }
    assert!(switchboard.called_models().is_empty());
}

#[tokio::test(start_paused = true)]
async fn lists_the_tasks_for_an_unknown_task() {
    let status = switchboard().converse("poetry", "Sing.").await.expect_err("is refused");
    assert_eq!(reason(&status), "UNKNOWN_TASK");
    assert!(status.message().contains("coding"), "{}", status.message());
}

#[tokio::test(start_paused = true)]
async fn a_request_over_the_size_limit_is_an_invalid_argument() {
    let switchboard = Scenario::new()
        .route("coding", ["one"])
        .model("one", says("Yes."))
        .configure(|config| config.server.max_request_size = bytesize::ByteSize::kib(64))
        .start();
    let status = switchboard.converse("coding", &"x".repeat(100_000)).await.expect_err("is refused");
    assert_eq!((status.code(), invalid_fields(&status)), (Code::InvalidArgument, vec!["request".to_owned()]));
    assert!(status.message().contains("64.0 KiB"), "{}", status.message());
}

#[tokio::test(start_paused = true)]
async fn accepts_five_documents_of_the_largest_size() {
    let document = |name: &str| pb::DocumentBlock {
        format: Some("pdf".to_owned()),
        name: name.to_owned(),
        source: Some(pb::DocumentSource {
            source: Some(pb::document_source::Source::Bytes(vec![b'x'; 4_500_000].into())),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut message = text_message("user", "Compare these.");
    message.content.extend(
        ["a", "b", "c", "d", "e"]
            .map(|name| pb::ContentBlock { block: Some(Block::Document(document(name))) }),
    );
    switchboard().caller().converse(coding(vec![message])).await.expect("is not too large");
}

/// The status of a call whose request body is `body`, over HTTP/2 without a gRPC library.
async fn status_of_body(switchboard: &ScenarioServer, body: &'static [u8]) -> Status {
    let connection = h2::client::handshake(switchboard.connection()).await;
    let (mut calls, connection) = connection.expect("connects");
    tokio::spawn(async move { drop(connection.await) });
    let head = http::Request::post("http://switchboard.test/switchboard.v1.ConverseService/Converse")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let (response, mut request) =
        calls.send_request(head.body(()).expect("is valid"), false).expect("is sent");
    request.send_data(body.into(), true).expect("is sent");
    let response = response.await.expect("is answered");
    Status::from_header_map(response.headers()).expect("has a status without a body")
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_complete_message_is_an_invalid_argument() {
    let switchboard = switchboard();
    for (name, body) in [
        ("no message", &b""[..]),
        ("half a prefix", b"\0\0"),
        ("half a message", b"\0\0\0\0\x09coding"),
        ("not protobuf", b"\0\0\0\0\x03\xff\xff\xff"),
    ] {
        let status = status_of_body(&switchboard, body).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{name}: {status:?}");
        assert_eq!(
            (reason(&status).as_str(), invalid_fields(&status)),
            ("INVALID_FIELD", vec!["request".to_owned()])
        );
    }
    assert!(switchboard.called_models().is_empty());
}
