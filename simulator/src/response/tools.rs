//! Tool calls: whether the response has one, of which tool, and with which input.

use serde_json::Value;

use super::{Block, ModelInput, schema_value};
use crate::prompt::{self, list};

const ID_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/// Parts of tool names that do not describe the purpose of the tool.
const STOPWORDS: [&str; 14] = [
    "get", "set", "the", "tool", "run", "call", "make", "for", "and", "find", "fetch", "list", "use", "from",
];

/// Returns a tool call. Absent: the request does not force one and the user's text does not suggest one.
pub(super) fn generate_call(input: &ModelInput<'_>, random: &mut fastrand::Rng) -> Option<Block> {
    let config = &input.body["toolConfig"];
    let tools: Vec<&Value> = list(config, "tools").iter().filter_map(|tool| tool.get("toolSpec")).collect();
    let prompt = prompt::last_user_text(input.body);
    let tool = choose(&tools, &config["toolChoice"], input.body, &prompt)?;
    let id: String = std::iter::repeat_with(|| random.choice(ID_ALPHABET).copied().unwrap_or(b'A') as char)
        .take(22)
        .collect();
    Some(Block::ToolUse {
        id: format!("tooluse_{id}"),
        name: tool["name"].as_str()?.to_owned(),
        input: schema_value::generate(&tool["inputSchema"]["json"], &prompt, random).to_string(),
    })
}

fn choose<'a>(tools: &[&'a Value], choice: &Value, body: &Value, prompt: &str) -> Option<&'a Value> {
    if let Some(name) = choice["tool"]["name"].as_str() {
        return tools.iter().find(|tool| tool["name"] == name).copied();
    }
    let prompt = prompt.to_lowercase();
    let best = tools.iter().rev().max_by_key(|tool| relevance(tool, &prompt)).copied()?;
    let is_suggested = !has_tool_result(body) && (relevance(best, &prompt) > 0 || prompt.contains("tool"));
    (!choice["any"].is_null() || is_suggested).then_some(best)
}

/// Returns the number of parts of the tool's name that the prompt contains, without stopwords.
fn relevance(tool: &Value, prompt: &str) -> usize {
    let name = tool["name"].as_str().unwrap_or_default().to_lowercase();
    let parts = name.split(['_', '-']).filter(|part| part.len() > 2 && !STOPWORDS.contains(part));
    parts.filter(|part| prompt.contains(*part)).count()
}

/// True if the last message has a tool result, which the response then answers with text.
fn has_tool_result(body: &Value) -> bool {
    let last = list(body, "messages").last();
    last.is_some_and(|message| list(message, "content").iter().any(|block| block.get("toolResult").is_some()))
}
