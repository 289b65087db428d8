//! Recorded requests reach Bedrock unchanged, and recorded answers reach callers unchanged: recorded traffic,
//! replayed over real sockets through both engines.
//!
//! The recordings are the sample in `tests/recordings`, or the folder that `SWITCHBOARD_RECORDINGS` names.
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

/// The `max_tokens` of the tests' tasks. It is sent with every request, and so expected in requests without a
/// limit.
const MAX_TOKENS: i64 = 4096;

#[tokio::test]
async fn recorded_answers_reach_callers_and_recorded_requests_reach_bedrock() {
    for engine in engine::BOTH {
        let mut replay = Replay::start(engine).await;
        let mut tally = Tally::default();
        for exchange in replay::read("public/converse.jsonl") {
            let outcome = whole(&mut replay, &exchange).await;
            tally.add(&exchange, outcome);
        }
        tally.finish("Converse");
    }
}

#[tokio::test]
async fn recorded_streams_reach_callers_event_by_event() {
    for engine in engine::BOTH {
        let mut replay = Replay::start(engine).await;
        let mut tally = Tally::default();
        for exchange in replay::read("public/converse_stream.jsonl") {
            let outcome = streamed(&mut replay, &exchange).await;
            tally.add(&exchange, outcome);
        }
        tally.finish("ConverseStream");
    }
}

#[tokio::test]
async fn recorded_counts_of_tokens_reach_callers() {
    for engine in engine::BOTH {
        let mut replay = Replay::start(engine).await;
        let mut tally = Tally::default();
        let all = replay::read("public/other_ops.jsonl");
        let (counts, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|exchange| exchange.operation == "CountTokens");
        for exchange in counts {
            let outcome = counted(&mut replay, &exchange).await;
            tally.add(&exchange, outcome);
        }
        for exchange in others {
            println!("  limit: {}: {} is not in the contract", exchange.id, exchange.operation);
        }
        tally.finish("CountTokens");
    }
}

#[tokio::test]
async fn recorded_refusals_reach_callers_with_the_status_of_their_kind() {
    for engine in engine::BOTH {
        let replay = Replay::start(engine).await;
        let (mut codes, mut others) = (BTreeMap::new(), 0);
        let exchanges = replay::read("public/errors.jsonl");
        for exchange in &exchanges {
            let answered = match exchange.operation.as_str() {
                "Converse" => {
                    let request: pb::ConverseRequest =
                        replay.request(exchange, "ConverseRequest").await.expect("parses");
                    replay.caller.clone().converse(request).await.map(drop)
                }
                "ConverseStream" => {
                    let request: pb::ConverseRequest =
                        replay.request(exchange, "ConverseRequest").await.expect("parses");
                    replay.caller.clone().converse_stream(request).await.map(drop)
                }
                "CountTokens" => {
                    let request: pb::CountTokensRequest =
                        replay.request(exchange, "CountTokensRequest").await.expect("parses");
                    replay.caller.clone().count_tokens(request).await.map(drop)
                }
                _ => {
                    others += 1; // the contract has no InvokeModel
                    continue;
                }
            };
            let status = answered.expect_err("was refused");
            let message =
                exchange.response.as_ref().and_then(|body| body["message"].as_str()).unwrap_or_default();
            assert_eq!(status.code(), expected_code(exchange.status, message), "{}: {status:?}", exchange.id);
            *codes.entry(format!("{} {:?}", exchange.status, status.code())).or_insert(0) += 1;
        }
        println!("refusals: {codes:?}; {others} of operations that the contract does not have");
        assert!(codes.len() >= 4, "too few kinds of refusals were replayed: {codes:?}");
    }
}

/// Mistakes of the caller are INVALID_ARGUMENT. A model that does not exist or is not allowed is a mistake of
/// the operator.
fn expected_code(status: u16, message: &str) -> Code {
    match status {
        400 if message.contains("model identifier is invalid") => Code::FailedPrecondition,
        400 => Code::InvalidArgument,
        403 => Code::FailedPrecondition,
        429 => Code::ResourceExhausted,
        _ => Code::Unavailable,
    }
}

/// The other tests would pass with any signature if the replay server did not verify it.
#[tokio::test]
async fn a_request_that_is_signed_with_another_secret_is_refused() {
    for engine in engine::BOTH {
        let mut replay = Replay::with_credentials(engine, "SIMULATED:ANOTHER").await;
        let exchange = replay::read("public/converse.jsonl").remove(0);
        let refused = whole(&mut replay, &exchange).await.expect_err("has the wrong signature");
        assert!(refused.contains("MODEL_ACCESS_DENIED"), "{refused}");
    }
}

/// The message of a reply is sent unchanged as history of the next call. This test uses no network.
#[test]
fn recorded_replies_go_back_as_history_unchanged() {
    let mut replies = 0;
    for exchange in replay::read("public/converse.jsonl") {
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
    assert!(replies > 0, "there are no replies");
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
    assert_eq!(reply.stop_reason(), switchboard_server::model::stop_reason(&raw));
    same("reply", &neutral(expected), &neutral(as_bedrock("ConverseResponse", &reply)))
}

async fn streamed(replay: &mut Replay, exchange: &Exchange) -> Result<(), String> {
    let request: pb::ConverseRequest = replay.request(exchange, "ConverseRequest").await?;
    let stream = replay.caller.converse_stream(request).await.map_err(|status| format!("{status:?}"))?;
    let heard = crate::harness::ReceivedStream::read_all(stream.into_inner()).await;
    match (heard.status.as_ref().map(tonic::Status::code), exchange.exception()) {
        (None, None) | (Some(Code::Unavailable), Some(_)) => {}
        (_, exception) => return Err(format!("{:?} after the exception {exception:?}", heard.status)),
    }
    unadjusted(Some(heard.route()))?;
    same("request", &expected_request(exchange), &replay.body_sent().await)?;
    let replies = heard.events.into_iter().map(|event| pb::ConverseStreamResponse { event: Some(event) });
    let found: Vec<_> = replies
        .map(|reply| neutral(as_bedrock("ConverseStreamResponse", &reply)))
        .skip(1) // the route, which is not Bedrock's
        .collect();
    let expected: Vec<_> = exchange.events().into_iter().map(neutral).collect();
    same("events", &json!(expected), &json!(found))
}

/// Fails if a request was changed. Bedrock accepted all recorded requests as they were, so a change is a
/// mistake in the catalogue.
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

/// The recorded request with the limit that is always sent: the task's `max_tokens` plus the requested
/// reasoning budget.
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

/// Numbers of exchanges that passed and failed, by feature.
#[derive(Default)]
struct Tally {
    features: BTreeMap<String, (usize, usize)>,
    passed: usize,
    limits: Vec<String>,
    failures: Vec<String>,
}

/// Returns the documented limit of the contract that explains the difference. Absent: the difference is a
/// failure.
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

    fn finish(self, operation: &str) {
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
        assert!(passed > limits, "only {passed} exchanges passed");
    }
}
