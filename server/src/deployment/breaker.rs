//! Circuit breaker of one deployment: may this model be called?
//!
//! A deployment that fails most of its attempts is not called for a while: its callers go to the next model
//! at once instead of waiting for the failure first. Then one attempt, the probe, is let through. Throttling
//! is no failure: a throttled deployment cools down, which only moves it behind the other candidates.
//! Failures that the request caused never count.
//!
//! # Why a rate over a window
//!
//! A count of consecutive failures never trips while a tenth of the attempts still succeeds, and trips at
//! once when three unlucky attempts follow each other. The window's minimum number of attempts keeps two
//! failures in a quiet hour from tripping the breaker.
use super::window::{Counts, Window};
use crate::config::{self, Force};
use std::time::Duration;
use switchboard_proto::v1::BreakerState;
use tokio::time::Instant;

/// State of one circuit breaker.
#[derive(Debug)]
pub(crate) struct Breaker {
    policy: config::Breaker,
    state: State,
    window: Window,
    cooling_until: Option<Instant>,
    /// How often the breaker has opened since the last success.
    openings: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen,
}

/// Answer to the question whether an attempt may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// The attempt may start.
    Allowed,
    /// The attempt may start, and is the only one until its result is reported.
    Probe,
    /// The attempt may not start, until this time. Absent: the configuration keeps the breaker open.
    Rejected(Option<Instant>),
}

// === impl Breaker ===

impl Breaker {
    /// A closed breaker.
    pub(crate) fn new(policy: config::Breaker) -> Self {
        let window = Window::new(policy.window);
        Self { policy, state: State::Closed, window, cooling_until: None, openings: 0 }
    }

    /// Applies a changed policy and keeps the state. A new window length starts an empty window.
    pub(crate) fn set_policy(&mut self, policy: config::Breaker) {
        if policy.window != self.policy.window {
            self.window = Window::new(policy.window);
        }
        self.policy = policy;
    }

    /// Asks for a permit. The caller of this function must report the result of a [`Permit::Probe`].
    pub(crate) fn acquire(&mut self, now: Instant, force: Force) -> Permit {
        match (force, self.state) {
            (Force::Open, _) => Permit::Rejected(None),
            (Force::Closed, _) | (Force::Auto, State::Closed) => Permit::Allowed,
            (Force::Auto, State::Open { until }) if now < until => Permit::Rejected(Some(until)),
            (Force::Auto, State::Open { .. }) => {
                self.state = State::HalfOpen;
                Permit::Probe
            }
            (Force::Auto, State::HalfOpen) => Permit::Rejected(Some(later(now, self.policy.open))),
        }
    }

    /// True if [`Breaker::acquire`] would let an attempt start.
    pub(crate) fn is_available(&self, now: Instant, force: Force) -> bool {
        match (force, self.state) {
            (Force::Open, _) => false,
            (Force::Closed, _) | (Force::Auto, State::Closed) => true,
            (Force::Auto, State::Open { until }) => until <= now,
            (Force::Auto, State::HalfOpen) => false,
        }
    }

    /// Records a success.
    pub(crate) fn succeeded(&mut self, now: Instant, slow: bool) {
        self.cooling_until = None;
        self.openings = 0;
        self.window.add(now, false, slow);
        self.trip_if_unhealthy(now);
    }

