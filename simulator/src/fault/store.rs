//! The rules in force, and what they decide for a call.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Fault, FaultRule};
use crate::error::Refusal;

/// The rules in force.
#[derive(Debug)]
pub(crate) struct FaultBook {
    rules: Mutex<(Vec<Active>, fastrand::Rng)>,
}

#[derive(Debug)]
struct Active {
    rule: FaultRule,
    /// For a rate: the second being counted and the calls let through in it.
    window: Option<(Instant, u32)>,
}

/// What the rules decided for one call.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) refusal: Option<Refusal>,
    pub(crate) hang: bool,
    pub(crate) delay: Duration,
    /// Faults that bend the answer itself, in the order injected.
    pub(crate) bends: Vec<Fault>,
}

// === impl Active ===

impl Active {
    /// Is this call one that a throttle lets pass?
    fn spares(&mut self, random: &mut fastrand::Rng) -> bool {
        let Fault::Throttle { calls_per_second, probability, .. } = &self.rule.fault else { return false };
        if let Some(rate) = calls_per_second {
            let now = Instant::now();
            let window = self.window.get_or_insert((now, 0));
            if now - window.0 >= Duration::from_secs(1) {
                *window = (now, 0);
            }
            window.1 += 1;
            return f64::from(window.1) <= *rate;
        }
        probability.is_some_and(|share| random.f64() >= share)
    }

    fn used_up(&self) -> bool {
        self.rule.times == Some(0)
    }
}

// === impl FaultBook ===

impl FaultBook {
    pub(crate) fn new(seed: u64, rules: &[FaultRule]) -> Self {
        let book = Self { rules: Mutex::new((Vec::new(), fastrand::Rng::with_seed(seed))) };
        for rule in rules {
            book.inject(rule.clone());
        }
        book
    }

    pub(crate) fn inject(&self, rule: FaultRule) {
        let mut guard = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0.push(Active { rule, window: None });
    }

    pub(crate) fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).0.clear();
    }

    /// The rules still in force.
    pub(crate) fn rules(&self) -> Vec<FaultRule> {
        let guard = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0.iter().map(|active| active.rule.clone()).collect()
    }

    /// Decides for one call, known by any of `ids`, and counts the rules it used.
    pub(crate) fn judge(&self, ids: &[&str], streamed: bool) -> Verdict {
        let mut guard = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let (rules, random) = &mut *guard;
        let mut verdict = Verdict::default();
        for active in rules.iter_mut() {
            let fault = &active.rule.fault;
            if !active.rule.matches(ids) || (fault.only_for_streams() && !streamed) || active.spares(random) {
                continue;
            }
            active.rule.times = active.rule.times.map(|times| times.saturating_sub(1));
            verdict.add(&active.rule.fault);
            if verdict.refusal.is_some() || verdict.hang {
                break;
            }
        }
        rules.retain(|active| !active.used_up());
        verdict
    }
}

// === impl Verdict ===

impl Verdict {
    fn add(&mut self, fault: &Fault) {
        self.refusal = fault.refusal();
        match fault {
            Fault::Throttle { .. } | Fault::Error { .. } => {}
            Fault::Hang => self.hang = true,
            Fault::SlowFirstToken { delay } => self.delay += *delay,
            bend => self.bends.push(bend.clone()),
        }
    }
}
