//! Draining: health reports NOT_SERVING, and running calls may finish.
use crate::harness::*;
use std::time::Duration;
use switchboard_server::Drained;
use tokio::time::{Instant, timeout};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

const SERVICES: [&str; 4] =
    ["", "switchboard.v1.ConverseService", "switchboard.v1.FeedbackService", "switchboard.v1.RoutingService"];

fn streaming_for(seconds: u64) -> ScenarioServer {
    let text: Vec<&'static str> =
        std::iter::repeat_n("more ", usize::try_from(seconds).expect("fits")).collect();
    Scenario::new()
        .route("coding", ["one"])
        .model("one", says_slowly(&text, Duration::from_secs(1)))
        .configure(|config| {
            config.server.drain_delay = Duration::from_secs(2);
            config.server.drain_timeout = Duration::from_secs(20);
        })
        .start()
}

#[tokio::test(start_paused = true)]
async fn every_service_is_serving_until_the_drain_starts() {
    let mut switchboard = streaming_for(1);
    let mut health = switchboard.health();
    let check = |service: &str| HealthCheckRequest { service: service.to_owned() };
    for service in SERVICES {
        let status = health.check(check(service)).await.expect("answers").into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service:?}");
    }
    let mut watches = Vec::new();
    for service in SERVICES {
        let mut watch = health.watch(check(service)).await.expect("answers").into_inner();
        assert_eq!(
            watch.message().await.expect("continues").expect("a status").status(),
            ServingStatus::Serving
        );
        watches.push(watch);
    }

    let drained = timeout(Duration::from_secs(1), switchboard.drain()).await;

    assert!(drained.is_err(), "load balancers have time to notice");
    for watch in &mut watches {
        assert_eq!(
            watch.message().await.expect("continues").expect("a status").status(),
            ServingStatus::NotServing
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_running_stream_may_finish() {
    let mut switchboard = streaming_for(15);
    let began = Instant::now();
    let stream =
        switchboard.caller().converse_stream(chat_request("coding", "Go on.")).await.expect("begins");

    let (drained, received) =
        tokio::join!(switchboard.drain(), ReceivedStream::read_all(stream.into_inner()));

    assert_eq!((drained, received.status.is_none()), (Drained::Clean, true));
    assert_eq!(received.text(), "more ".repeat(15));
    assert_eq!(began.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_outlasts_the_drain_timeout_is_cut_off() {
    let mut switchboard = streaming_for(1000);
    let began = Instant::now();
    let stream =
        switchboard.caller().converse_stream(chat_request("coding", "Go on.")).await.expect("begins");

    assert_eq!(switchboard.drain().await, Drained::Cut);

    assert_eq!(began.elapsed().as_secs(), 1 + 2 + 20);
    drop(stream);
}