    /// Records a failure of the model.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.window.add(now, true, false);
        self.trip_if_unhealthy(now);
    }

    /// Closes the breaker after a successful probe.
    pub(crate) fn probe_succeeded(&mut self) {
        if self.state == State::HalfOpen {
            self.state = State::Closed;
            self.window.clear();
        }
    }

    /// Opens the breaker again after a failed probe.
    pub(crate) fn probe_failed(&mut self, now: Instant) {
        if self.state == State::HalfOpen {
            self.open(now);
        }
    }

    /// Lets the next attempt probe: this probe ended without a result, as when its caller left.
    pub(crate) fn probe_was_inconclusive(&mut self, now: Instant) {
        if self.state == State::HalfOpen {
            self.state = State::Open { until: now };
        }
    }

    /// Starts a cool-down after throttling, for as long as Bedrock asked, but not longer than after a used-up
    /// quota: a broken or hostile endpoint must not move a model to the end for a year.
    pub(crate) fn throttled(&mut self, now: Instant, requested: Option<Duration>) {
        let longest = self.policy.quota_cool_down.max(self.policy.cool_down);
        self.cool_down(now, requested.map_or(self.policy.cool_down, |requested| requested.min(longest)));
    }

    /// Starts a long cool-down after a daily quota was used up.
    pub(crate) fn quota_exhausted(&mut self, now: Instant) {
        self.cool_down(now, self.policy.quota_cool_down);
    }

    /// Remaining cool-down. Absent: none.
    pub(crate) fn cools_down_for(&self, now: Instant, force: Force) -> Option<Duration> {
        let left = self.cooling_until?.checked_duration_since(now)?;
        (force != Force::Closed && !left.is_zero()).then_some(left)
    }

    /// Time until an open breaker lets a probe through. Absent: the breaker is not open by its own state.
    pub(crate) fn reopens_in(&self, now: Instant, force: Force) -> Option<Duration> {
        match (force, self.state) {
            (Force::Auto, State::Open { until }) => Some(until.saturating_duration_since(now)),
            _ => None,
        }
    }

    /// Counts of the window.
    pub(crate) fn counts(&mut self, now: Instant) -> Counts {
        self.window.sum(now)
    }

    /// The state as the contract names it.
    pub(crate) fn state(&self, force: Force) -> BreakerState {
        match (force, self.state) {
            (Force::Open, _) => BreakerState::ForcedOpen,
            (Force::Closed, _) => BreakerState::ForcedClosed,
            (Force::Auto, State::Closed) => BreakerState::Closed,
            (Force::Auto, State::Open { .. }) => BreakerState::Open,
            (Force::Auto, State::HalfOpen) => BreakerState::HalfOpen,
        }
    }

    fn cool_down(&mut self, now: Instant, pause: Duration) {
        if self.policy.enabled {
            let until = later(now, pause);
            self.cooling_until = Some(self.cooling_until.map_or(until, |known| known.max(until)));
        }
    }

    fn trip_if_unhealthy(&mut self, now: Instant) {
        let counts = self.window.sum(now);
        let reaches = |count: u32, rate: f64| f64::from(count) >= rate * f64::from(counts.all);
        if self.policy.enabled
            && self.state == State::Closed
            && counts.all >= self.policy.min_attempts
            && (reaches(counts.bad, self.policy.failure_rate) || reaches(counts.slow, self.policy.slow_rate))
        {
            self.open(now);
        }
    }

    /// Doubles the pause with each opening in a row. The jitter keeps breakers that tripped together from
    /// probing together.
    fn open(&mut self, now: Instant) {
        let doubled = self.policy.open.saturating_mul(2_u32.saturating_pow(self.openings));
        let pause = doubled.min(self.policy.max_open).mul_f64(1.0 - fastrand::f64() / 4.0);
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open { until: later(now, pause) };
        self.window.clear();
    }
}

