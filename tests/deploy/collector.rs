//! The collector's configurations, run by a real collector (`cargo xtask tools` builds it).
//!
//! This build has no exporters for CloudWatch and X-Ray, see deploy/collector/builder.yaml. So all of
//! `aws.yaml` runs except these two, and the tests check the data that they would get: `awsemf` writes each
//! data point under the name of the metric, with its unit, and with those attributes as dimensions that a
//! declaration names.
mod program;
mod running;
mod signals;

use crate::{
    metrics::{self, Kind, Metric},
    read,
};
use regex::Regex;
use running::{Collector, Folder, otelcol};
use serde_json::json;
use signals::{Clock, Points, attributes, counter, histogram, metrics_of, sum};
use std::{collections::BTreeSet, fs};

const AWS: &str = "deploy/collector/aws.yaml";
const OTLP: &str = "deploy/collector/otlp.yaml";

/// Percentiles that the dashboard and the alarms use.
pub(crate) const PERCENTILES: [&str; 9] = [
    "switchboard.call.first_content.p50",
    "switchboard.call.first_content.p95",
    "switchboard.call.first_content.p99",
    "switchboard.call.duration.p95",
    "switchboard.call.own_time.p95",
    "switchboard.call.own_time.p99",
    "gen_ai.client.operation.time_per_output_chunk.p50",
    "gen_ai.client.operation.time_per_output_chunk.p95",
    "gen_ai.client.operation.time_per_output_chunk.p99",
];

#[tokio::test]
async fn the_old_dashboards_get_their_four_metrics() {
    let Some(otelcol) = otelcol() else { return };
    let folder = Folder::new();
    let collector = Collector::start(&otelcol, &folder.write(&for_files(&folder)), &[]).await;
    let now = Clock::now();
    let call = |method| attributes(&[("task", "coding"), ("model", "primary"), ("method", method)]);
    let tokens = |kind| attributes(&[("task", "coding"), ("model", "primary"), ("type", kind)]);
    let fell = |reason| attributes(&[("task", "coding"), ("model", "haiku"), ("reason", reason)]);
    let counts = [(tokens("input"), 100), (tokens("output"), 40), (tokens("cache_read"), 7)];
    let durations: [(_, &[f64]); 3] =
        [(call("Converse"), &[0.25, 1.0]), (call("ConverseStream"), &[2.0]), (call("CountTokens"), &[0.125])];
    let fallbacks = [(fell("BEDROCK_THROTTLED"), 2), (fell("MODEL_TIMEOUT"), 1)];

    let sent = metrics_of(&[
        counter("switchboard.tokens", "{token}", &now, &counts),
        histogram("switchboard.call.duration", &now, &durations),
        counter("switchboard.fallbacks", "{call}", &now, &fallbacks),
        counter("switchboard.calls", "{call}", &now, &[(call("Converse"), 3)]),
    ]);
    collector.send("metrics", &sent).await;
    collector.stop().await;

    let points = Points::read(&folder.0.join("legacy.json"));
    let named: BTreeSet<_> = points.0.iter().map(|point| point.metric.as_str()).collect();
    assert_eq!(named, ["FallbackUsed", "InputTokens", "LatencyMs", "OutputTokens"].into());
    for point in &points.0 {
        let dimensions: Vec<_> = point.attributes.keys().map(String::as_str).collect();
        assert_eq!(dimensions, ["ModelId", "TaskType"], "{point:?}");
        assert_eq!((point.attributes["TaskType"].as_str(), point.temporality), ("coding", Some(1)));
    }
    let opus = "us.anthropic.claude-opus-4-8"; // the id of the model "primary", which the old metric had
    for (metric, unit, model, total) in [
        ("InputTokens", "Count", opus, 100.0),
        ("OutputTokens", "Count", opus, 40.0),
        ("LatencyMs", "ms", opus, 3250.0),
        ("FallbackUsed", "Count", "haiku", 3.0), // a name for which the configuration has no id
    ] {
        let of_metric = points.of(metric);
        assert!(of_metric.iter().all(|point| point.unit == unit && point.attributes["ModelId"] == model));
        assert_eq!(of_metric.iter().map(|point| point.value).sum::<f64>(), total, "{metric}");
    }
    let latencies = points.of("LatencyMs").into_iter().map(|point| (point.count, point.min, point.max));
    assert_eq!(latencies.collect::<Vec<_>>(), [(Some(3), Some(250.0), Some(2000.0))]);
}

