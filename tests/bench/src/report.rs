//! Tables of the results.
use crate::Result;
use crate::{
    load::Measured,
    suite::{ALL, Found},
};
use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

/// A row of the table of goals.
struct Goal {
    measure: &'static str,
    accepted: &'static str,
    goal: &'static str,
    /// The value of each round.
    values: fn(&Found) -> Vec<f64>,
}

const GOALS: &[Goal] = &[
    Goal {
        measure: "CPU per unary call, 32 in flight",
        accepted: "≤ 1.5",
        goal: "≤ 1.0",
        values: |found| found.ratio("unary-32", "on", "direct", Measured::cpu_per_call),
    },
    Goal {
        measure: "calls per second per core",
        accepted: "≥ 0.7",
        goal: "≥ 1.0",
        values: |found| found.ratio("unary-32", "on", "direct", Measured::calls_per_second),
    },
    Goal {
        measure: "p50 with one in flight",
        accepted: "≤ 1.9",
        goal: "≤ 1.5",
        values: |found| found.ratio("unary-1", "on", "direct", |it| it.call.p50),
    },
    Goal {
        measure: "p99 with one in flight",
        accepted: "≤ 1.9",
        goal: "≤ 1.5",
        values: |found| found.ratio("unary-1", "on", "direct", |it| it.call.p99),
    },
    Goal {
        measure: "first token p50",
        accepted: "≤ 1.8",
        goal: "≤ 1.4",
        values: |found| found.ratio("stream-1", "on", "direct", |it| it.first.p50),
    },
    Goal {
        measure: "CPU per stream event, no gap",
        accepted: "≤ 2.0",
        goal: "≤ 1.2",
        values: |found| found.ratio("stream-16", "on", "direct", Measured::cpu_per_event),
    },
    Goal {
        measure: "CPU per stream event, paced 2 ms × 50 streams",
        accepted: "≤ 1.5",
        goal: "≤ 1.25",
        values: |found| found.ratio("paced-50", "on", "direct", Measured::cpu_per_event),
    },
    Goal {
        measure: "memory per open idle stream, of 5,000, KiB",
        accepted: "≤ 48",
        goal: "≤ 28",
        values: |found| {
            found
                .open
                .get(&5000)
                .and_then(|all| all.first())
                .map(|it| it.kib_per_stream())
                .into_iter()
                .collect()
        },
    },
    Goal {
        measure: "tracing on ÷ off, CPU per call",
        accepted: "≤ 1.2",
        goal: "≤ 1.1",
        values: |found| found.ratio("unary-32", "on", "off", Measured::cpu_per_call),
    },
    Goal {
        measure: "first token after a primary that throttles at once: µs in addition to one more round trip",
        accepted: "≤ 300",
        goal: "≤ 100",
        values: Found::fallback,
    },
    Goal {
        measure: "calls per second ÷ LiteLLM",
        accepted: "≥ 100",
        goal: "≥ 200",
        values: |found| found.ratio("unary-32", "on", "litellm", Measured::calls_per_second),
    },
    Goal {
        measure: "calls per second ÷ Portkey",
        accepted: "≥ 20",
        goal: "≥ 35",
        values: |found| found.ratio("unary-32", "on", "portkey", Measured::calls_per_second),
    },
    Goal {
        measure: "calls per second ÷ ferrogw",
        accepted: "≥ 3.5",
        goal: "≥ 6",
        values: |found| found.ratio("unary-32", "on", "ferrogw", Measured::calls_per_second),
    },
];

/// All tables, in Markdown.
pub(crate) fn markdown(found: &Found) -> String {
    let mut text = summary(found);
    systems(found, &mut text);
    open_streams(found, &mut text);
    growth(found, &mut text);
    text
}

/// Conditions of the run, and the table of goals.
fn summary(found: &Found) -> String {
    let Found { date, machine, rounds, seconds, .. } = found;
    let day = date.split('T').next().unwrap_or_default();
    let all = found.results.values().flat_map(BTreeMap::values).flatten();
    let stolen: Vec<_> = all.map(|it| it.stolen * 100.0).collect();
    let mut text = format!(
        "{day}; {machine}; `cargo xtask bench --peers`, {rounds} rounds of {seconds} s for each measurement; median (lowest \
         to highest); steal time of the machine {:.1} % on average, {:.1} % at most\n\n",
        stolen.iter().sum::<f64>() / stolen.len().max(1) as f64,
        stolen.iter().fold(0.0, |most, it| it.max(most))
    );
    goals(found, &mut text);
    text
}

/// Replaces the tables between the markers in a file.
pub(crate) fn put(file: &Path, table: &str) -> Result {
    const MARKS: [&str; 2] = ["<!-- bench: begin -->\n", "<!-- bench: end -->"];
    let text = fs::read_to_string(file)?;
    let place =
        text.split_once(MARKS[0]).and_then(|(before, rest)| Some((before, rest.split_once(MARKS[1])?.1)));
    let (before, after) = place.ok_or_else(|| format!("{} has no markers for the tables", file.display()))?;
    Ok(fs::write(file, format!("{before}{}{table}{}{after}", MARKS[0], MARKS[1]))?)
}

