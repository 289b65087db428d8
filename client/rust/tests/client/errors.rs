//! Errors carry the details of the status.

use crate::{
    events::*,
    fake::{Answer, Fake},
};
use prost::Message as _;
use std::{collections::HashMap, time::Duration};
use switchboard_client::{Error, ErrorKind, FieldViolation, Switchboard, ask, pb};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Status with details and route, as Switchboard sends it.
fn status(code: Code, message: &str, details: ErrorDetails, route: pb::Route) -> Status {
    let plain = Status::with_error_details(code, message, details);
    let mut decoded = tonic_types::Status::decode(plain.details()).unwrap();
    decoded.details.push(prost_types::Any {
        type_url: "type.googleapis.com/switchboard.v1.Route".to_owned(),
        value: route.encode_to_vec(),
    });
    Status::with_details(code, message, decoded.encode_to_vec().into())
}

fn reason(reason: &str) -> ErrorDetails {
    let mut details = ErrorDetails::with_error_info(reason, "switchboard", HashMap::new());
    details.set_request_info("call-1", "");
    details
}

pub(crate) fn throttled() -> Status {
    let mut details = reason("BEDROCK_THROTTLED");
    details.set_retry_info(Some(Duration::from_secs(2)));
    let attempts = vec![
        attempt("opus", pb::Outcome::Throttled, pb::ErrorReason::BedrockThrottled),
        attempt("haiku", pb::Outcome::Timeout, pb::ErrorReason::ModelTimeout),
        pb::Attempt {
            unmet_requirement: "16 ms left, needs 947 ms".to_owned(),
            ..attempt("nova", pb::Outcome::Skipped, pb::ErrorReason::DeadlineExceeded)
        },
    ];
    let route = pb::Route { attempts, ..Default::default() };
    status(Code::ResourceExhausted, "Bedrock throttles every model", details, route)
}

pub(crate) fn invalid() -> Status {
    let mut details = reason("INVALID_FIELD");
    details.add_bad_request_violation("messages[0].content", "at least one block");
    Status::with_error_details(Code::InvalidArgument, "the request is invalid", details)
}

pub(crate) fn late() -> Status {
    Status::with_error_details(Code::DeadlineExceeded, "too slow", reason("MODEL_TIMEOUT"))
}

async fn failing_with(answer: Answer) -> Error {
    let fake = Fake::playing([answer]).await;
    fake.client().await.converse(ask("default", "Hi")).await.unwrap_err()
}

#[tokio::test]
async fn has_reason_retry_delay_request_id_and_attempts() {
    let error = failing_with(Answer::Fails(throttled())).await;

    assert_eq!((error.kind(), error.code()), (ErrorKind::Status, Code::ResourceExhausted));
    assert_eq!(error.reason(), Some(pb::ErrorReason::BedrockThrottled));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
    assert_eq!(error.request_id(), Some("call-1"));
    assert_eq!(error.route().unwrap().attempts[1].reason(), pb::ErrorReason::ModelTimeout);
    assert_eq!(error.to_string(), "Bedrock throttles every model (BEDROCK_THROTTLED)");
}

#[tokio::test]
async fn has_the_fields_of_an_invalid_request() {
    let error = failing_with(Answer::Fails(invalid())).await;

    let violation =
        FieldViolation { field: "messages[0].content".to_owned(), problem: "at least one block".to_owned() };
    assert_eq!(error.field_violations(), [violation]);
    assert_eq!(error.route(), None);
}

#[tokio::test]
async fn keeps_the_text_of_a_reason_newer_than_the_contract() {
    let status = Status::with_error_details(Code::Unavailable, "no", reason("MOON_PHASE"));
    let error = failing_with(Answer::Fails(status)).await;

    assert_eq!((error.reason(), error.reason_text()), (None, "MOON_PHASE"));
}

#[tokio::test]
async fn shows_the_code_of_a_status_without_details() {
    let error = failing_with(Answer::Fails(Status::with_details(Code::NotFound, "gone", "".into()))).await;

    assert_eq!((error.to_string().as_str(), error.reason_text()), ("gone (NOT_FOUND)", ""));
}

#[tokio::test]
async fn a_broken_stream_ends_with_its_status() {
    let status = Status::with_error_details(Code::Unavailable, "cut", reason("STREAM_INTERRUPTED"));
    let fake = Fake::playing([Answer::BreaksOff(vec![route(), text(0, "Hel")], status)]).await;

    let mut text = fake.client().await.stream(ask("default", "Hi")).await.unwrap().text();

    assert_eq!(text.next().await.unwrap().unwrap(), "Hel");
    let error = text.next().await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(pb::ErrorReason::StreamInterrupted));
    assert!(text.next().await.is_none());
}

#[tokio::test]
async fn a_refused_connection_is_a_connect_error() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

    let now = Switchboard::connect(free.to_string()).await.unwrap_err();
    let later = Switchboard::builder(free.to_string()).connect_lazy().unwrap().tasks().await.unwrap_err();

    for error in [now, later] {
        assert_eq!((error.kind(), error.code()), (ErrorKind::Connect, Code::Unavailable));
        assert!(error.to_string().starts_with(&format!("could not connect to http://{free}: ")), "{error}");
    }
}
