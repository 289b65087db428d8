//! Requests that the real service answered, against our validator: what it accepted we accept, what it refused we
//! refuse. The recordings are not part of the project; without them these tests say so and pass.

use std::path::PathBuf;

use bedrock_sim::Config;
use serde_json::Value;

use crate::harness::Scenario;

#[tokio::test]
async fn what_the_service_accepted_is_accepted() {
    let Some(exchanges) = recorded(&["converse", "converse_stream", "other_ops"]) else { return };
    let scenario = replaying().await;
    let known = known_models(&scenario).await;
    let (mut accepted, mut total, mut refused) = (0, 0, Vec::new());
    for exchange in &exchanges {
        let Some((status, answer)) = replay(&scenario, exchange, &known).await else { continue };
        total += 1;
        accepted += usize::from(status == 200);
        if status != 200 {
            refused.push(format!("{}: {answer}", exchange["id"]));
        }
    }
    println!(
        "{accepted} of {total} recorded requests accepted; {} are for other models",
        exchanges.len() - total
    );
    assert!(total > 300, "only {total} recordings were replayed");
    assert!(refused.is_empty(), "refused:\n{}", refused.join("\n"));
}

#[tokio::test]
async fn what_the_service_refused_as_invalid_is_refused() {
    let Some(exchanges) = recorded(&["errors"]) else { return };
    let scenario = replaying().await;
    let known = known_models(&scenario).await;
    let (mut same, mut total) = (0, 0);
    for exchange in exchanges.iter().filter(|exchange| exchange["status"] == 400 && !is_beyond_us(exchange)) {
        let invalid_id = said(&exchange["response_json"]).contains("identifier is invalid");
        let model = exchange["model_id"].as_str().unwrap_or_default().to_owned();
        let known = if invalid_id { vec![model] } else { known.clone() };
        let Some((status, answer)) = replay(&scenario, exchange, &known).await else { continue };
        total += 1;
        let (ours, theirs) = (said(&answer), said(&exchange["response_json"]));
        assert_eq!(status, 400, "{} was accepted; the service said: {theirs}", exchange["id"]);
        same += usize::from(ours == theirs);
        if ours != theirs {
            println!("{}: we say {ours:?}, the service said {theirs:?}", exchange["id"]);
        }
    }
    println!("{total} recorded refusals refused, {same} in the service's words");
    assert!(total >= 8, "only {total} refusals were replayed");
}

async fn replaying() -> Scenario {
    Scenario::with(Config { speed: 0.0, serve_retired: true, ..Config::default() }).await
}

async fn known_models(scenario: &Scenario) -> Vec<String> {
    let (_, models) = scenario.admin("GET", "/_sim/models", &Value::Null).await;
    let models = models["models"].as_array().expect("models").clone();
    let ids = models.iter().flat_map(|model| model["callable_ids"].as_array().expect("ids").clone());
    ids.filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

/// Posts the recorded body, unless the model or the operation is none of ours.
async fn replay(scenario: &Scenario, exchange: &Value, known: &[String]) -> Option<(u16, Value)> {
    let operation = match exchange["operation"].as_str()? {
        "Converse" => "converse",
        "ConverseStream" => "converse-stream",
        "CountTokens" => "count-tokens",
        _ => return None,
    };
    let model = exchange["model_id"].as_str()?;
    let ours = known.iter().any(|id| id == model) || model.starts_with("arn:") || operation == "count-tokens";
    if !ours {
        return None;
    }
    Some(scenario.post(model, operation, &exchange["request_json"]).await)
}

/// Long texts were cut out of some recorded errors, which leaves a valid request; and the bodies of other operations,
/// which `CountTokens` may carry, are not ours to judge.
fn is_beyond_us(exchange: &Value) -> bool {
    let body = exchange["request_json"].to_string();
    exchange.get("request_truncated").is_some()
        || ["<MASSIVE_TEXT>", "invokeModel"].iter().any(|it| body.contains(it))
}

fn said(answer: &Value) -> String {
    answer["message"].as_str().unwrap_or_default().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a test has no main.rs to read it")]
fn recorded(files: &[&str]) -> Option<Vec<Value>> {
    let Ok(folder) = std::env::var("SWITCHBOARD_RECORDINGS") else {
        println!("skipped: SWITCHBOARD_RECORDINGS does not say where the recordings are");
        return None;
    };
    let lines = files.iter().flat_map(|file| {
        let path = PathBuf::from(&folder).join("public").join(format!("{file}.jsonl"));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    Some(lines.map(|line| serde_json::from_str(&line).expect("one exchange a line")).collect())
}
