use super::*;
use crate::units::{MaxTokens, PicoUsd};
use toml::Value;

const SONNET: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

fn facts(model_id: &str) -> Arc<ModelFacts> {
    let known = Catalogue::built_in().resolve(model_id);
    assert!(known.catalogued, "{model_id}");
    known.facts
}

fn error(toml: &str) -> (Option<usize>, String) {
    let ConfigError { line, problem } = Catalogue::parse(toml).expect_err("is not valid");
    (line, problem)
}

// --- The built-in catalogue ---

#[test]
fn every_built_in_model_has_a_source_and_a_family() {
    let catalogue = Catalogue::built_in();
    assert!(catalogue.models().count() > 50);
    for facts in catalogue.models() {
        assert!(facts.source.is_some() && facts.as_of.is_some(), "{}", facts.id);
        assert_ne!(facts.family, ModelFamily::Unknown, "{}", facts.id);
        assert!(facts.on_demand || !facts.profiles.is_empty(), "{} cannot be called", facts.id);
        let guessed = ModelFacts::guess(&facts.id).family;
        assert!([facts.family, ModelFamily::Unknown].contains(&guessed), "{}: {guessed:?}", facts.id);
    }
}

#[test]
fn reasoning_replay_effort_and_caching_are_consistent() {
    for facts in Catalogue::built_in().models() {
        let reasons = facts.reasoning != Some(Reasoning::None);
        assert!(reasons || facts.max_effort.is_none(), "{}", facts.id);
        let signs = facts.family == ModelFamily::Claude && reasons;
        assert_eq!(facts.reasoning_replay == ReasoningReplay::Signed, signs, "{}", facts.id);
        let caches = facts.has(Capability::Caching);
        assert_eq!(facts.max_cache_points.is_some(), caches, "{}", facts.id);
        assert!(caches || facts.cache_min_tokens.is_none(), "{}", facts.id);
    }
}

#[test]
fn cache_reads_are_cheaper_than_input_and_input_than_output() {
    for facts in Catalogue::built_in().models() {
        for price in &facts.prices {
            let Price { input, output, cache_read, cache_write_5m, cache_write_1h, .. } = price;
            assert!(PicoUsd(0) < *input && input <= output, "{} {price:?}", facts.id);
            assert!(
                cache_read.is_none_or(|read| PicoUsd(0) < read && read < *input),
                "{} {price:?}",
                facts.id
            );
            assert!(cache_write_5m.is_none_or(|write| write > *input), "{} {price:?}", facts.id);
            assert!(
                cache_write_1h.is_none_or(|write| Some(write) > *cache_write_5m),
                "{} {price:?}",
                facts.id
            );
            assert!(cache_write_1h.is_none() || facts.has(Capability::Caching1h), "{} {price:?}", facts.id);
            assert!(cache_read.is_none() || facts.has(Capability::Caching), "{} {price:?}", facts.id);
            assert!(!price.profiles.is_empty(), "{} {price:?}", facts.id);
        }
    }
}

