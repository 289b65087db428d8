//! Recorded requests of the real service: the simulator accepts and rejects the same requests as the service.
//! The recordings are not part of the project. Without them these tests print that they were skipped, and
//! pass.

use std::path::PathBuf;

use bedrock_sim::Config;
use serde_json::Value;

use crate::harness::Scenario;

#[tokio::test]
async fn accepts_requests_that_the_service_accepted() {
    let Some(exchanges) = load_recordings(&["converse", "converse_stream", "other_ops"]) else { return };
    let scenario = start_for_replay().await;
    let known = known_models(&scenario).await;
    let (mut accepted, mut total, mut rejected) = (0, 0, Vec::new());
    for exchange in &exchanges {
        let Some((status, answer)) = replay(&scenario, exchange, &known).await else { continue };
        total += 1;
        accepted += usize::from(status == 200);
        if status != 200 {
            rejected.push(format!("{}: {answer}", exchange["id"]));
        }
    }
    println!(
        "{accepted} of {total} recorded requests accepted; {} are for models that are not simulated",
        exchanges.len() - total
    );
    assert!(total > 300, "only {total} recordings were replayed");
    assert!(rejected.is_empty(), "rejected:\n{}", rejected.join("\n"));
}

#[tokio::test]
async fn rejects_requests_that_the_service_rejected_as_invalid() {
    let Some(exchanges) = load_recordings(&["errors"]) else { return };
    let scenario = start_for_replay().await;
    let known = known_models(&scenario).await;
    let (mut same, mut total) = (0, 0);
    for exchange in exchanges.iter().filter(|exchange| exchange["status"] == 400 && !is_excluded(exchange)) {
        let is_invalid_id = message(&exchange["response_json"]).contains("identifier is invalid");
        let model = exchange["model_id"].as_str().unwrap_or_default().to_owned();
        let known = if is_invalid_id { vec![model] } else { known.clone() };
        let Some((status, answer)) = replay(&scenario, exchange, &known).await else { continue };
        total += 1;
        let (simulated, recorded) = (message(&answer), message(&exchange["response_json"]));
        assert_eq!(status, 400, "{} was accepted; the service returned: {recorded}", exchange["id"]);
        same += usize::from(simulated == recorded);
        if simulated != recorded {
            println!("{}: simulated {simulated:?}, recorded {recorded:?}", exchange["id"]);
        }
    }
    println!("{total} recorded rejections rejected, {same} with the same message");
    assert!(total >= 8, "only {total} rejections were replayed");
}

async fn start_for_replay() -> Scenario {
    Scenario::with(Config { speed: 0.0, serve_retired: true, ..Config::default() }).await
}

async fn known_models(scenario: &Scenario) -> Vec<String> {
    let (_, models) = scenario.admin("GET", "/_sim/models", &Value::Null).await;
    let models = models["models"].as_array().expect("models").clone();
    let ids = models.iter().flat_map(|model| model["callable_ids"].as_array().expect("ids").clone());
    ids.filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

/// Sends the recorded request. Absent: the model or the operation is not simulated.
async fn replay(scenario: &Scenario, exchange: &Value, known: &[String]) -> Option<(u16, Value)> {
    let operation = match exchange["operation"].as_str()? {
        "Converse" => "converse",
        "ConverseStream" => "converse-stream",
        "CountTokens" => "count-tokens",
        _ => return None,
    };
    let model = exchange["model_id"].as_str()?;
    let is_simulated =
        known.iter().any(|id| id == model) || model.starts_with("arn:") || operation == "count-tokens";
    if !is_simulated {
        return None;
    }
    Some(scenario.post(model, operation, &exchange["request_json"]).await)
}

/// True for recordings that cannot be compared: long texts were removed from some rejected requests, which
/// made them valid, and `CountTokens` may contain bodies of operations that are not simulated.
fn is_excluded(exchange: &Value) -> bool {
    let body = exchange["request_json"].to_string();
    exchange.get("request_truncated").is_some()
        || ["<MASSIVE_TEXT>", "invokeModel"].iter().any(|marker| body.contains(marker))
}

fn message(answer: &Value) -> String {
    answer["message"].as_str().unwrap_or_default().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a test has no main.rs that reads it")]
fn load_recordings(files: &[&str]) -> Option<Vec<Value>> {
    let Ok(folder) = std::env::var("SWITCHBOARD_RECORDINGS") else {
        println!("skipped: set SWITCHBOARD_RECORDINGS to the folder of the recordings");
        return None;
    };
    let lines = files.iter().flat_map(|file| {
        let path = PathBuf::from(&folder).join("public").join(format!("{file}.jsonl"));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    Some(lines.map(|line| serde_json::from_str(&line).expect("one exchange per line")).collect())
}
