//! A model that fails most of its calls is left alone for a while, and one that is throttled comes last.
use crate::harness::*;
use std::time::Duration;
use switchboard_proto::v1::{self as pb, BreakerState};
use switchboard_server::{
    config::{Breaker, Deadline, Force},
    failure::{FailureKind, HealthEffect},
};
use tokio::time::advance;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

/// So many calls are needed to judge a model.
const ENOUGH: u32 = 10;

fn two_models(first: Behaviour, second: Behaviour) -> Scenario {
    let breaker = Breaker { min_attempts: ENOUGH, ..Breaker::default() };
    Scenario::new()
        .route("coding", ["one", "two"])
        .model("one", first)
        .model("two", second)
        .configure(|config| config.breaker = breaker)
}

/// What became of one more call: its attempts.
async fn call(switchboard: &Running) -> Vec<String> {
    match switchboard.converse("coding", "Write a program.").await {
        Ok(reply) => attempts(&reply.route.expect("has a route")),
        Err(status) => attempts(&route_of(&status).expect("has a route")),
    }
}

async fn calls(switchboard: &Running, many: u32) {
    for _ in 0..many {
        call(switchboard).await;
    }
}

async fn health(switchboard: &Running) -> Vec<pb::CandidateHealth> {
    let asked = pb::ExplainRouteRequest { task_type: "coding".to_owned(), request: None };
    let explained = switchboard.routing().explain_route(asked).await.expect("explains").into_inner();
    explained.candidates.into_iter().map(|candidate| candidate.health.expect("has health")).collect()
}

async fn of_task(switchboard: &Running) -> ServingStatus {
    tokio::task::yield_now().await;
    advance(Duration::from_millis(1)).await; // the state is told by a task of its own
    let request = HealthCheckRequest { service: "task/coding".to_owned() };
    switchboard.health().check(request).await.expect("knows it").into_inner().status()
}