#[tokio::test]
async fn cloudwatch_gets_deltas_and_not_cumulative_sums() {
    let Some(otelcol) = otelcol() else { return };
    let folder = Folder::new();
    let collector = Collector::start(&otelcol, &folder.write(&for_files(&folder)), &[]).await;
    let now = Clock::now();
    let call = attributes(&[("task", "coding"), ("model", "primary"), ("type", "input")]);
    let of = |clock: &Clock, tokens, durations: &[f64]| {
        metrics_of(&[
            counter("switchboard.tokens", "{token}", clock, &[(call.clone(), tokens)]),
            histogram("switchboard.call.duration", clock, &[(call.clone(), durations)]),
        ])
    };

    collector.send("metrics", &of(&now.cumulative(1), 100, &[1.0])).await;
    collector.send("metrics", &of(&now.cumulative(2), 150, &[1.0, 4.0])).await;
    collector.stop().await;

    let points = Points::read(&folder.0.join("metrics.json"));
    let values = |metric| points.of(metric).into_iter().map(|point| point.value).collect::<Vec<_>>();
    assert_eq!(values("switchboard.tokens"), [100.0, 50.0]);
    assert_eq!(values("switchboard.call.duration"), [1.0, 4.0]);
    assert!(points.of("switchboard.tokens").iter().all(|point| point.temporality == Some(1)));
}

#[tokio::test]
async fn cloudwatch_gets_every_metric_with_a_unit_that_it_supports() {
    let Some(otelcol) = otelcol() else { return };
    let folder = Folder::new();
    let collector = Collector::start(&otelcol, &folder.write(&for_files(&folder)), &[]).await;
    let now = Clock::now();

    let all = metrics::all();
    let sent: Vec<_> = all.iter().map(|metric| example(metric, &now)).collect();
    collector.send("metrics", &metrics_of(&sent)).await;
    collector.stop().await;

    let points = Points::read(&folder.0.join("metrics.json"));
    for Metric { name, kind, .. } in &all {
        assert_eq!(points.of(name).len(), 1, "{name}");
        // awsemf would treat a cumulative sum as a counter, and send the difference.
        assert!(*kind != Kind::UpDownCounter || points.of(name)[0].temporality.is_none(), "{name}");
    }
    for point in &points.0 {
        // awsemf writes "s" as "Seconds"; all others as they are.
        assert!(["s", "Count", "None"].contains(&point.unit.as_str()), "{point:?}");
        assert_eq!(point.attributes["service"], "switchboard", "{point:?}");
    }
    for percentile in PERCENTILES {
        let [point] = points.of(percentile)[..] else { panic!("there is one {percentile}") };
        let in_its_bucket = point.value > 0.5 && point.value <= 1.5;
        assert!(in_its_bucket && point.temporality.is_none(), "{point:?}");
    }
}

#[test]
fn every_declared_dimension_is_an_attribute_of_its_metric() {
    let all = metrics::all();
    for (selector, sets) in declarations("awsemf") {
        let selected: Vec<_> = all.iter().filter(|metric| selector.is_match(&metric.name)).collect();
        assert!(!selected.is_empty(), "{selector} selects no metric");
        for (metric, dimension) in
            selected.iter().flat_map(|metric| sets.iter().flatten().map(move |one| (metric, one)))
        {
            let has = dimension == "service" || metric.attributes.contains(dimension);
            assert!(has, "{} has no attribute {dimension}", metric.name);
        }
    }
}

#[test]
fn the_old_metrics_keep_their_dimensions() {
    let both: BTreeSet<_> = ["ModelId", "TaskType"].map(str::to_owned).into();
    for metric in ["InputTokens", "OutputTokens", "LatencyMs", "FallbackUsed"] {
        let declared =
            declarations("awsemf/legacy").into_iter().filter(|(selector, _)| selector.is_match(metric));
        assert!(declared.flat_map(|(_, sets)| sets).any(|set| set == both), "{metric}");
    }
}

#[tokio::test]
async fn every_signal_reaches_a_backend_with_otlp() {
    let Some(otelcol) = otelcol() else { return };
    let folder = Folder::new();
    let backend = Collector::start(&otelcol, &folder.write(&backend(&folder)), &[]).await;
    let endpoint =
        [("BACKEND_ENDPOINT", backend.address()), ("BACKEND_HEADERS", "{x-key: secret}".to_owned())];
    let collector = Collector::start(&otelcol, OTLP.as_ref(), &endpoint).await;
    let now = Clock::now();
    let resource = json!({"attributes": attributes(&[("service.name", "switchboard")])});
    let span = json!({"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
        "name": "chat us.anthropic.claude-opus-4-8", "kind": 3,
        "startTimeUnixNano": now.start.to_string(), "endTimeUnixNano": now.end.to_string()});
    let event = json!({"eventName": "gen_ai.evaluation.result", "timeUnixNano": now.end.to_string()});

    let tokens = counter("switchboard.tokens", "{token}", &now, &[(json!([]), 5)]);
    collector.send("metrics", &metrics_of(&[tokens])).await;
    let traces = json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]});
    collector.send("traces", &traces).await;
    let logs = json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [event]}]}]});
    collector.send("logs", &logs).await;
    collector.stop().await;
    backend.stop().await;

    let arrived = fs::read_to_string(folder.0.join("backend.json")).expect("is there");
    for part in ["chat us.anthropic.claude-opus-4-8", "gen_ai.evaluation.result", "switchboard.tokens"] {
        assert!(arrived.contains(part), "{part} did not arrive: {arrived}");
    }
}

