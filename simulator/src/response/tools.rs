//! Whether a tool is called, which one, and with what input.

use serde_json::Value;

use super::{Ask, Block, schema_value};
use crate::prompt::{self, list};

const ID_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/// Parts of tool names that say nothing about what the tool is for.
const COMMON: [&str; 14] = [
    "get", "set", "the", "tool", "run", "call", "make", "for", "and", "find", "fetch", "list", "use", "from",
];

/// A tool call, if one is forced or the user's words ask for one.
pub(super) fn call(ask: &Ask<'_>, random: &mut fastrand::Rng) -> Option<Block> {
    let config = &ask.body["toolConfig"];
    let tools: Vec<&Value> = list(config, "tools").iter().filter_map(|tool| tool.get("toolSpec")).collect();
    let words = prompt::last_words(ask.body);
    let tool = choose(&tools, &config["toolChoice"], ask.body, &words)?;
    let id: String = std::iter::repeat_with(|| random.choice(ID_ALPHABET).copied().unwrap_or(b'A') as char)
        .take(22)
        .collect();
    Some(Block::ToolUse {
        id: format!("tooluse_{id}"),
        name: tool["name"].as_str()?.to_owned(),
        input: schema_value::of(&tool["inputSchema"]["json"], &words, random).to_string(),
    })
}

fn choose<'a>(tools: &[&'a Value], choice: &Value, body: &Value, words: &str) -> Option<&'a Value> {
    if let Some(name) = choice["tool"]["name"].as_str() {
        return tools.iter().find(|tool| tool["name"] == name).copied();
    }
    let words = words.to_lowercase();
    let best = tools.iter().rev().max_by_key(|tool| fitness(tool, &words)).copied()?;
    let asked_for = !just_answered(body) && (fitness(best, &words) > 0 || words.contains("tool"));
    (!choice["any"].is_null() || asked_for).then_some(best)
}

/// How many telling parts of the tool's name the user said.
fn fitness(tool: &Value, words: &str) -> usize {
    let name = tool["name"].as_str().unwrap_or_default().to_lowercase();
    let parts = name.split(['_', '-']).filter(|part| part.len() > 2 && !COMMON.contains(part));
    parts.filter(|part| words.contains(*part)).count()
}

/// The last message brings a tool's result: now is the time for words.
fn just_answered(body: &Value) -> bool {
    let last = list(body, "messages").last();
    last.is_some_and(|message| list(message, "content").iter().any(|block| block.get("toolResult").is_some()))
}
