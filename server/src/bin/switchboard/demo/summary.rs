//! The demo's summary: a row for each model, from the calls that the demo made.
use std::{collections::BTreeMap, fmt::Write as _, time::Duration};
use switchboard_client::pb;

/// One call of the demo.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) route: pb::Route,
    pub(super) metadata: pb::ConverseStreamMetadataEvent,
}

/// The row of a model.
#[derive(Debug, Default)]
struct Row {
    calls: u32,
    first_tokens: Vec<Duration>,
    input_tokens: i64,
    output_tokens: i64,
    /// Absent: the price of a call is unknown.
    pico_usd: Option<i64>,
}

/// Calls, first token, tokens and cost of each model.
pub(super) fn table(answers: &[Answered]) -> String {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for Answered { route, metadata } in answers {
        let row = rows.entry(&route.model_id).or_insert_with(|| Row { pico_usd: Some(0), ..Row::default() });
        let usage = metadata.usage.clone().unwrap_or_default();
        row.calls += 1;
        row.first_tokens.extend(metadata.latency.and_then(|latency| duration(latency.first_token)));
        row.input_tokens += i64::from(usage.input_tokens);
        row.output_tokens += i64::from(usage.output_tokens);
        row.pico_usd = row.pico_usd.zip(metadata.cost).map(|(sum, cost)| sum + cost.pico_usd);
    }
    format(&rows)
}

fn format(rows: &BTreeMap<&str, Row>) -> String {
    let width = rows.keys().map(|model| model.len()).max().unwrap_or_default();
    let mut table = format!(
        "{:<width$}{:>7}{:>22}{:>11}{:>12}{:>11}\n",
        "model", "calls", "first token", "tokens in", "tokens out", "cost"
    );
    for (model, row) in rows {
        let Row { calls, first_tokens, input_tokens, output_tokens, pico_usd } = row;
        let first_token = match (first_tokens.iter().min(), first_tokens.iter().max()) {
            (Some(least), Some(most)) if least == most => format!("{} ms", least.as_millis()),
            (Some(least), Some(most)) => format!("{} to {} ms", least.as_millis(), most.as_millis()),
            _ => "none".to_owned(),
        };
        let cost = pico_usd.map_or_else(|| "unknown".to_owned(), dollars);
        let _infallible = writeln!(
            table,
            "{model:<width$}{calls:>7}{first_token:>22}{input_tokens:>11}{output_tokens:>12}{cost:>11}"
        );
    }
    table
}

/// The amount in dollars, with four decimals.
#[expect(clippy::cast_precision_loss, reason = "four decimals are shown")]
pub(super) fn dollars(pico_usd: i64) -> String {
    format!("${:.4}", pico_usd as f64 / 1e12)
}

pub(super) fn duration(duration: Option<prost_types::Duration>) -> Option<Duration> {
    duration.and_then(|duration| Duration::try_from(duration).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(model: &str, millis: u64, pico_usd: i64) -> Answered {
        let route = pb::Route { model_id: model.to_owned(), ..Default::default() };
        let first_token = Duration::from_millis(millis).try_into().ok();
        let metadata = pb::ConverseStreamMetadataEvent {
            usage: Some(pb::TokenUsage { input_tokens: 10, output_tokens: 5, ..Default::default() }),
            latency: Some(pb::Latency { first_token, ..Default::default() }),
            cost: Some(pb::Cost { pico_usd, ..Default::default() }),
            ..Default::default()
        };
        Answered { route, metadata }
    }

    #[test]
    fn a_row_sums_up_the_calls_of_its_model() {
        let answers = [
            answered("haiku", 15, 1_000_000_000),
            answered("opus", 20, 7),
            answered("haiku", 30, 500_000_000),
        ];
        let table = table(&answers);
        let rows: Vec<Vec<_>> = table.lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["haiku", "2", "15", "to", "30", "ms", "20", "10", "$0.0015"]);
        assert_eq!(rows[1], ["opus", "1", "20", "ms", "10", "5", "$0.0000"]);
    }

    #[test]
    fn an_unknown_price_is_not_zero() {
        let mut unpriced = answered("opus", 20, 7);
        unpriced.metadata.cost = None;
        assert!(table(&[answered("opus", 20, 7), unpriced]).contains("unknown"));
    }
}
