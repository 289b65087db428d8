//! The log: one line for each call, whatever became of it, and never what was asked or answered.
use super::ends::CallEnd;
use std::time::Duration;

/// Writes the line of a call.
pub(super) fn call_ended(end: &CallEnd<'_>, (trace_id, span_id): (Option<String>, Option<String>)) {
    let last = end.last.map(|last| last.attempt);
    let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
    tracing::info!(
        method = end.method,
        request_id = some(end.request_id),
        trace_id,
        span_id,
        task = end.task.map(|task| task.name.as_str()),
        requested_task = some(end.requested_task).filter(|_| end.resolution == Some("unknown")),
        outcome = end.ended.loud(),
        reason = some(end.reason),
        fault_domain = end.domain.word(),
        model = last.map(|attempt| attempt.model_id.as_str()),
        region = last.map(|attempt| attempt.region.as_str()),
        fallback = end.fell_back.is_some(),
        attempts = end.attempts,
        adjustments = last.map(|attempt| attempt.adjustments.len()),
        input_tokens = end.usage.map(|usage| usage.input_tokens),
        output_tokens = end.usage.map(|usage| usage.output_tokens),
        cost_pico_usd = end.cost.map(|cost| cost.pico_usd),
        cost_estimated = end.cost.map(|cost| cost.estimated),
        unpriced_attempts = end.unpriced,
        first_token_ms = end.first_content.map(millis),
        total_ms = millis(end.total),
        switchboard_us = u64::try_from(end.own_time.as_micros()).ok(),
        "call ended"
    );
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a call fit a double")]
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
