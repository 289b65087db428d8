//! What the show measured, as a table: the same metrics that Prometheus would fetch.
use prometheus::proto::{Histogram, Metric, MetricFamily};
use std::{collections::BTreeMap, fmt::Write as _};

/// The row of a model.
#[derive(Debug, Default)]
struct Row {
    calls: f64,
    first_content: Option<[f64; 2]>,
    input: f64,
    output: f64,
    cost: f64,
}

/// Calls, first content, tokens and cost of each model.
pub(super) fn table(families: &[MetricFamily]) -> String {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    let mut firsts: BTreeMap<&str, Vec<&Histogram>> = BTreeMap::new();
    for family in families {
        for metric in family.get_metric() {
            let Some(model) = label(metric, "model") else { continue };
            let count = metric.get_counter().get_value();
            match (family.name(), label(metric, "type")) {
                ("switchboard_calls_total", _) => rows.entry(model).or_default().calls += count,
                ("switchboard_cost_total", _) => rows.entry(model).or_default().cost += count,
                ("switchboard_tokens_total", Some("output")) => {
                    rows.entry(model).or_default().output += count
                }
                ("switchboard_tokens_total", _) => rows.entry(model).or_default().input += count,
                ("switchboard_call_first_content_seconds", _) => {
                    firsts.entry(model).or_default().push(metric.get_histogram());
                }
                _ => {}
            }
        }
    }
    for (model, histograms) in firsts {
        let quantiles = [0.5, 0.95].map(|share| quantile(&histograms, share));
        rows.entry(model).or_default().first_content = Some(quantiles);
    }
    written(&rows)
}

fn written(rows: &BTreeMap<&str, Row>) -> String {
    let head = ["model", "calls", "first content p50", "p95", "tokens in", "out", "cost"];
    let [model, calls, median, p95, input, output, cost] = head;
    let mut table = format!("{model:<12}{calls:>6}{median:>20}{p95:>10}{input:>11}{output:>7}{cost:>13}\n");
    for (model, row) in rows {
        let [median, p95] = row.first_content.map_or([String::new(), String::new()], |quantiles| {
            quantiles.map(|seconds| format!("{:.0} ms", seconds * 1000.0))
        });
        let Row { calls, input, output, cost, .. } = row;
        let _infallible = writeln!(
            table,
            "{model:<12}{calls:>6}{median:>20}{p95:>10}{input:>11}{output:>7}{:>13}",
            format!("{cost:.6} $")
        );
    }
    table
}

fn label<'a>(metric: &'a Metric, name: &str) -> Option<&'a str> {
    metric.get_label().iter().find(|label| label.name() == name).map(|label| label.value())
}

/// As Prometheus has it: within its bucket a value is anywhere.
fn quantile(histograms: &[&Histogram], share: f64) -> f64 {
    let mut buckets: BTreeMap<u64, (f64, f64)> = BTreeMap::new(); // positive numbers sort as their bits do
    for bucket in histograms.iter().flat_map(|histogram| histogram.get_bucket()) {
        let bound = bucket.upper_bound();
        buckets.entry(bound.to_bits()).or_insert((bound, 0.0)).1 += small(bucket.cumulative_count());
    }
    let rank = share * histograms.iter().map(|histogram| small(histogram.get_sample_count())).sum::<f64>();
    let (mut lower, mut below) = (0.0, 0.0);
    for (upper, count) in buckets.into_values() {
        if count >= rank && count > below {
            return if upper.is_finite() {
                lower + (upper - lower) * (rank - below) / (count - below)
            } else {
                lower
            };
        }
        (lower, below) = (upper, count);
    }
    lower
}

/// A show has few calls.
fn small(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

    #[test]
    fn quantiles_lie_in_their_buckets() {
        let registry = Registry::new();
        let name = "switchboard_call_first_content_seconds";
        let options = HistogramOpts::new(name, "-").buckets(vec![0.01, 0.02, 0.04]);
        let firsts = HistogramVec::new(options, &["model"]).expect("is right");
        let calls =
            IntCounterVec::new(Opts::new("switchboard_calls_total", "-"), &["model"]).expect("is right");
        registry.register(Box::new(firsts.clone())).expect("is new");
        registry.register(Box::new(calls.clone())).expect("is new");
        for seconds in [0.015, 0.015, 0.015, 0.03] {
            firsts.with_label_values(&["haiku"]).observe(seconds);
            calls.with_label_values(&["haiku"]).inc();
        }
        let table = table(&registry.gather());
        let row: Vec<_> = table.lines().nth(1).expect("has a row").split_whitespace().collect();
        assert_eq!(row[..5], ["haiku", "4", "17", "ms", "36"]);
    }
}