/// Declarations of an exporter: regular expressions of metric names, each with its sets of dimensions. There
/// is at least one.
pub(crate) fn declarations(exporter: &str) -> Vec<(Regex, Vec<BTreeSet<String>>)> {
    let configuration = read(AWS);
    let (_, rest) = configuration.split_once(&format!("\n  {exporter}:\n")).expect("has the exporter");
    let own = rest.lines().take_while(|line| line.starts_with("   ") || line.trim().is_empty());
    let own: String = own.map(|line| format!("{line}\n")).collect();
    let each =
        Regex::new(r"metric_name_selectors: \['([^']+)'\]\n\s+dimensions: \[(.+)\]\n").expect("is valid");
    let set = Regex::new(r"\[([^\]]+)\]").expect("is valid");
    let found = each.captures_iter(&own).map(|found| {
        let selector = Regex::new(&found[1].replace("$$", "$")).expect("is valid");
        let sets = set.captures_iter(&found[2]).map(|set| set[1].split(", ").map(str::to_owned).collect());
        (selector, sets.collect())
    });
    let found: Vec<_> = found.collect();
    assert!(!found.is_empty(), "{exporter} declares no metric");
    assert_eq!(found.len(), own.matches("metric_name_selectors").count(), "some declarations cannot be read");
    found
}

/// `aws.yaml` with exporters that write to files instead of AWS.
fn for_files(folder: &Folder) -> String {
    let shipped = read(AWS);
    let (before, rest) = shipped.split_once("\nexporters:\n").expect("has exporters");
    let (exporters, after) = rest.split_once("\nextensions:\n").expect("has extensions");
    let kept = exporters.split("\n  otlp_http/xray:").nth(1).and_then(|rest| rest.split("\n\n").next());
    let kept = kept.expect("has the second exporter for X-Ray");
    let mut after = after.to_owned();
    let mut files = String::new();
    for (exporter, file) in [
        ("awsxray", "traces"),
        ("awsemf", "metrics"),
        ("awsemf/legacy", "legacy"),
        ("otlp_http/logs", "logs"),
    ] {
        let path = folder.0.join(file).with_extension("json");
        files += &format!("  file/{file}:\n    path: {}\n", path.display());
        let line = format!("exporters: [{exporter}]");
        assert!(after.contains(&line), "no pipeline has {line}");
        after = after.replace(&line, &format!("exporters: [file/{file}]"));
    }
    format!("{before}\nexporters:\n{files}  otlp_http/xray:{kept}\n\nextensions:\n{after}")
}

/// The configuration of a collector that writes everything it receives to a file.
fn backend(folder: &Folder) -> String {
    let path = folder.0.join("backend.json");
    let pipeline = "{receivers: [otlp], exporters: [file]}";
    format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '${{env:COLLECTOR_HTTP}}'}}}}}}}}\n\
         exporters: {{file: {{path: '{}'}}}}\n\
         service:\n  telemetry: {{metrics: {{level: none}}}}\n\
         \x20 pipelines: {{traces: {pipeline}, metrics: {pipeline}, logs: {pipeline}}}\n",
        path.display()
    )
}

/// A data point with all attributes that the metric can have.
fn example(metric: &Metric, now: &Clock) -> serde_json::Value {
    let pairs: Vec<_> = metric.attributes.iter().map(|name| (name.as_str(), "some")).collect();
    let attributes = attributes(&pairs);
    let Metric { name, unit, kind, .. } = metric;
    match kind {
        Kind::Counter => counter(name, unit, now, &[(attributes, 1)]),
        Kind::UpDownCounter => sum(name, unit, &now.cumulative(1), false, &[(attributes, 1)]),
        Kind::Gauge => {
            let point = json!({"attributes": attributes, "asInt": "1", "timeUnixNano": now.end.to_string()});
            json!({"name": name, "unit": unit, "gauge": {"dataPoints": [point]}})
        }
        Kind::Histogram => {
            let mut histogram = histogram(name, now, &[(attributes, &[1.0])]);
            histogram["unit"] = json!(unit);
            histogram
        }
    }
}