#[tokio::test(start_paused = true)]
async fn a_model_that_keeps_failing_is_passed_over_and_its_callers_do_not_wait_for_it() {
    let short = |clocks: &mut Deadline| clocks.attempt = Duration::from_secs(2);
    let switchboard = two_models(hangs(), says("Done.")).deadline(short).start();
    for _ in 0..ENOUGH {
        assert_eq!(call(&switchboard).await, ["one TIMEOUT", "two OK"]);
    }
    let began = tokio::time::Instant::now();
    let reply = switchboard.converse("coding", "Write a program.").await.expect("answers");

    let route = reply.route.expect("has a route");
    assert_eq!(attempts(&route), ["one SKIPPED", "two OK"]);
    assert_eq!(reason_name(route.attempts[0].reason()), "NO_HEALTHY_MODEL");
    assert!(route.attempts[0].unmet_requirement.contains("failed too often"), "{route:?}");
    assert!(route.fallback_used && began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn every_failure_counts_that_is_the_models_own_and_no_other() {
    for kind in FailureKind::ALL {
        let switchboard = two_models(fails(kind), says("Done.")).start();
        calls(&switchboard, 2 * ENOUGH).await;
        let health = &health(&switchboard).await[0];
        let is_open = health.breaker() == BreakerState::Open;
        assert_eq!(is_open, kind.row().health == HealthEffect::Failure, "{kind:?}: {health:?}");
        let cools_down = health.cools_down_for.is_some();
        assert_eq!(
            cools_down,
            matches!(kind.row().health, HealthEffect::Throttled | HealthEffect::QuotaExhausted),
            "{kind:?}: {health:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn streams_that_break_after_content_count_too() {
    let switchboard = two_models(says_and_fails("Half an ", FailureKind::Internal), says("Done.")).start();
    for _ in 0..ENOUGH {
        assert_eq!(
            reason(switchboard.converse_stream("coding", "Write.").await.status()),
            "STREAM_INTERRUPTED"
        );
    }
    let heard = switchboard.converse_stream("coding", "Write.").await;
    assert_eq!(attempts(heard.route()), ["one SKIPPED", "two OK"]);
}

#[tokio::test(start_paused = true)]
async fn callers_who_leave_or_give_too_little_time_say_nothing_of_the_model() {
    let switchboard = two_models(hangs(), hangs()).start();
    for _ in 0..3 * ENOUGH {
        let mut request = tonic::Request::new(asking("coding", "Write a program."));
        request.metadata_mut().insert("grpc-timeout", "100m".parse().expect("is a header"));
        switchboard.caller().converse(request).await.expect_err("has no time");
    }
    assert!(health(&switchboard).await.iter().all(|health| health.breaker() == BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_may_be_the_requests_own_fault_does_not_count() {
    let switchboard = two_models(fails(FailureKind::AccessDenied), says("Done.")).start();
    let guardrail = pb::GuardrailConfiguration {
        guardrail_identifier: Some("someone-elses".to_owned()),
        guardrail_version: Some("1".to_owned()),
        ..Default::default()
    };
    for _ in 0..3 * ENOUGH {
        let request = asking("coding", "Write a program.");
        let request = pb::ConverseRequest { guardrail_config: Some(guardrail.clone()), ..request };
        switchboard.caller().converse(request).await.expect("is answered by the other");
    }
    assert_eq!(health(&switchboard).await[0].breaker(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn one_call_looks_whether_it_is_well_again() {
    let many = usize::try_from(ENOUGH).expect("fits");
    let switchboard = two_models(recovers(many, FailureKind::Internal, "Well again."), says("Done.")).start();
    calls(&switchboard, ENOUGH).await;
    assert_eq!(call(&switchboard).await, ["one SKIPPED", "two OK"]);
    assert_eq!(health(&switchboard).await[0].breaker(), BreakerState::Open);
    assert!(health(&switchboard).await[0].reopens_in.is_some());

    advance(Duration::from_secs(5)).await;
    assert_eq!(call(&switchboard).await, ["one OK"]);
    assert_eq!(health(&switchboard).await[0].breaker(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_looks_lets_the_others_in_with_its_first_content() {
    let many = usize::try_from(ENOUGH).expect("fits");
    let failure = recovers(many, FailureKind::Internal, "");
    let slowly = says_slowly(&["Well ", "again."], Duration::from_secs(10)).with_first_of(failure);
    let switchboard = two_models(slowly, says("Done.")).start();
    calls(&switchboard, ENOUGH).await;
    advance(Duration::from_secs(5)).await;

    let mut looking =
        switchboard.caller().converse_stream(asking("coding", "Write.")).await.expect("begins").into_inner();
    looking.message().await.expect("has a route");
    assert_eq!(health(&switchboard).await[0].breaker(), BreakerState::Closed, "while it still speaks");
}

#[tokio::test(start_paused = true)]
async fn when_none_is_well_the_caller_learns_when_the_next_will_be_asked() {
    let switchboard = two_models(fails(FailureKind::Internal), fails(FailureKind::Unreachable)).start();
    assert_eq!(of_task(&switchboard).await, ServingStatus::Serving);
    calls(&switchboard, ENOUGH).await;

    let status = switchboard.converse("coding", "Write a program.").await.expect_err("is refused");

    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "NO_HEALTHY_MODEL"));
    let retry = tonic_types::StatusExt::get_details_retry_info(&status).expect("says when");
    let delay = retry.retry_delay.expect("says when");
    assert!((Duration::from_secs(3)..=Duration::from_secs(5)).contains(&delay), "{delay:?}");
    assert_eq!(attempts(&route_of(&status).expect("has a route")), ["one SKIPPED", "two SKIPPED"]);
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").map(|it| it.as_bytes()), Some(&b"-1"[..]));
    assert_eq!(of_task(&switchboard).await, ServingStatus::NotServing);

    advance(delay).await;
    assert_eq!(of_task(&switchboard).await, ServingStatus::Serving);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_model_comes_after_the_others_for_as_long_as_bedrock_asks() {
    let switchboard = two_models(asks_to_wait(Duration::from_secs(40)), says("Done.")).start();
    assert_eq!(call(&switchboard).await, ["one THROTTLED", "two OK"]);
    for _ in 0..3 {
        assert_eq!(call(&switchboard).await, ["two OK"]);
        advance(Duration::from_secs(13)).await;
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(call(&switchboard).await, ["one THROTTLED", "two OK"]);
}

#[tokio::test(start_paused = true)]
async fn where_every_model_is_throttled_they_are_asked_all_the_same() {
    let switchboard = two_models(throttled(), throttled()).start();
    for _ in 0..3 * ENOUGH {
        assert_eq!(call(&switchboard).await, ["one THROTTLED", "two THROTTLED"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_may_know_better() {
    for (force, first, state) in [
        (Force::Open, "one SKIPPED", BreakerState::ForcedOpen),
        (Force::Closed, "one UNAVAILABLE", BreakerState::ForcedClosed),
    ] {
        let scenario = two_models(fails(FailureKind::Internal), says("Done."));
        let force = |config: &mut switchboard_server::config::Config| {
            config.models.get_mut("one").expect("is a model").breaker = force;
        };
        let switchboard = scenario.configure(force).start();
        for _ in 0..3 * ENOUGH {
            assert_eq!(call(&switchboard).await, [first, "two OK"]);
        }
        assert_eq!(health(&switchboard).await[0].breaker(), state);
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_share_what_is_learned_of_a_model() {
    let switchboard =
        two_models(fails(FailureKind::Internal), says("Done.")).route("analysis", ["one", "two"]).start();
    calls(&switchboard, ENOUGH).await;
    let reply = switchboard.converse("analysis", "Judge this.").await.expect("answers");
    assert_eq!(attempts(&reply.route.expect("has a route")), ["one SKIPPED", "two OK"]);
}
