//! Dashboards and alarms use metrics that exist, by attributes that these have.
use crate::{
    collector::{PERCENTILES, declarations},
    metrics::{self, Metric, prometheus},
    read_json,
};
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn every_query_of_grafana_uses_exported_series_and_labels() {
    let metrics = metrics::all();
    let dashboard = read_json("deploy/grafana/switchboard.json");
    let queries = texts(&dashboard, &["expr", "query"]);

    let mut checked = 0;
    for query in queries.iter().filter(|query| query.contains('_')) {
        let named =
            words(query).into_iter().filter_map(|word| metric_of(&metrics, &word)).collect::<Vec<_>>();
        assert!(!named.is_empty(), "names no metric: {query}");
        for label in labels(query) {
            let has = |metric: &&Metric| metric.attributes.iter().any(|known| prometheus(known) == label);
            assert!(named.iter().all(has), "not every metric of it has the label {label}: {query}");
        }
        checked += 1;
    }

    assert!(checked > 30, "only {checked} queries were found");
}

#[test]
fn every_panel_of_grafana_has_an_id_and_a_place_of_its_own() {
    let dashboard = read_json("deploy/grafana/switchboard.json");
    let panels = dashboard["panels"].as_array().expect("has panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    let places: BTreeSet<_> = panels
        .iter()
        .map(|panel| [&panel["gridPos"]["x"], &panel["gridPos"]["y"]].map(Value::as_u64))
        .collect();
    assert!(!panels.is_empty(), "the dashboard has no panels");
    assert_eq!((ids.len(), places.len()), (panels.len(), panels.len()));
}

#[test]
fn every_widget_of_cloudwatch_uses_a_metric_that_the_collector_declares() {
    let dashboard = read_json("deploy/cloudwatch/dashboard.json");
    let metrics = dashboard["widgets"].as_array().expect("has widgets").iter();
    let rows = metrics.filter_map(|widget| widget["properties"]["metrics"].as_array()).flatten();

    let used: Vec<_> = rows.map(used_by_row).collect();

    assert!(used.len() > 25, "only {} metrics were found", used.len());
    used.iter().for_each(assert_declared);
}

#[test]
fn every_alarm_uses_a_metric_that_the_collector_declares() {
    let template = read_json("deploy/cloudwatch/alarms.json");
    let resources = template["Resources"].as_object().expect("has resources");
    let alarms = resources.values().filter(|resource| resource["Type"] == "AWS::CloudWatch::Alarm");

    let mut used = Vec::new();
    for alarm in alarms.map(|alarm| &alarm["Properties"]) {
        assert_ne!(alarm["AlarmDescription"].as_str().unwrap_or_default(), "", "has a description");
        match alarm["Metrics"].as_array() {
            Some(queries) => {
                let metrics = queries.iter().map(|query| &query["MetricStat"]["Metric"]);
                used.extend(metrics.filter(|metric| !metric.is_null()).map(used_by_alarm));
            }
            None => used.push(used_by_alarm(alarm)),
        }
    }

    assert!(used.len() >= 10, "only {} metrics were found", used.len());
    used.iter().for_each(assert_declared);
}

#[test]
fn every_parameter_of_the_alarms_exists_and_is_used() {
    let template = read_json("deploy/cloudwatch/alarms.json");
    let parameters = template["Parameters"].as_object().expect("has parameters");
    let mut known: BTreeSet<&str> = parameters.keys().map(String::as_str).collect();
    known.extend(template["Resources"].as_object().expect("has resources").keys().map(String::as_str));
    let used: BTreeSet<_> =
        texts(&template, &["Ref"]).into_iter().filter(|name| !name.contains("::")).collect();

    assert!(!parameters.is_empty(), "the alarms have no parameters");
    assert!(used.iter().all(|name| known.contains(name.as_str())), "{used:?}");
    assert!(parameters.keys().all(|name| used.contains(name)), "{used:?}");
}

/// A metric of CloudWatch and the names of the dimensions that select it.
type Used = (String, BTreeSet<String>);

/// `["Switchboard", "name", "dimension", "value", …, {…}]` or `[{"expression": "SEARCH('{Switchboard,…}
/// …')"}]`.
fn used_by_row(row: &Value) -> Used {
    let row = row.as_array().expect("is a row");
    let Some(expression) = row[0]["expression"].as_str() else {
        let words: Vec<_> = row.iter().filter_map(Value::as_str).collect();
        assert_eq!(words[0], "Switchboard", "{row:?}");
        return (words[1].to_owned(), words[2..].iter().step_by(2).map(|name| (*name).to_owned()).collect());
    };
    let search = Regex::new(r#"^SEARCH\('\{Switchboard,([^}]+)\} MetricName="([^"]+)""#).expect("is valid");
    let found = search.captures(expression).unwrap_or_else(|| panic!("cannot be read: {expression}"));
    (found[2].to_owned(), found[1].split(',').map(str::to_owned).collect())
}

fn used_by_alarm(metric: &Value) -> Used {
    assert_eq!(metric["Namespace"]["Ref"], "Namespace", "{metric}");
    let dimensions = metric["Dimensions"].as_array().expect("has dimensions").iter();
    let names = dimensions.filter_map(|dimension| dimension["Name"].as_str()).map(str::to_owned);
    (metric["MetricName"].as_str().expect("has a name").to_owned(), names.collect())
}

fn assert_declared((name, dimensions): &Used) {
    let is_percentile = [".p50", ".p95", ".p99"].iter().any(|suffix| name.ends_with(suffix));
    let exists = metrics::all().iter().any(|metric| metric.name == *name);
    assert!(exists || is_percentile && PERCENTILES.contains(&name.as_str()), "there is no {name}");
    let declared = declarations("awsemf").into_iter().filter(|(selector, _)| selector.is_match(name));
    let known = declared.flat_map(|(_, sets)| sets).any(|set| set == *dimensions);
    assert!(known, "collector/aws.yaml does not declare {name} by {dimensions:?}");
}

/// The texts of all members with these names, at any depth.
fn texts(value: &Value, names: &[&str]) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(|item| texts(item, names)).collect(),
        Value::Object(members) => {
            let own = members.iter().filter(|(name, _)| names.contains(&name.as_str()));
            let own = own.filter_map(|(_, text)| text.as_str()).map(str::to_owned);
            own.chain(members.values().flat_map(|member| texts(member, names))).collect()
        }
        _ => Vec::new(),
    }
}

