//! The IAM policies allow what is needed, and nothing by a pattern.
use crate::{read, read_json};
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn switchboard_may_ask_models_and_nothing_else() {
    let policy = read_json("deploy/iam-policy.json");
    let actions: BTreeSet<_> = statements(&policy).iter().flat_map(|part| texts(&part["Action"])).collect();

    let asks = ["bedrock:CountTokens", "bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"];
    assert_eq!(actions, asks.into());
    for resource in statements(&policy).iter().flat_map(|part| texts(&part["Resource"])) {
        let (_, name) = resource.split_once('/').expect("names a model or a profile");
        assert!(resource.starts_with("arn:aws:bedrock:") && !name.contains('*'), "{resource}");
    }
}

#[test]
fn switchboard_may_ask_every_model_of_the_configuration_that_is_shipped() {
    let policy = read_json("deploy/iam-policy.json");
    let resources: Vec<_> = statements(&policy).iter().flat_map(|part| texts(&part["Resource"])).collect();
    let config: toml::Table = read("deploy/switchboard.toml").parse().expect("is TOML");
    let models = config["models"].as_table().expect("has models");

    for id in models.values().map(|model| model["id"].as_str().expect("has an id")) {
        let (_, foundation) = id.split_once('.').expect("is a profile's id");
        for name in [format!("inference-profile/{id}"), format!("foundation-model/{foundation}")] {
            assert!(resources.iter().any(|resource| resource.ends_with(&name)), "nothing allows {name}");
        }
    }
}

#[test]
fn the_collector_may_write_signals_and_nothing_else() {
    let policy = read_json("deploy/collector/iam-policy.json");
    for action in statements(&policy).iter().flat_map(|part| texts(&part["Action"])) {
        let (service, _) = action.split_once(':').expect("names its service");
        assert!(["logs", "xray"].contains(&service) && !action.contains('*'), "{action}");
    }
    // X-Ray knows no resources to allow it for.
    let everywhere = statements(&policy).iter().filter(|part| part["Resource"] == "*");
    assert_eq!(everywhere.map(|part| &part["Sid"]).collect::<Vec<_>>(), ["Traces"]);
}

fn statements(policy: &Value) -> &[Value] {
    assert_eq!(policy["Version"], "2012-10-17");
    let statements = policy["Statement"].as_array().expect("has statements");
    assert!(statements.iter().all(|part| part["Effect"] == "Allow" && part["NotAction"].is_null()));
    statements
}

/// A text, or a list of them.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}
