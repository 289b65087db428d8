//! The queue of one round: which candidate is next, those that cool down last.
use crate::route::{Candidate, Skip};
use std::collections::VecDeque;

/// Candidates that were not tried yet in this round.
pub(super) struct Queue<'a> {
    waiting: VecDeque<&'a Candidate>,
    /// Candidates that were passed over because they cool down.
    deferred: VecDeque<&'a Candidate>,
}

/// The next step of a round.
pub(super) enum Next<'a> {
    /// This candidate is next.
    Try(&'a Candidate),
    /// This candidate is passed over for now, and comes after the others.
    Defer(&'a Candidate, Skip),
}

// === impl Queue ===

impl<'a> Queue<'a> {
    pub(super) fn new(candidates: Vec<&'a Candidate>) -> Self {
        Self { waiting: candidates.into(), deferred: VecDeque::new() }
    }

    /// Takes the next candidate. `None`: all were taken.
    pub(super) fn next(&mut self) -> Option<Next<'a>> {
        let Some(candidate) = self.waiting.pop_front() else {
            return self.deferred.pop_front().map(Next::Try);
        };
        let Some(left) = candidate.deployment.cools_down_for() else { return Some(Next::Try(candidate)) };
        let is_other_ready = self.waiting.iter().any(|other| is_ready(other));
        if is_other_ready {
            self.deferred.push_back(candidate);
            return Some(Next::Defer(candidate, Skip::CoolingDown(left)));
        }
        // Only candidates that cool down are left: in their order, those that were passed over first.
        self.deferred.push_back(candidate);
        self.deferred.append(&mut self.waiting);
        self.deferred.pop_front().map(Next::Try)
    }

    /// True if there is another candidate to take.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.deferred.is_empty()
    }

    /// The candidate that would be called if the current one failed. Absent: none.
    pub(super) fn peek_available(&self) -> Option<&'a Candidate> {
        let (ready, cooling): (Vec<_>, Vec<_>) = self.waiting.iter().partition(|it| is_ready(it));
        let candidates = ready.into_iter().chain(&self.deferred).chain(cooling);
        candidates.copied().find(|candidate| candidate.deployment.is_available())
    }
}

/// True if the candidate may be called before those that cool down.
fn is_ready(candidate: &Candidate) -> bool {
    let deployment = &candidate.deployment;
    candidate.leaves_to.is_none() && deployment.cools_down_for().is_none() && deployment.is_available()
}

/// The candidates in the order in which a call would try them now.
pub(crate) fn order(candidates: &[Candidate]) -> Vec<&Candidate> {
    let mut queue = Queue::new(candidates.iter().collect());
    let mut order = Vec::with_capacity(candidates.len());
    while let Some(next) = queue.next() {
        if let Next::Try(candidate) = next {
            order.push(candidate);
        }
    }
    order
}
