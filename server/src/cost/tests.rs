use super::*;
use crate::catalogue::Catalogue;
use proptest::prelude::*;
use std::sync::Arc;

const HAIKU: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const SONNET: &str = "global.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn facts(model_id: &str) -> Arc<ModelFacts> {
    Catalogue::built_in().resolve(model_id).facts
}

fn cost(model_id: &str, tier: ServiceTier, usage: &pb::TokenUsage) -> Option<Cost> {
    cost_of(&facts(model_id), model_id, tier, usage)
}

fn total(model_id: &str, usage: &pb::TokenUsage) -> Option<u64> {
    cost(model_id, ServiceTier::Default, usage)?.total().map(|total| total.0)
}

fn usage(input: i32, output: i32) -> pb::TokenUsage {
    pb::TokenUsage { input_tokens: input, output_tokens: output, ..Default::default() }
}

fn detail(ttl: &str, input_tokens: i32) -> pb::CacheDetail {
    pb::CacheDetail { ttl: ttl.to_owned(), input_tokens }
}

// --- Examples. Dollars per million tokens × 10⁶ are picodollars per token ---

#[test]
fn each_kind_of_token_has_its_own_price() {
    // Input 1.1, output 5.5, cache read 0.11, cache write 1.375 for five minutes and 2.2 for one hour.
    let used = pb::TokenUsage {
        cache_read_input_tokens: Some(1_000),
        cache_write_input_tokens: Some(700),
        cache_details: vec![detail("1h", 300), detail("5m", 400)],
        ..usage(10, 4)
    };
    let cost = cost(HAIKU, ServiceTier::Default, &used).expect("has a price");
    assert_eq!(cost.input, PicoUsd(11_000_000));
    assert_eq!(cost.output, PicoUsd(22_000_000));
    assert_eq!(cost.cache_read, PicoUsd(110_000_000));
    assert_eq!(cost.cache_write_5m, PicoUsd(550_000_000));
    assert_eq!(cost.cache_write_1h, PicoUsd(660_000_000));
    assert_eq!(cost.total(), Some(PicoUsd(1_353_000_000)));
    assert!(!cost.estimated);
    let message = cost.to_pb().expect("fits");
    assert_eq!((message.pico_usd, message.cache_write_1h_pico_usd), (1_353_000_000, 660_000_000));
}

#[test]
fn unlisted_cache_writes_last_five_minutes() {
    let written = |details| pb::TokenUsage {
        cache_write_input_tokens: Some(100),
        cache_details: details,
        ..Default::default()
    };
    assert_eq!(total(HAIKU, &written(vec![])), Some(100 * 1_375_000));
    assert_eq!(total(HAIKU, &written(vec![detail("1h", 60)])), Some(60 * 2_200_000 + 40 * 1_375_000));
    assert_eq!(total(HAIKU, &written(vec![detail("1h", 100)])), Some(100 * 2_200_000));
    assert_eq!(total(HAIKU, &written(vec![detail("30m", 100)])), None, "a lifetime without a price");
    assert_eq!(total(HAIKU, &written(vec![detail("30m", 0)])), Some(100 * 1_375_000));
}

#[test]
fn the_long_context_price_applies_to_all_tokens_and_cached_ones_count() {
    // Input 3, output 15, cache read 0.3 up to 200,000 tokens; 6, 22.5 and 0.6 above.
    let read = |cached| pb::TokenUsage { cache_read_input_tokens: Some(cached), ..usage(1_000, 10) };
    assert_eq!(total(SONNET, &read(199_000)), Some(1_000 * 3_000_000 + 10 * 15_000_000 + 199_000 * 300_000));
    assert_eq!(total(SONNET, &read(199_001)), Some(1_000 * 6_000_000 + 10 * 22_500_000 + 199_001 * 600_000));
}

#[test]
fn a_tier_has_its_own_price_or_none() {
    let nova = "us.amazon.nova-2-lite-v1:0";
    let priority = cost(nova, ServiceTier::Priority, &usage(53, 39)).expect("has a price");
    assert_eq!(priority.total(), Some(PicoUsd(53 * 577_500 + 39 * 4_812_500)));
    assert_eq!(cost(nova, ServiceTier::Flex, &usage(53, 39)), None);
    assert_eq!(cost(nova, ServiceTier::Reserved, &usage(53, 39)), None);
}

#[test]
fn the_price_depends_on_the_invoked_id() {
    let of = |prefix: &str| total(&format!("{prefix}anthropic.claude-opus-4-8"), &usage(1, 1));
    assert_eq!(
        [of("global."), of("eu."), of("us-gov.")],
        [Some(30_000_000), Some(33_000_000), Some(36_000_000)]
    );
    assert_eq!(of(""), None, "Bedrock does not accept the bare id");
}

#[test]
fn using_a_kind_without_a_price_makes_the_cost_unknown() {
    let nova = "us.amazon.nova-lite-v1:0";
    let written = |tokens| pb::TokenUsage { cache_write_input_tokens: Some(tokens), ..usage(22, 13) };
    assert_eq!(total(nova, &written(1)), None);
    assert_eq!(total(nova, &written(0)), Some(22 * 60_000 + 13 * 240_000));
    assert_eq!(total("amazon.titan-text-lite-v1", &usage(1, 1)), None);
}

