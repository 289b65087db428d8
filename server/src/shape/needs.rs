//! What a request needs of its model, whatever is changed of it.
use super::ShapeInput;
use crate::{
    catalogue::{Capability, ModelFacts},
    cost::text_bytes,
    route::{Candidate, Unmet},
    rpc::Method,
};
use std::fmt;
use switchboard_proto::v1::{self as pb, content_block::Block, tool_result_content_block as result};

/// Bytes of text that make a token, generously: a model is skipped only when the request is surely too long for it.
const BYTES_PER_TOKEN: u64 = 5;

/// A rung that is a service tier is no other way to serve a caller who has chosen the tier itself.
pub(super) fn check_tier(request: &pb::ConverseRequest, candidate: &Candidate) -> Result<(), Unmet> {
    match (&candidate.deployment.key.service_tier, &request.service_tier) {
        (Some(rung), Some(callers)) if *rung != callers.r#type => {
            let lacks = format!("the tier \"{}\", which the caller asks for", callers.r#type);
            Err(Unmet { field: "service_tier".to_owned(), lacks })
        }
        _ => Ok(()),
    }
}

/// The first need that the model does not meet.
pub(super) fn check(input: ShapeInput<'_>, facts: &ModelFacts) -> Result<(), Unmet> {
    let request = input.request;
    for need in all(input) {
        if !facts.has(need.capability) {
            return Err(Unmet { field: need.field, lacks: need.words.to_owned() });
        }
    }
    let tokens = text_bytes(request) / BYTES_PER_TOKEN;
    match facts.context_tokens.map(u64::from) {
        Some(limit) if tokens > limit => Err(Unmet {
            field: "messages".to_owned(),
            lacks: format!("context: about {tokens} tokens do not fit into {limit}"),
        }),
        _ => Ok(()),
    }
}

struct Need {
    capability: Capability,
    field: String,
    words: &'static str,
}

fn need(capability: Capability, field: impl Into<String>, words: &'static str) -> Need {
    Need { capability, field: field.into(), words }
}

fn all(input: ShapeInput<'_>) -> Vec<Need> {
    let request = input.request;
    let mut needs = Vec::new();
    if input.method == Method::CountTokens {
        needs.push(need(Capability::CountsTokens, "input", "token counting"));
    }
    if request
        .system
        .iter()
        .any(|block| !matches!(block.block, Some(pb::system_content_block::Block::CachePoint(_))))
    {
        needs.push(need(Capability::System, "system", "system prompts"));
    }
    let tools = uses_tools(request);
    if tools {
        needs.push(need(Capability::Tools, "tool_config", "tools"));
    }
    if tools && input.method == Method::ConverseStream {
        needs.push(need(Capability::StreamingTools, "tool_config", "tools in streams"));
    }
    if request.output_config.as_ref().is_some_and(|output| output.text_format.is_some()) {
        needs.push(need(Capability::StructuredOutput, "output_config.text_format", "structured output"));
    }
    for (position, message) in request.messages.iter().enumerate() {
        let path = format_args!("messages[{position}]");
        if message.role == "system" {
            needs.push(need(Capability::SystemRole, format!("{path}.role"), "system turns"));
        }
        for (position, block) in message.content.iter().enumerate() {
            of_block(format_args!("{path}.content[{position}]"), block.block.as_ref(), &mut needs);
        }
    }
    if request.messages.last().is_some_and(|last| last.role == "assistant" && !is_tool_turn(last)) {
        let path = format!("messages[{}]", request.messages.len() - 1);
        let capability = if tools { Capability::PrefillWithTools } else { Capability::Prefill };
        needs.push(need(capability, path, "going on from the assistant's words"));
    }
    needs
}

fn is_tool_turn(message: &pb::Message) -> bool {
    message.content.iter().any(|block| matches!(block.block, Some(Block::ToolUse(_))))
}

/// A history has a thousand blocks, so the path of one is put together only when it is needed.
fn of_block(path: fmt::Arguments<'_>, block: Option<&Block>, needs: &mut Vec<Need>) {
    match block {
        Some(Block::Image(_)) => needs.push(need(Capability::Images, format!("{path}.image"), "images")),
        Some(Block::Document(_)) => {
            needs.push(need(Capability::Documents, format!("{path}.document"), "documents"));
        }
        Some(Block::Video(_)) => needs.push(need(Capability::Video, format!("{path}.video"), "video")),
        Some(Block::Audio(_)) => needs.push(need(Capability::Audio, format!("{path}.audio"), "audio")),
        Some(Block::ToolResult(answer)) => {
            needs.extend(answer.content.iter().filter_map(|part| match part.block {
                Some(result::Block::Image(_)) => Some(need(Capability::Images, path.to_string(), "images")),
                Some(result::Block::Document(_)) => {
                    Some(need(Capability::Documents, path.to_string(), "documents"))
                }
                Some(result::Block::Video(_)) => Some(need(Capability::Video, path.to_string(), "video")),
                _ => None,
            }));
        }
        _ => {}
    }
}

/// Whether a request declares tools, or speaks of some that were used.
pub(super) fn uses_tools(request: &pb::ConverseRequest) -> bool {
    let declared = request.tool_config.as_ref().is_some_and(|config| !config.tools.is_empty());
    declared || used_tools(request).next().is_some()
}

/// The names of tools that the history has used. A result without its use has none.
pub(super) fn used_tools(request: &pb::ConverseRequest) -> impl Iterator<Item = &str> {
    let blocks = request.messages.iter().flat_map(|message| &message.content);
    blocks.filter_map(|block| match &block.block {
        Some(Block::ToolUse(tool_use)) => Some(tool_use.name.as_str()),
        Some(Block::ToolResult(_)) => Some(""),
        _ => None,
    })
}
