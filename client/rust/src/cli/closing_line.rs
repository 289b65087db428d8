//! Closing line of an answer: model, tokens, cost and time.

use std::time::Duration;
use switchboard_client::{
    Collected,
    names::{outcome_name, reason_name},
    pb,
};

/// Returns `model in region · 12 in, 34 out · $0.0012 · first token 0.4 s, total 1.8 s`, with fallbacks,
/// retries and an unusual stop reason.
pub(super) fn closing_line(answer: &Collected) -> String {
    let parts = [
        answer.route.as_ref().map(model),
        answer.route.as_ref().and_then(other_attempts),
        answer.usage.as_ref().map(tokens),
        answer.cost.as_ref().map(cost),
        answer.latency.as_ref().map(latency),
        stopped(answer),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn model(route: &pb::Route) -> String {
    format!("{} in {}", route.model_id, route.region)
}

fn other_attempts(route: &pb::Route) -> Option<String> {
    let failed = route.attempts.iter().filter(|attempt| attempt.outcome() != pb::Outcome::Ok);
    let failed: Vec<_> = failed.map(|it| format!("{} ({})", it.model_id, result(it))).collect();
    match (route.fallback_used, failed.is_empty()) {
        (true, true) => Some("fallback".to_owned()),
        (true, false) => Some(format!("fallback after {}", failed.join(", "))),
        (false, false) => Some(format!("retried after {}", failed.join(", "))),
        (false, true) => None,
    }
}

/// Returns the result of an attempt: `BEDROCK_THROTTLED`, `CANCELLED`, `skipped` or `skipped: COOLING_DOWN`.
fn result(attempt: &pb::Attempt) -> String {
    match (attempt.outcome(), attempt.reason()) {
        (pb::Outcome::Skipped, pb::ErrorReason::Unspecified) => "skipped".to_owned(),
        (pb::Outcome::Skipped, reason) => format!("skipped: {}", reason_name(reason)),
        (outcome, pb::ErrorReason::Unspecified) => outcome_name(outcome).to_owned(),
        (_, reason) => reason_name(reason).to_owned(),
    }
}

/// Returns the cost in US dollars with at least two significant digits, with `~` before an estimate.
fn cost(cost: &pb::Cost) -> String {
    let mark = if cost.estimated { "~" } else { "" };
    match cost.usd {
        usd if usd >= 0.001 => format!("{mark}${usd:.4}"),
        usd => format!("{mark}${usd:.6}"),
    }
}

fn tokens(usage: &pb::TokenUsage) -> String {
    let mut line = format!("{} in, {} out", usage.input_tokens, usage.output_tokens);
    let cached = [(usage.cache_read_input_tokens, "read"), (usage.cache_write_input_tokens, "written")];
    for (count, name) in cached {
        if let Some(count) = count.filter(|count| *count > 0) {
            line.push_str(&format!(", cache {count} {name}"));
        }
    }
    line
}

fn latency(latency: &pb::Latency) -> String {
    let total = format!("total {}", short(latency.total));
    match latency.first_token {
        Some(first_token) => format!("first token {}, {total}", short(Some(first_token))),
        None => total,
    }
}

fn stopped(answer: &Collected) -> Option<String> {
    (answer.stop_reason != pb::StopReason::EndTurn).then(|| format!("stopped: {}", answer.raw_stop_reason))
}

/// Formats a duration: `412 ms`, `1.8 s`.
pub(super) fn short(duration: Option<prost_types::Duration>) -> String {
    let duration = duration.and_then(|duration| Duration::try_from(duration).ok()).unwrap_or_default();
    match duration.as_millis() {
        millis @ 0..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_cost_and_every_attempt_that_did_not_answer() {
        let attempt = |model: &str, outcome: pb::Outcome, reason: pb::ErrorReason| pb::Attempt {
            model_id: model.to_owned(),
            outcome: outcome.into(),
            reason: reason.into(),
            ..Default::default()
        };
        let attempts = vec![
            attempt("nova", pb::Outcome::Skipped, pb::ErrorReason::CoolingDown),
            attempt("llama", pb::Outcome::Skipped, pb::ErrorReason::Unspecified),
            attempt("opus", pb::Outcome::Throttled, pb::ErrorReason::BedrockThrottled),
            attempt("haiku", pb::Outcome::Ok, pb::ErrorReason::Unspecified),
        ];
        let answer = Collected {
            raw_stop_reason: "max_tokens".to_owned(),
            stop_reason: pb::StopReason::MaxTokens,
            usage: Some(pb::TokenUsage {
                input_tokens: 12,
                output_tokens: 34,
                cache_read_input_tokens: Some(5),
                cache_write_input_tokens: Some(0),
                ..Default::default()
            }),
            latency: Some(pb::Latency {
                first_token: Some(prost_types::Duration { seconds: 0, nanos: 412_000_000 }),
                total: Some(prost_types::Duration { seconds: 1, nanos: 840_000_000 }),
                switchboard: None,
            }),
            route: Some(pb::Route {
                model_id: "haiku".to_owned(),
                region: "us-east-1".to_owned(),
                fallback_used: true,
                attempts,
                ..Default::default()
            }),
            cost: Some(pb::Cost { usd: 0.00194, estimated: true, ..Default::default() }),
            ..Default::default()
        };

        assert_eq!(
            closing_line(&answer),
            "haiku in us-east-1 · fallback after nova (skipped: COOLING_DOWN), llama (skipped), opus \
             (BEDROCK_THROTTLED) · 12 in, 34 out, cache 5 read · ~$0.0019 · first token 412 ms, total 1.8 s · stopped: max_tokens"
        );
    }
}
