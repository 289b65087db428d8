//! Hedging: a second model in parallel to a slow one, if the task asks for it and the budget allows it.
use crate::harness::*;
use std::time::Duration;
use switchboard_proto::v1::{self as pb, Outcome};
use switchboard_server::failure::FailureKind;
use tokio::time::Instant;

const AFTER: Duration = Duration::from_secs(2);

fn hedged(first: Behaviour, second: Behaviour) -> Scenario {
    Scenario::new()
        .route("coding", ["one", "two", "three"])
        .model("one", first)
        .model("two", second)
        .model("three", says("Third."))
        .configure(|config| {
            config.tasks.get_mut("coding").expect("is a task").hedge_after = Some(AFTER);
        })
}

async fn call(switchboard: &ScenarioServer) -> pb::Route {
    let reply = switchboard.converse("coding", "Write a program.").await.expect("answers");
    reply.route.expect("has a route")
}

#[tokio::test(start_paused = true)]
async fn the_faster_model_answers_and_the_slower_one_is_cancelled() {
    let slow = says("Slow.").after(Duration::from_secs(20));
    let switchboard = hedged(slow, says("Fast.").after(Duration::from_secs(1))).start();
    let began = Instant::now();

    let received = switchboard.converse_stream("coding", "Write a program.").await;

    assert_eq!((received.text().as_str(), received.status.is_none()), ("Fast.", true));
    assert_eq!(attempts(received.route()), ["one CANCELLED", "two OK"]);
    assert!(received.route().attempts[1].hedge && received.route().fallback_used);
    assert_eq!(began.elapsed().as_secs(), 3);
    assert_eq!(switchboard.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_first_model_may_still_answer_first() {
    let slow = says("First.").after(Duration::from_secs(3));
    let switchboard = hedged(slow, says("Second.").after(Duration::from_secs(9))).start();
    let route = call(&switchboard).await;
    assert_eq!(attempts(&route), ["two CANCELLED", "one OK"]);
    assert_eq!((route.model_id.as_str(), route.fallback_used), ("test.one", false));
    assert_eq!(route.attempts[0].outcome(), Outcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_answers_in_time_or_fails_at_once_is_not_hedged() {
    let switchboard = hedged(says("First.").after(Duration::from_secs(1)), says("Second.")).start();
    assert_eq!(attempts(&call(&switchboard).await), ["one OK"]);
    let switchboard = hedged(throttled(), says("Second.")).start();
    let route = call(&switchboard).await;
    assert_eq!(attempts(&route), ["one THROTTLED", "two OK"]);
    assert!(!route.attempts[1].hedge);
}

#[tokio::test(start_paused = true)]
async fn when_one_fails_the_other_continues_and_when_both_fail_the_third_is_called() {
    let slow = || says("First.").after(Duration::from_secs(9));
    let switchboard = hedged(slow(), fails(FailureKind::Internal)).start();
    assert_eq!(attempts(&call(&switchboard).await), ["two UNAVAILABLE", "one OK"]);

    let failing = || fails(FailureKind::Internal).after(Duration::from_secs(5));
    let switchboard = hedged(failing(), slow()).start();
    assert_eq!(attempts(&call(&switchboard).await), ["one UNAVAILABLE", "two OK"]);

    let switchboard = hedged(failing(), failing()).start();
    assert_eq!(attempts(&call(&switchboard).await), ["one UNAVAILABLE", "two UNAVAILABLE", "three OK"]);
}

#[tokio::test(start_paused = true)]
async fn hedges_are_limited_by_a_budget() {
    let slow = || says("First.").after(Duration::from_secs(9));
    let switchboard = hedged(slow(), says("Second."))
        .configure(|config| (config.hedging.budget, config.hedging.refill) = (2, 0.0))
        .start();
    let mut served = Vec::new();
    for _ in 0..4 {
        served.push(call(&switchboard).await.model_id);
    }
    assert_eq!(served, ["test.two", "test.two", "test.one", "test.one"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_the_request_caused_ends_both_attempts() {
    let slow = says("First.").after(Duration::from_secs(9));
    let switchboard = hedged(slow, fails_with_message(FailureKind::Invalid, "no")).start();
    let status = switchboard.converse("coding", "Write a program.").await.expect_err("is refused");
    assert_eq!(reason(&status), "MODEL_REJECTED");
    assert_eq!(attempts(&route_of(&status).expect("has a route")), ["one CANCELLED", "two REJECTED"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_without_hedge_after_does_not_hedge() {
    let slow = says("First.").after(Duration::from_secs(20));
    let switchboard = hedged(slow, says("Second."))
        .configure(|config| config.tasks.get_mut("coding").expect("is a task").hedge_after = None)
        .start();
    assert_eq!(attempts(&call(&switchboard).await), ["one OK"]);
}
