//! Active: how many calls of each method run.
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

const METHODS: [&str; 3] = ["Converse", "ConverseStream", "CountTokens"];

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Active([AtomicI64; 3]);

/// One call, counted until dropped.
#[derive(Debug)]
pub(super) struct Counted {
    active: Arc<Active>,
    place: usize,
}

// === impl Active ===

impl Active {
    pub(super) fn begin(self: &Arc<Self>, method: &str) -> Option<Counted> {
        let place = METHODS.iter().position(|known| *known == method)?;
        self.0[place].fetch_add(1, Relaxed);
        Some(Counted { active: Arc::clone(self), place })
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, i64)> {
        METHODS.into_iter().zip(self.0.iter().map(|count| count.load(Relaxed)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.active.0[self.place].fetch_sub(1, Relaxed);
    }
}
