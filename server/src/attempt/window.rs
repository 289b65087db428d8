//! A window: what happened of late, in slices that are forgotten one by one.
use std::time::Duration;
use tokio::time::Instant;

/// The window forgets a tenth of itself at a time.
const SLICES: usize = 10;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Everything.
    pub(crate) all: u32,
    /// Of all, what this window is about: failures, calls that fell back.
    pub(crate) bad: u32,
    /// Of all, what was slow.
    pub(crate) slow: u32,
}

/// Counts over the time just past.
#[derive(Debug)]
pub(crate) struct Window {
    slice: Duration,
    origin: Instant,
    newest: u64,
    slices: [Counts; SLICES],
}

// === impl Window ===

impl Window {
    /// An empty window that is `span` long.
    pub(crate) fn new(span: Duration) -> Self {
        let slice = (span / u32::try_from(SLICES).unwrap_or(1)).max(Duration::from_millis(1));
        Self { slice, origin: Instant::now(), newest: 0, slices: Default::default() }
    }

    /// Counts something that happened now.
    pub(crate) fn add(&mut self, now: Instant, bad: bool, slow: bool) {
        self.forget(now);
        let counts = &mut self.slices[place(self.newest)];
        counts.all = counts.all.saturating_add(1);
        counts.bad = counts.bad.saturating_add(bad.into());
        counts.slow = counts.slow.saturating_add(slow.into());
    }

    /// All that is not forgotten yet.
    pub(crate) fn sum(&mut self, now: Instant) -> Counts {
        self.forget(now);
        self.slices.iter().fold(Counts::default(), |sum, slice| Counts {
            all: sum.all.saturating_add(slice.all),
            bad: sum.bad.saturating_add(slice.bad),
            slow: sum.slow.saturating_add(slice.slow),
        })
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.slices = Default::default();
    }

    fn forget(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.origin).as_nanos() / self.slice.as_nanos();
        let current = u64::try_from(passed).unwrap_or(u64::MAX);
        for slice in (self.newest + 1..=current).rev().take(SLICES) {
            self.slices[place(slice)] = Counts::default();
        }
        self.newest = self.newest.max(current);
    }
}

fn place(slice: u64) -> usize {
    usize::try_from(slice % SLICES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_the_window_is_forgotten_slice_by_slice() {
        let mut window = Window::new(Duration::from_secs(10));
        let mut seen = Vec::new();
        for second in 0..14_u32 {
            if second < 4 {
                window.add(Instant::now(), second % 2 == 0, false);
            }
            seen.push(window.sum(Instant::now()).all);
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(seen, [1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 3, 2, 1, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_long_silence_nothing_is_left() {
        let mut window = Window::new(Duration::from_secs(10));
        window.add(Instant::now(), true, true);
        assert_eq!(window.sum(Instant::now()), Counts { all: 1, bad: 1, slow: 1 });
        advance(Duration::from_secs(86_400)).await;
        assert_eq!(window.sum(Instant::now()), Counts::default());
    }
}
