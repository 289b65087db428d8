//! Shorthands for the parts of a request that almost every caller writes.

use crate::pb;
use pb::{content_block, system_content_block, tool_result_content_block};

/// A request for one answer to one prompt.
pub fn ask(task: impl Into<String>, prompt: impl Into<String>) -> pb::ConverseRequest {
    pb::ConverseRequest { task_type: task.into(), messages: vec![user(prompt)], ..Default::default() }
}

/// A turn of the user's, in words.
pub fn user(text: impl Into<String>) -> pb::Message {
    turn("user", content_block::Block::Text(text.into()))
}

/// A turn of the model's, in words: for history that was kept elsewhere. What a model answered here is better sent back
/// as the [`pb::Message`] that it came as, which may hold more than words.
pub fn assistant(text: impl Into<String>) -> pb::Message {
    turn("assistant", content_block::Block::Text(text.into()))
}

/// One part of the system prompt, in words.
pub fn system(text: impl Into<String>) -> pb::SystemContentBlock {
    pb::SystemContentBlock { block: Some(system_content_block::Block::Text(text.into())) }
}

/// What a tool answered, in exact JSON text: a block of the user's next turn, which answers every tool use at once.
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