/// Ratios to the SDK in the same round.
fn goals(found: &Found, text: &mut String) {
    text.push_str("| measure, as a ratio to the SDK in the same round | Switchboard | accepted | goal |\n|---|---|---|---|\n");
    for Goal { measure, accepted, goal, values } in GOALS {
        let values = values(found);
        if !values.is_empty() {
            let _ = writeln!(text, "| {measure} | {} | {accepted} | {goal} |", spread(values));
        }
    }
}

/// Absolute numbers, which are valid for this machine alone.
fn systems(found: &Found, text: &mut String) {
    text.push_str("\n| load | of | calls/s | p50 µs | p99 µs | p99.9 µs | first token p50 µs | p99 µs | events/s | event p50 µs | p99 µs | CPU µs per call | per event |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for measure in ALL.map(|measure| measure.name) {
        for (system, rounds) in found.results.get(measure).into_iter().flatten() {
            let of = |value: fn(&Measured) -> f64| spread(rounds.iter().map(value).collect());
            let _ = writeln!(
                text,
                "| {measure} | {system} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                of(Measured::calls_per_second),
                of(|it| it.call.p50),
                of(|it| it.call.p99),
                of(|it| it.call.p999),
                of(|it| it.first.p50),
                of(|it| it.first.p99),
                of(Measured::events_per_second),
                of(|it| it.event.p50),
                of(|it| it.event.p99),
                of(Measured::cpu_per_call),
                of(Measured::cpu_per_event),
            );
        }
    }
}

fn open_streams(found: &Found, text: &mut String) {
    if found.open.is_empty() {
        return;
    }
    text.push_str("\n| open streams | served | KiB each | MiB before | with them | 5 s after | first token p50 ms | p99 ms | CPU ms/s while they wait |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for (streams, it) in found.open.iter().flat_map(|(streams, all)| all.iter().map(move |it| (streams, it)))
    {
        let [before, with, after] = it.memory.unwrap_or_default().map(|bytes| number(mib(bytes)));
        let (first, last) = (number(it.first.p50 / 1000.0), number(it.first.p99 / 1000.0));
        let (kib, cpu) = (number(it.kib_per_stream()), number(it.cpu * 1000.0));
        let _ = writeln!(
            text,
            "| {streams} | {} | {kib} | {before} | {with} | {after} | {first} | {last} | {cpu} |",
            it.calls
        );
    }
}

fn growth(found: &Found, text: &mut String) {
    for (curve, systems) in &found.growth {
        let _ = writeln!(
            text,
            "\n| {curve} | of | calls/s | p50 µs | p99 µs | CPU µs per call |\n|---|---|---|---|---|---|"
        );
        for (system, points) in systems {
            for (point, it) in points {
                let (rate, cpu) = (number(it.calls_per_second()), number(it.cpu_per_call()));
                let (p50, p99) = (number(it.call.p50), number(it.call.p99));
                let _ = writeln!(text, "| {point} | {system} | {rate} | {p50} | {p99} | {cpu} |");
            }
        }
    }
}

/// One line about a measurement, for the terminal.
pub(crate) fn line(it: &Measured) -> String {
    let (rate, cpu, event) = (it.calls_per_second(), it.cpu_per_call(), it.cpu_per_event());
    let (p50, p99, first) = (it.call.p50, it.call.p99, it.first.p50);
    format!(
        "{rate:9.0}/s  p50 {p50:9.1}  p99 {p99:9.1}  first {first:8.1}  CPU {cpu:9.1} a call, {event:6.2} an event"
    )
}

/// The median and the range; "–" if there is no measurement.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => "–".to_owned(),
        all if all.iter().all(|value| *value == 0.0 || !value.is_finite()) => "–".to_owned(),
        [one] => number(*one),
        all => {
            let (low, high) = (all[0], all[all.len() - 1]);
            format!("{} ({} to {})", number(median(all)), number(low), number(high))
        }
    }
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// Formats a value with three significant digits.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes of a process")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

// === impl Measured ===

#[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
impl Measured {
    pub(crate) fn calls_per_second(&self) -> f64 {
        self.calls as f64 / self.seconds
    }

    pub(crate) fn events_per_second(&self) -> f64 {
        self.events as f64 / self.seconds
    }

    pub(crate) fn cpu_per_call(&self) -> f64 {
        self.cpu * 1e6 / self.calls as f64
    }

    pub(crate) fn cpu_per_event(&self) -> f64 {
        if self.events == 0 { 0.0 } else { self.cpu * 1e6 / self.events as f64 }
    }

    fn kib_per_stream(&self) -> f64 {
        let [before, with, _] = self.memory.unwrap_or_default();
        with.saturating_sub(before) as f64 / 1024.0 / self.calls as f64
    }
}

// === impl Found ===

