//! Skipped candidates and unknown tasks in metrics, spans and log lines.
use super::{
    collector::{Capture, Collector, points, value},
    of_kind, wait_for_ends,
};
use crate::harness::*;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use switchboard_server::{
    config::{Breaker, UnknownTasks},
    failure::FailureKind,
};

/// Tasks "chat" and "default" with two models, of which the first has the given behaviour. One failure opens
/// a breaker.
fn switchboard(capture: &Capture, first: Behaviour) -> ScenarioServer {
    Scenario::new()
        .route("chat", ["first", "second"])
        .route("default", ["second"])
        .model("first", first)
        .model("second", says("Done."))
        .with_telemetry(&capture.telemetry)
        .configure(|config| {
            config.routing.unknown_tasks = UnknownTasks::Default;
            config.breaker = Breaker { min_attempts: 1, ..Breaker::default() };
        })
        .start()
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_a_skip_is_the_reason_of_the_fallback() {
    for (kind, failed, skipped) in [
        (FailureKind::Throttled, "BEDROCK_THROTTLED", "COOLING_DOWN"),
        (FailureKind::Internal, "BEDROCK_UNAVAILABLE", "NO_HEALTHY_MODEL"),
    ] {
        let collector = Collector::start();
        let capture = collector.capture(|_, _| {});
        let switchboard = switchboard(&capture, fails(kind));
        for _ in 0..3 {
            let reply = switchboard.converse("chat", "Hello.").await.expect("answers");
            assert!(reply.route.expect("has a route").fallback_used);
        }
        wait_for_ends(&capture, 3).await;

        let metrics = collector.metrics(&capture);
        let fallbacks = |reason| {
            points(
                &metrics,
                "switchboard.fallbacks",
                &[("task", "chat"), ("model", "second"), ("reason", reason)],
            )
        };
        assert_eq!((fallbacks(failed), fallbacks(skipped)), (vec![1.0], vec![2.0]));
        assert_eq!(
            points(&metrics, "switchboard.attempts", &[("model", "first")]),
            [1.0],
            "a skip is no attempt"
        );
        let lines = capture.log.lines("call ended");
        let reasons: Vec<_> = lines.iter().map(|line| line["fallback_reason"].as_str()).collect();
        assert_eq!(reasons, [Some(failed), Some(skipped), Some(skipped)]);
        let spans = collector.spans(&capture);
        let calls = of_kind(&spans, SpanKind::Server);
        let events = calls.iter().flat_map(|call| &call.events).filter(|event| event.name == "skipped");
        let skips: Vec<_> = events
            .map(|event| (value(&event.attributes, "model"), value(&event.attributes, "reason")))
            .collect();
        assert_eq!(skips, vec![("first".to_owned(), skipped.to_owned()); 2]);
        assert_eq!(of_kind(&spans, SpanKind::Client).len(), 4, "one failure and three answers");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_task_is_visible_in_span_metric_and_log() {
    let collector = Collector::start();
    let capture = collector.capture(|_, _| {});
    let switchboard = Scenario::new()
        .route("chat", ["one"])
        .model("one", says("Hello."))
        .with_telemetry(&capture.telemetry)
        .configure(|config| config.routing.unknown_tasks = UnknownTasks::Refuse)
        .start();
    switchboard.converse("caht", "Hello.").await.expect_err("is refused");
    wait_for_ends(&capture, 1).await;

    let line = &capture.log.lines("call ended")[0];
    assert_eq!(
        (line["requested_task"].as_str(), line["resolution"].as_str()),
        (Some("caht"), Some("unknown"))
    );
    let spans = collector.spans(&capture);
    let call = of_kind(&spans, SpanKind::Server)[0];
    assert_eq!(value(&call.attributes, "switchboard.task.requested"), "caht");
    let metrics = collector.metrics(&capture);
    assert_eq!(points(&metrics, "switchboard.calls", &[("resolution", "unknown")]), [1.0]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_task_is_visible_in_span_metric_and_log() {
    for (requested, task, resolution) in
        [("caht", "default", "unknown"), ("chat", "chat", "named"), ("", "default", "absent")]
    {
        let collector = Collector::start();
        let capture = collector.capture(|_, _| {});
        let switchboard = switchboard(&capture, says("Hello."));
        switchboard.converse(requested, "Hello.").await.expect("answers");
        wait_for_ends(&capture, 1).await;

        let spans = collector.spans(&capture);
        let [call] = of_kind(&spans, SpanKind::Server)[..] else { panic!("one call, but {spans:?}") };
        for (name, expected) in [
            ("switchboard.task", task),
            ("switchboard.task.requested", requested),
            ("switchboard.task.resolution", resolution),
        ] {
            assert_eq!(value(&call.attributes, name), expected, "{name} of {requested:?}");
        }
        let metrics = collector.metrics(&capture);
        let with = [("task", task), ("resolution", resolution), ("outcome", "ok")];
        assert_eq!(points(&metrics, "switchboard.calls", &with), [1.0], "{requested:?}");
        let line = &capture.log.lines("call ended")[0];
        let is_unknown = resolution == "unknown";
        assert_eq!(line["task"], task);
        assert_eq!(line["requested_task"].as_str(), is_unknown.then_some(requested));
        assert_eq!(line["resolution"].as_str(), is_unknown.then_some(resolution));
    }
}
