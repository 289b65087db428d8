//! The metrics that `deploy/README.md` lists.
use crate::{files_below, read};
use regex::Regex;
use std::collections::BTreeSet;

/// The folder of the sources, one of which declares the names of all metrics.
const SOURCES: &str = "server/src";

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) unit: String,
    pub(crate) attributes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Counter,
    UpDownCounter,
    Gauge,
    Histogram,
}

/// All metrics of the table. There is at least one.
pub(crate) fn all() -> Vec<Metric> {
    let readme = read("deploy/README.md");
    let (_, rest) = readme.split_once("<!-- metrics -->").expect("has the table");
    let (table, _) = rest.split_once("<!-- /metrics -->").expect("has its end");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let metrics = rows.map(|row| Metric::parse(row).unwrap_or_else(|| panic!("cannot be read: {row}")));
    let metrics: Vec<_> = metrics.collect();
    assert!(!metrics.is_empty(), "deploy/README.md lists no metric");
    metrics
}

#[test]
fn the_table_lists_the_metrics_of_the_program_and_no_others() {
    let sources = files_below(SOURCES).into_iter().filter(|file| file.ends_with(".rs"));
    let texts: Vec<_> = sources.map(|file| read(&file)).collect();
    let programs = declared_in(&texts).unwrap_or_else(|problem| panic!("{SOURCES}: {problem}"));
    let listed: BTreeSet<_> = all().into_iter().map(|metric| (metric.name, metric.unit)).collect();
    assert_eq!(programs, listed, "left: {SOURCES}; right: deploy/README.md");
}

#[test]
fn sources_without_readable_names_of_metrics_are_an_error() {
    let with = |constants: &str| format!("//! Names.\n\npub mod metric {{\n{constants}}}\n");
    let calls = "    pub const CALLS: (&str, &str) = (\"switchboard.calls\", \"{call}\");\n";
    let declared = declared_in(&["fn other() {}\n".to_owned(), with(calls)]).expect("are readable");
    assert_eq!(declared, [("switchboard.calls".to_owned(), "{call}".to_owned())].into());

    for (sources, problem) in [
        (vec![], "0 of 0 files"),
        (vec!["fn other() {}\n".to_owned()], "0 of 1 files"),
        (vec![with(calls), with(calls)], "2 of 2 files"),
        (vec![with("")], "0 of 0 constants"),
        (vec![with("    pub const CALLS: &str = \"switchboard.calls\";\n")], "0 of 1 constants"),
    ] {
        let error = declared_in(&sources).expect_err(problem);
        assert!(error.contains(problem), "{error}");
    }
}

/// Names and units of the metrics that the sources declare: constants `NAME: (&str, &str)` of a module
/// `metric`, which exactly one source has. There is at least one.
fn declared_in(sources: &[String]) -> Result<BTreeSet<(String, String)>, String> {
    let module = Regex::new(r"(?sm)^pub(?:\([a-z]+\))? mod metric \{\n(.*?)^\}$").expect("is valid");
    let constant =
        Regex::new(r#":\s*\(&str, &str\)\s*=\s*\(\s*"([^"]+)",\s*"([^"]*)",?\s*\)"#).expect("is valid");
    let modules: Vec<_> = sources.iter().flat_map(|text| module.captures_iter(text)).collect();
    let [metrics] = modules.as_slice() else {
        return Err(format!("{} of {} files have `pub mod metric`, not 1", modules.len(), sources.len()));
    };
    let pairs = constant.captures_iter(&metrics[1]).map(|found| (found[1].to_owned(), found[2].to_owned()));
    let pairs: BTreeSet<_> = pairs.collect();
    let declared = metrics[1].matches("pub const ").count();
    if declared == 0 || pairs.len() != declared {
        return Err(format!("only {} of {declared} constants are a name and a unit", pairs.len()));
    }
    Ok(pairs)
}

#[test]
fn series_are_named_as_the_exporter_names_them() {
    for (name, kind, unit, expected) in [
        ("switchboard.calls", Kind::Counter, "{call}", "switchboard_calls_total"),
        ("switchboard.call.duration", Kind::Histogram, "s", "switchboard_call_duration_seconds_bucket"),
        ("switchboard.breaker.state", Kind::Gauge, "1", "switchboard_breaker_state_ratio"),
        ("switchboard.calls.active", Kind::UpDownCounter, "{call}", "switchboard_calls_active"),
        ("switchboard.cost", Kind::Counter, "USD", "switchboard_cost_total"),
    ] {
        let metric = Metric { name: name.to_owned(), kind, unit: unit.to_owned(), attributes: Vec::new() };
        assert!(metric.series().iter().any(|series| series == expected), "{:?}", metric.series());
    }
}

/// The name of an attribute or metric in Prometheus.
pub(crate) fn prometheus(name: &str) -> String {
    name.replace('.', "_")
}

// === impl Metric ===

impl Metric {
    fn parse(row: &str) -> Option<Self> {
        let mut cells = row.split('|').skip(1).map(str::trim);
        let name = cells.next()?.trim_matches('`').to_owned();
        let (kind, unit) = cells.next()?.split_once(", ")?;
        let kind = match kind {
            "counter" => Kind::Counter,
            "up-down counter" => Kind::UpDownCounter,
            "gauge" => Kind::Gauge,
            "histogram" => Kind::Histogram,
            _ => return None,
        };
        let attributes = cells.next()?.split(", ").filter(|attribute| *attribute != "–");
        let attributes = attributes.map(|attribute| attribute.trim_end_matches('?').to_owned()).collect();
        let meaning = cells.next()?;
        (!meaning.is_empty()).then(|| Self {
            name,
            kind,
            unit: unit.trim_matches('`').to_owned(),
            attributes,
        })
    }

    /// The names of its series in a scrape, by the rules of opentelemetry-prometheus: known units and
    /// `_total` are appended.
    pub(crate) fn series(&self) -> Vec<String> {
        let unit = match self.unit.as_str() {
            "s" => "_seconds",
            "1" => "_ratio",
            _ => "",
        };
        let name = prometheus(&self.name) + unit;
        match self.kind {
            Kind::Counter => vec![name + "_total"],
            Kind::Gauge | Kind::UpDownCounter => vec![name],
            Kind::Histogram => ["_bucket", "_sum", "_count"].map(|part| name.clone() + part).into(),
        }
    }
}
