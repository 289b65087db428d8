//! What is told of calls, as a receiver of OTLP hears it over a socket.
mod collector;

use crate::harness::{
    Behaviour, Running, Scenario, asking, begins_and_hangs, fails, says, says_and_hangs, says_and_stops,
    throttled,
};
use collector::{Collector, Watch, histograms, points, value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use opentelemetry_sdk::trace::Sampler;
use std::time::Duration;
use switchboard_proto::v1::{self as pb, StopReason};
use switchboard_server::{config::GenAi, failure::FailureKind, telemetry::names};
use tokio::time::sleep;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn scenario(watch: &Watch, first: Behaviour, second: Behaviour) -> Running {
    let scenario = Scenario::new().route("chat", ["first", "second"]).seen_by(&watch.telemetry);
    let scenario = scenario.configure(|config| {
        config.deadline.first_content = Duration::from_secs(5);
        config.admission.max_calls = 1.try_into().expect("is not zero");
    });
    scenario.model("first", first).model("second", second).start()
}

/// Waits until so many calls have ended.
async fn ended(watch: &Watch, calls: usize) {
    for _ in 0..1000 {
        if watch.log.calls().len() >= calls {
            return;
        }
        sleep(Duration::from_millis(10)).await; // the clock stands still: this only lets others run
    }
    panic!("only {:?} ended", watch.log.calls());
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
    let watch = collector.watch(|_, _| {});
    let switchboard = scenario(&watch, throttled(), says("All is well."));
    let mut request = tonic::Request::new(asking("chat", "How is it?"));
    request.metadata_mut().insert("traceparent", TRACEPARENT.parse().expect("is ASCII"));
    let response = switchboard.caller().converse_stream(request).await.expect("is answered");
    let heard = crate::harness::Heard::all_of(response.into_inner()).await;
    ended(&watch, 1).await;

    let spans = collector.spans(&watch);
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
        ("switchboard.request_id", &heard.route().request_id),
        ("switchboard.config_version", &heard.route().config_version),
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

    let line = &watch.log.lines("call ended")[0];
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(line["span_id"], hex(&call.span_id));
    let line = &watch.log.lines("attempt failed")[0];
    assert_eq!(line["span_id"], hex(&failed.span_id));
}

/// How a call ended: in the trace, in the metric, and in the log.
fn told(collector: &Collector, watch: &Watch) -> [String; 3] {
    let spans = collector.spans(watch);
    let [call] = of_kind(&spans, SpanKind::Server)[..] else { panic!("one call, but {spans:?}") };
    let outcome = value(&call.attributes, "switchboard.outcome");
    let domain = value(&call.attributes, "switchboard.fault_domain");
    let metrics = collector.metrics(watch);
    let with = [("outcome", outcome.as_str()), ("fault_domain", domain.as_str())];
    assert_eq!(points(&metrics, "switchboard.calls", &with), [1.0], "{metrics:?}");
    assert_eq!(points(&metrics, "switchboard.calls", &[]), [1.0], "one point for one call");
    let line = &watch.log.lines("call ended")[0];
    assert_eq!(line["fault_domain"], domain.as_str());
    assert_eq!(line["outcome"], outcome.to_uppercase());
    assert_eq!(line["span_id"], hex(&call.span_id));
    let reason = line["reason"].as_str().unwrap_or_default().to_owned();
    assert_eq!(value(&call.attributes, "switchboard.reason"), reason);
    [outcome, reason, domain]
}

#[tokio::test(start_paused = true)]
async fn every_end_has_its_fault_domain_in_trace_metric_and_log() {
    use FailureKind as K;
    let cases = [
        (throttled(), ["error", "BEDROCK_THROTTLED", "bedrock"]),
        (begins_and_hangs(), ["error", "MODEL_TIMEOUT", "bedrock"]),
        (fails(K::AccessDenied), ["error", "MODEL_ACCESS_DENIED", "switchboard"]),
        (fails(K::Invalid), ["error", "MODEL_REJECTED", "caller"]),
        (
            says_and_stops("No.", StopReason::GuardrailIntervened, "guardrail_intervened"),
            ["ok", "", "policy"],
        ),
        (says_and_stops("No.", StopReason::ContentFiltered, "content_filtered"), ["ok", "", "policy"]),
        (says_and_stops("And then", StopReason::MaxTokens, "max_tokens"), ["ok", "", "none"]),
        (says("All is well."), ["ok", "", "none"]),
    ];
    for (behaviour, expected) in cases {
        let collector = Collector::start();
        let watch = collector.watch(|_, _| {});
        let switchboard = scenario(&watch, behaviour.clone(), behaviour);
        switchboard.converse_stream("chat", "How is it?").await;
        ended(&watch, 1).await;
        assert_eq!(told(&collector, &watch), expected);
        let metrics = collector.metrics(&watch);
        let intervened = points(&metrics, "switchboard.guardrail.interventions", &[("model", "first")]);
        assert_eq!(intervened.len(), usize::from(watch_of(&watch, "guardrail_intervened", &collector)));
        let truncated = points(&metrics, "switchboard.truncations", &[("model", "first")]);
        assert_eq!(truncated.len(), usize::from(watch_of(&watch, "max_tokens", &collector)));
    }
}

fn watch_of(watch: &Watch, finish: &str, collector: &Collector) -> bool {
    let spans = collector.spans(watch);
    spans.iter().any(|span| value(&span.attributes, "gen_ai.response.finish_reasons") == finish)
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_is_told_of_with_the_attempt_that_was_cut() {
    let collector = Collector::start();
    let watch = collector.watch(|_, _| {});
    let switchboard = scenario(&watch, says_and_hangs("Once upon"), says("-"));
    let response = switchboard.caller().converse_stream(asking("chat", "A story!")).await;
    let mut stream = response.expect("is answered").into_inner();
    stream.message().await.expect("has a route");
    let running = collector.metrics(&watch);
    let streams = [("method", "ConverseStream")];
    assert_eq!(points(&running, "switchboard.calls.active", &streams), [1.0]);
    drop(stream);
    ended(&watch, 1).await;

    assert_eq!(told(&collector, &watch), ["cancelled", "", "caller"]);
    let spans = collector.spans(&watch);
    let [attempt] = of_kind(&spans, SpanKind::Client)[..] else { panic!("one attempt, but {spans:?}") };
    assert_eq!(value(&attempt.attributes, "switchboard.outcome"), "cancelled");
    let metrics = collector.metrics(&watch);
    assert_eq!(points(&metrics, "switchboard.attempts", &[("outcome", "cancelled")]), [1.0]);
    assert_eq!(points(&metrics, "switchboard.calls.active", &streams), [0.0]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_shed_is_told_of_too() {
    let collector = Collector::start();
    let watch = collector.watch(|_, _| {});
    let switchboard = scenario(&watch, says_and_hangs("Once upon"), says("-"));
    let _holds = switchboard.caller().converse_stream(asking("chat", "A story!")).await.expect("begins");
    let shed = switchboard.converse("chat", "And me?").await.expect_err("there is one place");
    assert_eq!(crate::harness::reason(&shed), "SHED");

    assert_eq!(told(&collector, &watch), ["shed", "SHED", "switchboard"]);
    let metrics = collector.metrics(&watch);
    assert_eq!(points(&metrics, "switchboard.shed", &[("method", "Converse")]), [1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_read_is_told_of_too() {
    let collector = Collector::start();
    let watch = collector.watch(|_, _| {});
    let switchboard = scenario(&watch, says("-"), says("-"));
    let too_large = asking("chat", &"x".repeat(40 << 20));
    let _refused = switchboard.caller().converse(too_large).await.expect_err("is too large");
    ended(&watch, 1).await;
    let [outcome, _, domain] = told(&collector, &watch);
    assert_eq!((outcome.as_str(), domain.as_str()), ("error", "caller"));
}

#[tokio::test(start_paused = true)]
async fn errors_and_fallbacks_are_kept_whatever_the_sampler_says() {
    for keep in [true, false] {
        let collector = Collector::start();
        let watch = collector.watch(|settings, config| {
            settings.sampler = Some(Sampler::AlwaysOff);
            config.keep_errors = keep;
        });
        let well = scenario(&watch, says("Well."), says("-"));
        well.converse_stream("chat", "How is it?").await;
        ended(&watch, 1).await;
        assert!(collector.spans(&watch).is_empty(), "nobody needs it");
        let falls_back = scenario(&watch, throttled(), says("Well."));
        falls_back.converse_stream("chat", "How is it?").await;
        ended(&watch, 2).await;
        assert_eq!(collector.spans(&watch).len(), if keep { 3 } else { 0 });
        let fails = scenario(&watch, throttled(), throttled());
        fails.converse_stream("chat", "How is it?").await;
        ended(&watch, 3).await;
        let spans = collector.spans(&watch);
        assert_eq!(spans.len(), if keep { 6 } else { 0 });
        for span in of_kind(&spans, SpanKind::Client) {
            assert!(spans.iter().any(|call| call.span_id == span.parent_span_id), "its call is there");
        }
    }
}

/// The clock runs here: what is remembered is written by a thread of its own.
#[tokio::test]
async fn a_judgement_is_an_event_in_the_trace_of_its_answer_whatever_the_sampler_says() {
    let collector = Collector::start();
    let watch = collector.watch(|settings, config| {
        settings.sampler = Some(Sampler::AlwaysOff);
        config.keep_errors = true;
    });
    let switchboard = scenario(&watch, says("Well."), says("-"));
    let mut request = tonic::Request::new(asking("chat", "How is it?"));
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

    let spans = collector.spans(&watch);
    let [judged] = &spans[..] else { panic!("only the judgement is exported, but {spans:?}") };
    assert_eq!(hex(&judged.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(!judged.parent_span_id.is_empty());
    let [event] = &judged.events[..] else { panic!("has one event: {judged:?}") };
    assert_eq!(event.name, "gen_ai.evaluation.result");
    assert_eq!(value(&event.attributes, "gen_ai.evaluation.score.value"), "1");
    assert_eq!(value(&event.attributes, "gen_ai.evaluation.score.label"), "pass");
    assert!(!format!("{judged:?}").contains("very well put"), "words are content");
}

#[tokio::test(start_paused = true)]
async fn metrics_have_the_conventions_names_units_and_buckets() {
    let collector = Collector::start();
    let watch = collector.watch(|_, config| config.genai_semconv = GenAi::Both);
    let switchboard = scenario(&watch, throttled(), says("All is quite well."));
    for _ in 0..3 {
        switchboard.converse_stream("chat", "How is it?").await;
    }
    ended(&watch, 3).await;
    let metrics = collector.metrics(&watch);
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
    assert_eq!(chunks[0].count, 3 * 3, "of four pieces, those after the first");
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
async fn words_are_in_spans_only_where_a_setting_asks_for_them() {
    let collector = Collector::start();
    let watch = collector.watch(|_, config| config.capture_content = true);
    let switchboard = scenario(&watch, says("A secret."), says("-"));
    switchboard.converse_stream("chat", "What is it?").await;
    switchboard.converse("chat", "What is it?").await.expect("is answered");
    ended(&watch, 2).await;
    let spans = collector.spans(&watch);
    let attempts = of_kind(&spans, SpanKind::Client);
    assert_eq!(attempts.len(), 2);
    for attempt in attempts {
        assert!(value(&attempt.attributes, "gen_ai.input.messages").contains("What is it?"));
        assert!(value(&attempt.attributes, "gen_ai.output.messages").contains("A secret."));
    }
    let log = format!("{:?}", watch.log.lines("call ended"));
    assert!(!log.contains("secret") && !log.contains("What is it"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn the_same_goes_over_http() {
    let collector = Collector::start();
    let watch = collector.watch_over_http();
    let switchboard = scenario(&watch, throttled(), says("All is well."));
    switchboard.converse_stream("chat", "How is it?").await;
    ended(&watch, 1).await;
    assert_eq!(collector.spans(&watch).len(), 3);
    assert_eq!(points(&collector.metrics(&watch), "switchboard.calls", &[("outcome", "ok")]), [1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_gone_costs_telemetry_and_no_call() {
    let collector = Collector::start();
    // A port that answers nobody: bound, and never listened on.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
    let nobody = format!("http://127.0.0.1:{}", socket.local_addr().expect("has an address").port());
    let watch = collector.watch_in_vain(&nobody);
    let switchboard = scenario(&watch, says("All is well."), says("-"));
    for _ in 0..20 {
        assert_eq!(switchboard.converse_stream("chat", "How is it?").await.text(), "All is well.");
    }
    ended(&watch, 20).await;
    watch.telemetry.flush();
    assert_eq!(watch.telemetry.lost_spans(), 40, "two for each call");
}

#[tokio::test]
async fn prometheus_reads_the_same_metrics_from_a_page() {
    let collector = Collector::start();
    let watch = collector.watch(|settings, _| settings.keep_page = true);
    let switchboard = scenario(&watch, throttled(), says("All is well."));
    switchboard.converse_stream("chat", "How is it?").await;
    ended(&watch, 1).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("has an address");
    let telemetry = watch.telemetry.clone();
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

/// The text form of Prometheus, line by line: name, labels, value.
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
