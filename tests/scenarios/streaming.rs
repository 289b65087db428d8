//! No stream failure goes unnoticed: a stream ends after its metadata, or with a typed status.
use crate::harness::*;
use std::time::Duration;
use switchboard_proto::v1::converse_stream_response::Event;
use switchboard_server::failure::FailureKind;
use tokio::time::Instant;
use tonic::Code;

fn one_model(behaviour: Behaviour) -> Running {
    Scenario::new()
        .route("coding", ["one", "two"])
        .model("one", behaviour)
        .model("two", says("Another."))
        .start()
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_the_route_then_the_models_events_then_the_metadata() {
    let heard = one_model(says("fn main() {}")).converse_stream("coding", "Write a program.").await;

    assert_eq!(heard.text(), "fn main() {}");
    let kinds: Vec<_> = heard
        .events
        .iter()
        .map(|event| match event {
            Event::Route(_) => "route",
            Event::MessageStart(_) => "start",
            Event::ContentBlockDelta(_) => "delta",
            Event::ContentBlockStop(_) => "block stop",
            Event::MessageStop(_) => "stop",
            Event::Metadata(_) => "metadata",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["route", "start", "delta", "delta", "delta", "block stop", "stop", "metadata"]);
    assert_eq!(heard.metadata().and_then(|metadata| metadata.usage.clone()), Some(usage()));
    let route = heard.route();
    assert_eq!((route.task_type.as_str(), route.model_id.as_str()), ("coding", "test.one"));
    assert_eq!((route.region.as_str(), route.fallback_used), ("us-east-1", false));
    assert!(!route.request_id.is_empty() && !route.config_version.is_empty());
}

#[tokio::test(start_paused = true)]
async fn latency_is_told_to_the_first_content_and_to_the_end() {
    let slow = says_slowly(&["one", "two", "three"], Duration::from_secs(2)).after(Duration::from_secs(1));
    let heard = one_model(slow).converse_stream("coding", "Count.").await;
    let latency = heard.metadata().and_then(|metadata| metadata.latency).expect("has a latency");
    assert_eq!(latency.first_token.map(|it| it.seconds), Some(3));
    assert_eq!(latency.total.map(|it| it.seconds), Some(7));
    assert_eq!(latency.switchboard.map(|it| it.seconds), Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_after_content_ends_in_a_typed_status_whatever_broke_it() {
    for kind in FailureKind::ALL {
        let switchboard = one_model(says_and_fails("Half an ", kind));

        let heard = switchboard.converse_stream("coding", "Write a program.").await;

        assert_eq!(heard.text(), "Half an ", "{kind:?}");
        assert_eq!(
            (heard.status().code(), reason(heard.status()).as_str()),
            (Code::Unavailable, "STREAM_INTERRUPTED")
        );
        assert!(heard.metadata().is_none());
        let route = route_of(heard.status()).expect("has a route");
        assert_eq!(route.attempts.len(), 1, "nothing falls back once content was sent");
        assert_eq!(route.attempts[0].outcome(), kind.row().outcome);
        assert_eq!(switchboard.models_asked(), ["one"]);
        assert_eq!(switchboard.open_streams(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_end_without_message_stop_or_without_metadata_is_no_answer() {
    for behaviour in [says_and_ends_early("Half an "), says_without_metadata("Half an ")] {
        let heard = one_model(behaviour).converse_stream("coding", "Write a program.").await;
        assert_eq!(heard.text(), "Half an ");
        assert_eq!(reason(heard.status()), "STREAM_INTERRUPTED");
        assert!(heard.status().message().contains("ended before its end"), "{}", heard.status().message());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_falls_silent_ends_after_the_idle_clock() {
    let switchboard = Scenario::new()
        .route("coding", ["one"])
        .deadline(|clocks| clocks.idle = Duration::from_secs(6))
        .model("one", says_and_hangs("Half an "))
        .start();
    let began = Instant::now();

    let heard = switchboard.converse_stream("coding", "Write a program.").await;

    assert_eq!(heard.text(), "Half an ");
    assert_eq!(reason(heard.status()), "STREAM_INTERRUPTED");
    assert!(heard.status().message().contains("fell silent"), "{}", heard.status().message());
    assert_eq!(began.elapsed().as_secs(), 6);
    assert_eq!(switchboard.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_stream_that_keeps_talking_is_not_idle() {
    let switchboard = Scenario::new()
        .route("coding", ["one"])
        .deadline(|clocks| clocks.idle = Duration::from_secs(6))
        .model("one", says_slowly(&["a", "b", "c", "d", "e"], Duration::from_secs(5)))
        .start();
    let heard = switchboard.converse_stream("coding", "Count.").await;
    assert_eq!((heard.text().as_str(), heard.status.is_none()), ("abcde", true));
}

#[tokio::test(start_paused = true)]
async fn the_tasks_deadline_ends_a_stream_that_never_stops() {
    let words: Vec<&str> = std::iter::repeat_n("more ", 100).collect();
    let switchboard = Scenario::new()
        .route("coding", ["one"])
        .deadline(|clocks| clocks.call = Duration::from_secs(130))
        .model("one", says_slowly(&words, Duration::from_secs(10)))
        .start();
    let began = Instant::now();

    let heard = switchboard.converse_stream("coding", "Go on.").await;

    assert_eq!(
        (heard.status().code(), reason(heard.status()).as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    assert_eq!(began.elapsed().as_secs(), 130);
    assert_eq!(switchboard.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_holds_over_the_whole_stream_and_over_every_attempt() {
    for behaviour in [hangs(), says_and_hangs("Half an ")] {
        let switchboard = Scenario::new().route("coding", ["one"]).model("one", behaviour).start();
        let mut request = tonic::Request::new(asking("coding", "Write a program."));
        request.metadata_mut().insert("grpc-timeout", "20S".parse().expect("is a header"));
        let began = Instant::now();

        let status = match switchboard.caller().converse_stream(request).await {
            Ok(response) => Heard::all_of(response.into_inner()).await.status().clone(),
            Err(status) => status,
        };

        assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
        assert_eq!(began.elapsed().as_millis(), 19_950);
        assert_eq!(switchboard.open_streams(), 0);
    }
}
