//! Budgets: how many additional attempts all calls together may make.
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Thousandths that one attempt costs.
const ATTEMPT: u32 = 1000;

/// A token bucket that successes refill and time does not.
#[derive(Debug)]
pub(crate) struct Budget {
    /// In thousandths of an attempt.
    balance: AtomicU32,
    capacity: AtomicU32,
    /// Thousandths that one success deposits.
    refill: AtomicU32,
}

// === impl Budget ===

impl Budget {
    /// A full budget of `size` attempts, to which each success gives `refill` of an attempt back.
    pub(crate) fn new(size: u32, refill: f64) -> Self {
        let capacity = size.saturating_mul(ATTEMPT);
        Self { balance: capacity.into(), capacity: capacity.into(), refill: thousandths(refill).into() }
    }

    /// Applies changed settings. What was withdrawn stays withdrawn: a reload does not refill the budget.
    pub(crate) fn resize(&self, size: u32, refill: f64) {
        let capacity = size.saturating_mul(ATTEMPT);
        self.capacity.store(capacity, Relaxed);
        self.refill.store(thousandths(refill), Relaxed);
        self.balance.fetch_min(capacity, Relaxed);
    }

    /// Takes one attempt. False: the budget is used up.
    pub(crate) fn withdraw(&self) -> bool {
        self.balance.fetch_update(Relaxed, Relaxed, |balance| balance.checked_sub(ATTEMPT)).is_ok()
    }

    /// Records a success.
    pub(crate) fn deposit(&self) {
        let capacity = self.capacity.load(Relaxed);
        if self.balance.load(Relaxed) < capacity {
            let refill = self.refill.load(Relaxed);
            let deposit = |balance: u32| Some(balance.saturating_add(refill).min(capacity));
            let _ = self.balance.fetch_update(Relaxed, Relaxed, deposit);
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be from 0 to 1")]
fn thousandths(share: f64) -> u32 {
    (share * f64::from(ATTEMPT)).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn withdrawn(budget: &Budget) -> usize {
        (0..10).filter(|_| budget.withdraw()).count()
    }

    #[test]
    fn successes_refill_it_up_to_its_capacity() {
        let budget = Budget::new(3, 0.5);
        assert_eq!(withdrawn(&budget), 3);
        budget.deposit();
        assert_eq!(withdrawn(&budget), 0);
        budget.deposit();
        assert_eq!(withdrawn(&budget), 1);
        (0..100).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget), 3);
    }

    #[test]
    fn a_changed_size_does_not_refill_it() {
        let budget = Budget::new(3, 0.5);
        assert_eq!(withdrawn(&budget), 3);
        budget.resize(9, 1.0);
        assert_eq!(withdrawn(&budget), 0);
        (0..5).for_each(|_| budget.deposit());
        budget.resize(2, 1.0);
        assert_eq!(withdrawn(&budget), 2);
    }
}
