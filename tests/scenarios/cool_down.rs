//! Cool-downs in the route: a throttled model is called after the others, and the route shows where it was
//! skipped.
use crate::harness::*;
use std::time::Duration;
use switchboard_proto::v1::{self as pb, ErrorReason};
use switchboard_server::failure::FailureKind;

/// A scenario with breakers and cool-downs. Task "coding" has all three models; "one", "two" and "three" have
/// one each.
fn three_models(behaviours: [Behaviour; 3]) -> Scenario {
    let mut scenario = Scenario::new()
        .route("coding", ["one", "two", "three"])
        .route("one", ["one"])
        .route("two", ["two"])
        .route("three", ["three"])
        .configure(|config| config.breaker.enabled = true);
    for (name, behaviour) in ["one", "two", "three"].into_iter().zip(behaviours) {
        scenario = scenario.model(name, behaviour);
    }
    scenario
}

async fn route(switchboard: &ScenarioServer, task: &str) -> pb::Route {
    match switchboard.converse(task, "Write a program.").await {
        Ok(reply) => reply.route.expect("has a route"),
        Err(status) => route_of(&status).expect("has a route"),
    }
}

/// The candidates in the order in which a call would try them now.
async fn explained(switchboard: &ScenarioServer) -> Vec<pb::Candidate> {
    let request = pb::ExplainRouteRequest { task_type: "coding".to_owned(), request: None };
    let explained = switchboard.routing().explain_route(request).await.expect("explains");
    explained.into_inner().candidates
}

async fn explained_order(switchboard: &ScenarioServer) -> Vec<String> {
    explained(switchboard).await.into_iter().map(|candidate| candidate.name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_model_in_cool_down_is_a_skipped_attempt_before_the_one_that_served() {
    let switchboard = three_models([throttled(), says("Done."), says("Done.")]).start();
    route(&switchboard, "one").await;

    let unary = route(&switchboard, "coding").await;
    let streamed = switchboard.converse_stream("coding", "Write a program.").await;

    for route in [&unary, streamed.route()] {
        assert_eq!(attempts(route), ["one SKIPPED", "two OK"]);
        assert_eq!(route.attempts[0].reason(), ErrorReason::CoolingDown);
        assert!(route.attempts[0].unmet_requirement.contains("throttled"), "{route:?}");
        assert!(route.fallback_used);
        assert_eq!(route.model_id, "test.two");
    }
    assert_eq!(switchboard.called_models(), ["one", "two", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_skipped_model_is_called_after_the_others_have_failed() {
    let throttled_once = recovers_after(1, FailureKind::Throttled, "At last.");
    let switchboard =
        three_models([throttled_once, fails(FailureKind::Internal), fails(FailureKind::Internal)]).start();
    route(&switchboard, "one").await;

    let route = route(&switchboard, "coding").await;

    assert_eq!(attempts(&route), ["one SKIPPED", "two UNAVAILABLE", "three UNAVAILABLE", "one OK"]);
    assert_eq!((route.model_id.as_str(), route.fallback_used), ("test.one", false));
}

#[tokio::test(start_paused = true)]
async fn a_model_in_cool_down_that_is_never_reached_is_not_an_attempt() {
    let switchboard = three_models([says("Done."), throttled(), throttled()]).start();
    route(&switchboard, "two").await;
    route(&switchboard, "three").await;

    let route = route(&switchboard, "coding").await;

    assert_eq!((attempts(&route), route.fallback_used), (vec!["one OK".to_owned()], false));
}

#[tokio::test(start_paused = true)]
async fn models_that_all_cool_down_are_called_in_order_without_skips() {
    let switchboard = three_models([throttled(), throttled(), throttled()]).start();
    for task in ["three", "two", "one"] {
        route(&switchboard, task).await;
    }
    let health = explained(&switchboard).await.into_iter().map(|it| it.health.expect("has health"));
    assert_eq!(health.filter(|health| health.cools_down_for.is_some()).count(), 3);
    assert_eq!(explained_order(&switchboard).await, ["one", "two", "three"]);
    assert_eq!(
        attempts(&route(&switchboard, "coding").await),
        ["one THROTTLED", "two THROTTLED", "three THROTTLED"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_explained_route_has_the_order_of_the_next_call() {
    let switchboard = three_models([throttled(), says("Done."), says("Done.")]).start();
    assert_eq!(explained_order(&switchboard).await, ["one", "two", "three"]);
    route(&switchboard, "one").await;

    assert_eq!(explained_order(&switchboard).await, ["two", "three", "one"]);
    assert_eq!(switchboard.called_models(), ["one"], "explaining calls no model");

    let cool_down = explained(&switchboard).await[2].health.and_then(|health| health.cools_down_for);
    let cool_down = Duration::try_from(cool_down.expect("cools down")).expect("is positive");
    tokio::time::advance(cool_down).await;
    assert_eq!(explained_order(&switchboard).await, ["one", "two", "three"]);
}

#[tokio::test(start_paused = true)]
async fn an_absurd_retry_after_cools_down_for_at_most_the_quota_cool_down() {
    let longest = Duration::from_secs(900);
    for retry_after in [
        Duration::MAX,
        Duration::from_secs(u64::MAX),
        Duration::from_secs(9_300_000_000_000_000_000),
        longest + Duration::from_secs(1),
    ] {
        let switchboard = three_models([throttled_for(retry_after), says("Done."), says("Done.")])
            .configure(|config| config.breaker.quota_cool_down = longest)
            .start();
        let failed = switchboard.converse("one", "Hello.").await.expect_err("is throttled");
        assert_eq!(reason(&failed), "BEDROCK_THROTTLED");
        let broken = switchboard.converse_stream("one", "Hello.").await;
        assert_eq!(reason(broken.status()), "BEDROCK_THROTTLED");

        assert_eq!(attempts(&route(&switchboard, "coding").await), ["one SKIPPED", "two OK"]);
        let health = explained(&switchboard).await[2].health.expect("has health");
        let left = Duration::try_from(health.cools_down_for.expect("cools down")).expect("is positive");
        assert!(left <= longest && left > longest / 2, "{retry_after:?}: {left:?}");
    }
}

/// With retries on, the pause that Bedrock asks for is part of the decision whether to retry.
#[tokio::test(start_paused = true)]
async fn an_absurd_retry_after_does_not_break_retries() {
    let switchboard = three_models([throttled_for(Duration::MAX), throttled_for(Duration::MAX), throttled()])
        .configure(|config| config.retry.rounds = 2)
        .start();
    let route = route(&switchboard, "coding").await;
    assert_eq!(attempts(&route), ["one THROTTLED", "two THROTTLED", "three THROTTLED"]);
}
