//! Shorthands for common parts of a request.

use crate::pb;
use pb::{content_block, system_content_block, tool_result_content_block};

/// Makes a request with one prompt.
pub fn ask(task: impl Into<String>, prompt: impl Into<String>) -> pb::ConverseRequest {
    pb::ConverseRequest { task_type: task.into(), messages: vec![user(prompt)], ..Default::default() }
}

/// Makes a user turn with text.
pub fn user(text: impl Into<String>) -> pb::Message {
    turn("user", content_block::Block::Text(text.into()))
}

/// Makes an assistant turn with text, for a history that is stored elsewhere. To continue a conversation,
/// rather send back the original [`pb::Message`], which can have more than text.
pub fn assistant(text: impl Into<String>) -> pb::Message {
    turn("assistant", content_block::Block::Text(text.into()))
}

/// Makes a part of the system prompt.
pub fn system(text: impl Into<String>) -> pb::SystemContentBlock {
    pb::SystemContentBlock { block: Some(system_content_block::Block::Text(text.into())) }
}

/// Makes a tool result from exact JSON text. Put the results of all tool uses into the next user turn.
pub fn tool_result(tool_use_id: impl Into<String>, json: impl Into<String>) -> pb::ContentBlock {
    let part = tool_result_content_block::Block::JsonText(json.into());
    let result = pb::ToolResultBlock {
        tool_use_id: tool_use_id.into(),
        content: vec![pb::ToolResultContentBlock { block: Some(part) }],
        ..Default::default()
    };
    pb::ContentBlock { block: Some(content_block::Block::ToolResult(result)) }
}

fn turn(role: &str, block: content_block::Block) -> pb::Message {
    pb::Message { role: role.to_owned(), content: vec![pb::ContentBlock { block: Some(block) }] }
}
