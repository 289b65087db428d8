//! What real callers sent Bedrock reaches it, and what it answered reaches callers: recorded traffic, replayed over real
//! sockets through both engines.
//!
//! The recordings are kept outside the project: `SWITCHBOARD_RECORDINGS` names their folder. Without it these tests say
//! that they were left out.
pub(crate) mod compare;
pub(crate) mod replay;

use crate::engine;
use compare::{as_bedrock, neutral};
use replay::{Exchange, Replay};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use switchboard_proto::v1 as pb;
use switchboard_server::bedrock::codec;
use tonic::Code;

/// What the tests' tasks generate at most. Sent with every request, so it is expected in those that name no limit.
const MAX_TOKENS: i64 = 4096;

#[tokio::test]
async fn recorded_answers_reach_callers_and_recorded_requests_reach_bedrock() {
    for engine in engine::BOTH {
        let Some(mut replay) = Replay::start(engine).await else { return };
        let mut tally = Tally::default();
        for exchange in replay.exchanges("converse.jsonl") {
            let outcome = whole(&mut replay, &exchange).await;
            tally.add(&exchange, outcome);
        }
        tally.finish("Converse", 402);
    }
}

#[tokio::test]
async fn recorded_streams_reach_callers_event_by_event() {
    for engine in engine::BOTH {
        let Some(mut replay) = Replay::start(engine).await else { return };
        let mut tally = Tally::default();
        for exchange in replay.exchanges("converse_stream.jsonl") {
            let outcome = streamed(&mut replay, &exchange).await;
            tally.add(&exchange, outcome);
        }
        tally.finish("ConverseStream", 95);
    }
}

#[tokio::test]
async fn recorded_counts_of_tokens_reach_callers() {
    for engine in engine::BOTH {
        let Some(mut replay) = Replay::start(engine).await else { return };
        let mut tally = Tally::default();
        let all = replay.exchanges("other_ops.jsonl");
        let (counts, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|exchange| exchange.operation == "CountTokens");
        for exchange in counts {
            let outcome = counted(&mut replay, &exchange).await;
            tally.add(&exchange, outcome);
        }
        for exchange in others {
            println!("  limit: {}: {} is not in the contract", exchange.id, exchange.operation);
        }
        tally.finish("CountTokens", 4);
    }
}

#[tokio::test]
async fn recorded_refusals_reach_callers_as_what_they_are() {
    for engine in engine::BOTH {
        let Some(replay) = Replay::start(engine).await else { return };
        let mut codes = BTreeMap::new();
        for exchange in replay.exchanges("errors.jsonl") {
            let answered = match exchange.operation.as_str() {
                "Converse" => {
                    let request: pb::ConverseRequest =
                        replay.request(&exchange, "ConverseRequest").await.expect("parses");
                    replay.caller.clone().converse(request).await.map(drop)
                }
                "ConverseStream" => {
                    let request: pb::ConverseRequest =
                        replay.request(&exchange, "ConverseRequest").await.expect("parses");
                    replay.caller.clone().converse_stream(request).await.map(drop)
                }
                "CountTokens" => {
                    let request: pb::CountTokensRequest =
                        replay.request(&exchange, "CountTokensRequest").await.expect("parses");
                    replay.caller.clone().count_tokens(request).await.map(drop)
                }
                _ => continue, // InvokeModel is not in the contract
            };
            let status = answered.expect_err("was refused");
            let message =
                exchange.response.as_ref().and_then(|body| body["message"].as_str()).unwrap_or_default();
            assert_eq!(status.code(), expected_code(exchange.status, message), "{}: {status:?}", exchange.id);
            *codes.entry(format!("{} {:?}", exchange.status, status.code())).or_insert(0) += 1;
        }
        println!("refusals: {codes:?}");
        assert_eq!(codes.values().sum::<usize>(), 21, "not all refusals were there");
    }
}

/// The caller's mistakes are INVALID_ARGUMENT; a model that does not exist, or may not be used, is the operator's.
fn expected_code(status: u16, message: &str) -> Code {
    match status {
        400 if message.contains("model identifier is invalid") => Code::FailedPrecondition,
        400 => Code::InvalidArgument,
        403 => Code::FailedPrecondition,
        429 => Code::ResourceExhausted,
        _ => Code::Unavailable,
    }
}

/// No network: what came as a reply goes out as history.
#[test]
fn recorded_replies_go_back_as_history_unchanged() {
    let Some(folder) = replay::folder() else { return };
    let mut replies = 0;
    for exchange in replay::read(&folder, "converse.jsonl") {
        let recorded = exchange.response.expect("has a response");
        let json = serde_json::to_vec(&recorded).expect("is JSON");
        let reply: pb::ConverseResponse =
            codec::message("ConverseResponse", &json, &mut Vec::new()).expect("is a reply");
        let Some(pb::converse_output::Output::Message(message)) =
            reply.output.and_then(|output| output.output)
        else {
            panic!("{}: has no message", exchange.id)
        };
        let request = pb::ConverseRequest { messages: vec![message], ..Default::default() };
        let body = codec::request_body(&request, &pb::InferenceConfiguration::default());
        let sent: Value = serde_json::from_slice(&body).expect("is JSON");
        let expected = neutral(recorded["output"]["message"].clone());
        same(&exchange.id, &expected, &neutral(sent["messages"][0].clone()))
            .unwrap_or_else(|it| panic!("{it}"));
        replies += 1;
    }
    println!("{replies} replies go back unchanged");
}

