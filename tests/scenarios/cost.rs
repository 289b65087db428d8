//! Cost: recorded traffic against costs that were computed by hand, and the estimated cost of calls that did
//! not complete.
use crate::{
    engine,
    harness::{
        ReceivedStream, Scenario, attempts, chat_request, fails, hangs, route_of, says, says_and_hangs,
        throttled,
    },
    recorded::replay::{self, Exchange, Replay},
};
use std::{collections::BTreeMap, time::Duration};
use switchboard_proto::v1 as pb;
use switchboard_server::failure::FailureKind;

/// Costs in picodollars, computed by hand from the recorded usage and the prices in dollars per million
/// tokens. Absent: a price is unknown.
const BY_HAND: [(&str, Option<i64>); 8] = [
    // us. Haiku 4.5: 10 in at 1.1, 4 out at 5.5, 7351 written for 5m at 1.375.
    (
        "ruby_llm.round-trip-bedrock-claude-haiku-4-5-writes-then-reads-the-prompt-cache.0.ac1eed",
        Some(10_140_625_000),
    ),
    // us. Haiku 4.5: 10 in at 1.1, 4 out at 5.5, 7351 read at 0.11.
    (
        "ruby_llm.round-trip-bedrock-claude-haiku-4-5-writes-then-reads-the-prompt-cache.1.ee25a6",
        Some(841_610_000),
    ),
    // global. Opus 4.8: 2 in at 5, 8 out at 25, 7654 read at 0.5, 15 written for 5m at 6.25.
    (
        "langchain-aws.d-cache-control-then-bind-tools-reuse-global-anthropic-claude-opus-4-8.1.2e52e2",
        Some(4_130_750_000),
    ),
    // us. Sonnet 4.5: 15 in at 3.3, 5 out at 16.5, 1203 written at 4.125, with a lifetime that Bedrock did
    // not report.
    ("pydantic-ai.test-bedrock-cache-point-adds-cache-control.0.253946", Some(5_094_375_000)),
    // Nova Micro by its bare id: 7 in at 0.035, 64 out at 0.14.
    ("openinference.TestNovaInvokeModel-test-nova-converse.0.69303a", Some(9_205_000)),
    // us. Nova Lite: 2492 were written to the cache, for which no price is known.
    ("pydantic-ai.test-bedrock-single-tool-choice-preserves-cache-nova.0.b934e4", None),
    // Nova Pro, served in the flex tier, which has no price here.
    ("pydantic-ai.test-bedrock-model-service-tier.0.7664b0", None),
    // An application inference profile whose model is not configured.
    ("dd-trace-py.bedrock-converse-inference-profile.1.82093d", None),
];

/// Costs of exchanges of the sample in `tests/recordings`, computed like [`BY_HAND`].
const BY_HAND_OF_SAMPLE: [(&str, Option<i64>); 4] = [
    // us. Haiku 4.5: 24 in at 1.1, 10 out at 5.5.
    ("sample.converse.plain", Some(81_400_000)),
    // us. Haiku 4.5: 9 in at 1.1, 8 out at 5.5, 5401 written for 5m at 1.375.
    ("sample.converse.cached", Some(7_480_275_000)),
    // us. Haiku 4.5: 9 in at 1.1, 8 out at 5.5, 5401 read at 0.11.
    ("sample.converse.read-from-cache", Some(648_010_000)),
    // Nova Pro, served in the flex tier, which has no price here.
    ("sample.converse.flex-tier", None),
];

/// Picodollars per input and output token of models that the recordings call without a cache.
const PRICES: [(&str, i64, i64); 7] = [
    (HAIKU, 1_100_000, 5_500_000),
    ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 3_300_000, 16_500_000),
    ("us.amazon.nova-2-lite-v1:0", 330_000, 2_750_000),
    ("us.anthropic.claude-sonnet-4-6", 3_300_000, 16_500_000),
    ("us.amazon.nova-micro-v1:0", 35_000, 140_000),
    ("us.anthropic.claude-sonnet-5", 2_200_000, 11_000_000),
    ("qwen.qwen3-32b-v1:0", 150_000, 600_000),
];

#[tokio::test]
async fn recorded_answers_cost_what_was_computed_by_hand() {
    let replay = Replay::start(engine::chosen()).await;
    let exchanges = replay::read("public/converse.jsonl");
    let mut by_hand = by_hand(&exchanges);
    let mut compared = 0;
    for exchange in &exchanges {
        let expected = by_hand.remove(exchange.id.as_str());
        let usage = exchange.response.as_ref().map(|response| &response["usage"]).expect("answered");
        let Some(expected) = expected.or_else(|| of_table(exchange, usage).map(Some)) else { continue };
        let Ok(request) = replay.request::<pb::ConverseRequest>(exchange, "ConverseRequest").await else {
            continue; // a known limit of the contract, which recorded.rs counts
        };
        let Ok(reply) = replay.caller.clone().converse(request).await else { continue };
        let reply = reply.into_inner();
        assert_eq!(reply.cost.map(|cost| cost.pico_usd), expected, "{}", exchange.id);
        let attempt = &reply.route.as_ref().expect("has a route").attempts[0];
        assert_eq!((attempt.cost, &attempt.usage), (reply.cost, &reply.usage), "{}", exchange.id);
        compared += 1;
    }
    assert!(by_hand.is_empty(), "not in the recordings: {by_hand:?}");
    assert!(compared * 2 > exchanges.len(), "only {compared} of {} were compared", exchanges.len());
}

