//! The breaker: may this model be asked?
//!
//! A model that fails most of its calls is not asked for a while; its callers go to the next one at once, in place of
//! waiting for the failure first. Then one call is let through to see. A model that is throttled is not ill: it only comes
//! after the others until it has cooled down. What a request is itself to blame for never counts.
//!
//! # Why a rate over a window
//!
//! A count of failures in a row never opens when a tenth of the calls still succeeds by luck, and opens at once when three
//! unlucky ones meet. The window's minimum keeps a quiet hour's two failures from closing a door.
use super::window::{Counts, Window};
use crate::config::{self, Force};
use std::time::Duration;
use switchboard_proto::v1::BreakerState;
use tokio::time::Instant;

/// One model's door.
#[derive(Debug)]
pub(crate) struct Breaker {
    policy: config::Breaker,
    force: Force,
    state: State,
    window: Window,
    cooling_until: Option<Instant>,
    /// How often it has opened without an answer in between.
    openings: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    Probing,
}

/// Whether the model may be asked now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It may.
    #[default]
    Pass,
    /// It may, once: everyone else waits for what becomes of it.
    Probe,
    /// It may not. Absent: nobody knows for how long.
    Shut(Option<Instant>),
}

// === impl Breaker ===

impl Breaker {
    /// A closed one, unless it is forced.
    pub(crate) fn new(policy: config::Breaker, force: Force) -> Self {
        let window = Window::new(policy.window);
        Self { policy, force, state: State::Closed, window, cooling_until: None, openings: 0 }
    }

    /// Asks to pass. Whoever gets [`Gate::Probe`] must tell what became of it.
    pub(crate) fn ask(&mut self, now: Instant) -> Gate {
        match (self.force, self.state) {
            (Force::Open, _) => Gate::Shut(None),
            (Force::Closed, _) | (Force::Auto, State::Closed) => Gate::Pass,
            (Force::Auto, State::Open { until }) if now < until => Gate::Shut(Some(until)),
            (Force::Auto, State::Open { .. }) => {
                self.state = State::Probing;
                Gate::Probe
            }
            (Force::Auto, State::Probing) => Gate::Shut(Some(now + self.policy.open)),
        }
    }

    /// Whether [`Breaker::ask`] would let one pass.
    pub(crate) fn is_passable(&self, now: Instant) -> bool {
        match (self.force, self.state) {
            (Force::Open, _) => false,
            (Force::Closed, _) | (Force::Auto, State::Closed) => true,
            (Force::Auto, State::Open { until }) => until <= now,
            (Force::Auto, State::Probing) => false,
        }
    }

    /// It answered.
    pub(crate) fn answered(&mut self, now: Instant, slow: bool) {
        self.cooling_until = None;
        self.openings = 0;
        self.window.add(now, false, slow);
        self.judge(now);
    }

