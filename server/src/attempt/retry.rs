//! Retries: the plan once more when waiting may help, and never as a storm.
//!
//! Another model is tried before the same one is tried again: it may answer at once. Only when every candidate has failed,
//! and some in a way that passes (throttled, no capacity, unreachable), those are asked again after a pause.
//!
//! # Why a budget and not only a number of retries
//!
//! When Bedrock is ill every call fails, and every call's retry would double the load that made it ill. So retries are
//! paid from a budget that all calls of a model share and that only its answers refill: a healthy model's rare failure
//! is always retried, an ill model's flood is not.
use super::{budget::Budgets, failure::Failure};
use crate::{
    config::Retry,
    route::{Candidate, Routes},
};
use std::time::Duration;

/// When, and how often, the plan is tried again.
#[derive(Debug)]
pub(super) struct Retries {
    policy: Retry,
    /// By [`Candidate::target`].
    budgets: Budgets,
}

// === impl Retries ===

impl Retries {
    /// Full budgets for every candidate of the routes.
    pub(super) fn new(policy: Retry, routes: &Routes) -> Self {
        let budgets = Budgets::new(routes.targets().len(), policy.budget, policy.refill);
        Self { policy, budgets }
    }

    /// The candidates to ask again and the pause before, after the plan has failed `rounds` times. `None`: it is over,
    /// and nothing was paid; also when the pause would take all of the time that is left.
    pub(super) fn again<'a>(
        &self,
        rounds: u32,
        failed: &[(&'a Candidate, Failure)],
        left: Duration,
    ) -> Option<(Duration, Vec<&'a Candidate>)> {
        let passing = || failed.iter().filter(|(_, failure)| failure.kind.row().retry);
        let asked = passing().filter_map(|(_, failure)| failure.retry_after).max().unwrap_or_default();
        let pause = self.backoff(rounds).max(asked);
        if rounds > self.policy.rounds || pause >= left {
            return None;
        }
        let candidates: Vec<_> =
            passing().map(|(candidate, _)| *candidate).filter(|it| self.budgets.pay(it.target)).collect();
        (!candidates.is_empty()).then_some((pause, candidates))
    }

    /// An answer: the model is well.
    pub(super) fn answered(&self, candidate: &Candidate) {
        self.budgets.refill(candidate.target);
    }

    /// Exponential, with full jitter: callers that failed together must not come back together.
    fn backoff(&self, rounds: u32) -> Duration {
        let most = self.policy.base_delay.saturating_mul(2_u32.saturating_pow(rounds.saturating_sub(1)));
        most.min(self.policy.max_delay).mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{attempt::failure::FailureKind, catalogue::Catalogue, config::Config};

    fn retries(change: impl FnOnce(&mut Retry)) -> (Retries, Routes) {
        let mut config = Config::for_two_models("a", "b");
        change(&mut config.retry);
        let routes = Routes::new(&config, &Catalogue::built_in(), "us-east-1");
        (Retries::new(config.retry, &routes), routes)
    }

    /// Time for any pause.
    const LONG: Duration = Duration::from_secs(3600);

    fn candidates(routes: &Routes) -> Vec<Candidate> {
        routes.plan("").expect("is a task").task.candidates.clone()
    }

    #[test]
    fn only_failures_that_pass_are_tried_again_and_only_so_often() {
        let (retries, routes) = retries(|policy| policy.rounds = 2);
        let [first, second] = &candidates(&routes)[..] else { panic!("two candidates") };
        let failed = [
            (first, Failure::new(FailureKind::AccessDenied, "")),
            (second, Failure::new(FailureKind::Unavailable, "")),
        ];
        for rounds in [1, 2] {
            let (_, again) = retries.again(rounds, &failed, LONG).expect("goes on");
            assert_eq!(again.iter().map(|it| it.model_id.as_str()).collect::<Vec<_>>(), ["b"]);
        }
        assert!(retries.again(3, &failed, LONG).is_none());
        assert!(retries.again(1, &failed[..1], LONG).is_none());
    }

    #[test]
    fn the_budget_bounds_all_calls_together_and_answers_refill_it() {
        let (retries, routes) = retries(|policy| (policy.budget, policy.refill) = (3, 0.5));
        let first = &candidates(&routes)[0];
        let failed = [(first, Failure::new(FailureKind::Throttled, ""))];
        let paid = |times: usize| (0..times).filter(|_| retries.again(1, &failed, LONG).is_some()).count();
        let none_left = retries.again(1, &failed, Duration::ZERO);
        assert!(none_left.is_none(), "what is not begun is not paid");
        assert_eq!(paid(10), 3);
        retries.answered(first);
        assert_eq!(paid(10), 0);
        retries.answered(first);
        assert_eq!(paid(10), 1);
        (0..100).for_each(|_| retries.answered(first));
        assert_eq!(paid(10), 3, "it never grows beyond its size");
    }

    #[test]
    fn the_pause_is_random_below_its_bound_and_never_shorter_than_bedrock_asks() {
        let (retries, _) = retries(|policy| {
            policy.base_delay = Duration::from_millis(400);
            policy.max_delay = Duration::from_secs(1);
        });
        for (rounds, most) in [(1, 400), (2, 800), (3, 1000), (30, 1000)] {
            let pauses: Vec<_> = (0..100).map(|_| retries.backoff(rounds)).collect();
            assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(most)), "{rounds}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
        let (retries, routes) = self::retries(|_| {});
        let first = &candidates(&routes)[0];
        let asked =
            Failure { retry_after: Some(Duration::from_secs(9)), ..Failure::new(FailureKind::Throttled, "") };
        assert_eq!(retries.again(1, &[(first, asked)], LONG).expect("goes on").0, Duration::from_secs(9));
    }
}
