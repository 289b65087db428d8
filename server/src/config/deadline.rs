//! How long is waited, and when it is tried again.
use super::Floor;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[deadline]`: how long we wait, in the order in which the waits happen. A caller's own deadline bounds them all.
///
/// The first of the waits, for a new connection, is [`connect_timeout`](super::Bedrock::connect_timeout): connections belong to all calls.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Deadline {
    /// From an attempt's start to Bedrock's accepting a stream; then the next model is tried. Absent: `first_content`
    /// bounds that too.
    #[serde(with = "humantime_serde")]
    pub headers: Option<Duration>,
    /// From an attempt's start to the first content of a stream; then the next model is tried.
    #[serde(with = "humantime_serde")]
    pub first_content: Duration,
    /// Between two events of a stream.
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
    /// A whole attempt of `Converse`; then the next model is tried.
    #[serde(with = "humantime_serde")]
    pub attempt: Duration,
    /// The whole call, all attempts included.
    #[serde(with = "humantime_serde")]
    pub call: Duration,
    /// The least speed of a stream's beginning; a slower model is given up before anything is sent. Absent: any.
    pub floor: Option<Floor>,
    /// How long a caller may take nothing of an answer that is ready; then it is given up. May be longer than `call`, which
    /// then comes first.
    #[serde(with = "humantime_serde")]
    pub reader: Duration,
}

/// `[tasks.NAME.deadline]`: see [`Deadline`].
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each is the field of the same name of `Deadline`")]
pub struct TaskDeadline {
    #[serde(with = "humantime_serde")]
    pub first_content: Option<Duration>,
    #[serde(with = "humantime_serde")]
    pub idle: Option<Duration>,
    #[serde(with = "humantime_serde")]
    pub attempt: Option<Duration>,
    #[serde(with = "humantime_serde")]
    pub call: Option<Duration>,
    pub floor: Option<Floor>,
    #[serde(with = "humantime_serde")]
    pub headers: Option<Duration>,
    #[serde(with = "humantime_serde")]
    pub reader: Option<Duration>,
}

/// `[retry]`: when every model of a task has failed in a way that may pass.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How often they are asked again; 0: never.
    pub rounds: u32,
    /// The longest pause before the first time; it doubles with each. The pause is random below it, but never shorter than
    /// what Bedrock asks for.
    #[serde(with = "humantime_serde")]
    pub base_delay: Duration,
    /// The longest pause of all.
    #[serde(with = "humantime_serde")]
    pub max_delay: Duration,
    /// How many retries all calls of a model share.
    pub budget: u32,
    /// How much of a retry each answer of the model gives back, from 0 to 1.
    pub refill: f64,
}

// === impl Retry ===

impl Default for Retry {
    fn default() -> Self {
        Self {
            rounds: 1,
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(10),
            budget: 10,
            refill: 0.1,
        }
    }
}

impl Retry {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.base_delay > self.max_delay {
            return Err(format!(
                "base_delay ({:?}) is longer than max_delay ({:?})",
                self.base_delay, self.max_delay
            ));
        }
        if !(0.0..=1.0).contains(&self.refill) {
            return Err(format!("refill is {}: use a number from 0 to 1", self.refill));
        }
        if self.budget > 1_000_000 {
            return Err(format!("budget is {}: use at most 1000000", self.budget));
        }
        Ok(())
    }
}

// === impl Deadline ===

impl Default for Deadline {
    fn default() -> Self {
        Self {
            headers: None,
            floor: None,
            first_content: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            attempt: Duration::from_secs(120),
            call: Duration::from_secs(300),
            reader: Duration::from_secs(60),
        }
    }
}

impl Deadline {
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { headers, first_content, idle, attempt, call, floor, reader } = self;
        let headers = headers.as_ref().unwrap_or(first_content);
        if let Some(floor) = floor {
            floor.check()?;
        }
        let clocks =
            [("headers", headers), ("first_content", first_content), ("idle", idle), ("attempt", attempt)];
        for (name, clock) in clocks {
            if clock.is_zero() {
                return Err(format!("{name} is zero: nothing could ever answer"));
            }
            if clock > call {
                return Err(format!(
                    "{name} ({clock:?}) is longer than call ({call:?}): shorten it or lengthen call"
                ));
            }
        }
        if reader.is_zero() {
            return Err("reader is zero: no answer could ever be read".to_owned());
        }
        Ok(())
    }
}

impl TaskDeadline {
    /// The clocks of a task, over those of all.
    #[must_use]
    pub fn over(&self, all: Deadline) -> Deadline {
        Deadline {
            first_content: self.first_content.unwrap_or(all.first_content),
            idle: self.idle.unwrap_or(all.idle),
            attempt: self.attempt.unwrap_or(all.attempt),
            call: self.call.unwrap_or(all.call),
            floor: self.floor.or(all.floor),
            headers: self.headers.or(all.headers),
            reader: self.reader.unwrap_or(all.reader),
        }
    }
}
