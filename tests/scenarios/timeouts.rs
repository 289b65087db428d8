//! Timeouts: one for each phase, set by task or model, and the time left of a call is shared by its attempts.
use crate::harness::*;
use std::time::Duration;
use switchboard_proto::v1 as pb;
use switchboard_server::{
    config::{Config, Floor, TaskDeadline},
    failure::FailureKind,
};
use tokio::time::Instant;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn two_models(first: Behaviour, second: Behaviour) -> Scenario {
    Scenario::new().route("coding", ["one", "two"]).model("one", first).model("two", second)
}

async fn within(switchboard: &ScenarioServer, timeout: &str) -> Result<pb::ConverseResponse, tonic::Status> {
    let mut request = tonic::Request::new(chat_request("coding", "Write a program."));
    request.metadata_mut().insert("grpc-timeout", timeout.parse().expect("is a header"));
    switchboard.caller().converse(request).await.map(tonic::Response::into_inner)
}

#[tokio::test(start_paused = true)]
async fn the_headers_timeout_ends_an_attempt_that_is_not_accepted() {
    let switchboard =
        two_models(hangs(), says("Done.")).deadline(|timeouts| timeouts.headers = Some(seconds(3))).start();
    let began = Instant::now();
    let received = switchboard.converse_stream("coding", "Write.").await;
    assert_eq!(attempts(received.route()), ["one TIMEOUT", "two OK"]);
    assert_eq!(began.elapsed(), seconds(3));

    let switchboard = two_models(starts_and_hangs(), says("Done."))
        .deadline(|timeouts| timeouts.headers = Some(seconds(3)))
        .start();
    let began = Instant::now();
    switchboard.converse_stream("coding", "Write.").await;
    assert_eq!(began.elapsed(), seconds(30), "after the headers the timeout of the first content applies");
}

