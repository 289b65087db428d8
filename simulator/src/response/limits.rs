//! Truncates a response at a stop sequence or at the token limit.

use serde_json::Value;

use super::Block;
use crate::prompt::list;
use crate::tokens;

/// A truncated response, or the whole one if it is within the limits.
pub(super) struct LimitedResponse {
    pub(super) blocks: Vec<Block>,
    pub(super) stop_reason: &'static str,
    pub(super) tokens: usize,
    /// The stop sequence at which the text ended. Absent: none.
    pub(super) stop_sequence: Option<String>,
}

/// Truncates the blocks to the limits of `inferenceConfig`. Without `maxTokens` the limit is `max_output`.
pub(super) fn apply(
    blocks: Vec<Block>,
    stop_reason: &'static str,
    inference: &Value,
    max_output: usize,
) -> LimitedResponse {
    let max_tokens = inference["maxTokens"].as_u64().and_then(|tokens| usize::try_from(tokens).ok());
    let mut remaining = max_tokens.unwrap_or(max_output);
    let stop_sequences: Vec<&str> =
        list(inference, "stopSequences").iter().filter_map(Value::as_str).collect();
    let mut limited = LimitedResponse { blocks: Vec::new(), stop_reason, tokens: 0, stop_sequence: None };
    for block in blocks {
        let (block, stop) = truncate_at_stop_sequence(block, &stop_sequences);
        let (block, used, truncated) = truncate_to_tokens(block, remaining);
        remaining -= used;
        limited.tokens += used;
        limited.blocks.extend(block);
        if truncated {
            limited.stop_reason = "max_tokens";
            break;
        }
        if let Some(stop) = stop {
            limited.stop_reason = "stop_sequence";
            limited.stop_sequence = Some(stop);
            break;
        }
    }
    limited
}

/// Returns the block up to the first stop sequence in its text, and that stop sequence.
fn truncate_at_stop_sequence(block: Block, stop_sequences: &[&str]) -> (Block, Option<String>) {
    let (Block::Text(text) | Block::Cited { text, .. }) = &block else { return (block, None) };
    let first = stop_sequences.iter().filter_map(|stop| text.find(stop).map(|at| (at, *stop))).min();
    match first {
        Some((at, stop)) => {
            let text = text[..at].to_owned();
            (block.with_text(text), Some(stop.to_owned()))
        }
        None => (block, None),
    }
}

/// Returns at most `limit` tokens of the block, their number, and true if some were removed. A tool call that
/// exceeds the limit is removed completely.
fn truncate_to_tokens(block: Block, limit: usize) -> (Option<Block>, usize, bool) {
    let tokens = block.tokens();
    if tokens <= limit {
        return (Some(block), tokens, false);
    }
    match &block {
        Block::ToolUse { .. } => (None, 0, true),
        Block::Text(text) | Block::Cited { text, .. } | Block::Reasoning { text, .. } => {
            let (text, used, truncated) = tokens::truncate(text, limit);
            (Some(block.with_text(text)), used, truncated)
        }
    }
}

// === impl Block ===

impl Block {
    fn with_text(self, text: String) -> Self {
        match self {
            Self::Text(_) => Self::Text(text),
            Self::Cited { citations, .. } => Self::Cited { text, citations },
            // Truncated reasoning is not signed.
            Self::Reasoning { .. } => Self::Reasoning { text, signature: None },
            call @ Self::ToolUse { .. } => call,
        }
    }
}
