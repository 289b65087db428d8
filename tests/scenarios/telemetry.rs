//! Traces, metrics and log lines of calls, as an OTLP collector receives them over a socket.
mod collector;
mod every_call;
mod routes;

use crate::harness::{
    Behaviour, Scenario, ScenarioServer, chat_request, fails, says, says_and_hangs, says_and_stops,
    starts_and_hangs, throttled,
};
use collector::{Capture, Collector, histograms, points, value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use opentelemetry_sdk::trace::Sampler;
use std::time::Duration;
use switchboard_proto::v1::{self as pb, StopReason};
use switchboard_server::{config::GenAi, failure::FailureKind, semconv as names};
use tokio::time::sleep;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn scenario(capture: &Capture, first: Behaviour, second: Behaviour) -> ScenarioServer {
    let scenario = Scenario::new().route("chat", ["first", "second"]).with_telemetry(&capture.telemetry);
    let scenario = scenario.configure(|config| {
        config.deadline.first_content = Duration::from_secs(5);
        config.admission.max_calls = 1.try_into().expect("is not zero");
    });
    scenario.model("first", first).model("second", second).start()
}

/// Waits until `calls` calls have ended.
async fn wait_for_ends(capture: &Capture, calls: usize) {
    for _ in 0..1000 {
        if capture.log.calls().len() >= calls {
            return;
        }
        sleep(Duration::from_millis(10)).await; // the clock is paused: this only lets other tasks run
    }
    panic!("only {:?} ended", capture.log.calls());
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of_kind(spans: &[Span], kind: SpanKind) -> Vec<&Span> {
    spans.iter().filter(|span| span.kind() == kind).collect()
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_one_trace_from_the_caller_to_both_attempts() {
    let collector = Collector::start();
    let capture = collector.capture(|_, _| {});
    let switchboard = scenario(&capture, throttled(), says("All is fine."));
    let mut request = tonic::Request::new(chat_request("chat", "How is it?"));
    request.metadata_mut().insert("traceparent", TRACEPARENT.parse().expect("is ASCII"));
    let response = switchboard.caller().converse_stream(request).await.expect("is answered");
    let received = crate::harness::ReceivedStream::read_all(response.into_inner()).await;
    wait_for_ends(&capture, 1).await;

    let spans = collector.spans(&capture);
    let [call] = of_kind(&spans, SpanKind::Server)[..] else { panic!("one call, but {spans:?}") };
    assert_eq!(hex(&call.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hex(&call.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(call.name, "switchboard.v1.ConverseService/ConverseStream");
    for (name, expected) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "switchboard.v1.ConverseService/ConverseStream"),
        ("rpc.response.status_code", "OK"),
        ("switchboard.task", "chat"),
        ("switchboard.model", "second"),
        ("switchboard.region", "us-east-1"),
        ("switchboard.fallback", "true"),
        ("switchboard.attempts", "2"),
        ("switchboard.fault_domain", "none"),
        ("switchboard.request_id", &received.route().request_id),
        ("switchboard.config_version", &received.route().config_version),
    ] {
        assert_eq!(value(&call.attributes, name), expected, "{name}");
    }
    let events: Vec<_> = call.events.iter().map(|event| event.name.as_str()).collect();
    assert!(events.contains(&"first_content") && events.contains(&"route"), "{events:?}");

    let [failed, served] = of_kind(&spans, SpanKind::Client)[..] else {
        panic!("two attempts, but {spans:?}")
    };
    for attempt in [failed, served] {
        assert_eq!((&attempt.trace_id, &attempt.parent_span_id), (&call.trace_id, &call.span_id));
        assert_eq!(value(&attempt.attributes, "gen_ai.operation.name"), "chat");
        assert_eq!(value(&attempt.attributes, "gen_ai.provider.name"), "aws.bedrock");
        assert_eq!(value(&attempt.attributes, "gen_ai.request.stream"), "true");
        let host = value(&attempt.attributes, "server.address");
        assert_eq!(host, "bedrock-runtime.us-east-1.amazonaws.com");
        assert_eq!(value(&attempt.attributes, "server.port"), "443");
    }
    assert_eq!((failed.name.as_str(), served.name.as_str()), ("chat test.first", "chat test.second"));
    assert_eq!(value(&failed.attributes, "error.type"), "BEDROCK_THROTTLED");
    assert_eq!(failed.status.as_ref().map(|status| status.code()), Some(StatusCode::Error));
    assert_eq!(value(&failed.attributes, "switchboard.outcome"), "throttled");
    for (name, expected) in [
        ("error.type", ""),
        ("switchboard.outcome", "ok"),
        ("gen_ai.response.finish_reasons", "end_turn"),
        ("gen_ai.response.id", "bedrock-request"),
        ("gen_ai.usage.input_tokens", "7"),
        ("gen_ai.usage.output_tokens", "3"),
        ("gen_ai.input.messages", ""),
        ("gen_ai.output.messages", ""),
    ] {
        assert_eq!(value(&served.attributes, name), expected, "{name}");
    }
    assert!(!value(&served.attributes, "gen_ai.response.time_to_first_chunk").is_empty());
    assert_eq!(collector.resource("service.name"), "switchboard");

    let line = &capture.log.lines("call ended")[0];
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(line["span_id"], hex(&call.span_id));
    let line = &capture.log.lines("attempt failed")[0];
    assert_eq!(line["span_id"], hex(&failed.span_id));
}

/// Outcome, reason and fault domain of the only call, which trace, metrics and log report alike.
fn reported_end(collector: &Collector, capture: &Capture) -> [String; 3] {
    let spans = collector.spans(capture);
    let [call] = of_kind(&spans, SpanKind::Server)[..] else { panic!("one call, but {spans:?}") };
    let outcome = value(&call.attributes, "switchboard.outcome");
    let domain = value(&call.attributes, "switchboard.fault_domain");
    let metrics = collector.metrics(capture);
    let with = [("outcome", outcome.as_str()), ("fault_domain", domain.as_str())];
    assert_eq!(points(&metrics, "switchboard.calls", &with), [1.0], "{metrics:?}");
    assert_eq!(points(&metrics, "switchboard.calls", &[]), [1.0], "one point for one call");
    let line = &capture.log.lines("call ended")[0];
    assert_eq!(line["fault_domain"], domain.as_str());
    assert_eq!(line["outcome"], outcome.to_uppercase());
    assert_eq!(line["span_id"], hex(&call.span_id));
    let reason = line["reason"].as_str().unwrap_or_default().to_owned();
    assert_eq!(value(&call.attributes, "switchboard.reason"), reason);
    [outcome, reason, domain]
}

#[tokio::test(start_paused = true)]
async fn trace_metric_and_log_agree_on_the_fault_domain_of_every_end() {
    use FailureKind as K;
    let cases = [
        (throttled(), ["error", "BEDROCK_THROTTLED", "bedrock"]),
        (starts_and_hangs(), ["error", "MODEL_TIMEOUT", "bedrock"]),
        (fails(K::AccessDenied), ["error", "MODEL_ACCESS_DENIED", "switchboard"]),
        (fails(K::Invalid), ["error", "MODEL_REJECTED", "caller"]),
        (
            says_and_stops("No.", StopReason::GuardrailIntervened, "guardrail_intervened"),
            ["ok", "", "policy"],
        ),
        (says_and_stops("No.", StopReason::ContentFiltered, "content_filtered"), ["ok", "", "policy"]),
        (says_and_stops("And then", StopReason::MaxTokens, "max_tokens"), ["ok", "", "none"]),
        (says("All is fine."), ["ok", "", "none"]),
    ];
    for (behaviour, expected) in cases {
        let collector = Collector::start();
        let capture = collector.capture(|_, _| {});
        let switchboard = scenario(&capture, behaviour.clone(), behaviour);
        switchboard.converse_stream("chat", "How is it?").await;
        wait_for_ends(&capture, 1).await;
        assert_eq!(reported_end(&collector, &capture), expected);
        let metrics = collector.metrics(&capture);
        let intervened = points(&metrics, "switchboard.guardrail.interventions", &[("model", "first")]);
        assert_eq!(
            intervened.len(),
            usize::from(has_finish_reason(&capture, "guardrail_intervened", &collector))
        );
        let truncated = points(&metrics, "switchboard.truncations", &[("model", "first")]);
        assert_eq!(truncated.len(), usize::from(has_finish_reason(&capture, "max_tokens", &collector)));
    }
}

fn has_finish_reason(capture: &Capture, finish: &str, collector: &Collector) -> bool {
    let spans = collector.spans(capture);
    spans.iter().any(|span| value(&span.attributes, "gen_ai.response.finish_reasons") == finish)
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_is_reported_with_its_cancelled_attempt() {
    let collector = Collector::start();
    let capture = collector.capture(|_, _| {});
    let switchboard = scenario(&capture, says_and_hangs("Once upon"), says("-"));
    let response = switchboard.caller().converse_stream(chat_request("chat", "A story!")).await;
    let mut stream = response.expect("is answered").into_inner();
    stream.message().await.expect("has a route");
    let running = collector.metrics(&capture);
    let streams = [("method", "ConverseStream")];
    assert_eq!(points(&running, "switchboard.calls.active", &streams), [1.0]);
    drop(stream);
    wait_for_ends(&capture, 1).await;

    assert_eq!(reported_end(&collector, &capture), ["cancelled", "", "caller"]);
    let spans = collector.spans(&capture);
    let [attempt] = of_kind(&spans, SpanKind::Client)[..] else { panic!("one attempt, but {spans:?}") };
    assert_eq!(value(&attempt.attributes, "switchboard.outcome"), "cancelled");
    let metrics = collector.metrics(&capture);
    assert_eq!(points(&metrics, "switchboard.attempts", &[("outcome", "cancelled")]), [1.0]);
    assert_eq!(points(&metrics, "switchboard.calls.active", &streams), [0.0]);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_call_is_reported() {
    let collector = Collector::start();
    let capture = collector.capture(|_, _| {});
    let switchboard = scenario(&capture, says_and_hangs("Once upon"), says("-"));
    let _running =
        switchboard.caller().converse_stream(chat_request("chat", "A story!")).await.expect("begins");
    let rejected = switchboard.converse("chat", "And me?").await.expect_err("there is one permit");
    assert_eq!(crate::harness::reason(&rejected), "SHED");

    assert_eq!(reported_end(&collector, &capture), ["shed", "SHED", "switchboard"]);
    let metrics = collector.metrics(&capture);
    assert_eq!(points(&metrics, "switchboard.shed", &[("method", "Converse")]), [1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_is_reported() {
    let collector = Collector::start();
    let capture = collector.capture(|_, _| {});
    let switchboard = scenario(&capture, says("-"), says("-"));
    let too_large = chat_request("chat", &"x".repeat(40 << 20));
    let _refused = switchboard.caller().converse(too_large).await.expect_err("is too large");
    wait_for_ends(&capture, 1).await;
    let [outcome, _, domain] = reported_end(&collector, &capture);
    assert_eq!((outcome.as_str(), domain.as_str()), ("error", "caller"));
}

#[tokio::test(start_paused = true)]
async fn errors_and_fallbacks_are_kept_regardless_of_the_sampler() {
    for keep in [true, false] {
        let collector = Collector::start();
        let capture = collector.capture(|settings, config| {
            settings.sampler = Some(Sampler::AlwaysOff);
            config.keep_errors = keep;
        });
        let succeeds = scenario(&capture, says("Well."), says("-"));
        succeeds.converse_stream("chat", "How is it?").await;
        wait_for_ends(&capture, 1).await;
        assert!(collector.spans(&capture).is_empty(), "a success is not kept");
        let falls_back = scenario(&capture, throttled(), says("Well."));
        falls_back.converse_stream("chat", "How is it?").await;
        wait_for_ends(&capture, 2).await;
        assert_eq!(collector.spans(&capture).len(), if keep { 3 } else { 0 });
        let fails = scenario(&capture, throttled(), throttled());
        fails.converse_stream("chat", "How is it?").await;
        wait_for_ends(&capture, 3).await;
        let spans = collector.spans(&capture);
        assert_eq!(spans.len(), if keep { 6 } else { 0 });
        let attempts = of_kind(&spans, SpanKind::Client);
        assert_eq!(attempts.len(), if keep { 4 } else { 0 });
        for span in attempts {
            assert!(
                spans.iter().any(|call| call.span_id == span.parent_span_id),
                "the span of its call is exported too"
            );
        }
    }
}

/// The clock is not paused: the feedback store has its own thread.
#[tokio::test]
async fn feedback_is_an_event_in_the_trace_of_its_answer_regardless_of_the_sampler() {
    let collector = Collector::start();
    let capture = collector.capture(|settings, config| {
        settings.sampler = Some(Sampler::AlwaysOff);
        config.keep_errors = true;
    });
    let switchboard = scenario(&capture, says("Well."), says("-"));
    let mut request = tonic::Request::new(chat_request("chat", "How is it?"));
    request.metadata_mut().insert("traceparent", TRACEPARENT.parse().expect("is ASCII"));
    let answer = switchboard.caller().converse(request).await.expect("is answered").into_inner();
    let judgement = pb::RecordFeedbackRequest {
        request_id: answer.route.expect("has a route").request_id,
        judge: Some(pb::Judge { kind: pb::JudgeKind::Human.into(), id: "alice".to_owned() }),
        thumb: pb::Thumb::Up.into(),
        comment: Some("very well put".to_owned()),
        ..Default::default()
    };
    switchboard.feedback().record_feedback(judgement).await.expect("is recorded");

    let spans = collector.spans(&capture);
    let [judged] = &spans[..] else { panic!("only the feedback is exported, but {spans:?}") };
    assert_eq!(hex(&judged.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(!judged.parent_span_id.is_empty());
    let [event] = &judged.events[..] else { panic!("has one event: {judged:?}") };
    assert_eq!(event.name, "gen_ai.evaluation.result");
    assert_eq!(value(&event.attributes, "gen_ai.evaluation.score.value"), "1");
    assert_eq!(value(&event.attributes, "gen_ai.evaluation.score.label"), "pass");
    assert!(!format!("{judged:?}").contains("very well put"), "a comment is content");
}

#[tokio::test(start_paused = true)]
async fn metrics_have_the_names_units_and_buckets_of_the_conventions() {
    let collector = Collector::start();
    let capture = collector.capture(|_, config| config.genai_semconv = GenAi::Both);
    let switchboard = scenario(&capture, throttled(), says("All is quite well."));
    for _ in 0..3 {
        switchboard.converse_stream("chat", "How is it?").await;
    }
    wait_for_ends(&capture, 3).await;
    let metrics = collector.metrics(&capture);
    let unit =
        |name: &str| metrics.iter().find(|metric| metric.name == name).map(|metric| metric.unit.as_str());
    use names::metric as m;
    for (name, expected) in [
        m::OPERATION_DURATION,
        m::TOKEN_USAGE,
        m::TIME_TO_FIRST_CHUNK,
        m::TIME_PER_OUTPUT_CHUNK,
        m::DEV_INPUT,
        m::DEV_OUTPUT,
        m::RPC_DURATION,
        m::CALLS,
        m::CALL_DURATION,
        m::FIRST_CONTENT,
        m::OWN_TIME,
        m::TOKENS,
        m::ATTEMPTS,
        m::FALLBACKS,
        m::PRICES_UNKNOWN,
        m::BREAKER_STATE,
        m::CALLS_ACTIVE,
        m::GAPS,
        m::DROPPED,
        m::CONFIG_INFO,
    ] {
        assert_eq!(unit(name), Some(expected), "{name}");
    }
    let second = [("gen_ai.request.model", "test.second")];
    let [duration] = &histograms(&metrics, m::OPERATION_DURATION.0, &second)[..] else { panic!("one point") };
    assert_eq!((duration.count, &duration.explicit_bounds[..]), (3, &names::bounds::OPERATION[..]));
    let failed = [("gen_ai.request.model", "test.first"), ("error.type", "BEDROCK_THROTTLED")];
    assert_eq!(histograms(&metrics, m::OPERATION_DURATION.0, &failed)[0].count, 3);
    let input = [("gen_ai.token.type", "input")];
    let [usage] = &histograms(&metrics, m::TOKEN_USAGE.0, &input)[..] else { panic!("one point") };
    assert_eq!(
        (usage.count, usage.sum, &usage.explicit_bounds[..]),
        (3, Some(21.0), &names::bounds::TOKENS[..])
    );
    let chunks = histograms(&metrics, m::TIME_PER_OUTPUT_CHUNK.0, &[]);
    assert_eq!(chunks[0].count, 3 * 3, "of four deltas, those after the first");
    let calls = [("task", "chat"), ("model", "second"), ("outcome", "ok"), ("fault_domain", "none")];
    assert_eq!(points(&metrics, m::CALLS.0, &calls), [3.0]);
    let fallbacks = [("task", "chat"), ("model", "second"), ("reason", "BEDROCK_THROTTLED")];
    assert_eq!(points(&metrics, m::FALLBACKS.0, &fallbacks), [3.0]);
    let output = [("task", "chat"), ("model", "second"), ("type", "output")];
    assert_eq!(points(&metrics, m::TOKENS.0, &output), [9.0]);
    assert_eq!(points(&metrics, m::PRICES_UNKNOWN.0, &[("model", "second")]), [3.0]);
    assert_eq!(points(&metrics, m::BREAKER_STATE.0, &[("model", "first")]), [0.0]);
}

#[tokio::test(start_paused = true)]
async fn content_is_in_spans_only_with_capture_content() {
    let collector = Collector::start();
    let capture = collector.capture(|_, config| config.capture_content = true);
    let switchboard = scenario(&capture, says("A secret."), says("-"));
    switchboard.converse_stream("chat", "What is it?").await;
    switchboard.converse("chat", "What is it?").await.expect("is answered");
    wait_for_ends(&capture, 2).await;
    let spans = collector.spans(&capture);
    let attempts = of_kind(&spans, SpanKind::Client);
    assert_eq!(attempts.len(), 2);
    for attempt in attempts {
        assert!(value(&attempt.attributes, "gen_ai.input.messages").contains("What is it?"));
        assert!(value(&attempt.attributes, "gen_ai.output.messages").contains("A secret."));
    }
    let log = format!("{:?}", capture.log.lines("call ended"));
    assert!(!log.contains("secret") && !log.contains("What is it"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn otlp_works_over_http() {
    let collector = Collector::start();
    let capture = collector.capture_over_http();
    let switchboard = scenario(&capture, throttled(), says("All is fine."));
    switchboard.converse_stream("chat", "How is it?").await;
    wait_for_ends(&capture, 1).await;
    assert_eq!(collector.spans(&capture).len(), 3);
    assert_eq!(points(&collector.metrics(&capture), "switchboard.calls", &[("outcome", "ok")]), [1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_collector_loses_telemetry_and_no_call() {
    let collector = Collector::start();
    // A port that refuses connections: bound, and never listened on.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
    let refused = format!("http://127.0.0.1:{}", socket.local_addr().expect("has an address").port());
    let capture = collector.capture_to(&refused);
    let switchboard = scenario(&capture, says("All is fine."), says("-"));
    for _ in 0..20 {
        assert_eq!(switchboard.converse_stream("chat", "How is it?").await.text(), "All is fine.");
    }
    wait_for_ends(&capture, 20).await;
    capture.telemetry.flush();
    assert_eq!(capture.telemetry.lost_spans(), 40, "two spans for each call");
}

#[tokio::test]
async fn prometheus_reads_the_metrics_from_the_metrics_page() {
    let collector = Collector::start();
    let capture = collector.capture(|settings, _| settings.keep_page = true);
    let switchboard = scenario(&capture, throttled(), says("All is fine."));
    switchboard.converse_stream("chat", "How is it?").await;
    wait_for_ends(&capture, 1).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("has an address");
    let telemetry = capture.telemetry.clone();
    let page = tokio::task::spawn(async move { telemetry.serve_page(listener).await });

    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<http_body_util::Empty<bytes::Bytes>>();
    let get = |path: &str| client.get(format!("http://{address}{path}").parse().expect("is a URL"));
    let response = get("/metrics").await.expect("answers");
    assert_eq!(response.status(), 200);
    let text = http_body_util::BodyExt::collect(response.into_body()).await.expect("ends").to_bytes();
    let text = String::from_utf8(text.to_vec()).expect("is text");
    assert_eq!(get("/").await.expect("answers").status(), 404);
    page.abort();

    let series = parse(&text);
    let calls = series.iter().filter(|(name, _, _)| *name == "switchboard_calls_total").collect::<Vec<_>>();
    let [(_, labels, count)] = calls[..] else { panic!("one series, but {calls:?}") };
    assert!(labels.contains("model=\"second\"") && labels.contains("outcome=\"ok\""), "{labels}");
    assert!((count - 1.0).abs() < f64::EPSILON);
    for name in [
        "gen_ai_client_operation_duration_seconds_bucket",
        "switchboard_call_first_content_seconds_count",
        "switchboard_attempts_total",
        "switchboard_fallbacks_total",
        "switchboard_breaker_state_ratio",
        "switchboard_config_info_ratio",
        "switchboard_tokens_total",
        "switchboard_telemetry_dropped_total",
    ] {
        assert!(series.iter().any(|(known, _, _)| *known == name), "{name} is not in {text}");
    }
}

/// Parses the Prometheus text format: name, labels and value of each sample.
fn parse(text: &str) -> Vec<(&str, &str, f64)> {
    let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let sample = |line| {
        let (series, number) = str::rsplit_once(line, ' ').expect("has a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').expect("closes its labels");
        assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'), "{line}");
        (name, labels, number.parse().expect("is a number"))
    };
    samples.map(sample).collect()
}
