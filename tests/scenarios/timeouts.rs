//! Each wait has a clock of its own, each task and model may set it, and what is left of a call is split over its attempts.
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

async fn within(switchboard: &Running, timeout: &str) -> Result<pb::ConverseResponse, tonic::Status> {
    let mut request = tonic::Request::new(asking("coding", "Write a program."));
    request.metadata_mut().insert("grpc-timeout", timeout.parse().expect("is a header"));
    switchboard.caller().converse(request).await.map(tonic::Response::into_inner)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_even_accepted_has_a_clock_of_its_own() {
    let switchboard =
        two_models(hangs(), says("Done.")).deadline(|clocks| clocks.headers = Some(seconds(3))).start();
    let began = Instant::now();
    let heard = switchboard.converse_stream("coding", "Write.").await;
    assert_eq!(attempts(heard.route()), ["one TIMEOUT", "two OK"]);
    assert_eq!(began.elapsed(), seconds(3));

    let switchboard = two_models(begins_and_hangs(), says("Done."))
        .deadline(|clocks| clocks.headers = Some(seconds(3)))
        .start();
    let began = Instant::now();
    switchboard.converse_stream("coding", "Write.").await;
    assert_eq!(began.elapsed(), seconds(30), "once accepted, the clock of the first content holds");
}

#[tokio::test(start_paused = true)]
async fn a_tasks_clock_comes_before_the_models_and_the_models_before_the_common_one() {
    let (of_task, of_model) = (Some(seconds(4)), Some(seconds(7)));
    for (of_task, of_model, expected) in
        [(of_task, of_model, 4), (None, of_model, 7), (of_task, None, 4), (None, None, 30)]
    {
        let clocks = move |config: &mut Config| {
            let of = |first_content| TaskDeadline { first_content, ..TaskDeadline::default() };
            config.tasks.get_mut("coding").expect("is a task").deadline = of(of_task);
            config.models.get_mut("one").expect("is a model").deadline = of(of_model);
        };
        let switchboard = two_models(hangs(), says("Done.")).configure(clocks).start();
        let began = Instant::now();
        switchboard.converse_stream("coding", "Write.").await;
        assert_eq!(began.elapsed(), seconds(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_begins_too_slowly_is_replaced_before_anything_is_sent() {
    let floor = Floor { tokens_per_second: 5.0, over: seconds(2) };
    let trickle = says_slowly(&["a "; 30], seconds(1));
    let switchboard =
        two_models(trickle, says("Done.")).deadline(|clocks| clocks.floor = Some(floor)).start();

    let heard = switchboard.converse_stream("coding", "Write.").await;

    assert_eq!(attempts(heard.route()), ["one TIMEOUT", "two OK"]);
    assert_eq!((heard.text().as_str(), switchboard.open_streams()), ("Done.", 0));
}

#[tokio::test(start_paused = true)]
async fn a_fast_stream_and_a_short_answer_pass_the_floor_at_once() {
    let floor = Floor { tokens_per_second: 5.0, over: seconds(2) };
    let fast = says_slowly(&["a good many words at once "; 4], Duration::from_millis(400));
    for (first, took) in [(fast, 800), (says("Yes."), 0)] {
        let switchboard =
            two_models(first, says("Done.")).deadline(|clocks| clocks.floor = Some(floor)).start();
        let began = Instant::now();
        let mut stream = switchboard
            .caller()
            .converse_stream(asking("coding", "Write."))
            .await
            .expect("begins")
            .into_inner();
        stream.message().await.expect("has a route");
        assert_eq!(began.elapsed().as_millis(), took);
        let heard = Heard::all_of(stream).await;
        assert!(heard.status.is_none() && heard.metadata().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_hangs_leaves_the_next_one_time_to_answer() {
    let switchboard = two_models(hangs(), says("Done.").after(seconds(2))).start();
    let reply = within(&switchboard, "10S").await.expect("is answered in time");
    let route = reply.route.expect("has a route");
    assert_eq!(attempts(&route), ["one TIMEOUT", "two OK"]);
    assert_eq!(reason_name(route.attempts[0].reason()), "DEADLINE_EXCEEDED");
}

#[tokio::test(start_paused = true)]
async fn the_last_model_has_all_the_time_that_is_left() {
    let switchboard = Scenario::new()
        .route("coding", ["one"])
        .model("one", says("Done.").after(Duration::from_millis(9_900)))
        .start();
    assert!(within(&switchboard, "10S").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_that_could_not_end_in_time() {
    let slow = || says("Done.").after(seconds(8));
    let switchboard = two_models(recovers(3, FailureKind::Internal, ""), slow()).start();
    for _ in 0..3 {
        switchboard.converse("coding", "Write.").await.expect("answers"); // so it is known that two takes 8 s
    }
    let ill = two_models(fails(FailureKind::Internal).after(seconds(4)), slow()).start();
    ill.converse("coding", "Write.").await.expect("answers");
    let began = Instant::now();

    let status = within(&ill, "10S").await.expect_err("has too little time");

    let route = route_of(&status).expect("has a route");
    assert_eq!(attempts(&route), ["one UNAVAILABLE", "two SKIPPED"]);
    assert!(route.attempts[1].unmet_requirement.contains("never needed less than"), "{route:?}");
    assert_eq!(began.elapsed(), seconds(4), "it is told at once");
}

#[tokio::test(start_paused = true)]
async fn only_a_share_of_a_tasks_calls_may_fall_back() {
    let switchboard = two_models(fails(FailureKind::Internal), says("Done."))
        .configure(|config| config.routing.max_fallback_share = 0.25)
        .start();
    let mut answered = 0;
    for _ in 0..100 {
        match switchboard.converse("coding", "Write.").await {
            Ok(_) => answered += 1,
            Err(status) => {
                assert_eq!(reason(&status), "BEDROCK_UNAVAILABLE", "as the first model failed");
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
async fn expired_credentials_are_renewed_once_before_another_model_is_asked() {
    let once = recovers(1, FailureKind::ExpiredCredentials, "Done.");
    let switchboard = two_models(once, says("Another.")).start();
    let reply = switchboard.converse("coding", "Write.").await.expect("answers");
    assert_eq!(attempts(&reply.route.expect("has a route")), ["one MISCONFIGURED", "one OK"]);

    let switchboard = two_models(fails(FailureKind::ExpiredCredentials), says("Another.")).start();
    let reply = switchboard.converse("coding", "Write.").await.expect("answers");
    let expected = ["one MISCONFIGURED", "one MISCONFIGURED", "two OK"];
    assert_eq!(attempts(&reply.route.expect("has a route")), expected);
}