/// From Claude 4.5 on, the profile of a geography costs 10 % more than the global one, and us-gov 20 % more.
#[test]
fn claude_costs_10_percent_more_within_a_geography() {
    let with_global = |facts: &&Arc<ModelFacts>| {
        facts.family == ModelFamily::Claude && facts.id != "anthropic.claude-sonnet-4-20250514-v1:0"
    };
    let mut compared = 0;
    for facts in Catalogue::built_in().models().filter(with_global) {
        for long in [0, 1_000_000] {
            let price = |geography: &str| {
                facts.price_of(&format!("{geography}.{}", facts.id), ServiceTier::Default, long)
            };
            let Some(global) = price("global") else { continue };
            for geography in facts.profiles.iter().filter(|geography| *geography != "global") {
                let percent = if geography == "us-gov" { 120 } else { 110 };
                let theirs = price(geography).expect("every profile has a price");
                let times = |base: PicoUsd| PicoUsd(base.0 * percent / 100);
                assert_eq!(theirs.input, times(global.input), "{geography}.{}", facts.id);
                assert_eq!(theirs.output, times(global.output), "{geography}.{}", facts.id);
                assert_eq!(theirs.cache_read, global.cache_read.map(times), "{geography}.{}", facts.id);
                assert_eq!(
                    theirs.cache_write_5m,
                    global.cache_write_5m.map(times),
                    "{geography}.{}",
                    facts.id
                );
                assert_eq!(
                    theirs.cache_write_1h,
                    global.cache_write_1h.map(times),
                    "{geography}.{}",
                    facts.id
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn the_newest_claude_models_accept_no_sampling_parameters_and_older_ones_one() {
    use Sampling::{All, None, One};
    for (id, sampling) in [
        ("opus-5-5", None),
        ("opus-5", None),
        ("opus-4-8", None),
        ("opus-4-7", None),
        ("opus-4-6-v1", All),
        ("opus-4-5-20251101-v1:0", One),
        ("opus-4-1-20250805-v1:0", One),
        ("sonnet-5-5", None),
        ("sonnet-5", None),
        ("sonnet-4-6", One),
        ("sonnet-4-5-20250929-v1:0", One),
        ("haiku-5-5", None),
        ("haiku-4-5-20251001-v1:0", One),
        ("fable-5", None),
        ("mythos-5-1", None),
        ("3-7-sonnet-20250219-v1:0", All),
    ] {
        assert_eq!(facts(&format!("anthropic.claude-{id}")).sampling, sampling, "{id}");
    }
}

// --- Resolution ---

#[test]
fn resolves_ids_profiles_and_their_arns() {
    for (model_id, base) in [
        ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("us.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("us-gov.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("mx.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("global.anthropic.claude-opus-4-8", "anthropic.claude-opus-4-8"),
        ("deepseek.v3.2", "deepseek.v3.2"),
        ("eu.deepseek.v3.2", "deepseek.v3.2"),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
        (
            "arn:aws-us-gov:bedrock:us-gov-west-1:000000000000:inference-profile/us-gov.anthropic.claude-opus-4-8",
            "anthropic.claude-opus-4-8",
        ),
        (
            "arn:aws:bedrock:us-west-2:000000000000:inference-profile/us.amazon.nova-lite-v1:0",
            "amazon.nova-lite-v1:0",
        ),
    ] {
        assert_eq!(facts(model_id).id, base, "{model_id}");
    }
}

#[test]
fn an_arn_that_hides_its_model_is_unknown() {
    let catalogue = Catalogue::built_in();
    for kind in [
        "application-inference-profile/1arbu5hu2sjr",
        "provisioned-model/abc",
        "default-prompt-router/anthropic.claude:1",
        "prompt-router/abc",
        "prompt/ABC:1",
        "custom-model-deployment/abc",
        "imported-model/amazon.nova-lite-v1:0",
    ] {
        let model_id = format!("arn:aws:bedrock:us-east-1:000000000000:{kind}");
        let known = catalogue.resolve(&model_id);
        assert!(!known.catalogued, "{model_id}");
        assert_eq!(known.facts.id, model_id);
    }
}

#[test]
fn an_unknown_model_has_the_family_of_its_prefix_and_no_limits() {
    for (model_id, family, base) in [
        ("us.amazon.nova-9-v1:0", ModelFamily::Nova, "amazon.nova-9-v1:0"),
        ("xy.amazon.nova-9-v1:0", ModelFamily::Unknown, "xy.amazon.nova-9-v1:0"),
        ("in.moonshotai.kimi-k3", ModelFamily::Kimi, "moonshotai.kimi-k3"),
        ("openai.gpt-oss-999b", ModelFamily::GptOss, "openai.gpt-oss-999b"),
        ("openai.gpt-6-sol", ModelFamily::Gpt, "openai.gpt-6-sol"),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/meta.llama9-v1:0",
            ModelFamily::Llama,
            "meta.llama9-v1:0",
        ),
        ("newcomer.first", ModelFamily::Unknown, "newcomer.first"),
        ("", ModelFamily::Unknown, ""),
        ("arn:", ModelFamily::Unknown, "arn:"),
        (
            "arn:aws:bedrock:us-east-1:0:inference-profile",
            ModelFamily::Unknown,
            "arn:aws:bedrock:us-east-1:0:inference-profile",
        ),
    ] {
        let Resolved { facts, catalogued } = Catalogue::built_in().resolve(model_id);
        assert!(!catalogued, "{model_id}");
        assert_eq!((facts.family, facts.id.as_str()), (family, base), "{model_id}");
        assert_eq!(
            (facts.context_tokens, facts.max_output_tokens, facts.sampling),
            (None, None, Sampling::All)
        );
        assert!(facts.has(Capability::Prefill) && facts.prices.is_empty(), "{model_id}");
    }
}

#[test]
fn an_unknown_claude_lacks_what_the_newest_claude_models_refuse() {
    for model_id in ["us.anthropic.claude-opus-7", "anthropic.claude-saga-1", "xy.anthropic.claude-opus-7"] {
        let Resolved { facts, catalogued } = Catalogue::built_in().resolve(model_id);
        assert!(!catalogued, "{model_id}");
        assert_eq!((facts.family, facts.sampling), (ModelFamily::Claude, Sampling::None), "{model_id}");
        for refused in [Capability::Prefill, Capability::StrictTools, Capability::ForcedToolChoice] {
            assert!(!facts.has(refused), "{model_id} {refused:?}");
        }
        for taken in [Capability::Tools, Capability::ToolChoice, Capability::Caching, Capability::Images] {
            assert!(facts.has(taken), "{model_id} {taken:?}");
        }
    }
}

#[test]
fn a_capability_that_depends_on_a_missing_one_is_missing() {
    let r1 = facts("us.deepseek.r1-v1:0");
    for capability in [Capability::Tools, Capability::ForcedToolChoice, Capability::StreamingTools] {
        assert!(!r1.has(capability), "{capability:?}");
    }
    let llama = facts("us.meta.llama4-scout-17b-instruct-v1:0");
    assert!(llama.has(Capability::Tools) && !llama.has(Capability::ForcedToolChoice));
}

#[test]
fn efforts_have_the_names_of_requests() {
    for name in ["low", "medium", "high", "xhigh", "max"] {
        assert_eq!(Effort::named(name).map(Effort::name), Some(name));
        let model = format!("[[model]]\nid = \"a.b\"\nmax_effort = \"{name}\"\n");
        let effort = Catalogue::parse(&model).expect("is valid").resolve("a.b").facts.max_effort;
        assert_eq!(effort, Effort::named(name));
    }
    assert_eq!(Effort::named("minimal"), None);
    assert!(Effort::High < Effort::XHigh && Effort::XHigh < Effort::Max);
}

// --- Prices ---

#[test]
fn the_price_depends_on_the_invoked_id() {
    for (model_id, input) in [
        ("global.anthropic.claude-opus-4-8", Some(5_000_000)),
        ("us.anthropic.claude-opus-4-8", Some(5_500_000)),
        ("us-gov.anthropic.claude-opus-4-8", Some(6_000_000)),
        ("arn:aws:bedrock:us-east-1:0:inference-profile/us.anthropic.claude-opus-4-8", Some(5_500_000)),
        ("mx.anthropic.claude-opus-4-8", None),
        ("anthropic.claude-opus-4-8", None),
        ("amazon.nova-micro-v1:0", Some(35_000)),
        ("eu.amazon.nova-micro-v1:0", Some(46_000)),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0", Some(35_000)),
        ("moonshot.kimi-k2-thinking", None),
    ] {
        let price = facts(model_id).price_of(model_id, ServiceTier::Default, 0).map(|price| price.input.0);
        assert_eq!(price, input, "{model_id}");
    }
    let opus = facts("us.anthropic.claude-opus-4-8");
    for others in ["us.anthropic.claude-opus-5", "xanthropic.claude-opus-4-8", "arn:aws:bedrock:a:0:prompt/b"]
    {
        assert_eq!(opus.price_of(others, ServiceTier::Default, 0), None, "{others}");
    }
}

#[test]
fn long_prompts_and_service_tiers_have_their_own_prices() {
    let sonnet = facts(SONNET);
    let nova = facts("amazon.nova-2-lite-v1:0");
    for (facts, model_id, tier, input_tokens, input) in [
        (&sonnet, format!("global.{SONNET}"), ServiceTier::Default, 200_000, Some(3_000_000)),
        (&sonnet, format!("global.{SONNET}"), ServiceTier::Default, 200_001, Some(6_000_000)),
        (&sonnet, format!("us.{SONNET}"), ServiceTier::Default, 200_001, Some(6_600_000)),
        (&sonnet, format!("us.{SONNET}"), ServiceTier::Priority, 1, None),
        (&nova, "global.amazon.nova-2-lite-v1:0".to_owned(), ServiceTier::Priority, 1, Some(525_000)),
        (&nova, "eu.amazon.nova-2-lite-v1:0".to_owned(), ServiceTier::Priority, 1, None),
        (&nova, "eu.amazon.nova-2-lite-v1:0".to_owned(), ServiceTier::Default, 1, Some(429_000)),
    ] {
        let price = facts.price_of(&model_id, tier, input_tokens).map(|price| price.input.0);
        assert_eq!(price, input, "{model_id} {tier:?} {input_tokens}");
    }
}

// --- Files ---

#[test]
fn extend_replaces_and_adds_models() {
    let more = "[[model]]\nid = \"amazon.nova-lite-v1:0\"\nmax_output_tokens = 7\n\n[[model]]\nid = \"newcomer.first\"\n";
    let catalogue = Catalogue::built_in().extend(Catalogue::parse(more).expect("is valid"));
    let replaced = catalogue.resolve("us.amazon.nova-lite-v1:0").facts;
    assert_eq!(replaced.max_output_tokens.map(MaxTokens::get), Some(7));
    assert!(replaced.prices.is_empty());
    assert!(catalogue.resolve("newcomer.first").catalogued);
    assert!(catalogue.resolve("amazon.nova-pro-v1:0").catalogued);
}

#[test]
fn errors_name_the_line() {
    let model = "[[model]]\nid = \"a.b\"\n";
    for (toml, line, expected) in [
        (format!("{model}lack = []\n"), 3, "unknown field `lack`"),
        (format!("{model}lacks = [\n  \"tools\",\n  \"tool\",\n]\n"), 5, "unknown variant `tool`"),
        (format!("{model}family = \"unknown\"\n"), 3, "unknown variant"),
        (format!("{model}sampling = \"two\"\n"), 3, "unknown variant `two`"),
        (format!("{model}max_output_tokens = 0\n"), 3, "not a number of tokens"),
        (format!("{model}as_of = \"2026-13-01\"\n"), 3, "is not a date"),
        (format!("{model}\n{model}"), 4, "\"a.b\" is listed twice"),
        (format!("{model}\n[[model]]\nid = \" \"\n"), 4, "is not a model id"),
        ("[[model]]\nfamily = \"nova\"\n".to_owned(), 1, "missing field `id`"),
        (format!("{model}context_tokens = 10\nmax_output_tokens = 11\n"), 1, "more than context_tokens"),
        (
            format!("{model}prices = [{{ profiles = [\"us\"], input = \"1\", output = \"1\" }}]\n"),
            1,
            "\"us\", which profiles does not list",
        ),
        (
            format!(
                "{model}prices = [\n  {{ profiles = [\"\"], input = \"1\", output = \"0.0000001\" }},\n]\n"
            ),
            4,
            "is not a price",
        ),
        (
            format!(
                "{model}prices = [\n  {{ profiles = [\"\"], input = \"1\", output = \"1\" }},\n  \
                 {{ profiles = [\"\"], input = \"2\", output = \"2\" }},\n]\n"
            ),
            1,
            "two prices for the same calls",
        ),
        ("[[model]\n".to_owned(), 1, ""),
        ("[models]\n".to_owned(), 1, "unknown field `models`"),
    ] {
        let (found, problem) = error(&toml);
        assert!(problem.contains(expected), "{toml}: {problem}");
        assert_eq!(found, Some(line), "{toml}: {problem}");
    }
}

#[test]
fn parses_dates_of_one_format() {
    let date = |written: &str| Date::try_from(written.to_owned());
    assert_eq!(date("2026-11-22").expect("is one").to_string(), "2026-11-22");
    assert!(date("2026-10-14") < date("2027-01-08"));
    for written in [
        "",
        "2026-1-22",
        "2026-11-2",
        "2026/11/22",
        "22-11-2026",
        "2026-00-01",
        "2026-01-32",
        "2026-11-22 ",
        "２026-11-22",
    ] {
        assert!(date(written).is_err(), "{written}");
    }
}

// --- Comparison with the simulator's own table ---

/// Intended differences: the simulator's table has no source for them, or contradicts ours.
const DIFFERENCES: [(&str, Capability); 6] = [
    ("anthropic.claude-fable-5", Capability::StructuredOutput),
    ("anthropic.claude-fable-5-1", Capability::StructuredOutput),
    ("anthropic.claude-fable-5-1", Capability::ForcedToolChoice),
    ("anthropic.claude-sonnet-4-20250514-v1:0", Capability::StrictTools),
    ("amazon.titan-text-lite-v1", Capability::Documents),
    ("amazon.titan-text-express-v1", Capability::Documents),
];

fn simulated() -> Vec<Value> {
    let table: toml::Table = toml::from_str(include_str!("../../../simulator/models.toml")).expect("is TOML");
    let models = table["model"].as_array().expect("is a list").clone();
    assert!(!models.is_empty());
    models
}

fn has_behavior(model: &Value, behavior: &str) -> bool {
    let behaviors = model.get("behaviors").and_then(Value::as_array);
    behaviors.is_some_and(|behaviors| behaviors.iter().any(|other| other.as_str() == Some(behavior)))
}

#[test]
fn resolves_every_id_of_the_simulator() {
    for model in simulated() {
        let base = model["id"].as_str().expect("is text");
        assert_eq!(facts(base).id, base);
        for profile in model.get("profiles").and_then(Value::as_array).into_iter().flatten() {
            assert_eq!(facts(&format!("{}.{base}", profile.as_str().expect("is text"))).id, base);
        }
    }
}

#[test]
fn the_simulator_refuses_the_same_features() {
    use Capability as C;
    let behaviors = [
        ("no-system", C::System),
        ("no-tools", C::Tools),
        ("no-tool-choice", C::ToolChoice),
        ("no-forced-tools", C::ForcedToolChoice),
        ("no-strict-tools", C::StrictTools),
        ("no-structured-output", C::StructuredOutput),
        ("no-prefill", C::Prefill),
        ("no-prefill-with-tools", C::PrefillWithTools),
        ("no-images", C::Images),
        ("no-documents", C::Documents),
        ("no-video", C::Video),
    ];
    for model in simulated() {
        let facts = facts(model["id"].as_str().expect("is text"));
        for (behavior, capability) in behaviors {
            let refused = has_behavior(&model, behavior)
                || (capability.needs().iter().any(|&needed| !facts.has(needed)));
            let differs = DIFFERENCES.contains(&(facts.id.as_str(), capability));
            assert!(differs || refused != facts.has(capability), "{} {capability:?}", facts.id);
        }
        let sampling = match () {
            () if has_behavior(&model, "no-sampling") => Sampling::None,
            () if has_behavior(&model, "one-sampling-parameter") => Sampling::One,
            () => Sampling::All,
        };
        assert_eq!(facts.sampling, sampling, "{}", facts.id);
        assert_eq!(has_behavior(&model, "system-role"), facts.has(C::SystemRole), "{}", facts.id);
        let always = facts.reasoning == Some(Reasoning::Always);
        assert_eq!(has_behavior(&model, "always-thinks"), always, "{}", facts.id);
    }
}

#[test]
fn the_simulator_has_the_same_limits() {
    for model in simulated() {
        let facts = facts(model["id"].as_str().expect("is text"));
        let theirs = |key: &str| model.get(key).and_then(Value::as_integer).expect("is a number");
        // The simulator's may be rounded: 164,000 of 163,840, 8,192 of 8,000.
        let near = |ours: i64, theirs: i64| (ours - theirs).abs() * 20 <= ours;
        let context = facts.context_tokens.is_none_or(|ours| near(ours.into(), theirs("context")));
        let output = facts.max_output_tokens.is_none_or(|ours| near(ours.get().into(), theirs("max_output")));
        assert!(context && output, "{}", facts.id);
    }
}
