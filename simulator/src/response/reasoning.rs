//! Reasoning blocks, and the signature that ties a block to its model.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Block, ModelInput};
use crate::digest::Digest;
use crate::error::ServiceError;
use crate::models::{Behavior, Model};
use crate::prompt;

/// Prefix of the simulator's own signatures, after base64 decoding.
const SIGNATURE_PREFIX: &str = "bedrock-sim reasoning signature, valid for this model and this text only:";

/// Minimum number of bytes of a signature of the real service.
const MIN_SIGNATURE_BYTES: usize = 64;

/// Returns the reasoning configuration of the request, which has two possible names; null if absent.
pub(crate) fn config(body: &Value) -> &Value {
    let fields = &body["additionalModelRequestFields"];
    if fields["thinking"].is_null() { &fields["reasoning_config"] } else { &fields["thinking"] }
}

/// Returns a reasoning block. Absent: the model does not reason on this call.
pub(super) fn generate(input: &ModelInput<'_>) -> Option<Block> {
    let is_enabled = matches!(config(input.body)["type"].as_str(), Some("enabled" | "adaptive"));
    let is_requested = is_enabled && input.model.has(Behavior::SignsThinking);
    if !(is_requested || input.model.has(Behavior::AlwaysThinks)) {
        return None;
    }
    let prompt = prompt::last_user_text(input.body);
    let question: String = prompt.split_whitespace().take(12).collect::<Vec<_>>().join(" ");
    let text = format!(
        "The user wrote: \"{question}\". First I restate what is wanted, then I check it for traps, and then I answer briefly."
    );
    let signature = input.model.has(Behavior::SignsThinking).then(|| sign(input.model, &text));
    Some(Block::Reasoning { text, signature })
}

/// Rejects reasoning that was changed, or that another model signed.
pub(crate) fn check_signatures(model: &Model, body: &Value) -> Result<(), ServiceError> {
    if !model.has(Behavior::SignsThinking) {
        return Ok(());
    }
    for (message_index, message) in prompt::list(body, "messages").iter().enumerate() {
        for (block_index, block) in prompt::list(message, "content").iter().enumerate() {
            let reasoning = &block["reasoningContent"]["reasoningText"];
            if !reasoning.is_null() && !has_valid_signature(model, reasoning) {
                return Err(ServiceError::from_model(format!(
                    "messages.{message_index}.content.{block_index}: Invalid `signature` in `thinking` block"
                )));
            }
        }
    }
    Ok(())
}

/// True if the signature is valid. Signatures of the real service cannot be verified; those of sufficient
/// length are accepted.
fn has_valid_signature(model: &Model, reasoning: &Value) -> bool {
    let Some(signature) = reasoning["signature"].as_str() else { return false };
    let Ok(bytes) = STANDARD.decode(signature) else { return false };
    if bytes.starts_with(SIGNATURE_PREFIX.as_bytes()) {
        return signature == sign(model, reasoning["text"].as_str().unwrap_or_default());
    }
    bytes.len() >= MIN_SIGNATURE_BYTES
}

fn sign(model: &Model, text: &str) -> String {
    let mut digest = Digest::new(0);
    digest.add_bytes(model.id.as_bytes());
    digest.add_bytes(text.as_bytes());
    STANDARD.encode(format!("{SIGNATURE_PREFIX} {} {:016x}", model.id, digest.value()))
}