/// Words with the prefix of our names or of those of the conventions. Each must be a series or an attribute.
fn words(query: &str) -> Vec<String> {
    let word = Regex::new(r"\b(?:switchboard|gen_ai|rpc)_\w+").expect("is valid");
    word.find_iter(query).map(|found| found.as_str().to_owned()).collect()
}

fn metric_of<'a>(metrics: &'a [Metric], word: &str) -> Option<&'a Metric> {
    let found = metrics.iter().find(|metric| metric.series().iter().any(|series| series == word));
    let attribute =
        || metrics.iter().flat_map(|metric| &metric.attributes).any(|name| prometheus(name) == word);
    assert!(found.is_some() || attribute(), "nothing exports {word}");
    found
}

fn labels(query: &str) -> BTreeSet<String> {
    let expression = |text| Regex::new(text).expect("is valid");
    let (braces, compared) = (expression(r"\{([^}]*)\}"), expression(r"(\w+)\s*(?:=~|!~|!=|=)"));
    let (grouped, listed) = (expression(r"\bby \(([^)]*)\)"), expression(r"label_values\(\w+, (\w+)\)"));
    let inside = braces.captures_iter(query).flat_map(|found| {
        let text = found.get(1).map_or("", |part| part.as_str());
        compared.captures_iter(text).map(|label| label[1].to_owned()).collect::<Vec<_>>()
    });
    let by = grouped.captures_iter(query).flat_map(|found| {
        let names = found.get(1).map_or("", |part| part.as_str());
        names.split(", ").map(str::to_owned).collect::<Vec<_>>()
    });
    let values = listed.captures_iter(query).map(|found| found[1].to_owned());
    inside.chain(by).chain(values).filter(|label| label != "le").collect()
}
