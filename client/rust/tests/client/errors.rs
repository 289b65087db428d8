//! A failure says all that Switchboard said.

use crate::{
    fake::{Answer, Fake},
    words::*,
};
use prost::Message as _;
use std::{collections::HashMap, time::Duration};
use switchboard_client::{Error, ErrorKind, FieldViolation, Switchboard, ask, pb};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// A status of Switchboard's, with the route among its details as the contract has it.
fn status(code: Code, message: &str, details: ErrorDetails, route: pb::Route) -> Status {
    let plain = Status::with_error_details(code, message, details);
    let mut told = tonic_types::Status::decode(plain.details()).unwrap();
    told.details.push(prost_types::Any {
        type_url: "type.googleapis.com/switchboard.v1.Route".to_owned(),
        value: route.encode_to_vec(),
    });
    Status::with_details(code, message, told.encode_to_vec().into())
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
async fn a_status_tells_its_reason_its_pause_and_every_attempt() {
    let error = failing_with(Answer::Fails(throttled())).await;

    assert_eq!((error.kind(), error.code()), (ErrorKind::Status, Code::ResourceExhausted));
    assert_eq!(error.reason(), Some(pb::ErrorReason::BedrockThrottled));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
    assert_eq!(error.request_id(), Some("call-1"));
    assert_eq!(error.route().unwrap().attempts[1].reason(), pb::ErrorReason::ModelTimeout);
    assert_eq!(error.to_string(), "Bedrock throttles every model (BEDROCK_THROTTLED)");
}

#[tokio::test]
async fn an_invalid_request_names_its_fields() {
    let error = failing_with(Answer::Fails(invalid())).await;

    let violation =
        FieldViolation { field: "messages[0].content".to_owned(), problem: "at least one block".to_owned() };
    assert_eq!(error.field_violations(), [violation]);
    assert_eq!(error.route(), None);
}

#[tokio::test]
async fn a_reason_newer_than_the_contract_is_still_readable() {
    let status = Status::with_error_details(Code::Unavailable, "no", reason("MOON_PHASE"));
    let error = failing_with(Answer::Fails(status)).await;

    assert_eq!((error.reason(), error.reason_text()), (None, "MOON_PHASE"));
}

#[tokio::test]
async fn a_status_without_details_shows_its_code() {
    let error = failing_with(Answer::Fails(Status::with_details(Code::NotFound, "gone", "".into()))).await;

    assert_eq!((error.to_string().as_str(), error.reason_text()), ("gone (NOT_FOUND)", ""));
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_the_status() {
    let status = Status::with_error_details(Code::Unavailable, "cut", reason("STREAM_INTERRUPTED"));
    let fake = Fake::playing([Answer::BreaksOff(vec![route(), text(0, "Hel")], status)]).await;

    let mut words = fake.client().await.stream(ask("default", "Hi")).await.unwrap().text();

    assert_eq!(words.next().await.unwrap().unwrap(), "Hel");
    let error = words.next().await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(pb::ErrorReason::StreamInterrupted));
    assert!(words.next().await.is_none());
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

    let now = Switchboard::connect(free.to_string()).await.unwrap_err();
    let later = Switchboard::builder(free.to_string()).connect_lazy().unwrap().tasks().await.unwrap_err();

    for error in [now, later] {
        assert_eq!((error.kind(), error.code()), (ErrorKind::Connect, Code::Unavailable));
        assert!(error.to_string().starts_with(&format!("could not connect to http://{free}: ")), "{error}");
    }
}
