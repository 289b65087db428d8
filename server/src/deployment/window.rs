//! Sliding-window counts, in slices that expire one by one.
use std::time::Duration;
use tokio::time::Instant;

/// Number of slices; a tenth of the window expires at a time.
const SLICES: usize = 10;

/// Sums over the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// All events.
    pub(crate) all: u32,
    /// Events that the window exists to count: failed attempts, or calls that fell back.
    pub(crate) bad: u32,
    /// Slow events.
    pub(crate) slow: u32,
}

/// Counts of recent events.
#[derive(Debug)]
pub(crate) struct Window {
    slice: Duration,
    origin: Instant,
    newest: u64,
    slices: [Counts; SLICES],
}

// === impl Window ===

impl Window {
    /// An empty window of length `span`.
    pub(crate) fn new(span: Duration) -> Self {
        let slice = (span / u32::try_from(SLICES).unwrap_or(1)).max(Duration::from_millis(1));
        Self { slice, origin: Instant::now(), newest: 0, slices: Default::default() }
    }

    /// Counts one event at `now`.
    pub(crate) fn add(&mut self, now: Instant, bad: bool, slow: bool) {
        self.expire(now);
        let counts = &mut self.slices[slot(self.newest)];
        counts.all = counts.all.saturating_add(1);
        counts.bad = counts.bad.saturating_add(bad.into());
        counts.slow = counts.slow.saturating_add(slow.into());
    }

    /// Sums of the slices that have not expired.
    pub(crate) fn sum(&mut self, now: Instant) -> Counts {
        self.expire(now);
        self.slices.iter().fold(Counts::default(), |sum, slice| Counts {
            all: sum.all.saturating_add(slice.all),
            bad: sum.bad.saturating_add(slice.bad),
            slow: sum.slow.saturating_add(slice.slow),
        })
    }

    /// Removes all events.
    pub(crate) fn clear(&mut self) {
        self.slices = Default::default();
    }

    fn expire(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.origin).as_nanos() / self.slice.as_nanos();
        let current = u64::try_from(passed).unwrap_or(u64::MAX);
        for slice in (self.newest + 1..=current).rev().take(SLICES) {
            self.slices[slot(slice)] = Counts::default();
        }
        self.newest = self.newest.max(current);
    }
}

fn slot(slice: u64) -> usize {
    usize::try_from(slice % SLICES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn events_expire_slice_by_slice() {
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
    async fn all_events_expire_after_a_long_pause() {
        let mut window = Window::new(Duration::from_secs(10));
        window.add(Instant::now(), true, true);
        assert_eq!(window.sum(Instant::now()), Counts { all: 1, bad: 1, slow: 1 });
        advance(Duration::from_secs(86_400)).await;
        assert_eq!(window.sum(Instant::now()), Counts::default());
    }
}
