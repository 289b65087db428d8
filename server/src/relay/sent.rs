//! What has been sent: so that a caller whose stream breaks off learns how much of an answer it holds.
use crate::{bedrock::ModelEvent, cost::received_bytes};
use switchboard_proto::v1 as pb;

/// A count of what the caller was sent of one model's answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    /// The highest index seen, and one.
    content_blocks: i32,
    deltas: i64,
    text_bytes: u64,
    raw_stop_reason: String,
}

// === impl Sent ===

impl Sent {
    pub(super) fn note(&mut self, event: &ModelEvent) {
        match event {
            ModelEvent::ContentBlockStart(start) => self.saw_block(start.content_block_index),
            ModelEvent::ContentBlockDelta(piece) => {
                self.saw_block(piece.content_block_index);
                self.deltas += 1;
                self.text_bytes += received_bytes(event);
            }
            ModelEvent::MessageStop(stop) => self.raw_stop_reason.clone_from(&stop.raw_stop_reason),
            _ => {}
        }
    }

    fn saw_block(&mut self, index: i32) {
        self.content_blocks = self.content_blocks.max(index.saturating_add(1));
    }
}

impl From<Sent> for pb::Received {
    fn from(sent: Sent) -> Self {
        Self {
            content_blocks: sent.content_blocks,
            deltas: sent.deltas,
            text_bytes: i64::try_from(sent.text_bytes).unwrap_or(i64::MAX),
            raw_stop_reason: sent.raw_stop_reason,
        }
    }
}
