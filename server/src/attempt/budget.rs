//! Budgets: what all calls together may spend on trying more than once.
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What one try takes, in thousandths.
const WHOLE: u32 = 1000;

/// Budgets of the same size, one for each model or task.
#[derive(Debug)]
pub(super) struct Budgets {
    left: Box<[AtomicU32]>,
    full: u32,
    refill: u32,
}

// === impl Budgets ===

impl Budgets {
    /// `many` full budgets of `size` tries, to each of which an answer gives `refill` of a try back.
    pub(super) fn new(many: usize, size: u32, refill: f64) -> Self {
        let full = size.saturating_mul(WHOLE);
        let left = (0..many).map(|_| AtomicU32::new(full)).collect();
        Self { left, full, refill: thousandths(refill) }
    }

    /// Takes one try, if there is one.
    pub(super) fn pay(&self, which: usize) -> bool {
        let left = self.left.get(which);
        left.is_some_and(|left| left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(WHOLE)).is_ok())
    }

    /// Something went well.
    pub(super) fn refill(&self, which: usize) {
        if let Some(left) = self.left.get(which)
            && left.load(Relaxed) < self.full
        {
            let more = |left: u32| Some(left.saturating_add(self.refill).min(self.full));
            let _ = left.fetch_update(Relaxed, Relaxed, more);
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be from 0 to 1")]
fn thousandths(share: f64) -> u32 {
    (share * f64::from(WHOLE)).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_spent_and_comes_back_with_answers_up_to_its_size() {
        let budgets = Budgets::new(2, 3, 0.5);
        let paid = |which| (0..10).filter(|_| budgets.pay(which)).count();
        assert_eq!(paid(0), 3);
        budgets.refill(0);
        assert_eq!(paid(0), 0);
        budgets.refill(0);
        assert_eq!(paid(0), 1);
        (0..100).for_each(|_| budgets.refill(0));
        assert_eq!((paid(0), paid(1)), (3, 3));
        assert_eq!(paid(7), 0, "there is none");
    }
}
