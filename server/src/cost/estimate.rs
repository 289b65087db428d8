//! Estimates: how many tokens there were, where Bedrock never said.
//!
//! Four bytes of text make a token: what English comes to at every tokenizer in use, give or take a quarter. Other
//! scripts make more tokens of fewer bytes, code makes more of the same; pictures and files are not text, and only the
//! model knows what they come to. So an estimate is marked as one wherever it goes.
use crate::units::Tokens;
use prost::Message as _;
use switchboard_proto::v1::{
    self as pb, content_block::Block, content_block_delta::Delta, converse_stream_response::Event,
    document_source::Source, reasoning_content_block, reasoning_content_block_delta, system_content_block,
    tool_input_schema::Schema, tool_result_block_delta, tool_result_content_block as part,
};

/// Bytes of text that make a token.
pub const BYTES_PER_TOKEN: u64 = 4;

/// The tokens of so many bytes of text, rounded up: text is never free.
pub(super) fn tokens(bytes: u64) -> Tokens {
    Tokens(bytes.div_ceil(BYTES_PER_TOKEN))
}

/// All text of a request, tools included. Pictures and files are left out.
#[must_use]
pub fn text_bytes(request: &pb::ConverseRequest) -> u64 {
    let system = request.system.iter().map(|block| match &block.block {
        Some(system_content_block::Block::Text(text)) => text.len(),
        _ => 0,
    });
    let blocks = request.messages.iter().flat_map(|message| &message.content);
    let blocks = blocks.map(|block| of_block(block.block.as_ref()));
    let tools = request.tool_config.iter().flat_map(|config| &config.tools).map(of_tool);
    length(system.chain(blocks).chain(tools).sum())
}

/// The text that a stream's event brings.
#[must_use]
pub fn received_bytes(event: &Event) -> u64 {
    let Event::ContentBlockDelta(event) = event else { return 0 };
    length(match event.delta.as_ref().and_then(|delta| delta.delta.as_ref()) {
        Some(Delta::Text(text)) => text.len(),
        Some(Delta::ToolUse(piece)) => piece.input.len(),
        Some(Delta::ToolResult(piece)) => piece.blocks.iter().map(of_tool_answer).sum(),
        Some(Delta::ReasoningContent(piece)) => match &piece.delta {
            Some(reasoning_content_block_delta::Delta::Text(text)) => text.len(),
            _ => 0,
        },
        _ => 0,
    })
}

fn of_block(block: Option<&Block>) -> usize {
    match block {
        Some(Block::Text(text)) => text.len(),
        Some(Block::ToolUse(tool_use)) => match &tool_use.arguments {
            Some(pb::tool_use_block::Arguments::InputJson(json)) => json.len(),
            Some(pb::tool_use_block::Arguments::Input(value)) => value.encoded_len(),
            None => 0,
        },
        Some(Block::ToolResult(answer)) => answer
            .content
            .iter()
            .map(|part| match &part.block {
                Some(part::Block::Text(text) | part::Block::JsonText(text)) => text.len(),
                Some(part::Block::Json(value)) => value.encoded_len(),
                _ => 0,
            })
            .sum(),
        Some(Block::Document(document)) => {
            match document.source.as_ref().and_then(|source| source.source.as_ref()) {
                Some(Source::Text(text)) => text.len(),
                _ => 0,
            }
        }
        Some(Block::ReasoningContent(reasoning)) => match &reasoning.block {
            Some(reasoning_content_block::Block::ReasoningText(text)) => text.text.len(),
            _ => 0,
        },
        _ => 0,
    }
}

fn of_tool(tool: &pb::Tool) -> usize {
    let Some(pb::tool::Tool::ToolSpec(tool)) = &tool.tool else { return 0 };
    let schema = match tool.input_schema.as_ref().and_then(|schema| schema.schema.as_ref()) {
        Some(Schema::JsonText(text)) => text.len(),
        Some(Schema::Json(values)) => values.encoded_len(), // about its JSON, without writing it
        None => 0,
    };
    tool.name.len() + tool.description.as_ref().map_or(0, String::len) + schema
}

fn of_tool_answer(block: &pb::ToolResultBlockDelta) -> usize {
    match &block.block {
        Some(tool_result_block_delta::Block::Text(text) | tool_result_block_delta::Block::JsonText(text)) => {
            text.len()
        }
        _ => 0,
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