async fn counted(replay: &mut Replay, exchange: &Exchange) -> Result<(), String> {
    let request: pb::CountTokensRequest = replay.request(exchange, "CountTokensRequest").await?;
    let reply =
        replay.caller.count_tokens(request).await.map_err(|status| format!("{status:?}"))?.into_inner();
    unadjusted(reply.route.as_ref())?;
    same("request", &neutral(exchange.request.clone()), &replay.body_sent().await)?;
    let expected = exchange.response.as_ref().ok_or("has no response")?;
    same("reply", &expected["inputTokens"], &json!(reply.input_tokens))
}

async fn whole(replay: &mut Replay, exchange: &Exchange) -> Result<(), String> {
    let request: pb::ConverseRequest = replay.request(exchange, "ConverseRequest").await?;
    let reply = replay.caller.converse(request).await.map_err(|status| format!("{status:?}"))?.into_inner();
    unadjusted(reply.route.as_ref())?;
    same("request", &expected_request(exchange), &replay.body_sent().await)?;
    let expected = exchange.response.clone().ok_or("has no response")?;
    let raw = reply.raw_stop_reason.clone();
    assert_eq!(reply.stop_reason(), switchboard_server::bedrock::stop_reason(&raw));
    same("reply", &neutral(expected), &neutral(as_bedrock("ConverseResponse", &reply)))
}

async fn streamed(replay: &mut Replay, exchange: &Exchange) -> Result<(), String> {
    let request: pb::ConverseRequest = replay.request(exchange, "ConverseRequest").await?;
    let stream = replay.caller.converse_stream(request).await.map_err(|status| format!("{status:?}"))?;
    let heard = crate::harness::Heard::all_of(stream.into_inner()).await;
    if let Some(status) = heard.status {
        return Err(format!("{status:?}"));
    }
    unadjusted(Some(heard.route()))?;
    same("request", &expected_request(exchange), &replay.body_sent().await)?;
    let replies = heard.events.into_iter().map(|event| pb::ConverseStreamResponse { event: Some(event) });
    let found: Vec<_> = replies
        .map(|reply| neutral(as_bedrock("ConverseStreamResponse", &reply)))
        .skip(1) // the route, which is not Bedrock's
        .collect();
    let expected: Vec<_> = exchange.events.iter().map(|event| neutral(event.clone())).collect();
    same("events", &json!(expected), &json!(found))
}

/// What Bedrock accepted as it was must not be changed: each change here is a mistake of the catalogue's.
fn unadjusted(route: Option<&pb::Route>) -> Result<(), String> {
    let changes =
        route.into_iter().flat_map(|route| &route.attempts).flat_map(|attempt| &attempt.adjustments);
    match changes
        .into_iter()
        .find(|change| change.action() != pb::AdjustmentAction::Added || change.path == "tool_config")
    {
        Some(change) => Err(format!("was adjusted: {change:?}")),
        None => Ok(()),
    }
}

/// As recorded, and with the limit that is always sent: the task's, with room for the reasoning that was asked for.
fn expected_request(exchange: &Exchange) -> Value {
    let mut request = exchange.request.clone();
    if request["inferenceConfig"]["maxTokens"].is_null() {
        let extras = &exchange.request["additionalModelRequestFields"];
        let budgets = ["thinking", "reasoning_config"].map(|name| extras[name]["budget_tokens"].as_i64());
        let room = budgets.into_iter().flatten().next().unwrap_or(0);
        request["inferenceConfig"]["maxTokens"] = json!(MAX_TOKENS + room);
    }
    neutral(request)
}

fn same(what: &str, expected: &Value, found: &Value) -> Result<(), String> {
    compare::difference(expected, found, what).map_or(Ok(()), Err)
}

/// What passed and what failed, by feature.
#[derive(Default)]
struct Tally {
    features: BTreeMap<String, (usize, usize)>,
    passed: usize,
    limits: Vec<String>,
    failures: Vec<String>,
}

/// Why an exchange cannot pass, as the README says too.
fn limit(exchange: &Exchange, difference: &str) -> Option<&'static str> {
    if exchange.request["messages"][0]["role"] != "user" && difference.contains("messages[0].role") {
        Some("conversations that begin with the model's turn are refused")
    } else if exchange.features.iter().any(|it| it == "request_outside_service_model")
        && difference.starts_with("request.")
        && difference.ends_with("found null")
    {
        Some("members that AWS's service model lacks have no place in the contract")
    } else {
        None
    }
}

impl Tally {
    fn add(&mut self, exchange: &Exchange, outcome: Result<(), String>) {
        for feature in &exchange.features {
            let (passed, failed) = self.features.entry(feature.clone()).or_default();
            if outcome.is_ok() { *passed += 1 } else { *failed += 1 }
        }
        match outcome {
            Ok(()) => self.passed += 1,
            Err(difference) => match limit(exchange, &difference) {
                Some(limit) => self.limits.push(format!("{}: {limit}", exchange.id)),
                None => self.failures.push(format!("{}: {difference}", exchange.id)),
            },
        }
    }

    fn finish(self, operation: &str, all: usize) {
        let (passed, limits, failed) = (self.passed, self.limits.len(), self.failures.len());
        println!(
            "{operation}: {passed} exchanges passed, {limits} meet a limit of the contract, {failed} failed"
        );
        for (feature, (passed, failed)) in &self.features {
            println!("  {feature}: {passed} passed, {failed} failed");
        }
        for limit in &self.limits {
            println!("  limit: {limit}");
        }
        assert!(self.failures.is_empty(), "{}", self.failures.join("\n"));
        assert_eq!(passed + limits, all, "not all exchanges were there");
    }
}
