//! Where a reply ends: at a stop sequence, at the token limit, or by itself.

use serde_json::Value;

use super::Block;
use crate::prompt::list;
use crate::tokens;

/// A reply within its limits.
pub(super) struct Limited {
    pub(super) blocks: Vec<Block>,
    pub(super) stop_reason: &'static str,
    pub(super) tokens: usize,
    pub(super) stop_sequence: Option<String>,
}

/// Cuts the blocks to what `inferenceConfig` allows.
pub(super) fn apply(
    blocks: Vec<Block>,
    stop_reason: &'static str,
    inference: &Value,
    most: usize,
) -> Limited {
    let asked = inference["maxTokens"].as_u64().and_then(|asked| usize::try_from(asked).ok());
    let mut room = asked.unwrap_or(most);
    let stops: Vec<&str> = list(inference, "stopSequences").iter().filter_map(Value::as_str).collect();
    let mut limited = Limited { blocks: Vec::new(), stop_reason, tokens: 0, stop_sequence: None };
    for block in blocks {
        let (block, stop) = until_stop(block, &stops);
        let (block, used, cut) = within(block, room);
        room -= used;
        limited.tokens += used;
        limited.blocks.extend(block);
        if cut {
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

/// The block up to the first stop sequence in its text.
fn until_stop(block: Block, stops: &[&str]) -> (Block, Option<String>) {
    let (Block::Text(text) | Block::Cited { text, .. }) = &block else { return (block, None) };
    let found = stops.iter().filter_map(|stop| text.find(stop).map(|at| (at, *stop))).min();
    match found {
        Some((at, stop)) => {
            let text = text[..at].to_owned();
            (block.with_text(text), Some(stop.to_owned()))
        }
        None => (block, None),
    }
}

/// The block within `room` tokens; a tool call that does not fit is left out whole.
fn within(block: Block, room: usize) -> (Option<Block>, usize, bool) {
    let tokens = block.tokens();
    if tokens <= room {
        return (Some(block), tokens, false);
    }
    match &block {
        Block::ToolUse { .. } => (None, 0, true),
        Block::Text(text) | Block::Cited { text, .. } | Block::Reasoning { text, .. } => {
            let (text, used, cut) = tokens::truncate(text, room);
            (Some(block.with_text(text)), used, cut)
        }
    }
}

// === impl Block ===

impl Block {
    fn with_text(self, text: String) -> Self {
        match self {
            Self::Text(_) => Self::Text(text),
            Self::Cited { citations, .. } => Self::Cited { text, citations },
            // Thought that was cut short is not signed.
            Self::Reasoning { .. } => Self::Reasoning { text, signature: None },
            call @ Self::ToolUse { .. } => call,
        }
    }
}