#[tokio::test(start_paused = true)]
async fn a_tasks_timeout_overrides_the_models_and_the_models_the_default() {
    let (task, model) = (Some(seconds(4)), Some(seconds(7)));
    for (task, model, expected) in [(task, model, 4), (None, model, 7), (task, None, 4), (None, None, 30)] {
        let timeouts = move |config: &mut Config| {
            let of = |first_content| TaskDeadline { first_content, ..TaskDeadline::default() };
            config.tasks.get_mut("coding").expect("is a task").deadline = of(task);
            config.models.get_mut("one").expect("is a model").deadline = of(model);
        };
        let switchboard = two_models(hangs(), says("Done.")).configure(timeouts).start();
        let began = Instant::now();
        switchboard.converse_stream("coding", "Write.").await;
        assert_eq!(began.elapsed(), seconds(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_below_the_minimum_throughput_is_replaced_before_content_is_sent() {
    let floor = Floor { tokens_per_second: 5.0, over: seconds(2) };
    let trickle = says_slowly(&["a "; 30], seconds(1));
    let switchboard =
        two_models(trickle, says("Done.")).deadline(|timeouts| timeouts.floor = Some(floor)).start();

    let received = switchboard.converse_stream("coding", "Write.").await;

    assert_eq!(attempts(received.route()), ["one TIMEOUT", "two OK"]);
    assert_eq!((received.text().as_str(), switchboard.open_streams()), ("Done.", 0));
}

#[tokio::test(start_paused = true)]
async fn a_fast_stream_and_a_short_answer_are_not_delayed_by_the_minimum_throughput() {
    let floor = Floor { tokens_per_second: 5.0, over: seconds(2) };
    let fast = says_slowly(&["a good many words at once "; 4], Duration::from_millis(400));
    for (first, took) in [(fast, 800), (says("Yes."), 0)] {
        let switchboard =
            two_models(first, says("Done.")).deadline(|timeouts| timeouts.floor = Some(floor)).start();
        let began = Instant::now();
        let mut stream = switchboard
            .caller()
            .converse_stream(chat_request("coding", "Write."))
            .await
            .expect("begins")
            .into_inner();
        stream.message().await.expect("has a route");
        assert_eq!(began.elapsed().as_millis(), took);
        let received = ReceivedStream::read_all(stream).await;
        assert!(received.status.is_none() && received.metadata().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_hangs_leaves_time_for_the_next_one() {
    let switchboard = two_models(hangs(), says("Done.").after(seconds(2))).start();
    let reply = within(&switchboard, "10S").await.expect("is answered in time");
    let route = reply.route.expect("has a route");
    assert_eq!(attempts(&route), ["one TIMEOUT", "two OK"]);
    assert_eq!(reason_name(route.attempts[0].reason()), "DEADLINE_EXCEEDED");
}

#[tokio::test(start_paused = true)]
async fn the_last_model_may_use_all_the_time_that_is_left() {
    let switchboard = Scenario::new()
        .route("coding", ["one"])
        .model("one", says("Done.").after(Duration::from_millis(9_900)))
        .start();
    assert!(within(&switchboard, "10S").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn no_attempt_starts_that_cannot_finish_in_time() {
    let slow = || says("Done.").after(seconds(8));
    let switchboard = two_models(recovers_after(3, FailureKind::Internal, ""), slow()).start();
    for _ in 0..3 {
        switchboard.converse("coding", "Write.").await.expect("answers"); // the estimate for model two is then 8 s
    }
    let failing = two_models(fails(FailureKind::Internal).after(seconds(4)), slow()).start();
    failing.converse("coding", "Write.").await.expect("answers");
    let began = Instant::now();

    let status = within(&failing, "10S").await.expect_err("has too little time");

    let route = route_of(&status).expect("has a route");
    assert_eq!(attempts(&route), ["one UNAVAILABLE", "two SKIPPED"]);
    assert!(route.attempts[1].unmet_requirement.contains("fastest recent answer took"), "{route:?}");
    assert_eq!(began.elapsed(), seconds(4), "the second model is skipped at once");
}

#[tokio::test(start_paused = true)]
async fn max_fallback_share_limits_the_calls_that_fall_back() {
    let switchboard = two_models(fails(FailureKind::Internal), says("Done."))
        .configure(|config| config.routing.max_fallback_share = 0.25)
        .start();
    let mut answered = 0;
    for _ in 0..100 {
        match switchboard.converse("coding", "Write.").await {
            Ok(_) => answered += 1,
            Err(status) => {
                assert_eq!(reason(&status), "BEDROCK_UNAVAILABLE", "the failure of the first model");
                let route = route_of(&status).expect("has a route");
                assert_eq!(attempts(&route), ["one UNAVAILABLE", "two SKIPPED"]);
                assert_eq!(reason_name(route.attempts[1].reason()), "FALLBACK_CAPPED");
            }
        }
    }
    assert!((25..=30).contains(&answered), "{answered} of 100 fell back");

    let never = two_models(fails(FailureKind::Internal), says("Done."))
        .configure(|config| config.routing.max_fallback_share = 0.0)
        .start();
    assert!(never.converse("coding", "Write.").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn expired_credentials_are_renewed_once_before_the_next_model_is_called() {
    let once = recovers_after(1, FailureKind::ExpiredCredentials, "Done.");
    let switchboard = two_models(once, says("Another.")).start();
    let reply = switchboard.converse("coding", "Write.").await.expect("answers");
    assert_eq!(attempts(&reply.route.expect("has a route")), ["one MISCONFIGURED", "one OK"]);

    let switchboard = two_models(fails(FailureKind::ExpiredCredentials), says("Another.")).start();
    let reply = switchboard.converse("coding", "Write.").await.expect("answers");
    let expected = ["one MISCONFIGURED", "one MISCONFIGURED", "two OK"];
    assert_eq!(attempts(&reply.route.expect("has a route")), expected);
}
