//! The call log: one line for every call, whatever became of it, and never a prompt or an answer.
use super::{CallSink, spans::CallSpan};
use crate::{reason::reason_name, summary::CallSummary};
use std::time::Duration;
use switchboard_proto::{
    names::resolution_name,
    v1::{self as pb, Resolution},
};

/// Writes the line of a call.
#[derive(Debug)]
pub(super) struct CallLog;

impl CallSink for CallLog {
    fn call_ended(&self, summary: &CallSummary, span: &CallSpan) {
        let (trace_id, span_id) = span.ids().map(|ids| (ids.trace_id, ids.span_id)).unzip();
        let last = summary.last().map(|last| &last.attempt);
        let is_unknown = summary.resolution == Some(Resolution::Unknown);
        tracing::info!(
            method = summary.rpc.name(),
            request_id = summary.request_id.as_str(),
            trace_id,
            span_id,
            task = summary.task.as_ref().map(|task| task.name.as_str()),
            requested_task = is_unknown.then_some(summary.requested_task.as_str()),
            resolution = summary.resolution.filter(|_| is_unknown).map(resolution_name),
            outcome = summary.outcome.log_name(),
            reason = summary.reason.map(reason_name),
            fault_domain = summary.fault_domain.name(),
            model = last.map(|attempt| attempt.model_id.as_str()),
            region = last.map(|attempt| attempt.region.as_str()),
            fallback = summary.fallback.is_some(),
            fallback_reason = summary.fallback.map(reason_name),
            attempts = summary.attempts.len(),
            adjustments = last.map(|attempt| attempt.adjustments.len()),
            input_tokens = summary.usage.as_ref().map(|usage| usage.input_tokens),
            output_tokens = summary.usage.as_ref().map(|usage| usage.output_tokens),
            cost_pico_usd = summary.cost.map(|cost: pb::Cost| cost.pico_usd),
            cost_estimated = summary.cost.map(|cost| cost.estimated),
            unpriced_attempts = summary.unpriced,
            first_token_ms = summary.first_content.map(millis),
            total_ms = millis(summary.total),
            switchboard_us = u64::try_from(summary.own_time.as_micros()).ok(),
            "call ended"
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a call fit a double")]
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