impl Found {
    /// The value of system `of` divided by that of system `to`, for each round.
    fn ratio(&self, measure: &str, of: &str, to: &str, value: fn(&Measured) -> f64) -> Vec<f64> {
        let rounds =
            |system| self.results.get(measure).and_then(|systems| systems.get(system)).into_iter().flatten();
        rounds(of).zip(rounds(to)).map(|(of, to)| value(of) / value(to)).collect()
    }

    /// Time that a fallback takes in addition to the one round trip that it needs, in microseconds.
    fn fallback(&self) -> Vec<f64> {
        let rounds = |measure, system, value: fn(&Measured) -> f64| {
            let systems = self.results.get(measure).and_then(|systems| systems.get(system));
            systems.into_iter().flatten().map(value).collect::<Vec<_>>()
        };
        let fallen = rounds("throttled-1", "on", |it| it.first.p50);
        let plain = rounds("stream-1", "on", |it| it.first.p50);
        let trip = rounds("unary-1", "raw", |it| it.call.p50);
        fallen.iter().zip(plain).zip(trip).map(|((fallen, plain), trip)| fallen - plain - trip).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Quantiles;

    fn measured(cpu: f64, p50: f64) -> Measured {
        let quantiles = Quantiles { p50, ..Quantiles::default() };
        Measured {
            calls: 1000,
            events: 10_000,
            seconds: 2.0,
            cpu,
            call: quantiles,
            first: quantiles,
            ..Measured::default()
        }
    }

    fn found(results: &[(&str, &str, Vec<Measured>)]) -> Found {
        let mut found = Found::default();
        for (measure, system, rounds) in results {
            let rounds = serde_json::to_string(rounds).expect("is JSON");
            let rounds = serde_json::from_str(&rounds).expect("is its own");
            let systems = found.results.entry((*measure).to_owned()).or_default();
            systems.insert((*system).to_owned(), rounds);
        }
        found
    }

    #[test]
    fn cpu_time_is_reported_per_call_and_per_event() {
        let it = measured(0.5, 1.0);
        assert_eq!((it.cpu_per_call(), it.cpu_per_event(), it.calls_per_second()), (500.0, 50.0, 500.0));
        assert_eq!(Measured { events: 0, ..it }.cpu_per_event(), 0.0);
    }

    #[test]
    fn memory_per_stream_is_the_growth_of_the_process() {
        let it = Measured { calls: 1024, memory: Some([10 << 20, 42 << 20, 0]), ..Measured::default() };
        assert_eq!(it.kib_per_stream(), 32.0);
        let shrunk = Measured { memory: Some([42 << 20, 10 << 20, 0]), ..it };
        assert_eq!(shrunk.kib_per_stream(), 0.0);
    }

    #[test]
    fn a_ratio_compares_the_same_round() {
        let found = found(&[
            ("unary-32", "on", vec![measured(0.6, 0.0), measured(0.2, 0.0), measured(9.0, 0.0)]),
            ("unary-32", "direct", vec![measured(0.4, 0.0), measured(0.4, 0.0)]),
        ]);
        let ratios = found.ratio("unary-32", "on", "direct", Measured::cpu_per_call);
        assert_eq!(ratios, [600.0 / 400.0, 200.0 / 400.0]); // the third round lacks a measurement of `direct`
        assert_eq!(found.ratio("unary-32", "on", "absent", Measured::cpu_per_call), [0.0; 0]);
        let table = summary(&found);
        assert!(
            table.contains("| CPU per unary call, 32 in flight | 1.00 (0.50 to 1.50) | ≤ 1.5 |"),
            "{table}"
        );
        assert!(!table.contains("LiteLLM"), "{table}");
    }

    #[test]
    fn the_time_of_a_fallback_excludes_its_round_trip() {
        let found = found(&[
            ("throttled-1", "on", vec![measured(1.0, 700.0)]),
            ("stream-1", "on", vec![measured(1.0, 400.0)]),
            ("unary-1", "raw", vec![measured(1.0, 100.0)]),
        ]);
        assert_eq!(found.fallback(), [200.0]);
    }

    #[test]
    fn a_median_is_shown_with_its_range() {
        assert_eq!(spread(vec![3.0, 1.0, 2.0]), "2.00 (1.00 to 3.00)");
        assert_eq!(spread(vec![4.0, 1.0, 2.0, 30.0]), "3.00 (1.00 to 30.0)");
        assert_eq!([spread(vec![123.4]), spread(vec![0.0, 0.0]), spread(vec![])], ["123", "–", "–"]);
    }

    #[test]
    fn tables_replace_the_text_between_the_markers() {
        let file = std::env::temp_dir().join(format!("tables-{}.md", std::process::id()));
        fs::write(&file, "before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n").expect("writes");
        put(&file, "new\n").expect("has markers");
        let text = fs::read_to_string(&file).expect("reads");
        fs::write(&file, "no markers").expect("writes");
        let refused = put(&file, "new\n").is_err();
        fs::remove_file(&file).expect("is removed");
        assert_eq!(text, "before\n<!-- bench: begin -->\nnew\n<!-- bench: end -->\nafter\n");
        assert!(refused);
    }
}
