//! Retries: after all other models, within the deadline and the budget, and not if the caller retries
//! already.
use crate::harness::*;
use std::time::Duration;
use switchboard_proto::v1 as pb;
use switchboard_server::failure::FailureKind;
use tokio::time::Instant;

fn switchboard(first: Behaviour, second: Behaviour) -> ScenarioServer {
    Scenario::new()
        .route("coding", ["one", "two"])
        .model("one", first)
        .model("two", second)
        .configure(|config| config.retry.rounds = 1)
        .start()
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_is_retried_after_all_models() {
    let switchboard = switchboard(
        recovers_after(1, FailureKind::Unavailable, "At last."),
        fails(FailureKind::AccessDenied),
    );
    let began = Instant::now();

    let reply = switchboard.converse("coding", "Write a program.").await.expect("answers");

    let route = reply.route.expect("has a route");
    assert_eq!(attempts(&route), ["one UNAVAILABLE", "two MISCONFIGURED", "one OK"]);
    assert!(!route.fallback_used);
    assert!(began.elapsed() <= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_retried_only_before_its_first_content() {
    let again = switchboard(recovers_after(1, FailureKind::Throttled, "At last."), throttled());
    let received = again.converse_stream("coding", "Write a program.").await;
    assert_eq!(attempts(received.route()), ["one THROTTLED", "two THROTTLED", "one OK"]);

    let broken = switchboard(says_and_fails("Half an ", FailureKind::Internal), says("Another."));
    let received = broken.converse_stream("coding", "Write a program.").await;
    assert_eq!(reason(received.status()), "STREAM_INTERRUPTED");
    assert_eq!(broken.called_models(), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_failed_again_ends_and_tells_clients_not_to_retry() {
    let switchboard = switchboard(throttled(), throttled());
    let status = switchboard.converse("coding", "Write a program.").await.expect_err("fails");
    let route = route_of(&status).expect("has a route");
    assert_eq!(attempts(&route), ["one THROTTLED", "two THROTTLED", "one THROTTLED", "two THROTTLED"]);
    assert_eq!(
        status.metadata().get("grpc-retry-pushback-ms").map(|value| value.as_bytes()),
        Some(&b"-1"[..])
    );
}

#[tokio::test(start_paused = true)]
async fn only_transient_failures_are_retried() {
    use FailureKind as K;
    let mut retried = Vec::new();
    for kind in FailureKind::ALL {
        let switchboard = switchboard(fails(kind), fails(FailureKind::NotFound));
        switchboard.converse("coding", "Write a program.").await.expect_err("fails");
        let called = switchboard.called_models();
        let renewals = usize::from(kind == FailureKind::ExpiredCredentials);
        let times = called.iter().filter(|model| *model == "one").count() - renewals;
        match times {
            1 => {}
            2 => retried.push(kind),
            _ => panic!("{kind:?}: {called:?}"),
        }
    }
    assert_eq!(
        retried,
        [
            K::Throttled,
            K::ModelNotReady,
            K::Unavailable,
            K::Internal,
            K::ModelError,
            K::Unreachable,
            K::Protocol,
            K::EndedEarly,
            K::UnknownException,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_its_caller_has_retried_is_not_retried() {
    let switchboard = switchboard(throttled(), throttled());
    let mut request = tonic::Request::new(chat_request("coding", "Write a program."));
    request.metadata_mut().insert("grpc-previous-rpc-attempts", "1".parse().expect("is a header"));
    switchboard.caller().converse(request).await.expect_err("fails");
    assert_eq!(switchboard.called_models(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_beyond_the_deadline_is_not_started() {
    let switchboard = switchboard(throttled_for(Duration::from_secs(60)), fails(FailureKind::NotFound));
    let mut request = tonic::Request::new(chat_request("coding", "Write a program."));
    request.metadata_mut().insert("grpc-timeout", "20S".parse().expect("is a header"));
    let began = Instant::now();
    let status = switchboard.caller().converse(request).await.expect_err("fails");
    assert_eq!((reason(&status).as_str(), began.elapsed().as_secs()), ("BEDROCK_THROTTLED", 0));
}

#[tokio::test(start_paused = true)]
async fn many_calls_together_retry_within_the_budget() {
    let switchboard = Scenario::new()
        .route("coding", ["one"])
        .model("one", throttled())
        .configure(|config| (config.retry.rounds, config.retry.budget) = (1, 7))
        .start();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut caller = switchboard.caller();
        callers.spawn(async move { caller.converse(chat_request("coding", "Write a program.")).await });
    }
    let ended: Vec<Result<_, tonic::Status>> = callers.join_all().await;
    assert!(ended.iter().all(|ended: &Result<tonic::Response<pb::ConverseResponse>, _>| ended.is_err()));
    assert_eq!(switchboard.called_models().len(), 50 + 7);
}
