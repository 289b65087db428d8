//! Responses without faults.

use aws_sdk_bedrockruntime::types::{ConverseTokensRequest, CountTokensInput, InferenceConfiguration};
use bedrock_sim::Config;
use serde_json::json;

use crate::harness::{self, NOVA, SONNET, Scenario, read_stream, text, user};

const QUESTION: &str = "What should I know about tidal energy in Brittany?";

#[tokio::test]
async fn a_stream_has_the_text_of_the_unary_response() {
    let scenario = Scenario::start().await;
    let unary = scenario.converse(SONNET, QUESTION).await.expect("a response");
    let streamed = scenario.stream(SONNET, QUESTION).await;

    assert_eq!(streamed.text, text(&unary));
    assert!(streamed.text.starts_with("[simulated us.anthropic.claude-sonnet-4-6] "), "{}", streamed.text);
    assert!(streamed.text.contains("tidal"), "{}", streamed.text);
    assert_eq!(streamed.usage.as_ref(), unary.usage());
    assert_eq!(
        streamed.outline(),
        ["messageStart", "text", "contentBlockStop", "messageStop", "metadata"],
        "a text block has no contentBlockStart"
    );
    assert_eq!(streamed.stop_reason.as_deref(), Some("end_turn"));
    let tokens = unary.usage().expect("usage").output_tokens();
    assert!((40..=200).contains(&tokens), "{tokens} tokens");
}

#[tokio::test]
async fn the_same_seed_and_request_give_the_same_response() {
    let first = Scenario::start().await;
    let again = Scenario::start().await;
    let other = Scenario::with(Config { seed: 7, speed: 0.0, ..Config::default() }).await;
    let mut responses = Vec::new();
    for scenario in [&first, &first, &again, &other] {
        responses.push(scenario.stream(NOVA, QUESTION).await);
    }
    assert_eq!(responses[0].text, responses[1].text);
    assert_eq!(responses[0].events, responses[2].events);
    assert_eq!(responses[0].text, responses[2].text);
    assert_ne!(responses[0].text, responses[3].text);
}

#[tokio::test]
async fn max_tokens_truncates_the_response() {
    let scenario = Scenario::start().await;
    let long = text(&scenario.converse(NOVA, QUESTION).await.expect("a response"));
    let limit = InferenceConfiguration::builder().max_tokens(12).build();
    let call = scenario.client.converse().model_id(NOVA).messages(user(QUESTION)).inference_config(limit);
    let short = call.send().await.expect("a response");

    assert_eq!(short.stop_reason().as_str(), "max_tokens");
    assert_eq!(short.usage().expect("usage").output_tokens(), 12);
    assert!(long.starts_with(&text(&short)));
}

#[tokio::test]
async fn a_stop_sequence_ends_the_response() {
    let scenario = Scenario::start().await;
    let stop = InferenceConfiguration::builder().stop_sequences("Brittany").build();
    let call = scenario.client.converse_stream().model_id(SONNET).messages(user(QUESTION));
    let call = call.inference_config(stop).additional_model_response_field_paths("/stop_sequence");
    let result = read_stream(call.send().await.expect("a stream")).await;

    assert_eq!(result.stop_reason.as_deref(), Some("stop_sequence"));
    assert!(!result.text.contains("Brittany"), "{}", result.text);
}

#[tokio::test]
async fn count_tokens_equals_the_input_tokens_of_the_call() {
    let scenario = Scenario::start().await;
    let request = ConverseTokensRequest::builder().messages(user(QUESTION)).build();
    let count = scenario.client.count_tokens().model_id("anthropic.claude-sonnet-4-6");
    let counted = count.input(CountTokensInput::Converse(request)).send().await.expect("a count");
    let response = scenario.converse(SONNET, QUESTION).await.expect("a response");

    assert_eq!(counted.input_tokens(), response.usage().expect("usage").input_tokens());
}

#[tokio::test]
async fn service_tier_and_latency_mode_are_echoed() {
    let scenario = Scenario::start().await;
    let mut body = harness::body(QUESTION);
    body["serviceTier"] = json!({ "type": "priority" });
    body["performanceConfig"] = json!({ "latency": "optimized" });
    let (status, response) = scenario.post(NOVA, "converse", &body).await;

    assert_eq!(status, 200);
    assert_eq!(response["serviceTier"]["type"], "priority");
    assert_eq!(response["performanceConfig"]["latency"], "optimized");
    assert!(response["metrics"]["latencyMs"].is_u64());
}

#[tokio::test]
async fn an_application_inference_profile_resolves_to_its_model() {
    let arn = "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/a1b2c3d4e5f6";
    let profiles = [(arn.to_owned(), "amazon.nova-micro-v1:0".to_owned())].into();
    let scenario = Scenario::with(Config { speed: 0.0, profiles, ..Config::default() }).await;
    let response = scenario.converse(arn, QUESTION).await.expect("a response");
    assert!(text(&response).starts_with(&format!("[simulated {arn}]")));

    let unlisted = "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/other";
    assert!(scenario.converse(unlisted, QUESTION).await.is_ok());
    let system = format!("arn:aws:bedrock:us-east-1:000000000000:inference-profile/{SONNET}");
    assert!(scenario.converse(&system, QUESTION).await.is_ok());
}

#[tokio::test]
async fn a_prefix_is_written_to_the_cache_once_and_then_read() {
    let scenario = Scenario::start().await;
    let long = "Every call is answered from the same long instruction. ".repeat(200);
    let mut body = harness::body(QUESTION);
    body["system"] = json!([{ "text": long }, { "cachePoint": { "type": "default", "ttl": "1h" } }]);
    let (_, first) = scenario.post(SONNET, "converse", &body).await;
    body["messages"][0]["content"][0]["text"] = json!("And now something else?");
    let (_, second) = scenario.post(SONNET, "converse", &body).await;

    let (first, second) = (&first["usage"], &second["usage"]);
    let written = first["cacheWriteInputTokens"].as_u64().expect("tokens");
    assert!(written > 1024, "{first}");
    assert_eq!(first["cacheDetails"], json!([{ "ttl": "1h", "inputTokens": written }]));
    assert_eq!(first["cacheReadInputTokens"], 0);
    assert_eq!(second["cacheReadInputTokens"], written);
    assert_eq!(second["cacheWriteInputTokens"], 0);
    let sum = |usage: &serde_json::Value| {
        ["inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"]
            .iter()
            .filter_map(|member| usage[*member].as_u64())
            .sum::<u64>()
    };
    assert_eq!(second["totalTokens"], sum(second));
}
