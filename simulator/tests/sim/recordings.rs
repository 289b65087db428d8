//! The simulator accepts the recorded requests that the service accepted, and refuses those that it refused.
//!
//! The recordings are the sample in `tests/recordings`, or the folder that `SWITCHBOARD_RECORDINGS` names.

#[path = "../../../tests/recordings/folder.rs"]
mod folder;

use bedrock_sim::Config;
use serde_json::Value;

use crate::harness::Scenario;

#[tokio::test]
async fn accepts_the_recorded_requests_that_the_service_accepted() {
    let exchanges = recorded(&["converse", "converse_stream", "other_ops"]);
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
    assert!(total * 2 > exchanges.len(), "only {total} of {} recordings were replayed", exchanges.len());
    assert!(refused.is_empty(), "refused:\n{}", refused.join("\n"));
}

#[tokio::test]
async fn refuses_the_recorded_requests_that_the_service_refused_as_invalid() {
    let exchanges = recorded(&["errors"]);
    let scenario = replaying().await;
    let known = known_models(&scenario).await;
    let (mut same, mut total) = (0, 0);
    let is_refusal = |exchange: &&Value| exchange["status"] == 400 && !is_out_of_scope(exchange);
    let refusals: Vec<_> = exchanges.iter().filter(is_refusal).collect();
    for exchange in &refusals {
        let invalid_id = message(&exchange["response_json"]).contains("identifier is invalid");
        let model = exchange["model_id"].as_str().unwrap_or_default().to_owned();
        let known = if invalid_id { vec![model] } else { known.clone() };
        let Some((status, answer)) = replay(&scenario, exchange, &known).await else { continue };
        total += 1;
        let (ours, theirs) = (message(&answer), message(&exchange["response_json"]));
        assert_eq!(status, 400, "{} was accepted; the service said: {theirs}", exchange["id"]);
        same += usize::from(ours == theirs);
        if ours != theirs {
            println!("{}: we say {ours:?}, the service said {theirs:?}", exchange["id"]);
        }
    }
    println!("{total} recorded refusals refused, {same} with the message of the service");
    assert!(total * 2 > refusals.len(), "only {total} of {} refusals were replayed", refusals.len());
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

/// Posts the recorded body. Returns nothing if the simulator does not have the model or the operation.
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

/// True for requests whose long texts were cut out, which leaves a valid request, and for `CountTokens` with
/// the body of another operation, which the simulator does not validate.
fn is_out_of_scope(exchange: &Value) -> bool {
    let body = exchange["request_json"].to_string();
    exchange.get("request_truncated").is_some()
        || ["<MASSIVE_TEXT>", "invokeModel"].iter().any(|it| body.contains(it))
}

fn message(answer: &Value) -> String {
    answer["message"].as_str().unwrap_or_default().to_owned()
}

/// The exchanges of these files. There is at least one in each.
fn recorded(files: &[&str]) -> Vec<Value> {
    files.iter().flat_map(|file| folder::lines(&format!("public/{file}.jsonl"))).collect()
}
