//! Counts of telemetry that was lost, and of spans that are queued.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// Spans that are queued for export.
    pub(super) queued: AtomicUsize,
    pub(super) lost_spans: AtomicU64,
    pub(super) lost_exports: AtomicU64,
}

// === impl Dropped ===

impl Dropped {
    pub(super) fn spans(&self, count: usize) {
        self.lost_spans.fetch_add(count as u64, Relaxed);
    }
}
