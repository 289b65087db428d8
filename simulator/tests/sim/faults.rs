//! Faults as the AWS SDK observes them.

use std::time::Duration;

use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use bedrock_sim::{Fault, FaultRule};
use serde_json::json;
use tokio::time::timeout;

use crate::harness::{NOVA, SONNET, Scenario, read_stream, user};

const QUESTION: &str = "What are basalt columns?";

#[tokio::test]
async fn every_error_is_returned_with_its_name_and_status() {
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
        let unary = scenario.converse(NOVA, QUESTION).await.expect_err(name);
        let stream = scenario.client.converse_stream().model_id(NOVA).messages(user(QUESTION));
        let stream = stream.send().await.expect_err(name);

        assert_eq!(unary.code(), Some(name));
        assert_eq!(stream.code(), Some(name));
        assert_eq!(unary.raw_response().map(|raw| raw.status().as_u16()), Some(status), "{name}");
        assert!(unary.message().is_some_and(|message| !message.is_empty()), "{name}");
        assert!(scenario.converse(NOVA, QUESTION).await.is_ok(), "{name} affects two calls only");
    }
}

#[tokio::test]
async fn a_model_error_has_the_original_status() {
    let scenario = Scenario::start().await;
    let rule = json!({ "fault": {
        "kind": "error", "name": "ModelErrorException", "original_status": 503, "resource": "some-resource",
    } });
    scenario.simulator.handle().inject(serde_json::from_value(rule).expect("a rule"));
    let error = scenario.converse(NOVA, QUESTION).await.expect_err("a model error").into_service_error();
    let error = match error {
        aws_sdk_bedrockruntime::operation::converse::ConverseError::ModelErrorException(error) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error.original_status_code(), Some(503));
    assert_eq!(error.resource_name(), Some("some-resource"));
}

#[tokio::test]
async fn throttling_supports_a_rate_a_probability_a_daily_quota_and_retry_after() {
    let scenario = Scenario::start().await;
    let throttle = |rest: serde_json::Value| {
        let mut fault = json!({ "kind": "throttle" });
        fault.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        serde_json::from_value::<Fault>(fault).expect("a fault")
    };
    let handle = scenario.simulator.handle();
    handle.inject(FaultRule::all(throttle(json!({ "daily": true, "retry_after": "7s" }))).times(1));
    let error = scenario.converse(NOVA, QUESTION).await.expect_err("throttled");
    assert_eq!(error.message(), Some("Too many tokens per day, please wait before trying again."));
    assert_eq!(error.raw_response().and_then(|raw| raw.headers().get("retry-after")), Some("7"));

    handle.inject(FaultRule::all(throttle(json!({ "calls_per_second": 2.0 }))));
    let mut served = 0;
    for _ in 0..5 {
        served += i32::from(scenario.converse(NOVA, QUESTION).await.is_ok());
    }
    assert!((2..=4).contains(&served), "{served} served");

    handle.clear_faults();
    handle.inject(FaultRule::all(throttle(json!({ "probability": 0.0 }))));
    assert!(scenario.converse(NOVA, QUESTION).await.is_ok());
}

#[tokio::test]
async fn a_rule_for_a_base_model_applies_to_its_profiles_only() {
    let scenario = Scenario::start().await;
    let rule = FaultRule::on("anthropic.claude-sonnet-4-6", Fault::throttle());
    scenario.simulator.handle().inject(rule);
    assert!(scenario.converse(SONNET, QUESTION).await.is_err());
    assert!(scenario.converse(NOVA, QUESTION).await.is_ok());
}

