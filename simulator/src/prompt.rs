//! The prompt of a request body: its parts in order, their tokens, and their text.

use serde_json::Value;

use crate::tokens;

/// Tokens that a request adds to those of its content.
const REQUEST_OVERHEAD_TOKENS: usize = 4;
/// Tokens that a message adds to those of its content.
const MESSAGE_OVERHEAD_TOKENS: usize = 3;

/// A part of the prompt. Parts have the order in which the model reads them: tools, system, messages.
pub(crate) enum Part<'a> {
    Content { value: &'a Value, tokens: usize },
    CachePoint { ttl: &'a str },
}

/// Returns the elements of a list member; none if it is absent or not a list.
pub(crate) fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().map_or(&[], Vec::as_slice)
}

/// Returns the content blocks of all messages.
pub(crate) fn blocks(body: &Value) -> impl Iterator<Item = &Value> {
    list(body, "messages").iter().flat_map(|message| list(message, "content"))
}

/// Returns the parts of the prompt with their tokens.
pub(crate) fn parts(body: &Value) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    parts.extend(list(&body["toolConfig"], "tools").iter().map(|tool| part(tool, 0)));
    parts.extend(list(body, "system").iter().map(|block| part(block, MESSAGE_OVERHEAD_TOKENS)));
    for message in list(body, "messages") {
        for (index, block) in list(message, "content").iter().enumerate() {
            parts.push(part(block, if index == 0 { MESSAGE_OVERHEAD_TOKENS } else { 0 }));
        }
    }
    parts
}

/// Returns the number of input tokens of the prompt.
pub(crate) fn count_tokens(parts: &[Part<'_>]) -> usize {
    let tokens = |part: &Part<'_>| if let Part::Content { tokens, .. } = part { *tokens } else { 0 };
    REQUEST_OVERHEAD_TOKENS + parts.iter().map(tokens).sum::<usize>()
}

/// Returns the text of the last user message that has text. Tool results are not text. Empty: no such
/// message.
pub(crate) fn last_user_text(body: &Value) -> String {
    let texts =
        list(body, "messages").iter().rev().filter(|message| message["role"] == "user").map(message_text);
    texts.into_iter().find(|text| !text.trim().is_empty()).unwrap_or_default()
}

/// Returns the text of one message.
pub(crate) fn message_text(message: &Value) -> String {
    let texts = list(message, "content").iter().filter_map(|block| {
        block["text"].as_str().or_else(|| block["guardContent"]["text"]["text"].as_str())
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Returns the text of all messages and of the system prompt.
pub(crate) fn all_text(body: &Value) -> String {
    let mut text: Vec<String> = list(body, "messages").iter().map(message_text).collect();
    text.extend(list(body, "system").iter().filter_map(|block| block["text"].as_str().map(str::to_owned)));
    text.join("\n")
}

fn part(value: &Value, overhead: usize) -> Part<'_> {
    match value.get("cachePoint") {
        Some(point) => Part::CachePoint { ttl: point["ttl"].as_str().unwrap_or("5m") },
        None => Part::Content { value, tokens: overhead + block_tokens(value) },
    }
}

/// Counts the tokens of text, a fixed number for media, and an estimate from the length for documents.
fn block_tokens(block: &Value) -> usize {
    if let Some(text) = block["text"].as_str() {
        return tokens::count(text);
    }
    if ["image", "video", "audio"].iter().any(|media| block.get(*media).is_some()) {
        return tokens::MEDIA_TOKENS;
    }
    if let Some(bytes) = block["document"]["source"]["bytes"].as_str() {
        return bytes.len() * 3 / 16; // base64 has 4 characters per 3 bytes; a token has about 4 bytes
    }
    tokens::count(&block.to_string())
}
