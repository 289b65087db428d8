//! Gauge of the connections of an endpoint that calls use at the moment.
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Number of connections that calls use.
#[derive(Debug, Default)]
pub(super) struct InUseGauge {
    current: AtomicUsize,
    peak: AtomicUsize,
}

/// Counts one connection as in use until it is dropped.
#[derive(Debug)]
pub(super) struct InUseGuard(Arc<InUseGauge>);

// === impl InUseGauge ===

impl InUseGauge {
    pub(super) fn acquire(self: &Arc<Self>) -> InUseGuard {
        let current = self.current.fetch_add(1, Relaxed) + 1;
        self.peak.fetch_max(current, Relaxed);
        InUseGuard(Arc::clone(self))
    }

    /// Maximum number of connections in use at the same time since the previous call of this function.
    pub(super) fn take_peak(&self) -> usize {
        self.peak.swap(self.current.load(Relaxed), Relaxed)
    }
}

// === impl InUseGuard ===

impl Drop for InUseGuard {
    fn drop(&mut self) {
        self.0.current.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_measured_since_it_was_last_taken() {
        let gauge = Arc::new(InUseGauge::default());
        let first = gauge.acquire();
        drop((gauge.acquire(), gauge.acquire()));
        assert_eq!(gauge.take_peak(), 3);
        assert_eq!(gauge.take_peak(), 1, "the first is still in use");
        drop(first);
        assert_eq!([gauge.take_peak(), gauge.take_peak()], [1, 0]);
    }
}
