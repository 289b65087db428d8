//! Misbehaviour as the SDK sees it.

use std::time::Duration;

use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use bedrock_sim::{Fault, FaultRule};
use serde_json::json;
use tokio::time::timeout;

use crate::harness::{NOVA, SONNET, Scenario, read, user};

const QUESTION: &str = "What are basalt columns?";

#[tokio::test]
async fn every_error_arrives_under_its_name() {
    let scenario = Scenario::start().await;
    let cases = [
        ("AccessDeniedException", 403),
        ("ResourceNotFoundException", 404),
        ("ThrottlingException", 429),
        ("ModelTimeoutException", 408),
        ("ModelErrorException", 424),
        ("ModelNotReadyException", 429),
        ("InternalServerException", 500),
        ("ServiceUnavailableException", 503),
        ("ValidationException", 400),
        ("ServiceQuotaExceededException", 400),
        ("ExpiredTokenException", 403),
        ("UnrecognizedClientException", 403),
    ];
    for (name, status) in cases {
        scenario.simulator.handle().inject(FaultRule::on(NOVA, Fault::error(name)).times(2));
        let unary = scenario.ask(NOVA, QUESTION).await.expect_err(name);
        let stream = scenario.client.converse_stream().model_id(NOVA).messages(user(QUESTION));
        let stream = stream.send().await.expect_err(name);

        assert_eq!(unary.code(), Some(name));
        assert_eq!(stream.code(), Some(name));
        assert_eq!(unary.raw_response().map(|raw| raw.status().as_u16()), Some(status), "{name}");
        assert!(unary.message().is_some_and(|message| !message.is_empty()), "{name}");
        assert!(scenario.ask(NOVA, QUESTION).await.is_ok(), "{name} was used up");
    }
}

#[tokio::test]
async fn a_model_error_carries_the_original_status() {
    let scenario = Scenario::start().await;
    let rule = json!({ "fault": {
        "kind": "error", "name": "ModelErrorException", "original_status": 503, "resource": "some-resource",
    } });
    scenario.simulator.handle().inject(serde_json::from_value(rule).expect("a rule"));
    let error = scenario.ask(NOVA, QUESTION).await.expect_err("a model error").into_service_error();
    let error = match error {
        aws_sdk_bedrockruntime::operation::converse::ConverseError::ModelErrorException(error) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error.original_status_code(), Some(503));
    assert_eq!(error.resource_name(), Some("some-resource"));
}

#[tokio::test]
async fn throttling_can_be_a_rate_a_day_or_a_hint() {
    let scenario = Scenario::start().await;
    let throttle = |rest: serde_json::Value| {
        let mut fault = json!({ "kind": "throttle" });
        fault.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        serde_json::from_value::<Fault>(fault).expect("a fault")
    };
    let handle = scenario.simulator.handle();
    handle.inject(FaultRule::all(throttle(json!({ "daily": true, "retry_after": "7s" }))).times(1));
    let error = scenario.ask(NOVA, QUESTION).await.expect_err("throttled");
    assert_eq!(error.message(), Some("Too many tokens per day, please wait before trying again."));
    assert_eq!(error.raw_response().and_then(|raw| raw.headers().get("retry-after")), Some("7"));

    handle.inject(FaultRule::all(throttle(json!({ "calls_per_second": 2.0 }))));
    let mut passed = 0;
    for _ in 0..5 {
        passed += i32::from(scenario.ask(NOVA, QUESTION).await.is_ok());
    }
    assert!((2..=4).contains(&passed), "{passed} passed");

    handle.clear_faults();
    handle.inject(FaultRule::all(throttle(json!({ "probability": 0.0 }))));
    assert!(scenario.ask(NOVA, QUESTION).await.is_ok());
}

#[tokio::test]
async fn a_rule_for_a_base_model_covers_its_profiles_and_no_other_model() {
    let scenario = Scenario::start().await;
    let rule = FaultRule::on("anthropic.claude-sonnet-4-6", Fault::throttle());
    scenario.simulator.handle().inject(rule);
    assert!(scenario.ask(SONNET, QUESTION).await.is_err());
    assert!(scenario.ask(NOVA, QUESTION).await.is_ok());
}

#[tokio::test]
async fn exceptions_in_a_stream_arrive_as_their_variant() {
    let cases = [
        ("internalServerException", "InternalServerException"),
        ("modelStreamErrorException", "ModelStreamErrorException"),
        ("validationException", "ValidationException"),
        ("ThrottlingException", "ThrottlingException"),
        ("serviceUnavailableException", "ServiceUnavailableException"),
    ];
    for (name, variant) in cases {
        let scenario = Scenario::start().await;
        scenario.inject(Fault::exception(3, name));
        let read = scenario.stream(NOVA, QUESTION).await;
        assert_eq!(read.events, ["messageStart", "text", "text"], "{name}");
        assert!(
            read.error.as_ref().is_some_and(
                |error| error.contains(&format!("ServiceError(ServiceError {{ source: {variant}"))
            ),
            "{read:?}"
        );
    }
}

#[tokio::test]
async fn broken_streams_are_seen_as_broken() {
    let frame =
        |code: &str| Fault::ErrorFrame { after_events: 2, code: code.to_owned(), message: "Boom".to_owned() };
    let cases = [
        (
            "an exception as the first frame",
            Fault::exception(0, "throttlingException"),
            0,
            "ThrottlingException",
        ),
        ("an unknown exception", Fault::exception(2, "futureException"), 2, "ServiceError"),
        ("an error frame", frame("InternalError"), 2, "ResponseError"),
        ("a bad checksum", Fault::BadCrc { at_event: 2 }, 2, "ResponseError"),
        ("a cut socket", Fault::cut(2), 2, "DispatchFailure"),
        ("a socket cut in mid-frame", Fault::Cut { after_events: 2, mid_frame: true }, 2, "DispatchFailure"),
    ];
    for (name, fault, events, error) in cases {
        let scenario = Scenario::start().await;
        scenario.inject(fault);
        let read = scenario.stream(NOVA, QUESTION).await;
        assert_eq!(read.events.len(), events, "{name}: {read:?}");
        assert!(read.error.as_ref().is_some_and(|seen| seen.contains(error)), "{name}: {read:?}");
    }
}