    /// It failed, by its own fault.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.window.add(now, true, false);
        self.judge(now);
    }

    /// What was let through to see has answered.
    pub(crate) fn probe_answered(&mut self) {
        if self.state == State::Probing {
            self.state = State::Closed;
            self.window.clear();
        }
    }

    /// It failed.
    pub(crate) fn probe_failed(&mut self, now: Instant) {
        if self.state == State::Probing {
            self.open(now);
        }
    }

    /// It ended without saying anything of the model: the next call may look.
    pub(crate) fn probe_told_nothing(&mut self, now: Instant) {
        if self.state == State::Probing {
            self.state = State::Open { until: now };
        }
    }

    /// It is throttled, until then at least.
    pub(crate) fn throttled(&mut self, now: Instant, asked: Option<Duration>) {
        self.cool_down(now, asked.unwrap_or(self.policy.cool_down));
    }

    /// Its quota of a day is used up.
    pub(crate) fn spent(&mut self, now: Instant) {
        self.cool_down(now, self.policy.quota_cool_down);
    }

    /// How long it comes after the others. Absent: it does not.
    pub(crate) fn cools_down_for(&self, now: Instant) -> Option<Duration> {
        let left = self.cooling_until?.checked_duration_since(now)?;
        (self.force != Force::Closed && !left.is_zero()).then_some(left)
    }

    /// How long it is not asked at all. Absent: it is, or nobody knows.
    pub(crate) fn reopens_in(&self, now: Instant) -> Option<Duration> {
        match (self.force, self.state) {
            (Force::Auto, State::Open { until }) => Some(until.saturating_duration_since(now)),
            _ => None,
        }
    }

    /// What the window holds.
    pub(crate) fn counts(&mut self, now: Instant) -> Counts {
        self.window.sum(now)
    }

    /// The word for it. Open only until a call may look again.
    pub(crate) fn state(&self) -> BreakerState {
        match (self.force, self.state) {
            (Force::Open, _) => BreakerState::ForcedOpen,
            (Force::Closed, _) => BreakerState::ForcedClosed,
            (Force::Auto, State::Closed) => BreakerState::Closed,
            (Force::Auto, State::Open { .. }) => BreakerState::Open,
            (Force::Auto, State::Probing) => BreakerState::HalfOpen,
        }
    }

    fn cool_down(&mut self, now: Instant, pause: Duration) {
        if self.policy.enabled {
            let until = now + pause;
            self.cooling_until = Some(self.cooling_until.map_or(until, |known| known.max(until)));
        }
    }

    fn judge(&mut self, now: Instant) {
        let counts = self.window.sum(now);
        let reaches = |count: u32, rate: f64| f64::from(count) >= rate * f64::from(counts.all);
        if self.policy.enabled
            && self.force == Force::Auto
            && self.state == State::Closed
            && counts.all >= self.policy.min_attempts
            && (reaches(counts.bad, self.policy.failure_rate) || reaches(counts.slow, self.policy.slow_rate))
        {
            self.open(now);
        }
    }

    /// Longer each time, and never as long as another's: doors that shut together must not open together.
    fn open(&mut self, now: Instant) {
        let doubled = self.policy.open.saturating_mul(2_u32.saturating_pow(self.openings));
        let pause = doubled.min(self.policy.max_open).mul_f64(1.0 - fastrand::f64() / 4.0);
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open { until: now + pause };
        self.window.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn breaker(change: impl FnOnce(&mut config::Breaker)) -> Breaker {
        let mut policy = config::Breaker { min_attempts: 4, ..config::Breaker::default() };
        change(&mut policy);
        Breaker::new(policy, Force::Auto)
    }

    fn opened() -> Breaker {
        let mut breaker = breaker(|_| {});
        (0..4).for_each(|_| breaker.failed(Instant::now()));
        breaker
    }

    async fn wait_until_open_is_over(breaker: &Breaker) {
        advance(breaker.reopens_in(Instant::now()).expect("is open")).await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_at_the_rate_and_not_below_the_minimum() {
        let mut breaker = breaker(|_| {});
        for (failed, expected) in [(true, true), (false, true), (true, true), (false, false)] {
            match failed {
                true => breaker.failed(Instant::now()),
                false => breaker.answered(Instant::now(), false),
            }
            assert_eq!(breaker.is_passable(Instant::now()), expected);
        }
        assert!(matches!(breaker.ask(Instant::now()), Gate::Shut(Some(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_long_ago_do_not_count() {
        let mut breaker = breaker(|policy| policy.window = Duration::from_secs(10));
        for _ in 0..20 {
            breaker.failed(Instant::now());
            advance(Duration::from_secs(4)).await;
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_are_slow_open_it_too() {
        let mut breaker = breaker(|policy| policy.slow_rate = 0.75);
        [true, false, true, true].into_iter().for_each(|slow| breaker.answered(Instant::now(), slow));
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_looks_whether_it_is_well_and_the_others_wait() {
        let mut breaker = opened();
        wait_until_open_is_over(&breaker).await;
        assert_eq!(breaker.ask(Instant::now()), Gate::Probe);
        assert!(matches!(breaker.ask(Instant::now()), Gate::Shut(Some(_))));
        breaker.probe_answered();
        assert_eq!(breaker.ask(Instant::now()), Gate::Pass);
    }

    #[tokio::test(start_paused = true)]
    async fn it_stays_open_for_longer_each_time_that_the_look_fails_up_to_the_bound() {
        let mut breaker = opened();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(breaker.reopens_in(Instant::now()).expect("is open").as_secs_f64());
            wait_until_open_is_over(&breaker).await;
            assert_eq!(breaker.ask(Instant::now()), Gate::Probe);
            breaker.probe_failed(Instant::now());
        }
        for (pause, most) in pauses.iter().zip([5.0, 10.0, 20.0, 40.0, 80.0, 120.0, 120.0, 120.0]) {
            assert!((most * 0.75..=most).contains(pause), "{pauses:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_tells_nothing_leaves_it_to_the_next() {
        let mut breaker = opened();
        wait_until_open_is_over(&breaker).await;
        for _ in 0..3 {
            assert_eq!(breaker.ask(Instant::now()), Gate::Probe);
            breaker.probe_told_nothing(Instant::now());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_cools_down_and_never_opens() {
        let mut breaker = breaker(|_| {});
        (0..100).for_each(|_| breaker.throttled(Instant::now(), None));
        assert_eq!(breaker.ask(Instant::now()), Gate::Pass);
        assert_eq!(breaker.cools_down_for(Instant::now()), Some(Duration::from_secs(5)));
        breaker.throttled(Instant::now(), Some(Duration::from_secs(9)));
        advance(Duration::from_secs(8)).await;
        assert_eq!(breaker.cools_down_for(Instant::now()), Some(Duration::from_secs(1)));
        advance(Duration::from_secs(1)).await;
        assert_eq!(breaker.cools_down_for(Instant::now()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_forces_it_knows_better() {
        for (force, passes) in [(Force::Open, false), (Force::Closed, true)] {
            let mut breaker = Breaker::new(config::Breaker::default(), force);
            (0..100).for_each(|_| breaker.failed(Instant::now()));
            (0..100).for_each(|_| breaker.throttled(Instant::now(), None));
            assert_eq!(breaker.ask(Instant::now()) == Gate::Pass, passes);
            assert_eq!(breaker.cools_down_for(Instant::now()).is_some(), !passes);
        }
    }
}
