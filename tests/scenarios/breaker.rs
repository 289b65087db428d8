//! Circuit breakers and cool-downs: a model that fails often is not called for a while, a throttled one is
//! called last.
use crate::harness::*;
use std::time::Duration;
use switchboard_proto::v1::{self as pb, BreakerState};
use switchboard_server::{
    config::{Breaker, Deadline, Force},
    failure::FailureKind,
};
use tokio::time::advance;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

/// Attempts before a breaker may open.
const MIN_ATTEMPTS: u32 = 10;

fn two_models(first: Behaviour, second: Behaviour) -> Scenario {
    let breaker = Breaker { min_attempts: MIN_ATTEMPTS, ..Breaker::default() };
    Scenario::new()
        .route("coding", ["one", "two"])
        .model("one", first)
        .model("two", second)
        .configure(|config| config.breaker = breaker)
}

/// Makes a call and returns its attempts.
async fn call(switchboard: &ScenarioServer) -> Vec<String> {
    match switchboard.converse("coding", "Write a program.").await {
        Ok(reply) => attempts(&reply.route.expect("has a route")),
        Err(status) => attempts(&route_of(&status).expect("has a route")),
    }
}

async fn calls(switchboard: &ScenarioServer, many: u32) {
    for _ in 0..many {
        call(switchboard).await;
    }
}

/// The health of a candidate, by its name: the order of the explained candidates depends on it.
async fn health(switchboard: &ScenarioServer, name: &str) -> pb::CandidateHealth {
    let request = pb::ExplainRouteRequest { task_type: "coding".to_owned(), request: None };
    let explained = switchboard.routing().explain_route(request).await.expect("explains").into_inner();
    let candidate = explained.candidates.into_iter().find(|candidate| candidate.name == name);
    candidate.expect("is a candidate").health.expect("has health")
}

async fn task_health(switchboard: &ScenarioServer) -> ServingStatus {
    tokio::task::yield_now().await;
    advance(Duration::from_millis(1)).await; // another task updates the health
    let request = HealthCheckRequest { service: "task/coding".to_owned() };
    switchboard.health().check(request).await.expect("knows the service").into_inner().status()
}

