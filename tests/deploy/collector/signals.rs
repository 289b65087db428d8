//! OTLP as JSON: data to send to a collector, and the data that it wrote.
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// The bucket bounds of all histograms of these tests.
const BOUNDS: [f64; 2] = [0.5, 1.5];

/// The time that a data point covers, in nanoseconds, and its temporality as OTLP numbers it: 1 delta, 2
/// cumulative.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) start: u128,
    pub(super) end: u128,
    temporality: u8,
}

/// Data points in the order in which the collector wrote them.
pub(super) struct Points(pub(super) Vec<Point>);

#[derive(Debug)]
pub(super) struct Point {
    pub(super) metric: String,
    pub(super) unit: String,
    pub(super) attributes: BTreeMap<String, String>,
    /// The value; the sum if the metric is a histogram.
    pub(super) value: f64,
    pub(super) count: Option<u64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    /// OTLP's number of the temporality. Absent: the metric is a gauge.
    pub(super) temporality: Option<u64>,
}

pub(super) fn metrics_of(metrics: &[Value]) -> Value {
    let resource = json!({"attributes": attributes(&[("service.name", "switchboard")])});
    let scope = json!({"scope": {"name": "switchboard"}, "metrics": metrics});
    json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [scope]}]})
}

pub(super) fn attributes(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

pub(super) fn counter(name: &str, unit: &str, clock: &Clock, points: &[(Value, u64)]) -> Value {
    sum(name, unit, clock, true, points)
}

pub(super) fn sum(name: &str, unit: &str, clock: &Clock, rises: bool, points: &[(Value, u64)]) -> Value {
    let points = points.iter().map(|(attributes, value)| {
        json!({"attributes": attributes, "asInt": value.to_string(),
            "startTimeUnixNano": clock.start.to_string(), "timeUnixNano": clock.end.to_string()})
    });
    let points: Vec<_> = points.collect();
    let sum =
        json!({"aggregationTemporality": clock.temporality, "isMonotonic": rises, "dataPoints": points});
    json!({"name": name, "unit": unit, "sum": sum})
}

pub(super) fn histogram(name: &str, clock: &Clock, points: &[(Value, &[f64])]) -> Value {
    let points: Vec<_> =
        points.iter().map(|(attributes, values)| bucketed(clock, attributes, values)).collect();
    let histogram = json!({"aggregationTemporality": clock.temporality, "dataPoints": points});
    json!({"name": name, "unit": "s", "histogram": histogram})
}

fn bucketed(clock: &Clock, attributes: &Value, values: &[f64]) -> Value {
    let bucket = |value: &f64| BOUNDS.iter().filter(|bound| value > bound).count();
    let count = |one| values.iter().filter(|value| bucket(value) == one).count().to_string();
    let counts: Vec<_> = (0..=BOUNDS.len()).map(count).collect();
    json!({"attributes": attributes, "explicitBounds": BOUNDS, "bucketCounts": counts,
        "count": values.len().to_string(), "sum": values.iter().sum::<f64>(),
        "min": values.iter().copied().fold(f64::INFINITY, f64::min),
        "max": values.iter().copied().fold(0.0, f64::max),
        "startTimeUnixNano": clock.start.to_string(), "timeUnixNano": clock.end.to_string()})
}

// === impl Clock ===

impl Clock {
    /// A delta point of the next second.
    pub(super) fn now() -> Self {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).expect("is after 1970").as_nanos();
        Self { start, end: start + 1_000_000_000, temporality: 1 }
    }

    /// A cumulative point that ends `seconds` after the start.
    pub(super) fn cumulative(self, seconds: u128) -> Self {
        Self { end: self.start + seconds * 1_000_000_000, temporality: 2, ..self }
    }
}

// === impl Points ===

impl Points {
    pub(super) fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).expect("was written");
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect();
        let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
        let resources = lines.iter().flat_map(|line| list(line, "resourceMetrics"));
        let scopes = resources.flat_map(|resource| list(&resource, "scopeMetrics"));
        let metrics = scopes.flat_map(|scope| list(&scope, "metrics"));
        let points = metrics.flat_map(|metric| {
            let data = ["sum", "gauge", "histogram"]
                .map(|kind| &metric[kind])
                .into_iter()
                .find(|data| !data.is_null());
            let data = data.expect("is of a kind that this test supports");
            list(data, "dataPoints").iter().map(|point| Point::of(&metric, data, point)).collect::<Vec<_>>()
        });
        Self(points.collect())
    }

    pub(super) fn of(&self, metric: &str) -> Vec<&Point> {
        self.0.iter().filter(|point| point.metric == metric).collect()
    }
}

// === impl Point ===

impl Point {
    fn of(metric: &Value, data: &Value, point: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let attributes = point["attributes"].as_array().into_iter().flatten();
        let integer = |value: &Value| value.as_str().and_then(|digits| digits.parse::<u64>().ok());
        let double = |value: &Value| value.as_f64();
        #[expect(clippy::cast_precision_loss, reason = "the tests' numbers are small")]
        let whole = integer(&point["asInt"]).map(|number| number as f64);
        Self {
            metric: text(&metric["name"]),
            unit: text(&metric["unit"]),
            attributes: attributes
                .map(|pair| (text(&pair["key"]), text(&pair["value"]["stringValue"])))
                .collect(),
            value: whole.or(double(&point["asDouble"])).or(double(&point["sum"])).expect("has a value"),
            count: integer(&point["count"]),
            min: double(&point["min"]),
            max: double(&point["max"]),
            temporality: data["aggregationTemporality"].as_u64(),
        }
    }
}