/// The time after a pause. A pause beyond what the clock can represent ends now: it must not panic.
fn later(now: Instant, pause: Duration) -> Instant {
    now.checked_add(pause).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn breaker(change: impl FnOnce(&mut config::Breaker)) -> Breaker {
        let mut policy = config::Breaker { min_attempts: 4, ..config::Breaker::default() };
        change(&mut policy);
        Breaker::new(policy)
    }

    fn opened() -> Breaker {
        let mut breaker = breaker(|_| {});
        (0..4).for_each(|_| breaker.failed(Instant::now()));
        breaker
    }

    fn acquire(breaker: &mut Breaker) -> Permit {
        breaker.acquire(Instant::now(), Force::Auto)
    }

    fn reopens_in(breaker: &Breaker) -> Duration {
        breaker.reopens_in(Instant::now(), Force::Auto).expect("is open")
    }

    #[tokio::test(start_paused = true)]
    async fn opens_at_the_failure_rate_and_not_below_the_minimum() {
        let mut breaker = breaker(|_| {});
        for (failed, expected) in [(true, true), (false, true), (true, true), (false, false)] {
            match failed {
                true => breaker.failed(Instant::now()),
                false => breaker.succeeded(Instant::now(), false),
            }
            assert_eq!(breaker.is_available(Instant::now(), Force::Auto), expected);
        }
        assert!(matches!(acquire(&mut breaker), Permit::Rejected(Some(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_outside_the_window_do_not_count() {
        let mut breaker = breaker(|policy| policy.window = Duration::from_secs(10));
        for _ in 0..20 {
            breaker.failed(Instant::now());
            advance(Duration::from_secs(4)).await;
        }
        assert_eq!(breaker.state(Force::Auto), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn opens_at_the_rate_of_slow_answers() {
        let mut breaker = breaker(|policy| policy.slow_rate = 0.75);
        [true, false, true, true].into_iter().for_each(|slow| breaker.succeeded(Instant::now(), slow));
        assert_eq!(breaker.state(Force::Auto), BreakerState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn one_attempt_probes_while_the_others_are_rejected() {
        let mut breaker = opened();
        advance(reopens_in(&breaker)).await;
        assert_eq!(acquire(&mut breaker), Permit::Probe);
        assert!(matches!(acquire(&mut breaker), Permit::Rejected(Some(_))));
        breaker.probe_succeeded();
        assert_eq!(acquire(&mut breaker), Permit::Allowed);
    }

    #[tokio::test(start_paused = true)]
    async fn stays_open_longer_after_each_failed_probe_up_to_the_maximum() {
        let mut breaker = opened();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(reopens_in(&breaker).as_secs_f64());
            advance(reopens_in(&breaker)).await;
            assert_eq!(acquire(&mut breaker), Permit::Probe);
            breaker.probe_failed(Instant::now());
        }
        for (pause, most) in pauses.iter().zip([5.0, 10.0, 20.0, 40.0, 80.0, 120.0, 120.0, 120.0]) {
            assert!((most * 0.75..=most).contains(pause), "{pauses:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_inconclusive_probe_lets_the_next_attempt_probe() {
        let mut breaker = opened();
        advance(reopens_in(&breaker)).await;
        for _ in 0..3 {
            assert_eq!(acquire(&mut breaker), Permit::Probe);
            breaker.probe_was_inconclusive(Instant::now());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_starts_a_cool_down_and_never_opens() {
        let mut breaker = breaker(|_| {});
        let cools_down_for = |breaker: &Breaker| breaker.cools_down_for(Instant::now(), Force::Auto);
        (0..100).for_each(|_| breaker.throttled(Instant::now(), None));
        assert_eq!(acquire(&mut breaker), Permit::Allowed);
        assert_eq!(cools_down_for(&breaker), Some(Duration::from_secs(5)));
        breaker.throttled(Instant::now(), Some(Duration::from_secs(9)));
        advance(Duration::from_secs(8)).await;
        assert_eq!(cools_down_for(&breaker), Some(Duration::from_secs(1)));
        advance(Duration::from_secs(1)).await;
        assert_eq!(cools_down_for(&breaker), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_requested_pause_is_capped_and_cannot_overflow_the_clock() {
        for requested in [Duration::from_secs(31_536_000), Duration::from_secs(u64::MAX), Duration::MAX] {
            let mut breaker = breaker(|policy| policy.quota_cool_down = Duration::from_secs(600));
            breaker.throttled(Instant::now(), Some(requested));
            let left = breaker.cools_down_for(Instant::now(), Force::Auto);
            assert_eq!(left, Some(Duration::from_secs(600)), "{requested:?}");
        }
        let mut breaker = breaker(|policy| policy.quota_cool_down = Duration::MAX);
        breaker.throttled(Instant::now(), Some(Duration::MAX)); // does not panic
    }

    #[tokio::test(start_paused = true)]
    async fn the_configuration_can_force_it_open_or_closed() {
        for (force, allowed) in [(Force::Open, false), (Force::Closed, true)] {
            let mut breaker = Breaker::new(config::Breaker::default());
            (0..100).for_each(|_| breaker.failed(Instant::now()));
            (0..100).for_each(|_| breaker.throttled(Instant::now(), None));
            assert_eq!(breaker.acquire(Instant::now(), force) == Permit::Allowed, allowed);
            assert_eq!(breaker.cools_down_for(Instant::now(), force).is_some(), !allowed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_policy_keeps_the_state() {
        let mut breaker = opened();
        breaker.set_policy(config::Breaker { min_attempts: 1, ..config::Breaker::default() });
        assert_eq!(breaker.state(Force::Auto), BreakerState::Open);
    }
}