#[tokio::test(start_paused = true)]
async fn a_model_that_keeps_failing_is_skipped_without_delay() {
    let short = |timeouts: &mut Deadline| timeouts.attempt = Duration::from_secs(2);
    let switchboard = two_models(hangs(), says("Done.")).deadline(short).start();
    for _ in 0..MIN_ATTEMPTS {
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
async fn only_failures_of_the_model_affect_its_health() {
    use FailureKind as K;
    let (mut open, mut cooling, mut unaffected) = (Vec::new(), Vec::new(), Vec::new());
    for kind in FailureKind::ALL {
        let switchboard = two_models(fails(kind), says("Done.")).start();
        calls(&switchboard, 2 * MIN_ATTEMPTS).await;
        let health = health(&switchboard, "one").await;
        match (health.breaker(), health.cools_down_for) {
            (BreakerState::Open, None) => open.push(kind),
            (BreakerState::Closed, Some(_)) => cooling.push(kind),
            (BreakerState::Closed, None) => unaffected.push(kind),
            _ => panic!("{kind:?}: {health:?}"),
        }
    }
    assert_eq!(
        open,
        [
            K::ModelNotReady,
            K::Unavailable,
            K::Internal,
            K::ModelTimeout,
            K::ModelError,
            K::AccessDenied,
            K::ExpiredCredentials,
            K::NotFound,
            K::NeedsProfile,
            K::Unreachable,
            K::Misconfigured,
            K::Protocol,
            K::EndedEarly,
            K::UnknownException,
            K::HeadersTimeout,
            K::FirstContentTimeout,
            K::TooSlow,
            K::IdleTimeout,
            K::AttemptTimeout,
        ]
    );
    assert_eq!(cooling, [K::Throttled, K::DailyQuota, K::ServiceQuota]);
    assert_eq!(unaffected, [K::ModelRefused, K::ContextTooLong, K::Invalid, K::Conflict, K::ShareUsedUp]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_after_content_counts_as_a_failure() {
    let switchboard = two_models(says_and_fails("Half an ", FailureKind::Internal), says("Done.")).start();
    for _ in 0..MIN_ATTEMPTS {
        assert_eq!(
            reason(switchboard.converse_stream("coding", "Write.").await.status()),
            "STREAM_INTERRUPTED"
        );
    }
    let received = switchboard.converse_stream("coding", "Write.").await;
    assert_eq!(attempts(received.route()), ["one SKIPPED", "two OK"]);
}

#[tokio::test(start_paused = true)]
async fn a_callers_short_deadline_does_not_count_against_the_model() {
    let switchboard = two_models(hangs(), hangs()).start();
    for _ in 0..3 * MIN_ATTEMPTS {
        let mut request = tonic::Request::new(chat_request("coding", "Write a program."));
        request.metadata_mut().insert("grpc-timeout", "100m".parse().expect("is a header"));
        switchboard.caller().converse(request).await.expect_err("has no time");
    }
    for name in ["one", "two"] {
        assert_eq!(health(&switchboard, name).await.breaker(), BreakerState::Closed, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_the_request_may_have_caused_does_not_count() {
    let switchboard = two_models(fails(FailureKind::AccessDenied), says("Done.")).start();
    let guardrail = pb::GuardrailConfiguration {
        guardrail_identifier: Some("someone-elses".to_owned()),
        guardrail_version: Some("1".to_owned()),
        ..Default::default()
    };
    for _ in 0..3 * MIN_ATTEMPTS {
        let request = chat_request("coding", "Write a program.");
        let request = pb::ConverseRequest { guardrail_config: Some(guardrail.clone()), ..request };
        switchboard.caller().converse(request).await.expect("is answered by the second model");
    }
    assert_eq!(health(&switchboard, "one").await.breaker(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_successful_probe_closes_the_breaker() {
    let many = usize::try_from(MIN_ATTEMPTS).expect("fits");
    let switchboard =
        two_models(recovers_after(many, FailureKind::Internal, "Healthy again."), says("Done.")).start();
    calls(&switchboard, MIN_ATTEMPTS).await;
    assert_eq!(call(&switchboard).await, ["one SKIPPED", "two OK"]);
    assert_eq!(health(&switchboard, "one").await.breaker(), BreakerState::Open);
    assert!(health(&switchboard, "one").await.reopens_in.is_some());

    advance(Duration::from_secs(5)).await;
    assert_eq!(call(&switchboard).await, ["one OK"]);
    assert_eq!(health(&switchboard, "one").await.breaker(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_first_content_of_a_probe_stream_closes_the_breaker() {
    let many = usize::try_from(MIN_ATTEMPTS).expect("fits");
    let failure = recovers_after(many, FailureKind::Internal, "");
    let slowly = says_slowly(&["Healthy ", "again."], Duration::from_secs(10)).with_first_calls_of(failure);
    let switchboard = two_models(slowly, says("Done.")).start();
    calls(&switchboard, MIN_ATTEMPTS).await;
    advance(Duration::from_secs(5)).await;

    let mut probe = switchboard
        .caller()
        .converse_stream(chat_request("coding", "Write."))
        .await
        .expect("begins")
        .into_inner();
    probe.message().await.expect("has a route");
    assert_eq!(
        health(&switchboard, "one").await.breaker(),
        BreakerState::Closed,
        "while the stream still runs"
    );
}

#[tokio::test(start_paused = true)]
async fn with_all_breakers_open_the_status_says_when_the_next_probe_is_due() {
    let switchboard = two_models(fails(FailureKind::Internal), fails(FailureKind::Unreachable)).start();
    assert_eq!(task_health(&switchboard).await, ServingStatus::Serving);
    calls(&switchboard, MIN_ATTEMPTS).await;

    let status = switchboard.converse("coding", "Write a program.").await.expect_err("is refused");

    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "NO_HEALTHY_MODEL"));
    let retry = tonic_types::StatusExt::get_details_retry_info(&status).expect("says when");
    let delay = retry.retry_delay.expect("says when");
    assert!((Duration::from_secs(3)..=Duration::from_secs(5)).contains(&delay), "{delay:?}");
    assert_eq!(attempts(&route_of(&status).expect("has a route")), ["one SKIPPED", "two SKIPPED"]);
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").map(|it| it.as_bytes()), Some(&b"-1"[..]));
    assert_eq!(task_health(&switchboard).await, ServingStatus::NotServing);

    advance(delay).await;
    assert_eq!(task_health(&switchboard).await, ServingStatus::Serving);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_model_is_called_last_for_the_time_of_retry_after() {
    let switchboard = two_models(throttled_for(Duration::from_secs(40)), says("Done.")).start();
    assert_eq!(call(&switchboard).await, ["one THROTTLED", "two OK"]);
    for _ in 0..3 {
        assert_eq!(call(&switchboard).await, ["one SKIPPED", "two OK"]);
        advance(Duration::from_secs(13)).await;
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(call(&switchboard).await, ["one THROTTLED", "two OK"]);
}

#[tokio::test(start_paused = true)]
async fn throttled_models_are_still_called_when_all_are_throttled() {
    let switchboard = two_models(throttled(), throttled()).start();
    for _ in 0..3 * MIN_ATTEMPTS {
        assert_eq!(call(&switchboard).await, ["one THROTTLED", "two THROTTLED"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_can_force_a_breaker_open_or_closed() {
    for (force, first, state) in [
        (Force::Open, "one SKIPPED", BreakerState::ForcedOpen),
        (Force::Closed, "one UNAVAILABLE", BreakerState::ForcedClosed),
    ] {
        let scenario = two_models(fails(FailureKind::Internal), says("Done."));
        let force = |config: &mut switchboard_server::config::Config| {
            config.models.get_mut("one").expect("is a model").breaker = force;
        };
        let switchboard = scenario.configure(force).start();
        for _ in 0..3 * MIN_ATTEMPTS {
            assert_eq!(call(&switchboard).await, [first, "two OK"]);
        }
        assert_eq!(health(&switchboard, "one").await.breaker(), state);
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_share_the_breaker_of_a_model() {
    let switchboard =
        two_models(fails(FailureKind::Internal), says("Done.")).route("analysis", ["one", "two"]).start();
    calls(&switchboard, MIN_ATTEMPTS).await;
    let reply = switchboard.converse("analysis", "Judge this.").await.expect("answers");
    assert_eq!(attempts(&reply.route.expect("has a route")), ["one SKIPPED", "two OK"]);
}