#[test]
fn impossible_usage_and_server_tools_have_no_cost() {
    assert_eq!(total(HAIKU, &usage(-1, 1)), None);
    assert_eq!(total(HAIKU, &pb::TokenUsage { cache_details: vec![detail("5m", -1)], ..usage(1, 1) }), None);
    for (tools, priced) in [("{}", true), (r#"{"a":{"queries":0}}"#, true), (r#"{"a":{"queries":2}}"#, false)]
    {
        let used = pb::TokenUsage { server_tool_usage_json: Some(tools.to_owned()), ..usage(1, 1) };
        assert_eq!(total(HAIKU, &used).is_some(), priced, "{tools}");
    }
}

#[test]
fn a_cost_that_overflows_the_contract_is_absent() {
    let each = PicoUsd(u64::try_from(i64::MAX).expect("fits"));
    let price = |input| Price { input, ..facts(HAIKU).prices[0].clone() };
    let one = Used { input: Tokens(1), ..Used::default() };
    assert!(price_usage(&price(each), &one).is_some());
    assert_eq!(price_usage(&price(each), &Used { output: Tokens(1), ..one }), None);
    assert_eq!(price_usage(&price(PicoUsd(u64::MAX)), &Used { input: Tokens(2), ..one }), None);
}

// --- Properties ---

fn any_usage(most: i32) -> impl Strategy<Value = pb::TokenUsage> {
    (0..most, 0..most, 0..most, 0..most, 0..most, 0..most).prop_map(
        |(input, output, read, unnamed, for_5m, for_1h)| pb::TokenUsage {
            cache_read_input_tokens: Some(read),
            cache_write_input_tokens: Some(unnamed + for_5m + for_1h),
            cache_details: vec![detail("1h", for_1h), detail("5m", for_5m)],
            ..usage(input, output)
        },
    )
}

fn together(one: &pb::TokenUsage, other: &pb::TokenUsage) -> pb::TokenUsage {
    let sum = |one: Option<i32>, other: Option<i32>| Some(one.unwrap_or(0) + other.unwrap_or(0));
    pb::TokenUsage {
        cache_read_input_tokens: sum(one.cache_read_input_tokens, other.cache_read_input_tokens),
        cache_write_input_tokens: sum(one.cache_write_input_tokens, other.cache_write_input_tokens),
        cache_details: [one.cache_details.clone(), other.cache_details.clone()].concat(),
        ..usage(one.input_tokens + other.input_tokens, one.output_tokens + other.output_tokens)
    }
}

/// A way to call a model that has a price.
fn any_way() -> impl Strategy<Value = (Arc<ModelFacts>, String, ServiceTier)> {
    let catalogue = Catalogue::built_in();
    let ways = catalogue.models().flat_map(|facts| {
        facts.prices.iter().flat_map(|price| {
            price.profiles.iter().map(|profile| {
                let dot = if profile.is_empty() { "" } else { "." };
                (Arc::clone(facts), format!("{profile}{dot}{}", facts.id), price.tier)
            })
        })
    });
    proptest::sample::select(ways.collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn no_cost_is_negative(
        (facts, id, tier) in any_way(),
        used in any_usage(1_000_000),
    ) {
        if let Some(said) = cost_of(&facts, &id, tier, &used).and_then(|cost| cost.to_pb()) {
            let parts = [
                said.input_pico_usd,
                said.output_pico_usd,
                said.cache_read_pico_usd,
                said.cache_write_5m_pico_usd,
                said.cache_write_1h_pico_usd,
            ];
            prop_assert!(parts.iter().all(|part| *part >= 0));
            prop_assert_eq!(parts.iter().sum::<i64>(), said.pico_usd);
        } else {
            let written = used.cache_write_input_tokens != Some(0);
            prop_assert!(written || used.cache_read_input_tokens != Some(0), "only cache tokens may lack a price");
        }
    }

    /// Holds within one row of prices only, because two short prompts are not one long prompt.
    #[test]
    fn costs_are_additive(
        (facts, id, tier) in any_way(),
        one in any_usage(1_000_000),
        other in any_usage(1_000_000),
    ) {
        let price = facts.price_of(&id, tier, 0).expect("has a price");
        let cost = |usage: &pb::TokenUsage| Used::of(usage).and_then(|used| price_usage(price, &used));
        let apart = cost(&one).zip(cost(&other)).and_then(|(one, other)| one.plus(&other));
        prop_assert_eq!(cost(&together(&one, &other)), apart);
    }

    /// Holds across the threshold of long prompts too.
    #[test]
    fn more_tokens_never_cost_less(
        (facts, id, tier) in any_way(),
        one in any_usage(200_000),
        more in any_usage(200_000),
    ) {
        let total = |usage: &pb::TokenUsage| {
            cost_of(&facts, &id, tier, usage).and_then(|cost| cost.total())
        };
        if let Some((less, more)) = total(&one).zip(total(&together(&one, &more))) {
            prop_assert!(less <= more);
        }
    }
}
