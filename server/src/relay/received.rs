//! Counts what has been sent of one model's answer, so that a caller whose stream breaks learns how much of
//! it there is.
use crate::{cost::received_bytes, model::ModelEvent};
use switchboard_proto::v1 as pb;

/// Part of an answer that has been sent.
#[derive(Clone, Debug, Default)]
pub(super) struct ReceivedCounter {
    /// One more than the highest index.
    content_blocks: i32,
    deltas: i64,
    text_bytes: u64,
    raw_stop_reason: String,
}

// === impl ReceivedCounter ===

impl ReceivedCounter {
    /// Counts an event. Returns its bytes of text.
    pub(super) fn count(&mut self, event: &ModelEvent) -> u64 {
        match event {
            ModelEvent::ContentBlockStart(start) => self.saw_block(start.content_block_index),
            ModelEvent::ContentBlockDelta(delta) => {
                let text_bytes = received_bytes(event);
                self.saw_block(delta.content_block_index);
                self.deltas += 1;
                self.text_bytes += text_bytes;
                return text_bytes;
            }
            ModelEvent::MessageStop(stop) => self.raw_stop_reason.clone_from(&stop.raw_stop_reason),
            _ => {}
        }
        0
    }

    fn saw_block(&mut self, index: i32) {
        self.content_blocks = self.content_blocks.max(index.saturating_add(1));
    }
}

impl From<ReceivedCounter> for pb::Received {
    fn from(sent: ReceivedCounter) -> Self {
        Self {
            content_blocks: sent.content_blocks,
            deltas: sent.deltas,
            text_bytes: i64::try_from(sent.text_bytes).unwrap_or(i64::MAX),
            raw_stop_reason: sent.raw_stop_reason,
        }
    }
}
