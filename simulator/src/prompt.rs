//! A request's body read as a prompt: who said what, in order, and how many tokens each part weighs.

use serde_json::Value;

use crate::tokens;

/// Tokens that every request and every message add to their text.
const REQUEST_OVERHEAD: usize = 4;
const MESSAGE_OVERHEAD: usize = 3;

/// One part of the prompt in the order the model reads it: tools, system, messages.
pub(crate) enum Part<'a> {
    Content { value: &'a Value, tokens: usize },
    CachePoint { ttl: &'a str },
}

/// The elements of a list member, or none.
pub(crate) fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().map_or(&[], Vec::as_slice)
}

/// All content blocks of all messages.
pub(crate) fn blocks(body: &Value) -> impl Iterator<Item = &Value> {
    list(body, "messages").iter().flat_map(|message| list(message, "content"))
}

/// The prompt as parts, with their weights.
pub(crate) fn parts(body: &Value) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    parts.extend(list(&body["toolConfig"], "tools").iter().map(|tool| part(tool, 0)));
    parts.extend(list(body, "system").iter().map(|block| part(block, MESSAGE_OVERHEAD)));
    for message in list(body, "messages") {
        for (index, block) in list(message, "content").iter().enumerate() {
            parts.push(part(block, if index == 0 { MESSAGE_OVERHEAD } else { 0 }));
        }
    }
    parts
}

/// All tokens of the prompt.
pub(crate) fn count(parts: &[Part<'_>]) -> usize {
    let weight = |part: &Part<'_>| if let Part::Content { tokens, .. } = part { *tokens } else { 0 };
    REQUEST_OVERHEAD + parts.iter().map(weight).sum::<usize>()
}

/// What the user said last, in words; tool results do not count as words.
pub(crate) fn last_words(body: &Value) -> String {
    let texts = list(body, "messages").iter().rev().filter(|message| message["role"] == "user").map(said);
    texts.into_iter().find(|text| !text.trim().is_empty()).unwrap_or_default()
}

/// The text of one message.
pub(crate) fn said(message: &Value) -> String {
    let texts = list(message, "content").iter().filter_map(|block| {
        block["text"].as_str().or_else(|| block["guardContent"]["text"]["text"].as_str())
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Everything written anywhere in the prompt.
pub(crate) fn all_text(body: &Value) -> String {
    let mut text: Vec<String> = list(body, "messages").iter().map(said).collect();
    text.extend(list(body, "system").iter().filter_map(|block| block["text"].as_str().map(str::to_owned)));
    text.join("\n")
}

fn part(value: &Value, overhead: usize) -> Part<'_> {
    match value.get("cachePoint") {
        Some(point) => Part::CachePoint { ttl: point["ttl"].as_str().unwrap_or("5m") },
        None => Part::Content { value, tokens: overhead + weigh(value) },
    }
}

/// Text counts by its tokens, media by a flat rate, documents by their length.
fn weigh(block: &Value) -> usize {
    if let Some(text) = block["text"].as_str() {
        return tokens::count(text);
    }
    if ["image", "video", "audio"].iter().any(|media| block.get(*media).is_some()) {
        return tokens::MEDIA;
    }
    if let Some(bytes) = block["document"]["source"]["bytes"].as_str() {
        return bytes.len() * 3 / 16; // base64 is a third longer than its bytes, and a token has about four
    }
    tokens::count(&block.to_string())
}