#[tokio::test]
async fn clean_ends_come_too_early() {
    let scenario = Scenario::start().await;
    let handle = scenario.simulator.handle();
    handle.inject(FaultRule::all(Fault::EndWithoutMessageStop).times(1));
    let read = scenario.stream(NOVA, QUESTION).await;
    assert_eq!((read.outline(), read.error), (vec!["messageStart", "text", "contentBlockStop"], None));

    handle.inject(FaultRule::all(Fault::EndWithoutMetadata).times(1));
    let read = scenario.stream(NOVA, QUESTION).await;
    assert_eq!(read.error, None);
    assert_eq!(read.events.last(), Some(&"messageStop"));
}

#[tokio::test]
async fn events_and_deltas_from_the_future_are_passed_over() {
    let scenario = Scenario::start().await;
    let plain = scenario.stream(NOVA, QUESTION).await;
    scenario.inject(Fault::UnknownEvent { after_events: 2 }).inject(Fault::UnknownDelta { after_events: 3 });
    let read = scenario.stream(NOVA, QUESTION).await;
    assert_eq!(read.events[..4], ["messageStart", "text", "unknown", "unknownDelta"]);
    assert_eq!((read.text, read.error), (plain.text, None));
}

#[tokio::test]
async fn silence_is_silence() {
    let scenario = Scenario::start().await;
    let handle = scenario.simulator.handle();
    let soon = Duration::from_millis(300);

    handle.inject(FaultRule::all(Fault::Hang).times(1));
    assert!(timeout(soon, scenario.ask(NOVA, QUESTION)).await.is_err(), "hang");

    handle.inject(FaultRule::all(Fault::stall(2)).times(1));
    let call = scenario.client.converse_stream().model_id(NOVA).messages(user(QUESTION));
    let output = call.send().await.expect("a stream");
    assert!(timeout(soon, read(output)).await.is_err(), "stall");

    handle.inject(FaultRule::all(Fault::Stall { after_events: 2, duration: Some(soon) }).times(1));
    let begun = tokio::time::Instant::now();
    assert_eq!(scenario.stream(NOVA, QUESTION).await.error, None);
    assert!(begun.elapsed() >= soon, "a stall that ends");

    handle.inject(FaultRule::all(Fault::slow_first_token(soon)).times(2));
    let call = scenario.client.converse_stream().model_id(NOVA).messages(user(QUESTION));
    let (begun, mut output) = (tokio::time::Instant::now(), call.send().await.expect("a status at once"));
    output.stream.recv().await.expect("an event");
    assert!(begun.elapsed() >= soon, "a slow first token");
    scenario.ask(NOVA, QUESTION).await.expect("a reply");
    assert!(begun.elapsed() >= soon * 2, "a slow unary reply");
}

#[tokio::test]
async fn a_unary_reply_can_be_cut_and_ignores_faults_of_streams() {
    let scenario = Scenario::start().await;
    let handle = scenario.simulator.handle();
    handle.inject(FaultRule::all(Fault::cut(3)).times(1));
    let error = scenario.ask(NOVA, QUESTION).await.expect_err("half a body");
    assert!(matches!(error, SdkError::DispatchFailure(_) | SdkError::ResponseError(_)), "{error:?}");

    handle.inject(FaultRule::all(Fault::exception(1, "throttlingException")).times(1));
    assert!(scenario.ask(NOVA, QUESTION).await.is_ok());
    assert!(scenario.stream(NOVA, QUESTION).await.error.is_some(), "the rule was not used up");
}

#[tokio::test]
async fn faults_come_and_go_by_the_admin_routes() {
    let scenario = Scenario::start().await;
    let rule = json!({ "model": NOVA, "fault": { "kind": "throttle" }, "times": 3 });
    assert_eq!(scenario.admin("POST", "/_sim/faults", &rule).await.0, 200);
    assert!(scenario.ask(NOVA, QUESTION).await.is_err());
    let (_, faults) = scenario.admin("GET", "/_sim/faults", &json!(null)).await;
    assert_eq!(faults["faults"][0]["times"], 2);
    assert_eq!(scenario.admin("DELETE", "/_sim/faults", &json!(null)).await.0, 200);
    assert!(scenario.ask(NOVA, QUESTION).await.is_ok());

    let (status, error) =
        scenario.admin("POST", "/_sim/faults", &json!({ "fault": { "kind": "nap" } })).await;
    assert_eq!(status, 400);
    assert!(error["error"].as_str().is_some_and(|text| text.contains("unknown variant `nap`")), "{error}");

    let (_, calls) = scenario.admin("GET", "/_sim/calls", &json!(null)).await;
    assert_eq!(calls["calls"][0]["error"], "ThrottlingException");
    scenario.admin("DELETE", "/_sim/calls", &json!(null)).await;
    assert!(scenario.simulator.handle().calls().is_empty());
    assert_eq!(scenario.admin("GET", "/_sim/health", &json!(null)).await.1["status"], "ok");
    let (_, models) = scenario.admin("GET", "/_sim/models", &json!(null)).await;
    assert!(models.to_string().contains(NOVA));
}
