//! Requirements of a request that no adjustment can remove.
use super::ShapeInput;
use crate::{
    catalogue::{Capability, ModelFacts},
    cost::text_bytes,
    route::{Candidate, Unmet},
    rpc::Method,
};
use std::fmt;
use switchboard_proto::v1::{self as pb, content_block::Block, tool_result_content_block as result};

/// Assumed number of bytes per token. It is larger than the mean, so that a model is skipped only if the
/// request is certainly too long for it.
const CAUTIOUS_BYTES_PER_TOKEN: u64 = 5;

/// Checks that a rung with a service tier does not replace the tier that the caller chose.
pub(super) fn check_tier(request: &pb::ConverseRequest, candidate: &Candidate) -> Result<(), Unmet> {
    match (&candidate.deployment.key.service_tier, &request.service_tier) {
        (Some(rung), Some(requested)) if *rung != requested.r#type => {
            let lacks = format!("the service tier \"{}\" that the caller requested", requested.r#type);
            Err(Unmet { field: "service_tier".to_owned(), lacks })
        }
        _ => Ok(()),
    }
}

/// Returns the first requirement that the model does not meet.
pub(super) fn check(input: ShapeInput<'_>, facts: &ModelFacts) -> Result<(), Unmet> {
    let request = input.request;
    for need in all(input) {
        if !facts.has(need.capability) {
            return Err(Unmet { field: need.field, lacks: need.name.to_owned() });
        }
    }
    let tokens = text_bytes(request) / CAUTIOUS_BYTES_PER_TOKEN;
    match facts.context_tokens.map(u64::from) {
        Some(limit) if tokens > limit => Err(Unmet {
            field: "messages".to_owned(),
            lacks: format!("context for about {tokens} tokens: its limit is {limit}"),
        }),
        _ => Ok(()),
    }
}

/// A capability that a field of the request requires.
struct Need {
    capability: Capability,
    field: String,
    /// Name of the capability in messages.
    name: &'static str,
}

fn need(capability: Capability, field: impl Into<String>, name: &'static str) -> Need {
    Need { capability, field: field.into(), name }
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
            needs.push(need(Capability::SystemRole, format!("{path}.role"), "messages of the role system"));
        }
        for (position, block) in message.content.iter().enumerate() {
            of_block(format_args!("{path}.content[{position}]"), block.block.as_ref(), &mut needs);
        }
    }
    if request.messages.last().is_some_and(|last| last.role == "assistant" && !is_tool_turn(last)) {
        let path = format!("messages[{}]", request.messages.len() - 1);
        let capability = if tools { Capability::PrefillWithTools } else { Capability::Prefill };
        needs.push(need(capability, path, "prefill (continuing an assistant message)"));
    }
    needs
}

fn is_tool_turn(message: &pb::Message) -> bool {
    message.content.iter().any(|block| matches!(block.block, Some(Block::ToolUse(_))))
}

/// Adds the requirements of a block. A history can have a thousand blocks, so a path is formatted only if it
/// is needed.
fn of_block(path: fmt::Arguments<'_>, block: Option<&Block>, needs: &mut Vec<Need>) {
    match block {
        Some(Block::Image(_)) => needs.push(need(Capability::Images, format!("{path}.image"), "images")),
        Some(Block::Document(_)) => {
            needs.push(need(Capability::Documents, format!("{path}.document"), "documents"));
        }
        Some(Block::Video(_)) => needs.push(need(Capability::Video, format!("{path}.video"), "video")),
        Some(Block::Audio(_)) => needs.push(need(Capability::Audio, format!("{path}.audio"), "audio")),
        Some(Block::ToolResult(tool_result)) => {
            needs.extend(tool_result.content.iter().filter_map(|part| match part.block {
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

/// True if a request declares tools, or if its history uses tools.
pub(super) fn uses_tools(request: &pb::ConverseRequest) -> bool {
    let declared = request.tool_config.as_ref().is_some_and(|config| !config.tools.is_empty());
    declared || used_tools(request).next().is_some()
}

/// Names of the tools that the history uses. Empty for a tool result, which has no name.
pub(super) fn used_tools(request: &pb::ConverseRequest) -> impl Iterator<Item = &str> {
    let blocks = request.messages.iter().flat_map(|message| &message.content);
    blocks.filter_map(|block| match &block.block {
        Some(Block::ToolUse(tool_use)) => Some(tool_use.name.as_str()),
        Some(Block::ToolResult(_)) => Some(""),
        _ => None,
    })
}
