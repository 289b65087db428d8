//! No stream failure goes unnoticed: a stream ends after its metadata or with a typed status.
use crate::harness::*;
use std::{collections::BTreeMap, time::Duration};
use switchboard_proto::v1::converse_stream_response::Event;
use switchboard_server::failure::FailureKind;
use tokio::time::Instant;
use tonic::Code;

fn one_model(behaviour: Behaviour) -> ScenarioServer {
    Scenario::new()
        .route("coding", ["one", "two"])
        .model("one", behaviour)
        .model("two", says("Another."))
        .start()
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_the_route_the_models_events_and_the_metadata() {
    let received = one_model(says("fn main() {}")).converse_stream("coding", "Write a program.").await;

    assert_eq!(received.text(), "fn main() {}");
    let kinds: Vec<_> = received
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
    assert_eq!(received.metadata().and_then(|metadata| metadata.usage.clone()), Some(usage()));
    let route = received.route();
    assert_eq!((route.task_type.as_str(), route.model_id.as_str()), ("coding", "test.one"));
    assert_eq!((route.region.as_str(), route.fallback_used), ("us-east-1", false));
    assert!(!route.request_id.is_empty() && !route.config_version.is_empty());
}

#[tokio::test(start_paused = true)]
async fn latency_is_reported_to_the_first_content_and_to_the_end() {
    let slow = says_slowly(&["one", "two", "three"], Duration::from_secs(2)).after(Duration::from_secs(1));
    let received = one_model(slow).converse_stream("coding", "Count.").await;
    let latency = received.metadata().and_then(|metadata| metadata.latency).expect("has a latency");
    assert_eq!(latency.first_token.map(|it| it.seconds), Some(3));
    assert_eq!(latency.total.map(|it| it.seconds), Some(7));
    assert_eq!(latency.switchboard.map(|it| it.seconds), Some(0));
}

#[tokio::test(start_paused = true)]
async fn every_failure_after_content_ends_the_stream_with_a_typed_status() {
    let mut outcomes = BTreeMap::new();
    for kind in FailureKind::ALL {
        let switchboard = one_model(says_and_fails("Half an ", kind));

        let received = switchboard.converse_stream("coding", "Write a program.").await;

        assert_eq!(received.text(), "Half an ", "{kind:?}");
        assert_eq!(
            (received.status().code(), reason(received.status()).as_str()),
            (Code::Unavailable, "STREAM_INTERRUPTED")
        );
        assert!(received.metadata().is_none());
        let route = route_of(received.status()).expect("has a route");
        assert_eq!(route.attempts.len(), 1, "no fallback once content has been sent");
        outcomes.entry(attempts(&route)[0].clone()).or_insert_with(Vec::new).push(kind);
        assert_eq!(switchboard.called_models(), ["one"]);
        assert_eq!(switchboard.open_streams(), 0);
    }
    use FailureKind as K;
    let expected = [
        (
            "one MISCONFIGURED",
            vec![K::AccessDenied, K::ExpiredCredentials, K::NotFound, K::NeedsProfile, K::Misconfigured],
        ),
        ("one MODEL_ERROR", vec![K::ModelError, K::Protocol, K::EndedEarly, K::UnknownException]),
        ("one REJECTED", vec![K::ModelRefused, K::ContextTooLong, K::Invalid, K::Conflict]),
        ("one THROTTLED", vec![K::Throttled, K::DailyQuota, K::ServiceQuota]),
        (
            "one TIMEOUT",
            vec![
                K::ModelTimeout,
                K::HeadersTimeout,
                K::FirstContentTimeout,
                K::TooSlow,
                K::IdleTimeout,
                K::AttemptTimeout,
                K::ShareUsedUp,
            ],
        ),
        ("one UNAVAILABLE", vec![K::ModelNotReady, K::Unavailable, K::Internal, K::Unreachable]),
    ];
    assert_eq!(outcomes, expected.map(|(outcome, kinds)| (outcome.to_owned(), kinds)).into());
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_message_stop_or_metadata_is_interrupted() {
    for behaviour in [says_and_ends_early("Half an "), says_without_metadata("Half an ")] {
        let received = one_model(behaviour).converse_stream("coding", "Write a program.").await;
        assert_eq!(received.text(), "Half an ");
        assert_eq!(reason(received.status()), "STREAM_INTERRUPTED");
        assert!(
            received.status().message().contains("ended before it was complete"),
            "{}",
            received.status().message()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_ends_after_the_idle_timeout() {
    let switchboard = Scenario::new()
        .route("coding", ["one"])
        .deadline(|timeouts| timeouts.idle = Duration::from_secs(6))
        .model("one", says_and_hangs("Half an "))
        .start();
    let began = Instant::now();

    let received = switchboard.converse_stream("coding", "Write a program.").await;

    assert_eq!(received.text(), "Half an ");
    assert_eq!(reason(received.status()), "STREAM_INTERRUPTED");
    assert!(
        received.status().message().contains("the model stopped sending"),
        "{}",
        received.status().message()
    );
    assert_eq!(began.elapsed().as_secs(), 6);
    assert_eq!(switchboard.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_stream_that_keeps_sending_is_not_idle() {
    let switchboard = Scenario::new()
        .route("coding", ["one"])
        .deadline(|timeouts| timeouts.idle = Duration::from_secs(6))
        .model("one", says_slowly(&["a", "b", "c", "d", "e"], Duration::from_secs(5)))
        .start();
    let received = switchboard.converse_stream("coding", "Count.").await;
    assert_eq!((received.text().as_str(), received.status.is_none()), ("abcde", true));
}

#[tokio::test(start_paused = true)]
async fn the_tasks_deadline_ends_a_stream_that_never_stops() {
    let text: Vec<&str> = std::iter::repeat_n("more ", 100).collect();
    let switchboard = Scenario::new()
        .route("coding", ["one"])
        .deadline(|timeouts| timeouts.call = Duration::from_secs(130))
        .model("one", says_slowly(&text, Duration::from_secs(10)))
        .start();
    let began = Instant::now();

    let received = switchboard.converse_stream("coding", "Go on.").await;

    assert_eq!(
        (received.status().code(), reason(received.status()).as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    assert_eq!(began.elapsed().as_secs(), 130);
    assert_eq!(switchboard.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_covers_the_whole_stream_and_every_attempt() {
    for behaviour in [hangs(), says_and_hangs("Half an ")] {
        let switchboard = Scenario::new().route("coding", ["one"]).model("one", behaviour).start();
        let mut request = tonic::Request::new(chat_request("coding", "Write a program."));
        request.metadata_mut().insert("grpc-timeout", "20S".parse().expect("is a header"));
        let began = Instant::now();

        let status = match switchboard.caller().converse_stream(request).await {
            Ok(response) => ReceivedStream::read_all(response.into_inner()).await.status().clone(),
            Err(status) => status,
        };

        assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
        assert_eq!(began.elapsed().as_millis(), 19_950);
        assert_eq!(switchboard.open_streams(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_metadata_has_the_final_route_with_the_usage_and_cost_of_the_serving_attempt() {
    const HAIKU: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
    let switchboard = Scenario::new()
        .route("coding", ["one", "two"])
        .model("one", throttled())
        .model("two", says("Done."))
        .configure(|config| {
            for model in config.models.values_mut() {
                model.base_model = Some(HAIKU.to_owned());
            }
        })
        .start();

    let streamed = switchboard.converse_stream("coding", "Write a program.").await;
    let unary = switchboard.converse("coding", "Write a program.").await.expect("answers");

    let (first, metadata) = (streamed.route(), streamed.metadata().expect("completes"));
    let last = metadata.route.as_ref().expect("has a route");
    assert_eq!(first.attempts[1].usage, None, "the usage is not known at the start");
    assert_eq!((&first.request_id, &first.config_version), (&last.request_id, &last.config_version));
    let unary_route = unary.route.as_ref().expect("has a route");
    for (route, usage_of_call, cost_of_call) in
        [(last, &metadata.usage, metadata.cost), (unary_route, &unary.usage, unary.cost)]
    {
        assert_eq!(attempts(route), ["one THROTTLED", "two OK"]);
        assert_eq!((route.model_id.as_str(), route.fallback_used), ("test.two", true));
        let [refused, served] = &route.attempts[..] else { panic!("two attempts: {route:?}") };
        assert_eq!((&refused.usage, refused.cost), (&None, None));
        assert_eq!((&served.usage, usage_of_call), (&Some(usage()), &Some(usage())));
        assert_eq!(served.cost, cost_of_call);
        let cost = served.cost.expect("has a price");
        assert_eq!((cost.pico_usd, cost.estimated), (7 * 1_100_000 + 3 * 5_500_000, false));
        assert!((cost.usd - 0.000_024_2).abs() < 1e-12, "{cost:?}");
    }
}
