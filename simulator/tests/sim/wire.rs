//! Details of the wire format that an SDK would hide.

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use aws_smithy_types::event_stream::Message;
use bedrock_sim::Config;
use serde_json::Value;
use tokio::time::{Duration, Instant};

use crate::harness::{NOVA, Scenario, body, send_raw};

#[tokio::test]
async fn every_event_has_headers_and_padding() {
    let scenario = Scenario::start().await;
    let path = format!("/model/{NOVA}/converse-stream");
    let response = send_raw(&scenario.simulator, "POST", &path, Some("Bearer key"), &body("Hello")).await;
    assert_eq!(response.headers()["content-type"], "application/vnd.amazon.eventstream");
    assert_eq!(response.headers()["x-amzn-requestid"].len(), 36);

    for frame in frames(response.body()) {
        let header = |name: &str| {
            let found = frame.headers().iter().find(|header| header.name().as_str() == name);
            found.and_then(|header| header.value().as_string().ok()).expect("a text header").as_str()
        };
        assert_eq!((header(":message-type"), header(":content-type")), ("event", "application/json"));
        let payload: Value = serde_json::from_slice(frame.payload()).expect("JSON");
        let padding = payload["p"].as_str().expect("padding");
        assert!(padding.starts_with("ab"), "{padding}");
        assert_eq!(payload.get("contentBlockIndex").is_some(), header(":event-type").starts_with("content"));
    }
}

#[tokio::test]
async fn the_error_name_is_only_in_the_header() {
    let scenario = Scenario::start().await;
    let response =
        send_raw(&scenario.simulator, "POST", "/model/nope/converse", Some("Bearer key"), &body("Hi")).await;
    assert_eq!(
        response.headers()["x-amzn-errortype"],
        "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/"
    );
    assert_eq!(response.body(), r#"{"message":"The provided model identifier is invalid."}"#);
}

#[tokio::test]
async fn a_ping_is_answered_and_not_logged() {
    let scenario = Scenario::start().await;
    let response = send_raw(&scenario.simulator, "GET", "/ping", None, &Value::Null).await;
    assert_eq!(response.status(), 404);
    assert!(scenario.simulator.handle().calls().is_empty());
}

#[tokio::test]
async fn a_stream_has_the_speed_of_its_model() {
    let scenario = Scenario::with(Config { speed: 4.0, ..Config::default() }).await;
    let start = Instant::now();
    let result = scenario.stream(NOVA, "Hello").await;
    // The model has a delay of 300 ms and 180 tokens per second; here it is four times as fast.
    let tokens = u32::try_from(result.usage.expect("usage").output_tokens()).expect("a count");
    let expected = Duration::from_millis(75) + Duration::from_secs(1) * tokens / 720;
    assert!(start.elapsed() >= expected, "{:?} is too fast", start.elapsed());
    assert!(start.elapsed() < expected * 5, "{:?} is too slow", start.elapsed());
}

fn frames(mut bytes: &[u8]) -> Vec<Message> {
    let (mut decoder, mut frames) = (MessageFrameDecoder::new(), Vec::new());
    while let DecodedFrame::Complete(frame) = decoder.decode_frame(&mut bytes).expect("a valid frame") {
        frames.push(frame);
    }
    assert!(bytes.is_empty() && frames.len() > 5, "{} frames", frames.len());
    frames
}
