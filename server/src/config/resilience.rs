//! What is done with models that do not answer as they should, and with slow ones.
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[breaker]`: when a model is no longer asked, and when it is asked again.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Whether there is any: without, every model is asked in its turn, whatever it answered before.
    pub enabled: bool,
    /// How far back attempts count.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// With fewer attempts in the window nothing is concluded.
    pub min_attempts: u32,
    /// The share of failed attempts at which the breaker opens, above 0 and up to 1.
    pub failure_rate: f64,
    /// From when on an answer is slow: to the first content of a stream, to the end of an answer asked for whole. Absent:
    /// none is.
    #[serde(with = "humantime_serde")]
    pub slow_after: Option<Duration>,
    /// The share of slow answers at which the breaker opens, above 0 and up to 1.
    pub slow_rate: f64,
    /// How long it stays open before one call is let through, give or take; it doubles while that fails.
    #[serde(with = "humantime_serde")]
    pub open: Duration,
    /// The longest that it stays open.
    #[serde(with = "humantime_serde")]
    pub max_open: Duration,
    /// How long a model that is throttled comes after the others, where Bedrock does not say.
    #[serde(with = "humantime_serde")]
    pub cool_down: Duration,
    /// The same when a quota of a day is used up.
    #[serde(with = "humantime_serde")]
    pub quota_cool_down: Duration,
}

/// `[models.NAME] breaker`: what decides whether a model is asked.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Force {
    /// What it answered of late.
    #[default]
    Auto,
    /// It is never asked.
    Open,
    /// It is always asked in its turn.
    Closed,
}

/// `[hedging]`: what tasks with `hedge_after` may spend on second models.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Hedging {
    /// How many hedges all calls of a task share.
    pub budget: u32,
    /// How much of a hedge each call gives back, from 0 to 1: the share of calls that may be hedged for long.
    pub refill: f64,
}

/// `floor`: the least speed of a stream's beginning.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// Output, in tokens for a second; estimated, four bytes to a token.
    pub tokens_per_second: f64,
    /// For how long it is looked at, from the first content on, while nothing is sent to the caller. A model that has said
    /// in less time what is asked of the whole is let through at once.
    #[serde(with = "humantime_serde")]
    pub over: Duration,
}

/// `[tasks.NAME] after_content`: what happens when a stream breaks after content has been sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum AfterContent {
    /// The call fails, and its status says what had been sent.
    #[default]
    Fail,
    /// The caller is told to forget what it received, and another model begins anew.
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
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, rate) in [("failure_rate", self.failure_rate), ("slow_rate", self.slow_rate)] {
            if !(rate > 0.0 && rate <= 1.0) {
                return Err(format!("{name} is {rate}: use a number above 0 and up to 1"));
            }
        }
        if self.min_attempts == 0 {
            return Err(
                "min_attempts is 0: from nothing, nothing can be concluded; use at least 1".to_owned()
            );
        }
        for (name, time) in [("window", self.window), ("open", self.open)] {
            if time < Duration::from_millis(10) {
                return Err(format!("{name} is {time:?}: use at least 10ms"));
            }
        }
        if self.open > self.max_open {
            return Err(format!("open ({:?}) is longer than max_open ({:?})", self.open, self.max_open));
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
    pub(super) fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.refill) {
            return Err(format!("refill is {}: use a number from 0 to 1", self.refill));
        }
        if self.budget > 1_000_000 {
            return Err(format!("budget is {}: use at most 1000000", self.budget));
        }
        Ok(())
    }
}

// === impl Floor ===

impl Floor {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(self.tokens_per_second > 0.0 && self.tokens_per_second <= 10_000.0) {
            let speed = self.tokens_per_second;
            return Err(format!("floor.tokens_per_second is {speed}: use a number above 0 and up to 10000"));
        }
        if self.over.is_zero() || self.over > Duration::from_secs(60) {
            return Err(format!("floor.over is {:?}: use a time up to 1m", self.over));
        }
        Ok(())
    }
}
