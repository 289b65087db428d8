//! Retries without storms: after another model, within the deadline, and never twice over.
use crate::harness::*;
use std::time::Duration;
use switchboard_proto::v1 as pb;
use switchboard_server::failure::FailureKind;
use tokio::time::Instant;

fn switchboard(first: Behaviour, second: Behaviour) -> Running {
    Scenario::new()
        .route("coding", ["one", "two"])
        .model("one", first)
        .model("two", second)
        .configure(|config| config.retry.rounds = 1)
        .start()
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_passes_is_tried_again_after_every_model_was() {
    let switchboard =
        switchboard(recovers(1, FailureKind::Unavailable, "At last."), fails(FailureKind::AccessDenied));
    let began = Instant::now();

    let reply = switchboard.converse("coding", "Write a program.").await.expect("answers");

    let route = reply.route.expect("has a route");
    assert_eq!(attempts(&route), ["one UNAVAILABLE", "two MISCONFIGURED", "one OK"]);
    assert!(!route.fallback_used);
    assert!(began.elapsed() <= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_tried_again_before_its_first_content_only() {
    let again = switchboard(recovers(1, FailureKind::Throttled, "At last."), throttled());
    let heard = again.converse_stream("coding", "Write a program.").await;
    assert_eq!(attempts(heard.route()), ["one THROTTLED", "two THROTTLED", "one OK"]);

    let broken = switchboard(says_and_fails("Half an ", FailureKind::Internal), says("Another."));
    let heard = broken.converse_stream("coding", "Write a program.").await;
    assert_eq!(reason(heard.status()), "STREAM_INTERRUPTED");
    assert_eq!(broken.models_asked(), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_has_failed_again_is_over_and_says_that_retrying_is() {
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
async fn the_callers_mistakes_and_what_waiting_cannot_cure_are_not_tried_again() {
    for kind in FailureKind::ALL.into_iter().filter(|kind| !kind.row().retry) {
        let switchboard = switchboard(fails(kind), fails(FailureKind::NotFound));
        switchboard.converse("coding", "Write a program.").await.expect_err("fails");
        let asked = switchboard.models_asked();
        let with_new_credentials = usize::from(kind == FailureKind::ExpiredCredentials);
        let times = asked.iter().filter(|model| *model == "one").count() - with_new_credentials;
        assert!(times == 1, "{kind:?}: {asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_its_caller_has_tried_before_is_not_tried_again() {
    let switchboard = switchboard(throttled(), throttled());
    let mut request = tonic::Request::new(asking("coding", "Write a program."));
    request.metadata_mut().insert("grpc-previous-rpc-attempts", "1".parse().expect("is a header"));
    switchboard.caller().converse(request).await.expect_err("fails");
    assert_eq!(switchboard.models_asked(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_deadline_does_not_allow_is_not_begun() {
    let switchboard = switchboard(asks_to_wait(Duration::from_secs(60)), fails(FailureKind::NotFound));
    let mut request = tonic::Request::new(asking("coding", "Write a program."));
    request.metadata_mut().insert("grpc-timeout", "20S".parse().expect("is a header"));
    let began = Instant::now();
    let status = switchboard.caller().converse(request).await.expect_err("fails");
    assert_eq!((reason(&status).as_str(), began.elapsed().as_secs()), ("BEDROCK_THROTTLED", 0));
}

#[tokio::test(start_paused = true)]
async fn many_calls_together_retry_no_more_than_the_budget() {
    let switchboard = Scenario::new()
        .route("coding", ["one"])
        .model("one", throttled())
        .configure(|config| (config.retry.rounds, config.retry.budget) = (1, 7))
        .start();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut caller = switchboard.caller();
        callers.spawn(async move { caller.converse(asking("coding", "Write a program.")).await });
    }
    let ended: Vec<Result<_, tonic::Status>> = callers.join_all().await;
    assert!(ended.iter().all(|ended: &Result<tonic::Response<pb::ConverseResponse>, _>| ended.is_err()));
    assert_eq!(switchboard.models_asked().len(), 50 + 7);
}
