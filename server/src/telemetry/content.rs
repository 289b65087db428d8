//! Content capture: prompts and answers as span attributes, if `[telemetry] capture_content` is set. The
//! attributes are JSON in the format of the GenAI semantic conventions. Content other than text is
//! represented by its type alone.
use crate::model::ModelEvent;
use serde_json::{Value, json};
use switchboard_proto::v1::{
    self as pb, content_block::Block, content_block_delta::Delta, converse_output::Output,
    system_content_block::Block as SystemBlock,
};

/// Formats the messages of a request.
pub(super) fn messages(request: &pb::ConverseRequest) -> String {
    let messages = request.messages.iter().map(|message| {
        let parts = message.content.iter().filter_map(|content| content.block.as_ref()).map(part);
        json!({ "role": message.role, "parts": parts.collect::<Vec<_>>() })
    });
    Value::Array(messages.collect()).to_string()
}

/// Formats the text of the system prompt.
pub(super) fn system(request: &pb::ConverseRequest) -> String {
    let parts = request.system.iter().filter_map(|content| match content.block.as_ref()? {
        SystemBlock::Text(text) => Some(json!({ "type": "text", "content": text })),
        _ => None,
    });
    Value::Array(parts.collect()).to_string()
}

/// Formats an answer.
pub(super) fn answer(text: &str, finish_reason: &str) -> String {
    let parts = [json!({ "type": "text", "content": text })];
    json!([{ "role": "assistant", "parts": parts, "finish_reason": finish_reason }]).to_string()
}

/// Appends the text of a delta.
pub(super) fn add_delta(answer: &mut String, event: &ModelEvent) {
    if let ModelEvent::ContentBlockDelta(event) = event
        && let Some(Delta::Text(text)) = event.delta.as_ref().and_then(|delta| delta.delta.as_ref())
    {
        answer.push_str(text);
    }
}

/// Appends the text blocks of a whole answer.
pub(super) fn add_answer(answer: &mut String, whole: &pb::ConverseResponse) {
    let Some(Output::Message(message)) = whole.output.as_ref().and_then(|output| output.output.as_ref())
    else {
        return;
    };
    for content in &message.content {
        if let Some(Block::Text(text)) = &content.block {
            answer.push_str(text);
        }
    }
}

fn part(block: &Block) -> Value {
    match block {
        Block::Text(text) => json!({ "type": "text", "content": text }),
        Block::ToolUse(call) => json!({ "type": "tool_call", "id": call.tool_use_id, "name": call.name }),
        Block::ToolResult(result) => json!({ "type": "tool_call_response", "id": result.tool_use_id }),
        _ => json!({ "type": "other" }),
    }
}
