//! What a call costs, whatever became of its attempts.
use super::*;
use crate::{
    catalogue::Catalogue, config::Config, deployment::Registry, failure::FailureKind, telemetry::Telemetry,
};
use std::borrow::Cow;

const HAIKU: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

/// A record that has just begun, and two candidates with the same prices.
pub(crate) fn begun() -> (CallRecord, RoutePlan) {
    let config = Config::for_two_models(HAIKU, HAIKU);
    let snapshot = Snapshot::build(&config, &Catalogue::built_in(), "us-east-1", &Registry::default());
    let plan = snapshot.routes.plan("coding").expect("is a task");
    let snapshots = snapshot.fixed();
    let snapshot = Arc::clone(&snapshots.borrow());
    let observability = Arc::new(Telemetry::default().observability(&snapshots, Arc::default()));
    let rpc = Rpc::Model(Method::ConverseStream);
    (CallRecord::begin(rpc, snapshot, &observability, &HeaderMap::new()), plan)
}

fn cancel(record: &mut CallRecord) {
    record.end(CallOutcome::Cancelled, None, FaultDomain::Caller, Code::Cancelled);
}

/// A request of eight bytes, which are estimated as two tokens.
fn eight_bytes() -> Shaped<'static> {
    let text = pb::content_block::Block::Text("eight by".to_owned());
    let content = vec![pb::ContentBlock { block: Some(text) }];
    let messages = vec![pb::Message { role: "user".to_owned(), content }];
    let request = Cow::Owned(pb::ConverseRequest { messages, ..Default::default() });
    Shaped { request, inference: pb::InferenceConfiguration::default(), adjustments: Vec::new() }
}

fn start(record: &CallRecord, candidate: &Candidate, hedge: bool) -> AttemptRecord {
    record.attempt(candidate, &eight_bytes(), Method::ConverseStream, hedge)
}

fn answer(record: &CallRecord, candidate: &Candidate) -> AttemptRecord {
    let mut attempt = start(record, candidate, false);
    attempt.answered("");
    attempt
}

fn some_text() -> ModelEvent {
    ModelEvent::ContentBlockDelta(pb::ContentBlockDeltaEvent::default())
}

#[test]
fn a_caller_who_leaves_before_any_content_pays_for_the_prompt() {
    let (mut record, plan) = begun();
    drop(start(&record, &plan.candidates[0], false));
    cancel(&mut record);
    let cost = record.cost().expect("has a price");
    assert_eq!((cost.pico_usd, cost.estimated), (2 * 1_100_000, true));
    assert_eq!(record.route().attempts[0].cost, Some(cost));
}

#[test]
fn a_caller_who_leaves_during_the_answer_pays_for_what_was_received_too() {
    let (mut record, plan) = begun();
    let mut attempt = answer(&record, &plan.candidates[0]);
    assert_eq!(record.cost(), None);
    attempt.saw_delta(&some_text(), 4, None);
    drop(attempt);
    cancel(&mut record);
    let cost = record.cost().expect("has a price");
    assert_eq!((cost.pico_usd, cost.estimated), (2 * 1_100_000 + 5_500_000, true));
    assert_eq!(record.route().attempts[0].cost, Some(cost));
}

#[test]
fn a_hedge_that_lost_is_part_of_the_cost() {
    let (mut record, plan) = begun();
    let slow = start(&record, &plan.candidates[0], false);
    let mut fast = start(&record, &plan.candidates[1], true);
    fast.answered("");
    drop(slow);
    let usage = pb::TokenUsage { input_tokens: 2, output_tokens: 1, ..Default::default() };
    fast.saw_report(Report { usage: Some(&usage), ..Report::default() });
    fast.completed();
    record.completed();
    let cost = record.cost().expect("has a price");
    assert_eq!((cost.pico_usd, cost.estimated), (2 * 2 * 1_100_000 + 5_500_000, true));
}

#[test]
fn a_broken_stream_and_the_restarted_one_are_both_paid() {
    let (record, plan) = begun();
    let mut broken = answer(&record, &plan.candidates[0]);
    broken.saw_delta(&some_text(), 4, None);
    broken.failed(&crate::failure::Failure::new(FailureKind::ModelError, ""));
    let mut second = answer(&record, &plan.candidates[1]);
    let usage = pb::TokenUsage { input_tokens: 2, ..Default::default() };
    second.saw_report(Report { usage: Some(&usage), ..Report::default() });
    assert_eq!(record.cost().expect("has a price").pico_usd, 2 * 2 * 1_100_000 + 5_500_000);
}

#[test]
fn counting_tokens_is_free() {
    let (mut record, plan) = begun();
    drop(record.attempt(&plan.candidates[0], &eight_bytes(), Method::CountTokens, false));
    record.completed();
    assert_eq!((record.cost(), record.attempts.bills().unpriced()), (None, 0));
}
