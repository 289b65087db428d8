//! What is learned of a task: its hedging budget, and the share of its calls that fell back recently.
//!
//! A second model is there for the bad minutes of the first. When all calls of a busy task move to it, it is
//! throttled too, and the calls that were meant for it are lost as well. Where a task sets a fallback cap,
//! calls beyond it fail as the first model's did.
use super::{budget::Budget, labels::shared, window::Window};
use crate::{config, semconv::attribute as a};
use opentelemetry::KeyValue;
use parking_lot::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// Time over which the share of fallbacks is measured.
const WINDOW: Duration = Duration::from_secs(60);

/// With fewer calls in the window every call may fall back.
const MIN_CALLS: u32 = 20;

/// State of one task, shared by all snapshots that name it.
#[derive(Debug)]
pub(crate) struct TaskState {
    pub(crate) hedges: Budget,
    pub(crate) label: KeyValue,
    /// Identifies the task's metric series.
    pub(crate) series: u64,
    fallbacks: Mutex<Window>,
}

// === impl TaskState ===

impl TaskState {
    pub(super) fn new(name: &str, series: u64, hedging: config::Hedging) -> Self {
        Self {
            hedges: Budget::new(hedging.budget, hedging.refill),
            label: shared(a::TASK, name),
            series,
            fallbacks: Mutex::new(Window::new(WINDOW)),
        }
    }

    /// True if one more call may fall back; then the call is counted as one that did.
    pub(crate) fn may_fall_back(&self, max_share: f64) -> bool {
        if max_share >= 1.0 {
            return true;
        }
        let (now, mut window) = (Instant::now(), self.fallbacks());
        let counts = window.sum(now);
        let (fell_back, all) = (f64::from(counts.bad) + 1.0, f64::from(counts.all) + 1.0);
        let is_quiet = counts.all < MIN_CALLS && max_share > 0.0;
        let may = is_quiet || fell_back <= max_share * all;
        if may {
            window.add(now, true, false);
        }
        may
    }

    /// Counts a call that ended without a fallback.
    pub(crate) fn stayed(&self, max_share: f64) {
        if max_share < 1.0 {
            self.fallbacks().add(Instant::now(), false, false);
        }
    }

    fn fallbacks(&self) -> MutexGuard<'_, Window> {
        self.fallbacks.lock()
    }
}
