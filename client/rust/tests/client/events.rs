//! Short constructors of events, to keep tests readable.

use pb::{
    content_block_delta::Delta, content_block_start::Start, reasoning_content_block_delta as reasoning,
};
use switchboard_client::{Event, pb};

pub(crate) fn route() -> Event {
    Event::Route(pb::Route {
        request_id: "call-1".to_owned(),
        task_type: "default".to_owned(),
        model_id: "haiku".to_owned(),
        region: "us-east-1".to_owned(),
        attempts: vec![attempt("haiku", pb::Outcome::Ok, pb::ErrorReason::Unspecified)],
        ..Default::default()
    })
}

pub(crate) fn attempt(model: &str, outcome: pb::Outcome, reason: pb::ErrorReason) -> pb::Attempt {
    pb::Attempt {
        model_id: model.to_owned(),
        region: "us-east-1".to_owned(),
        outcome: outcome.into(),
        reason: reason.into(),
        ..Default::default()
    }
}

pub(crate) fn begin() -> Event {
    Event::MessageStart(pb::MessageStartEvent { role: "assistant".to_owned() })
}

pub(crate) fn delta(content_block_index: i32, delta: Delta) -> Event {
    let delta = Some(pb::ContentBlockDelta { delta: Some(delta) });
    Event::ContentBlockDelta(pb::ContentBlockDeltaEvent { delta, content_block_index })
}

pub(crate) fn text(index: i32, part: &str) -> Event {
    delta(index, Delta::Text(part.to_owned()))
}

pub(crate) fn thought(index: i32, part: reasoning::Delta) -> Event {
    delta(index, Delta::ReasoningContent(pb::ReasoningContentBlockDelta { delta: Some(part) }))
}

pub(crate) fn tool(content_block_index: i32, id: &str, name: &str) -> Event {
    let start = pb::ToolUseBlockStart { tool_use_id: id.to_owned(), name: name.to_owned(), r#type: None };
    starts(content_block_index, Start::ToolUse(start))
}

pub(crate) fn starts(content_block_index: i32, start: Start) -> Event {
    let start = Some(pb::ContentBlockStart { start: Some(start) });
    Event::ContentBlockStart(pb::ContentBlockStartEvent { start, content_block_index })
}

pub(crate) fn tool_input(index: i32, input: &str) -> Event {
    delta(index, Delta::ToolUse(pb::ToolUseBlockDelta { input: input.to_owned() }))
}

pub(crate) fn restart() -> Event {
    Event::Restart(pb::RestartEvent { reason: pb::ErrorReason::ModelTimeout.into() })
}

pub(crate) fn stop(stop_reason: pb::StopReason) -> Event {
    let raw_stop_reason = stop_reason.as_str_name().trim_start_matches("STOP_REASON_").to_lowercase();
    Event::MessageStop(pb::MessageStopEvent {
        stop_reason: stop_reason.into(),
        raw_stop_reason,
        additional_model_response_fields_json: None,
    })
}

pub(crate) fn metadata() -> Event {
    Event::Metadata(pb::ConverseStreamMetadataEvent {
        usage: Some(usage()),
        latency: Some(latency()),
        ..Default::default()
    })
}

pub(crate) fn usage() -> pb::TokenUsage {
    pb::TokenUsage { input_tokens: 12, output_tokens: 34, total_tokens: 46, ..Default::default() }
}

pub(crate) fn latency() -> pb::Latency {
    pb::Latency {
        first_token: Some(prost_types::Duration { seconds: 0, nanos: 412_000_000 }),
        total: Some(prost_types::Duration { seconds: 1, nanos: 800_000_000 }),
        switchboard: None,
    }
}

/// Complete answer with one text block.
pub(crate) fn says(parts: &[&str]) -> Vec<Event> {
    let parts = parts.iter().map(|part| text(0, part));
    let end = [stop(pb::StopReason::EndTurn), metadata()];
    [route(), begin()].into_iter().chain(parts).chain(end).collect()
}
