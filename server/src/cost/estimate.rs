//! Estimates of token counts that Bedrock did not report.
//!
//! A token is estimated as four bytes of text, which holds for English within 25 % with every tokenizer in
//! use. Other scripts and code have more tokens per byte. Images and files are not text, and only the model
//! knows how many tokens they are. An estimate is therefore always marked as one.
use crate::units::Tokens;
use prost::Message as _;
use switchboard_proto::v1::{
    self as pb, content_block::Block, content_block_delta::Delta, converse_stream_response::Event,
    document_source::Source, reasoning_content_block, reasoning_content_block_delta, system_content_block,
    tool_input_schema::Schema, tool_result_block_delta, tool_result_content_block as part,
};

/// Mean number of bytes of English text per token.
pub const MEAN_BYTES_PER_TOKEN: u64 = 4;

/// Estimated number of tokens in a text, rounded up.
pub(super) fn tokens(bytes: u64) -> Tokens {
    Tokens(bytes.div_ceil(MEAN_BYTES_PER_TOKEN))
}

/// Size of all text in a request in bytes, tools included. Images and binary documents do not count.
#[must_use]
pub fn text_bytes(request: &pb::ConverseRequest) -> u64 {
    let system = request.system.iter().map(|block| match &block.block {
        Some(system_content_block::Block::Text(text)) => text.len(),
        _ => 0,
    });
    let blocks = request.messages.iter().flat_map(|message| &message.content);
    let blocks = blocks.map(|block| of_block(block.block.as_ref()));
    let tools = request.tool_config.iter().flat_map(|config| &config.tools).map(of_tool);
    to_u64(system.chain(blocks).chain(tools).sum())
}

/// Size of the text in an event of a stream, in bytes.
#[must_use]
pub fn received_bytes(event: &Event) -> u64 {
    let Event::ContentBlockDelta(event) = event else { return 0 };
    to_u64(match event.delta.as_ref().and_then(|delta| delta.delta.as_ref()) {
        Some(Delta::Text(text)) => text.len(),
        Some(Delta::ToolUse(delta)) => delta.input.len(),
        Some(Delta::ToolResult(delta)) => delta.blocks.iter().map(of_tool_result).sum(),
        Some(Delta::ReasoningContent(delta)) => match &delta.delta {
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
        Some(Block::ToolResult(result)) => result
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
        Some(Schema::Json(values)) => values.encoded_len(), // about the size of its JSON
        None => 0,
    };
    tool.name.len() + tool.description.as_ref().map_or(0, String::len) + schema
}

fn of_tool_result(block: &pb::ToolResultBlockDelta) -> usize {
    match &block.block {
        Some(tool_result_block_delta::Block::Text(text) | tool_result_block_delta::Block::JsonText(text)) => {
            text.len()
        }
        _ => 0,
    }
}

fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