/// The table for the folder of recordings in use. The caller asserts that the folder has all exchanges of the
/// table.
fn by_hand(exchanges: &[Exchange]) -> BTreeMap<&'static str, Option<i64>> {
    let is_sample = exchanges.iter().any(|exchange| exchange.id == BY_HAND_OF_SAMPLE[0].0);
    let table = if is_sample { &BY_HAND_OF_SAMPLE[..] } else { &BY_HAND[..] };
    table.iter().copied().collect()
}

#[tokio::test]
async fn recorded_streams_cost_what_was_computed_by_hand() {
    let replay = Replay::start(engine::chosen()).await;
    let exchanges = replay::read("public/converse_stream.jsonl");
    let mut compared = 0;
    for exchange in &exchanges {
        let events = exchange.events();
        let usage = events.iter().find_map(|event| event["metadata"].get("usage"));
        let Some(expected) = usage.and_then(|usage| of_table(exchange, usage)) else { continue };
        let request = replay.request::<pb::ConverseRequest>(exchange, "ConverseRequest").await;
        let request = request.expect("is a request");
        let stream = replay.caller.clone().converse_stream(request).await.expect("begins");
        let received = ReceivedStream::read_all(stream.into_inner()).await;
        let cost = received.metadata().expect("completes").cost.expect("has a price");
        assert_eq!((cost.pico_usd, cost.estimated), (expected, false), "{}", exchange.id);
        compared += 1;
    }
    assert!(compared * 5 >= exchanges.len(), "only {compared} of {} were compared", exchanges.len());
}

fn of_table(exchange: &Exchange, usage: &serde_json::Value) -> Option<i64> {
    let (_, input, output) = PRICES.iter().find(|(id, ..)| *id == exchange.model_id)?;
    let count = |name: &str| usage[name].as_i64().unwrap_or(0);
    let cached = count("cacheReadInputTokens") + count("cacheWriteInputTokens");
    (cached == 0).then(|| count("inputTokens") * input + count("outputTokens") * output)
}

// === fake models, charged as Haiku 4.5: 1.1 in, 5.5 out ===

const HAIKU: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const IN: i64 = 1_100_000;
const OUT: i64 = 5_500_000;

fn two_models() -> Scenario {
    let priced = |scenario: Scenario| {
        scenario.configure(|config| {
            for model in config.models.values_mut() {
                model.base_model = Some(HAIKU.to_owned());
            }
        })
    };
    priced(Scenario::new().route("work", ["first", "second"]))
}

#[tokio::test(start_paused = true)]
async fn the_cost_includes_an_attempt_that_timed_out() {
    let switchboard = two_models()
        .deadline(|deadline| deadline.attempt = Duration::from_secs(5))
        .model("first", hangs())
        .model("second", says("Done."))
        .start();

    let reply =
        switchboard.converse("work", "forty bytes of text make up ten tokens..").await.expect("answers");

    let route = reply.route.expect("has a route");
    assert_eq!(attempts(&route), ["first TIMEOUT", "second OK"]);
    let timed_out = route.attempts[0].cost.expect("has a price");
    assert_eq!((timed_out.pico_usd, timed_out.estimated, &route.attempts[0].usage), (10 * IN, true, &None));
    let served = route.attempts[1].cost.expect("has a price");
    assert_eq!((served.pico_usd, served.estimated), (7 * IN + 3 * OUT, false));
    let total = reply.cost.expect("has a price");
    assert_eq!((total.pico_usd, total.estimated), (17 * IN + 3 * OUT, true));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_bedrock_refused_costs_nothing() {
    for refuses in [throttled(), fails(FailureKind::AccessDenied), fails(FailureKind::Internal)] {
        let switchboard = two_models().model("first", refuses).model("second", says("Done.")).start();
        let received = switchboard.converse_stream("work", "Hello.").await;
        assert_eq!(received.route().attempts[0].cost, None);
        let cost = received.metadata().expect("completes").cost.expect("has a price");
        assert_eq!((cost.pico_usd, cost.estimated), (7 * IN + 3 * OUT, false));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_has_an_estimated_cost() {
    let switchboard = two_models()
        .deadline(|deadline| deadline.idle = Duration::from_secs(5))
        .model("first", says_and_hangs("twelve bytes"))
        .start();

    let received = switchboard.converse_stream("work", "four").await;

    let route = route_of(received.status()).expect("has a route");
    let cost = route.attempts[0].cost.expect("has a price");
    assert_eq!((cost.pico_usd, cost.estimated), (IN + 3 * OUT, true));
}

#[tokio::test(start_paused = true)]
async fn the_total_is_absent_if_a_price_is_unknown() {
    let switchboard = two_models()
        .configure(|config| {
            config.models.get_mut("first").expect("is there").base_model = None;
            config.deadline.attempt = Duration::from_secs(5);
        })
        .model("first", hangs())
        .model("second", says("Done."))
        .start();

    let reply =
        switchboard.caller().converse(chat_request("work", "Hello.")).await.expect("answers").into_inner();

    assert_eq!(reply.cost, None);
    let route = reply.route.expect("has a route");
    assert_eq!(route.attempts[1].cost.map(|cost| cost.pico_usd), Some(7 * IN + 3 * OUT));
}
