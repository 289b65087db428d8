//! Reasoning before the answer, and the signature that proves which model reasoned.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Ask, Block};
use crate::digest::Digest;
use crate::error::Refusal;
use crate::models::{Model, Quirk};
use crate::prompt;

/// How our own signatures begin, once decoded.
const MARK: &str = "bedrock-sim reasoning signature, valid for this model and this text only:";

/// A real signature is long; anything shorter was made up.
const SHORTEST: usize = 64;

/// What the request says about thinking, under either of its two names.
pub(crate) fn asked(body: &Value) -> &Value {
    let extra = &body["additionalModelRequestFields"];
    if extra["thinking"].is_null() { &extra["reasoning_config"] } else { &extra["thinking"] }
}

/// The reasoning block, if the model thinks on this call.
pub(super) fn think(ask: &Ask<'_>) -> Option<Block> {
    let asked = matches!(asked(ask.body)["type"].as_str(), Some("enabled" | "adaptive"));
    let wants = asked && ask.model.is(Quirk::SignsThinking);
    if !(wants || ask.model.is(Quirk::AlwaysThinks)) {
        return None;
    }
    let words = prompt::last_words(ask.body);
    let question: String = words.split_whitespace().take(12).collect::<Vec<_>>().join(" ");
    let text = format!(
        "The user wrote: \"{question}\". First I restate what is wanted, then I check it for traps, and then I answer briefly."
    );
    let signature = ask.model.is(Quirk::SignsThinking).then(|| sign(ask.model, &text));
    Some(Block::Reasoning { text, signature })
}

/// Refuses reasoning that comes back changed, or that another model signed.
pub(crate) fn check_signatures(model: &Model, body: &Value) -> Result<(), Refusal> {
    if !model.is(Quirk::SignsThinking) {
        return Ok(());
    }
    for (at, message) in prompt::list(body, "messages").iter().enumerate() {
        for (index, block) in prompt::list(message, "content").iter().enumerate() {
            let reasoning = &block["reasoningContent"]["reasoningText"];
            if !reasoning.is_null() && !is_signed(model, reasoning) {
                return Err(Refusal::model(format!(
                    "messages.{at}.content.{index}: Invalid `signature` in `thinking` block"
                )));
            }
        }
    }
    Ok(())
}

/// Signatures of the real service cannot be checked here and pass.
fn is_signed(model: &Model, reasoning: &Value) -> bool {
    let Some(signature) = reasoning["signature"].as_str() else { return false };
    let Ok(bytes) = STANDARD.decode(signature) else { return false };
    if bytes.starts_with(MARK.as_bytes()) {
        return signature == sign(model, reasoning["text"].as_str().unwrap_or_default());
    }
    bytes.len() >= SHORTEST
}

fn sign(model: &Model, text: &str) -> String {
    let mut digest = Digest::new(0);
    digest.add_bytes(model.id.as_bytes());
    digest.add_bytes(text.as_bytes());
    STANDARD.encode(format!("{MARK} {} {:016x}", model.id, digest.value()))
}
