//! Timeouts, and retries of the same model.
use super::{
    Floor, duration,
    duration::shown,
    invalid::{Invalid, check_budget},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[deadline]`: timeouts, in the order in which the waits happen. The caller's own deadline bounds them all.
///
/// The first wait, for a new connection, is [`connect_timeout`](super::Bedrock::connect_timeout), because
/// calls share connections.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Deadline {
    /// From the start of an attempt until Bedrock accepts a stream; then the next model is tried. Absent:
    /// `first_content` bounds this wait too.
    #[serde(with = "duration::option")]
    pub headers: Option<Duration>,
    /// From the start of an attempt to the first content of a stream; then the next model is tried.
    #[serde(with = "duration")]
    pub first_content: Duration,
    /// Between two events of a stream.
    #[serde(with = "duration")]
    pub idle: Duration,
    /// A whole attempt of `Converse`; then the next model is tried.
    #[serde(with = "duration")]
    pub attempt: Duration,
    /// The whole call, all attempts included.
    #[serde(with = "duration")]
    pub call: Duration,
    /// Minimum throughput of the start of a stream; a slower model is replaced before anything is sent.
    /// Absent: none.
    pub floor: Option<Floor>,
    /// Time for which a caller may leave a ready answer unread; then the call ends. May be longer than
    /// `call`, which then applies first.
    #[serde(with = "duration")]
    pub reader: Duration,
}

/// `[tasks.NAME.deadline]` and `[models.NAME.deadline]`: see [`Deadline`].
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each is the field of the same name of `Deadline`")]
pub struct TaskDeadline {
    #[serde(with = "duration::option")]
    pub first_content: Option<Duration>,
    #[serde(with = "duration::option")]
    pub idle: Option<Duration>,
    #[serde(with = "duration::option")]
    pub attempt: Option<Duration>,
    #[serde(with = "duration::option")]
    pub call: Option<Duration>,
    pub floor: Option<Floor>,
    #[serde(with = "duration::option")]
    pub headers: Option<Duration>,
    #[serde(with = "duration::option")]
    pub reader: Option<Duration>,
}

/// `[retry]`: retries after every model of a task has failed with a transient failure.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Number of retry rounds; 0: none.
    pub rounds: u32,
    /// Upper bound of the pause before the first round; it doubles with each round. The pause is random below
    /// the bound, but never shorter than the `Retry-After` that Bedrock sent.
    #[serde(with = "duration")]
    pub base_delay: Duration,
    /// Upper bound of every pause.
    #[serde(with = "duration")]
    pub max_delay: Duration,
    /// Retry budget: number of retries that all calls of a deployment share.
    pub budget: u32,
    /// Fraction of a retry that each successful answer returns to the budget, from 0 to 1.
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
    pub(super) fn check(&self) -> Result<(), Invalid> {
        if self.base_delay > self.max_delay {
            let (base, max) = (shown(self.base_delay), shown(self.max_delay));
            let problem =
                format!("({base}) is longer than max_delay ({max}): shorten it, or lengthen max_delay");
            return Err(Invalid::new("base_delay", problem));
        }
        check_budget(self.budget, self.refill)
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
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let Self { headers, first_content, idle, attempt, call, floor, reader } = *self;
        check_positive(&[
            ("headers", headers),
            ("first_content", Some(first_content)),
            ("idle", Some(idle)),
            ("attempt", Some(attempt)),
            ("call", Some(call)),
            ("reader", Some(reader)),
        ])?;
        floor.map_or(Ok(()), |floor| floor.check())?;
        for (key, timeout) in self.bounded_by_call() {
            if timeout > call {
                return Err(longer_than_call(key, timeout, call));
            }
        }
        Ok(())
    }

    /// The timeouts that must not be longer than `call`.
    fn bounded_by_call(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let Self { headers, first_content, idle, attempt, .. } = *self;
        let headers = headers.map(|headers| ("headers", headers));
        headers.into_iter().chain([("first_content", first_content), ("idle", idle), ("attempt", attempt)])
    }
}

fn longer_than_call(key: &str, timeout: Duration, call: Duration) -> Invalid {
    let (timeout, call) = (shown(timeout), shown(call));
    Invalid::new(key, format!("({timeout}) is longer than call ({call}): shorten it, or lengthen call"))
}

fn check_positive(timeouts: &[(&'static str, Option<Duration>)]) -> Result<(), Invalid> {
    match timeouts.iter().find(|(_, timeout)| timeout.is_some_and(|timeout| timeout.is_zero())) {
        Some((key, _)) => Err(Invalid::new(*key, "is zero: use a longer time, such as \"30s\"")),
        None => Ok(()),
    }
}

impl TaskDeadline {
    /// The timeouts of this table; those that it does not set are taken from `defaults`.
    #[must_use]
    pub fn over(&self, defaults: Deadline) -> Deadline {
        Deadline {
            first_content: self.first_content.unwrap_or(defaults.first_content),
            idle: self.idle.unwrap_or(defaults.idle),
            attempt: self.attempt.unwrap_or(defaults.attempt),
            call: self.call.unwrap_or(defaults.call),
            floor: self.floor.or(defaults.floor),
            headers: self.headers.or(defaults.headers),
            reader: self.reader.unwrap_or(defaults.reader),
        }
    }

    /// Checks the values that the table itself sets.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        check_positive(&self.timeouts())?;
        self.floor.map_or(Ok(()), |floor| floor.check())
    }

    /// Checks the values of a task together with the `[deadline]` table, from which it takes those that it
    /// does not set.
    pub(super) fn check_over(&self, defaults: Deadline) -> Result<(), Invalid> {
        self.check()?;
        let merged = self.over(defaults);
        let is_own = |key: &str| self.timeouts().iter().any(|(own, value)| *own == key && value.is_some());
        for (key, timeout) in merged.bounded_by_call() {
            if timeout <= merged.call {
                continue;
            }
            if is_own(key) {
                return Err(longer_than_call(key, timeout, merged.call));
            }
            let (timeout, call) = (shown(timeout), shown(merged.call));
            let problem = format!(
                "({call}) is shorter than {key} ({timeout}), which is taken from [deadline]: lengthen call, or set {key} \
                 here"
            );
            return Err(Invalid::new("call", problem));
        }
        Ok(())
    }

    fn timeouts(&self) -> [(&'static str, Option<Duration>); 6] {
        [
            ("headers", self.headers),
            ("first_content", self.first_content),
            ("idle", self.idle),
            ("attempt", self.attempt),
            ("call", self.call),
            ("reader", self.reader),
        ]
    }
}
