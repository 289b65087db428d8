//! What is answered when nothing goes wrong.

use aws_sdk_bedrockruntime::types::{ConverseTokensRequest, CountTokensInput, InferenceConfiguration};
use bedrock_sim::Config;
use serde_json::json;

use crate::harness::{self, NOVA, SONNET, Scenario, read, text, user};

const QUESTION: &str = "What should I know about tidal energy in Brittany?";

#[tokio::test]
async fn a_stream_says_what_the_whole_reply_says() {
    let scenario = Scenario::start().await;
    let whole = scenario.ask(SONNET, QUESTION).await.expect("a reply");
    let streamed = scenario.stream(SONNET, QUESTION).await;

    assert_eq!(streamed.text, text(&whole));
    assert!(streamed.text.starts_with("[simulated us.anthropic.claude-sonnet-4-6] "), "{}", streamed.text);
    assert!(streamed.text.contains("tidal"), "{}", streamed.text);
    assert_eq!(streamed.usage.as_ref(), whole.usage());
    assert_eq!(
        streamed.outline(),
        ["messageStart", "text", "contentBlockStop", "messageStop", "metadata"],
        "a text block has no contentBlockStart"
    );
    assert_eq!(streamed.stop_reason.as_deref(), Some("end_turn"));
    let tokens = whole.usage().expect("usage").output_tokens();
    assert!((40..=200).contains(&tokens), "{tokens} tokens");
}

#[tokio::test]
async fn replies_depend_on_the_seed_and_on_nothing_else() {
    let first = Scenario::start().await;
    let again = Scenario::start().await;
    let other = Scenario::with(Config { seed: 7, speed: 0.0, ..Config::default() }).await;
    let mut replies = Vec::new();
    for scenario in [&first, &first, &again, &other] {
        replies.push(scenario.stream(NOVA, QUESTION).await);
    }
    assert_eq!(replies[0].text, replies[1].text);
    assert_eq!(replies[0].events, replies[2].events);
    assert_eq!(replies[0].text, replies[2].text);
    assert_ne!(replies[0].text, replies[3].text);
}

#[tokio::test]
async fn max_tokens_cuts_the_reply_short() {
    let scenario = Scenario::start().await;
    let long = text(&scenario.ask(NOVA, QUESTION).await.expect("a reply"));
    let limit = InferenceConfiguration::builder().max_tokens(12).build();
    let call = scenario.client.converse().model_id(NOVA).messages(user(QUESTION)).inference_config(limit);
    let short = call.send().await.expect("a reply");

    assert_eq!(short.stop_reason().as_str(), "max_tokens");
    assert_eq!(short.usage().expect("usage").output_tokens(), 12);
    assert!(long.starts_with(&text(&short)));
}

#[tokio::test]
async fn a_stop_sequence_ends_the_reply_before_it() {
    let scenario = Scenario::start().await;
    let stop = InferenceConfiguration::builder().stop_sequences("Brittany").build();
    let call = scenario.client.converse_stream().model_id(SONNET).messages(user(QUESTION));
    let call = call.inference_config(stop).additional_model_response_field_paths("/stop_sequence");
    let read = read(call.send().await.expect("a stream")).await;

    assert_eq!(read.stop_reason.as_deref(), Some("stop_sequence"));
    assert!(!read.text.contains("Brittany"), "{}", read.text);
}

#[tokio::test]
async fn counting_tokens_gives_what_a_call_is_billed_for() {
    let scenario = Scenario::start().await;
    let request = ConverseTokensRequest::builder().messages(user(QUESTION)).build();
    let count = scenario.client.count_tokens().model_id("anthropic.claude-sonnet-4-6");
    let counted = count.input(CountTokensInput::Converse(request)).send().await.expect("a count");
    let usage = scenario.ask(SONNET, QUESTION).await.expect("a reply");

    assert_eq!(counted.input_tokens(), usage.usage().expect("usage").input_tokens());
}

#[tokio::test]
async fn tiers_and_latency_modes_are_echoed() {
    let scenario = Scenario::start().await;
    let mut body = harness::body(QUESTION);
    body["serviceTier"] = json!({ "type": "priority" });
    body["performanceConfig"] = json!({ "latency": "optimized" });
    let (status, reply) = scenario.post(NOVA, "converse", &body).await;

    assert_eq!(status, 200);
    assert_eq!(reply["serviceTier"]["type"], "priority");
    assert_eq!(reply["performanceConfig"]["latency"], "optimized");
    assert!(reply["metrics"]["latencyMs"].is_u64());
}

#[tokio::test]
async fn an_application_profile_stands_for_a_model() {
    let arn = "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/a1b2c3d4e5f6";
    let profiles = [(arn.to_owned(), "amazon.nova-micro-v1:0".to_owned())].into();
    let scenario = Scenario::with(Config { speed: 0.0, profiles, ..Config::default() }).await;
    let reply = scenario.ask(arn, QUESTION).await.expect("a reply");
    assert!(text(&reply).starts_with(&format!("[simulated {arn}]")));

    let unnamed = "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/other";
    assert!(scenario.ask(unnamed, QUESTION).await.is_ok());
    let system = format!("arn:aws:bedrock:us-east-1:000000000000:inference-profile/{SONNET}");
    assert!(scenario.ask(&system, QUESTION).await.is_ok());
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