#[tokio::test]
async fn stream_exceptions_are_decoded_as_their_sdk_type() {
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
        let result = scenario.stream(NOVA, QUESTION).await;
        assert_eq!(result.events, ["messageStart", "text", "text"], "{name}");
        assert!(
            result.error.as_ref().is_some_and(
                |error| error.contains(&format!("ServiceError(ServiceError {{ source: {variant}"))
            ),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn broken_streams_end_with_an_sdk_error() {
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
        ("a closed socket", Fault::cut(2), 2, "DispatchFailure"),
        (
            "a socket closed in the middle of a frame",
            Fault::Cut { after_events: 2, mid_frame: true },
            2,
            "DispatchFailure",
        ),
    ];
    for (name, fault, events, error) in cases {
        let scenario = Scenario::start().await;
        scenario.inject(fault);
        let result = scenario.stream(NOVA, QUESTION).await;
        assert_eq!(result.events.len(), events, "{name}: {result:?}");
        assert!(result.error.as_ref().is_some_and(|found| found.contains(error)), "{name}: {result:?}");
    }
}

#[tokio::test]
async fn streams_can_end_cleanly_without_message_stop_or_metadata() {
    let scenario = Scenario::start().await;
    let handle = scenario.simulator.handle();
    handle.inject(FaultRule::all(Fault::EndWithoutMessageStop).times(1));
    let result = scenario.stream(NOVA, QUESTION).await;
    assert_eq!((result.outline(), result.error), (vec!["messageStart", "text", "contentBlockStop"], None));

    handle.inject(FaultRule::all(Fault::EndWithoutMetadata).times(1));
    let result = scenario.stream(NOVA, QUESTION).await;
    assert_eq!(result.error, None);
    assert_eq!(result.events.last(), Some(&"messageStop"));
}

#[tokio::test]
async fn the_sdk_ignores_unknown_events_and_deltas() {
    let scenario = Scenario::start().await;
    let plain = scenario.stream(NOVA, QUESTION).await;
    scenario.inject(Fault::UnknownEvent { after_events: 2 }).inject(Fault::UnknownDelta { after_events: 3 });
    let result = scenario.stream(NOVA, QUESTION).await;
    assert_eq!(result.events[..4], ["messageStart", "text", "unknown", "unknownDelta"]);
    assert_eq!((result.text, result.error), (plain.text, None));
}

#[tokio::test]
async fn hangs_stalls_and_delays_last_as_long_as_configured() {
    let scenario = Scenario::start().await;
    let handle = scenario.simulator.handle();
    let delay = Duration::from_millis(300);

    handle.inject(FaultRule::all(Fault::Hang).times(1));
    assert!(timeout(delay, scenario.converse(NOVA, QUESTION)).await.is_err(), "hang");

    handle.inject(FaultRule::all(Fault::stall(2)).times(1));
    let call = scenario.client.converse_stream().model_id(NOVA).messages(user(QUESTION));
    let output = call.send().await.expect("a stream");
    assert!(timeout(delay, read_stream(output)).await.is_err(), "stall");

    handle.inject(FaultRule::all(Fault::Stall { after_events: 2, duration: Some(delay) }).times(1));
    let start = tokio::time::Instant::now();
    assert_eq!(scenario.stream(NOVA, QUESTION).await.error, None);
    assert!(start.elapsed() >= delay, "a stall that ends");

    handle.inject(FaultRule::all(Fault::slow_first_token(delay)).times(2));
    let call = scenario.client.converse_stream().model_id(NOVA).messages(user(QUESTION));
    let (start, mut output) = (tokio::time::Instant::now(), call.send().await.expect("a status at once"));
    output.stream.recv().await.expect("an event");
    assert!(start.elapsed() >= delay, "a slow first token");
    scenario.converse(NOVA, QUESTION).await.expect("a response");
    assert!(start.elapsed() >= delay * 2, "a slow unary response");
}

#[tokio::test]
async fn a_unary_response_can_be_cut_and_ignores_stream_faults() {
    let scenario = Scenario::start().await;
    let handle = scenario.simulator.handle();
    handle.inject(FaultRule::all(Fault::cut(3)).times(1));
    let error = scenario.converse(NOVA, QUESTION).await.expect_err("half a body");
    assert!(matches!(error, SdkError::DispatchFailure(_) | SdkError::ResponseError(_)), "{error:?}");

    handle.inject(FaultRule::all(Fault::exception(1, "throttlingException")).times(1));
    assert!(scenario.converse(NOVA, QUESTION).await.is_ok());
    assert!(scenario.stream(NOVA, QUESTION).await.error.is_some(), "the unary call did not count");
}

#[tokio::test]
async fn the_admin_api_injects_lists_and_clears_faults() {
    let scenario = Scenario::start().await;
    let rule = json!({ "model": NOVA, "fault": { "kind": "throttle" }, "times": 3 });
    assert_eq!(scenario.admin("POST", "/_sim/faults", &rule).await.0, 200);
    assert!(scenario.converse(NOVA, QUESTION).await.is_err());
    let (_, faults) = scenario.admin("GET", "/_sim/faults", &json!(null)).await;
    assert_eq!(faults["faults"][0]["times"], 2);
    assert_eq!(scenario.admin("DELETE", "/_sim/faults", &json!(null)).await.0, 200);
    assert!(scenario.converse(NOVA, QUESTION).await.is_ok());

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

#[tokio::test]
async fn a_fault_with_an_unknown_model_or_field_is_rejected_by_name() {
    let scenario = Scenario::start().await;
    let throttle = json!({ "kind": "throttle" });
    let cases = [
        (json!({ "model": "nosuch", "fault": throttle }), "model: unknown model id `nosuch`"),
        (json!({ "modle": NOVA, "fault": throttle }), "unknown field `modle`"),
        (json!({ "model": NOVA, "time": 1, "fault": throttle }), "unknown field `time`"),
        (json!({ "model": NOVA, "fault": { "kind": "throttle", "rate": 2 } }), "unknown field `rate`"),
        (json!({ "model": NOVA, "fault": { "kind": "hang", "delay": "2s" } }), "unknown field `delay`"),
        (json!({ "model": NOVA, "fault": { "kind": "end_without_metadata", "x": 1 } }), "unknown field `x`"),
        (json!({ "model": NOVA }), "missing field `fault`"),
    ];
    for (rule, message) in cases {
        let (status, error) = scenario.admin("POST", "/_sim/faults", &rule).await;
        assert_eq!(status, 400, "{rule}");
        assert!(error["error"].as_str().is_some_and(|text| text.starts_with(message)), "{rule}: {error}");
    }
    let (_, faults) = scenario.admin("GET", "/_sim/faults", &json!(null)).await;
    assert_eq!(faults["faults"], json!([]), "a rejected rule is not active");

    let arn = "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/a1b2c3d4e5f6";
    for model in [NOVA, "amazon.nova-lite-v1:0", "amazon.titan-text-lite-v1", arn, "*"] {
        let rule = json!({ "model": model, "fault": { "kind": "hang" }, "times": 1 });
        assert_eq!(scenario.admin("POST", "/_sim/faults", &rule).await, (200, json!({})), "{model}");
    }
}
