//! The IAM policies allow the actions that are needed, and nothing by a pattern.
use crate::{read, read_json};
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn switchboard_may_call_models_and_nothing_else() {
    let policy = read_json("deploy/iam-policy.json");
    let actions: BTreeSet<_> = statements(&policy).iter().flat_map(|part| texts(&part["Action"])).collect();

    let needed = ["bedrock:CountTokens", "bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"];
    assert_eq!(actions, needed.into());
    let resources: Vec<_> = statements(&policy).iter().flat_map(|part| texts(&part["Resource"])).collect();
    assert!(!resources.is_empty(), "the policy names no resource");
    for resource in resources {
        let (_, name) = resource.split_once('/').expect("names a model or a profile");
        assert!(resource.starts_with("arn:aws:bedrock:") && !name.contains('*'), "{resource}");
    }
}

#[test]
fn switchboard_may_call_every_model_of_the_shipped_configuration() {
    let policy = read_json("deploy/iam-policy.json");
    let resources: Vec<_> = statements(&policy).iter().flat_map(|part| texts(&part["Resource"])).collect();
    let config: toml::Table = read("deploy/switchboard.toml").parse().expect("is TOML");
    let models = config["models"].as_table().expect("has models");
    assert!(!models.is_empty(), "the configuration has no model");

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
    let actions: Vec<_> = statements(&policy).iter().flat_map(|part| texts(&part["Action"])).collect();
    assert!(!actions.is_empty(), "the policy allows nothing");
    for action in actions {
        let (service, _) = action.split_once(':').expect("names its service");
        assert!(["logs", "xray"].contains(&service) && !action.contains('*'), "{action}");
    }
    // Actions of X-Ray cannot be restricted to resources.
    let everywhere = statements(&policy).iter().filter(|part| part["Resource"] == "*");
    assert_eq!(everywhere.map(|part| &part["Sid"]).collect::<Vec<_>>(), ["Traces"]);
}

fn statements(policy: &Value) -> &[Value] {
    assert_eq!(policy["Version"], "2012-10-17");
    let statements = policy["Statement"].as_array().expect("has statements");
    assert!(statements.iter().all(|part| part["Effect"] == "Allow" && part["NotAction"].is_null()));
    statements
}

/// The texts of a value that is a text or a list of texts.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}
