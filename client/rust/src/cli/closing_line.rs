//! The line after an answer: who gave it, what it took.

use std::time::Duration;
use switchboard_client::{Collected, names::reason_name, pb};

/// `model in region · 12 in, 34 out · first token 0.4 s, total 1.8 s`, and what was out of the ordinary.
pub(super) fn closing_line(answer: &Collected) -> String {
    let parts = [
        answer.route.as_ref().map(served),
        answer.route.as_ref().and_then(failed_before),
        answer.usage.as_ref().map(tokens),
        answer.latency.as_ref().map(latency),
        stopped(answer),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn served(route: &pb::Route) -> String {
    format!("{} in {}", route.model_id, route.region)
}

fn failed_before(route: &pb::Route) -> Option<String> {
    let failed = route.attempts.iter().filter(|attempt| attempt.outcome() != pb::Outcome::Ok);
    let failed: Vec<_> = failed.map(|it| format!("{} ({})", it.model_id, reason_name(it.reason()))).collect();
    match (route.fallback_used, failed.is_empty()) {
        (true, true) => Some("fallback".to_owned()),
        (true, false) => Some(format!("fallback after {}", failed.join(", "))),
        (false, false) => Some(format!("retried after {}", failed.join(", "))),
        (false, true) => None,
    }
}

fn tokens(usage: &pb::TokenUsage) -> String {
    let mut line = format!("{} in, {} out", usage.input_tokens, usage.output_tokens);
    let cached = [(usage.cache_read_input_tokens, "read"), (usage.cache_write_input_tokens, "written")];
    for (count, what) in cached {
        if let Some(count) = count.filter(|count| *count > 0) {
            line.push_str(&format!(", cache {count} {what}"));
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

/// A duration as a person reads it: `412 ms`, `1.8 s`.
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
    fn a_fallback_is_told_with_its_reason() {
        let attempt = |model: &str, outcome, reason: pb::ErrorReason| pb::Attempt {
            model_id: model.to_owned(),
            outcome,
            reason: reason.into(),
            ..Default::default()
        };
        let throttled = attempt("opus", pb::Outcome::Throttled.into(), pb::ErrorReason::BedrockThrottled);
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
                attempts: vec![
                    throttled,
                    attempt("haiku", pb::Outcome::Ok.into(), pb::ErrorReason::Unspecified),
                ],
                ..Default::default()
            }),
            ..Default::default()
        };

        assert_eq!(
            closing_line(&answer),
            "haiku in us-east-1 · fallback after opus (BEDROCK_THROTTLED) · 12 in, 34 out, cache 5 read · \
             first token 412 ms, total 1.8 s · stopped: max_tokens"
        );
    }
}
