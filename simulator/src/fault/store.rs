//! The active fault rules, and their effect on a call.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Fault, FaultRule};
use crate::error::ServiceError;

/// The active fault rules.
#[derive(Debug)]
pub(crate) struct FaultStore {
    rules: Mutex<(Vec<ActiveRule>, fastrand::Rng)>,
}

#[derive(Debug)]
struct ActiveRule {
    rule: FaultRule,
    /// Start of the current window of one second, and the calls in it. Absent: no call with a rate limit yet.
    window: Option<(Instant, u32)>,
}

/// The combined effect of the matching rules on one call.
#[derive(Debug, Default)]
pub(crate) struct FaultDecision {
    /// Error response of the call. Absent: the call is served.
    pub(crate) error: Option<ServiceError>,
    /// True if no response is ever sent.
    pub(crate) hang: bool,
    /// Additional delay of the first event or of the unary body.
    pub(crate) delay: Duration,
    /// Faults that change the response itself, in the order of injection.
    pub(crate) response_faults: Vec<Fault>,
}

// === impl ActiveRule ===

impl ActiveRule {
    /// True if this is a throttle that lets the call pass. Counts the call towards its rate.
    fn lets_pass(&mut self, random: &mut fastrand::Rng) -> bool {
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
        probability.is_some_and(|probability| random.f64() >= probability)
    }

    fn is_exhausted(&self) -> bool {
        self.rule.times == Some(0)
    }
}

// === impl FaultStore ===

impl FaultStore {
    pub(crate) fn new(seed: u64, rules: &[FaultRule]) -> Self {
        let store = Self { rules: Mutex::new((Vec::new(), fastrand::Rng::with_seed(seed))) };
        for rule in rules {
            store.inject(rule.clone());
        }
        store
    }

    pub(crate) fn inject(&self, rule: FaultRule) {
        let mut guard = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0.push(ActiveRule { rule, window: None });
    }

    pub(crate) fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).0.clear();
    }

    /// Returns the active rules.
    pub(crate) fn rules(&self) -> Vec<FaultRule> {
        let guard = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0.iter().map(|active| active.rule.clone()).collect()
    }

    /// Decides for one call whose model has the given `ids`, and decrements `times` of the rules that apply.
    pub(crate) fn decide(&self, ids: &[&str], streamed: bool) -> FaultDecision {
        let mut guard = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let (rules, random) = &mut *guard;
        let mut decision = FaultDecision::default();
        for active in rules.iter_mut() {
            let fault = &active.rule.fault;
            if !active.rule.matches(ids) || (fault.is_stream_only() && !streamed) || active.lets_pass(random)
            {
                continue;
            }
            active.rule.times = active.rule.times.map(|times| times.saturating_sub(1));
            decision.add(&active.rule.fault);
            if decision.error.is_some() || decision.hang {
                break;
            }
        }
        rules.retain(|active| !active.is_exhausted());
        decision
    }
}

// === impl FaultDecision ===

impl FaultDecision {
    fn add(&mut self, fault: &Fault) {
        self.error = fault.to_error();
        match fault {
            Fault::Throttle { .. } | Fault::Error { .. } => {}
            Fault::Hang => self.hang = true,
            Fault::SlowFirstToken { delay } => self.delay += *delay,
            fault => self.response_faults.push(fault.clone()),
        }
    }
}
