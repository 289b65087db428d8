//! A second model beside a slow first one, where a task asks for it, and never more often than its budget allows.
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

async fn call(switchboard: &Running) -> pb::Route {
    let reply = switchboard.converse("coding", "Write a program.").await.expect("answers");
    reply.route.expect("has a route")
}

#[tokio::test(start_paused = true)]
async fn the_faster_one_answers_and_the_slower_one_is_dropped() {
    let slow = says("Slow.").after(Duration::from_secs(20));
    let switchboard = hedged(slow, says("Fast.").after(Duration::from_secs(1))).start();
    let began = Instant::now();

    let heard = switchboard.converse_stream("coding", "Write a program.").await;

    assert_eq!((heard.text().as_str(), heard.status.is_none()), ("Fast.", true));
    assert_eq!(attempts(heard.route()), ["one CANCELLED", "two OK"]);
    assert!(heard.route().attempts[1].hedge && heard.route().fallback_used);
    assert_eq!(began.elapsed().as_secs(), 3);
    assert_eq!(switchboard.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_first_one_may_still_win() {
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
async fn when_one_of_the_two_fails_the_other_goes_on_and_when_both_do_the_third_is_asked() {
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
async fn hedges_are_paid_from_a_budget_that_quick_answers_refill() {
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
async fn the_callers_mistake_ends_both() {
    let slow = says("First.").after(Duration::from_secs(9));
    let switchboard = hedged(slow, fails_saying(FailureKind::Invalid, "no")).start();
    let status = switchboard.converse("coding", "Write a program.").await.expect_err("is refused");
    assert_eq!(reason(&status), "MODEL_REJECTED");
    assert_eq!(attempts(&route_of(&status).expect("has a route")), ["one CANCELLED", "two REJECTED"]);
}

#[tokio::test(start_paused = true)]
async fn without_the_setting_nothing_is_hedged() {
    let slow = says("First.").after(Duration::from_secs(20));
    let switchboard = hedged(slow, says("Second."))
        .configure(|config| config.tasks.get_mut("coding").expect("is a task").hedge_after = None)
        .start();
    assert_eq!(attempts(&call(&switchboard).await), ["one OK"]);
}
