//! The share of a task's calls that go to models other than its first.
//!
//! A second model is there for the first one's bad minutes. When all of a busy task moves to it, it is throttled too, and
//! the calls that were meant for it are lost as well. Where a task sets a bound, calls beyond it fail as the first model's
//! did.
use super::window::Window;
use crate::route::{Routes, Task};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How far back calls count.
const SPAN: Duration = Duration::from_secs(60);

/// With fewer calls in that time every one may fall back.
const LEAST: u32 = 20;

/// How many calls of each task fell back of late.
#[derive(Debug)]
pub(super) struct Shares(Box<[Mutex<Window>]>);

// === impl Shares ===

impl Shares {
    /// Nothing has been counted yet.
    pub(super) fn new(routes: &Routes) -> Self {
        Self(routes.tasks().map(|_| Mutex::new(Window::new(SPAN))).collect())
    }

    /// Whether one more call may fall back; if so, it is counted as one that did.
    pub(super) fn fall_back(&self, task: &Task) -> bool {
        if task.max_fallback_share >= 1.0 {
            return true;
        }
        let Some(window) = self.0.get(task.index) else { return false };
        let (now, mut window) = (Instant::now(), window.lock().unwrap_or_else(PoisonError::into_inner));
        let counts = window.sum(now);
        let (fell, all) = (f64::from(counts.bad) + 1.0, f64::from(counts.all) + 1.0);
        let quiet = counts.all < LEAST && task.max_fallback_share > 0.0;
        let may = quiet || fell <= task.max_fallback_share * all;
        if may {
            window.add(now, true, false);
        }
        may
    }

    /// A call ended that did not fall back.
    pub(super) fn stayed(&self, task: &Task) {
        if task.max_fallback_share < 1.0
            && let Some(window) = self.0.get(task.index)
        {
            window.lock().unwrap_or_else(PoisonError::into_inner).add(Instant::now(), false, false);
        }
    }
}
