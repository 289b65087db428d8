//! The real program reports to a real collector with `aws.yaml`, up to the data that CloudWatch and X-Ray
//! would get.
use super::{
    for_files,
    running::{Collector, Folder, otelcol},
    signals::Points,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{collections::BTreeMap, env, fs, path::PathBuf, process::Stdio, time::Duration};
use switchboard_proto::v1 as pb;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// Timeout of each step. Far longer than any step takes, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The caller's trace and span.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// `switchboard demo`, which has a simulator and a task whose first model is throttled.
struct Program {
    process: Child,
    address: String,
}

// === impl Program ===

impl Program {
    async fn start(variables: &[(&str, String)]) -> Self {
        let mut command = Command::new(switchboard());
        command.args(["demo", "--listen", "127.0.0.1:0"]).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let mut process = command.spawn().expect("starts");
        let mut lines = BufReader::new(process.stdout.take().expect("is piped")).lines();
        let first = timeout(TIMEOUT, lines.next_line()).await.expect("prints in time").expect("can be read");
        let first = first.expect("prints its address");
        let address = first.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).expect("has it");
        let address = format!("http://{}", address.trim_end_matches(';'));
        let demo_has_ended = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.starts_with("Ctrl-C") {
                    return;
                }
            }
            panic!("the program ended by itself");
        };
        timeout(TIMEOUT, demo_has_ended).await.expect("ends in time"); // from now on Ctrl-C drains the program
        Self { process, address }
    }

    /// Makes a call inside a trace of the caller.
    async fn call(&self, task: &str) -> pb::Route {
        let text = pb::content_block::Block::Text("Who answers?".to_owned());
        let content = vec![pb::ContentBlock { block: Some(text) }];
        let messages = vec![pb::Message { role: "user".to_owned(), content }];
        let request = pb::ConverseRequest { task_type: task.to_owned(), messages, ..Default::default() };
        let mut request = tonic::Request::new(request);
        let parent = format!("00-{TRACE}-{CALLER}-01");
        request.metadata_mut().insert("traceparent", parent.parse().expect("is a header"));
        let client = pb::converse_service_client::ConverseServiceClient::connect(self.address.clone()).await;
        let answer = client.expect("connects").converse(request).await.expect("answers");
        answer.into_inner().route.expect("has a route")
    }

    /// Stops the program as Ctrl-C does. It exports all telemetry before it ends.
    async fn stop(mut self) {
        let id = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("still runs");
        kill_process(id, Signal::INT).expect("can be signalled");
        timeout(TIMEOUT, self.process.wait()).await.expect("ends in time").expect("ends");
    }
}

/// The path of the program. Cargo cannot declare that a test needs the program of another package, so it is
/// built here; after `cargo test --workspace` nothing is left to build.
fn switchboard() -> PathBuf {
    let mut cargo = std::process::Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--quiet", "--workspace", "--bins", "--example", "conformance"]);
    assert!(cargo.status().expect("cargo runs").success(), "the program does not build");
    let test = env::current_exe().expect("has a path"); // target/debug/deps/deploy-…
    test.ancestors().nth(2).expect("is in target").join("switchboard")
}

/// A span that the collector wrote.
#[derive(Debug)]
struct Span {
    name: String,
    kind: u64,
    id: String,
    parent: String,
    failed: bool,
    attributes: BTreeMap<String, Value>,
}

