//! The metrics as `deploy/README.md` lists them.
use crate::read;
use regex::Regex;
use std::{collections::BTreeSet, fs};

const NAMES: &str = "server/src/telemetry/names.rs";

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

pub(crate) fn all() -> Vec<Metric> {
    let readme = read("deploy/README.md");
    let (_, rest) = readme.split_once("<!-- metrics -->").expect("has the table");
    let (table, _) = rest.split_once("<!-- /metrics -->").expect("has its end");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| Metric::parse(row).unwrap_or_else(|| panic!("cannot be read: {row}"))).collect()
}

#[test]
fn the_table_lists_the_programs_metrics_and_no_other() {
    let Ok(names) = fs::read_to_string(NAMES) else {
        eprintln!("left out: {NAMES} is not there to compare with");
        return;
    };
    let constant =
        Regex::new(r#":\s*\(&str, &str\)\s*=\s*\(\s*"([^"]+)",\s*"([^"]*)",?\s*\)"#).expect("is valid");
    let pairs = constant.captures_iter(&names).map(|found| (found[1].to_owned(), found[2].to_owned()));

    let programs: BTreeSet<_> = pairs.collect();
    let listed: BTreeSet<_> = all().into_iter().map(|metric| (metric.name, metric.unit)).collect();

    assert!(!programs.is_empty(), "no name was found in {NAMES}");
    assert_eq!(programs, listed, "left: {NAMES}; right: deploy/README.md");
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

/// An attribute or metric as Prometheus writes it.
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

    /// What a scrape of it shows, by the rules of opentelemetry-prometheus: units it knows, and `_total`, are appended.
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
