//! Retries: the failed candidates once more, if waiting may help, and never as a storm.
//!
//! Every other model is tried before the same one is tried again: it may answer at once. Only when all
//! candidates have failed, and some in a way that may pass (throttled, no capacity, unreachable), those are
//! called again after a pause.
//!
//! # Why a budget and not only a number of retries
//!
//! When Bedrock has an outage every call fails, and a retry of every call would double the load. So retries
//! draw on a budget that all calls of a deployment share and that only its successes refill: the rare failure
//! of a healthy model is always retried, the flood of failures of an unhealthy one is not.
use super::Failed;
use crate::{config::Retry, route::Candidate};
use std::time::Duration;

/// The candidates to call again and the pause before, after the plan has failed `rounds` times. `None`: there
/// is no further round and nothing was drawn from a budget, also because the pause would take all of the time
/// that is left.
pub(super) fn next_round<'a>(
    policy: &Retry,
    rounds: u32,
    failed: &[Failed<'a>],
    left: Duration,
) -> Option<(Duration, Vec<&'a Candidate>)> {
    let transient = || failed.iter().filter(|(_, failure)| failure.kind.row().retry);
    let requested = transient().filter_map(|(_, failure)| failure.retry_after).max().unwrap_or_default();
    let pause = backoff(policy, rounds).max(requested);
    if rounds > policy.rounds || pause >= left {
        return None;
    }
    let candidates: Vec<_> = transient()
        .map(|(candidate, _)| *candidate)
        .filter(|candidate| candidate.deployment.retries().withdraw())
        .collect();
    (!candidates.is_empty()).then_some((pause, candidates))
}

/// Exponential backoff with full jitter: calls that failed together must not be repeated together.
fn backoff(policy: &Retry, rounds: u32) -> Duration {
    let longest = policy.base_delay.saturating_mul(2_u32.saturating_pow(rounds.saturating_sub(1)));
    longest.min(policy.max_delay).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalogue::Catalogue,
        config::Config,
        failure::{Failure, FailureKind},
        route::RoutePlan,
        snapshot::Snapshot,
    };

    /// Time for any pause.
    const LONG: Duration = Duration::from_secs(3600);

    fn plan(change: impl FnOnce(&mut Retry)) -> (Retry, RoutePlan) {
        let mut config = Config::for_two_models("a", "b");
        change(&mut config.retry);
        let snapshot = Snapshot::build(&config, &Catalogue::built_in(), "us-east-1", &Default::default());
        (config.retry, snapshot.routes.plan("").expect("is a task"))
    }

    #[test]
    fn only_transient_failures_are_retried_and_only_so_often() {
        let (policy, plan) = plan(|policy| policy.rounds = 2);
        let [first, second] = &plan.candidates[..] else { panic!("two candidates") };
        let failed = [
            (first, Failure::new(FailureKind::AccessDenied, "")),
            (second, Failure::new(FailureKind::Unavailable, "")),
        ];
        for rounds in [1, 2] {
            let (_, again) = next_round(&policy, rounds, &failed, LONG).expect("there is a round");
            let ids = again.iter().map(|it| it.deployment.key.model_id.as_str()).collect::<Vec<_>>();
            assert_eq!(ids, ["b"]);
        }
        assert!(next_round(&policy, 3, &failed, LONG).is_none());
        assert!(next_round(&policy, 1, &failed[..1], LONG).is_none());
    }

    #[test]
    fn the_budget_limits_all_calls_together_and_successes_refill_it() {
        let (policy, plan) = plan(|policy| (policy.budget, policy.refill) = (3, 0.5));
        let first = &plan.candidates[0];
        let failed = [(first, Failure::new(FailureKind::Throttled, ""))];
        let paid =
            |times: usize| (0..times).filter(|_| next_round(&policy, 1, &failed, LONG).is_some()).count();
        assert!(next_round(&policy, 1, &failed, Duration::ZERO).is_none(), "what is not started is not paid");
        assert_eq!(paid(10), 3);
        first.deployment.retries().deposit();
        assert_eq!(paid(10), 0);
        first.deployment.retries().deposit();
        assert_eq!(paid(10), 1);
        (0..100).for_each(|_| first.deployment.retries().deposit());
        assert_eq!(paid(10), 3, "it never exceeds its size");
    }

    #[test]
    fn the_pause_is_random_below_its_maximum_and_never_shorter_than_requested() {
        let (policy, plan) = plan(|policy| {
            policy.base_delay = Duration::from_millis(400);
            policy.max_delay = Duration::from_secs(1);
        });
        for (rounds, most) in [(1, 400), (2, 800), (3, 1000), (30, 1000)] {
            let pauses: Vec<_> = (0..100).map(|_| backoff(&policy, rounds)).collect();
            assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(most)), "{rounds}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
        let first = &plan.candidates[0];
        let retry_after = Some(Duration::from_secs(9));
        let failed = [(first, Failure { retry_after, ..Failure::new(FailureKind::Throttled, "") })];
        let (pause, _) = next_round(&policy, 1, &failed, LONG).expect("there is a round");
        assert_eq!(pause, Duration::from_secs(9));
    }
}