/// The spans of the caller's trace.
fn spans(folder: &Folder) -> Vec<Span> {
    let written = fs::read_to_string(folder.0.join("traces.json")).expect("is there");
    let batches = written.lines().map(|line| serde_json::from_str::<Value>(line).expect("is JSON"));
    let mut spans = Vec::new();
    for batch in batches {
        let scopes = batch["resourceSpans"].as_array().into_iter().flatten().flat_map(|resource| {
            let name = &resource["resource"]["attributes"];
            assert!(name.to_string().contains("service.name"), "{name}");
            resource["scopeSpans"].as_array().cloned().unwrap_or_default()
        });
        let all = scopes.flat_map(|scope| scope["spans"].as_array().cloned().unwrap_or_default());
        spans.extend(all.filter(|span| span["traceId"] == TRACE).map(|span| {
            let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
            let pairs = span["attributes"].as_array().into_iter().flatten().map(|pair| {
                let value = pair["value"].as_object().and_then(|value| value.values().next().cloned());
                (pair["key"].as_str().unwrap_or_default().to_owned(), value.unwrap_or_default())
            });
            Span {
                name: text("name"),
                kind: span["kind"].as_u64().unwrap_or_default(),
                id: text("spanId"),
                parent: text("parentSpanId"),
                failed: span["status"]["code"] == 2,
                attributes: pairs.collect(),
            }
        }));
    }
    spans
}

#[tokio::test]
async fn a_fallback_is_one_trace_with_both_attempts_and_its_metrics_reach_the_old_dashboards() {
    let Some(otelcol) = otelcol() else { return };
    let folder = Folder::new();
    let collector = Collector::start(&otelcol, &folder.write(&for_files(&folder)), &[]).await;
    let switchboard = Program::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta".to_owned()),
    ])
    .await;

    let route = switchboard.call("fallback").await;
    switchboard.stop().await;
    collector.stop().await;

    let spans = spans(&folder);
    let [call] = &spans.iter().filter(|span| span.parent == CALLER).collect::<Vec<_>>()[..] else {
        panic!("not exactly one span is a child of the caller: {spans:?}")
    };
    assert_eq!((call.name.as_str(), call.kind), ("switchboard.v1.ConverseService/Converse", 2));
    let attribute = |name: &str| call.attributes.get(name).cloned().unwrap_or_default();
    assert_eq!(attribute("rpc.system.name"), "grpc");
    assert_eq!(attribute("rpc.response.status_code"), "OK");
    assert_eq!(attribute("switchboard.request_id"), route.request_id);
    assert_eq!(
        (attribute("switchboard.task"), attribute("switchboard.fallback")),
        ("fallback".into(), true.into())
    );

    let attempts: Vec<_> = spans.iter().filter(|span| span.parent == call.id).collect();
    assert_eq!((attempts.len(), spans.len()), (2, 3), "{spans:?}");
    for (attempt, reported) in attempts.iter().zip(&route.attempts) {
        assert_eq!((attempt.name.clone(), attempt.kind), (format!("chat {}", reported.model_id), 3));
        assert_eq!(attempt.attributes["gen_ai.provider.name"], "aws.bedrock");
        assert_eq!(attempt.attributes["gen_ai.request.model"], reported.model_id);
    }
    assert!(attempts[0].failed && !attempts[1].failed, "{attempts:?}");
    assert_eq!(attempts[0].attributes["error.type"], "BEDROCK_THROTTLED");
    assert!(attempts[1].attributes.contains_key("gen_ai.usage.input_tokens"), "{attempts:?}");

    let points = Points::read(&folder.0.join("legacy.json"));
    let fell: Vec<_> = points.of("FallbackUsed").into_iter().collect();
    assert!(fell.iter().any(|point| point.attributes["TaskType"] == "fallback"), "{fell:?}");
    for metric in ["InputTokens", "OutputTokens", "LatencyMs"] {
        assert!(!points.of(metric).is_empty(), "{metric}");
    }
    let points = Points::read(&folder.0.join("metrics.json"));
    let calls = points.of("switchboard.calls");
    assert!(calls.iter().any(|point| point.attributes["task"] == "fallback" && point.value >= 1.0));
    for (metric, unit) in [("gen_ai.client.operation.duration", "s"), ("rpc.server.call.duration", "s")] {
        let all = points.of(metric);
        assert!(!all.is_empty() && all.iter().all(|point| point.unit == unit), "{metric}");
    }
}
