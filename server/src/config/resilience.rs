//! Circuit breakers, hedging, minimum throughput and broken streams.
use super::{
    duration,
    duration::shown,
    invalid::{Invalid, check_budget},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[breaker]`: circuit breakers and cool-downs.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// False: no breakers and no cool-downs; every model is called in its configured order.
    pub enabled: bool,
    /// Length of the sliding window of attempts.
    #[serde(with = "duration")]
    pub window: Duration,
    /// Number of attempts in the window below which the breaker does not open.
    pub min_attempts: u32,
    /// Share of failed attempts at which the breaker opens, above 0 and up to 1.
    pub failure_rate: f64,
    /// Duration from which an answer counts as slow: to the first content of a stream, or to a whole answer.
    /// Absent: no answer counts as slow.
    #[serde(with = "duration::option")]
    pub slow_after: Option<Duration>,
    /// Share of slow answers at which the breaker opens, above 0 and up to 1.
    pub slow_rate: f64,
    /// Time for which the breaker stays open, minus a random part, before one probe is let through. It
    /// doubles after each failed probe.
    #[serde(with = "duration")]
    pub open: Duration,
    /// Longest time for which the breaker stays open.
    #[serde(with = "duration")]
    pub max_open: Duration,
    /// Cool-down after throttling, if Bedrock does not send `Retry-After`.
    #[serde(with = "duration")]
    pub cool_down: Duration,
    /// Cool-down after a daily token quota was exhausted, if Bedrock does not send `Retry-After`.
    #[serde(with = "duration")]
    pub quota_cool_down: Duration,
}

/// `[models.NAME] breaker`: override of the circuit breaker.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Force {
    /// `[breaker]` decides, from recent attempts.
    #[default]
    Auto,
    /// The model is never called.
    Open,
    /// The model is always called in its turn.
    Closed,
}

/// `[hedging]`: hedge budget of each task with `hedge_after`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Hedging {
    /// Number of hedges that all calls of a task share.
    pub budget: u32,
    /// Fraction of a hedge that each call without one returns to the budget, from 0 to 1: in the long run the
    /// share of calls that can be hedged.
    pub refill: f64,
}

/// `floor`: minimum throughput of the start of a stream.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// Minimum output in tokens per second; estimated, with four bytes per token.
    pub tokens_per_second: f64,
    /// Time from the first content for which throughput is measured and events are held back. A model that
    /// generates the required amount earlier is let through at once.
    #[serde(with = "duration")]
    pub over: Duration,
}

/// `[tasks.NAME] after_content`: treatment of a stream that breaks after content was sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum AfterContent {
    /// The call fails, and its status states how much was sent.
    #[default]
    Fail,
    /// A restart event tells the caller to discard the partial answer, and another model starts from the
    /// beginning.
    Restart,
}

// === impl Breaker ===

impl Default for Breaker {
    fn default() -> Self {
        Self {
            enabled: true,
            window: Duration::from_secs(30),
            min_attempts: 20,
            failure_rate: 0.5,
            slow_after: None,
            slow_rate: 0.8,
            open: Duration::from_secs(5),
            max_open: Duration::from_secs(120),
            cool_down: Duration::from_secs(5),
            quota_cool_down: Duration::from_secs(600),
        }
    }
}

impl Breaker {
    /// Shortest sliding window, and shortest time for which the breaker stays open.
    const MIN_TIME: Duration = Duration::from_millis(10);

    pub(super) fn check(&self) -> Result<(), Invalid> {
        for (key, rate) in [("failure_rate", self.failure_rate), ("slow_rate", self.slow_rate)] {
            if !(rate > 0.0 && rate <= 1.0) {
                return Err(Invalid::new(key, format!("is {rate}: use a number above 0 and up to 1")));
            }
        }
        if self.min_attempts == 0 {
            return Err(Invalid::new("min_attempts", "is 0: use at least 1"));
        }
        for (key, time) in [("window", self.window), ("open", self.open)] {
            if time < Self::MIN_TIME {
                return Err(Invalid::new(key, format!("is {}: use at least 10ms", shown(time))));
            }
        }
        if self.open > self.max_open {
            let (open, max) = (shown(self.open), shown(self.max_open));
            let problem =
                format!("({open}) is longer than max_open ({max}): shorten it, or lengthen max_open");
            return Err(Invalid::new("open", problem));
        }
        Ok(())
    }
}

// === impl Hedging ===

impl Default for Hedging {
    fn default() -> Self {
        Self { budget: 10, refill: 0.05 }
    }
}

impl Hedging {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        check_budget(self.budget, self.refill)
    }
}

// === impl Floor ===

impl Floor {
    /// Highest minimum throughput, in tokens per second.
    const MAX_TOKENS_PER_SECOND: f64 = 10_000.0;
    /// Longest time for which events may be held back.
    const MAX_OVER: Duration = Duration::from_secs(60);

    pub(super) fn check(&self) -> Result<(), Invalid> {
        let Self { tokens_per_second, over } = *self;
        if !(tokens_per_second > 0.0 && tokens_per_second <= Self::MAX_TOKENS_PER_SECOND) {
            let problem = format!("is {tokens_per_second}: use a number above 0 and up to 10000");
            return Err(Invalid::new("floor.tokens_per_second", problem));
        }
        if over.is_zero() || over > Self::MAX_OVER {
            let problem = format!("is {}: use more than zero and at most 1m", shown(over));
            return Err(Invalid::new("floor.over", problem));
        }
        Ok(())
    }
}
