//! Deadlines of calls, and how they are split over attempts.
//!
//! tonic reads the caller's `grpc-timeout` too, but applies it only up to the response's headers and answers
//! CANCELLED. So the header is read here, the deadline holds until the last event, and it ends a little
//! before the caller's, so that our DEADLINE_EXCEEDED, with its route, arrives first.
//!
//! Each attempt leaves the next candidate the time that it typically needs, so that a model that hangs does
//! not use up the whole call.
use crate::failure::{Failure, FailureKind};
use std::time::Duration;
use tonic::metadata::MetadataMap;

/// Time that is reserved for the way back to the caller: a tenth of the caller's time, at most this much.
const MAX_RESERVE: Duration = Duration::from_millis(50);

/// The caller's timeout, from `grpc-timeout`. `None`: the header is absent or invalid.
#[must_use]
pub fn callers(metadata: &MetadataMap) -> Option<Duration> {
    let header = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = header.split_at_checked(header.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// Time for a call: the task's, or the caller's less the reserve if that is shorter.
#[must_use]
pub fn of_call(task: Duration, callers: Option<Duration>) -> Duration {
    callers.map_or(task, |callers| task.min(callers - MAX_RESERVE.min(callers / 10)))
}

/// Time for an attempt until there is something for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeout {
    pub(super) duration: Duration,
    /// Failure of an attempt that takes longer.
    kind: FailureKind,
}

// === impl Timeout ===

impl Timeout {
    pub(super) fn new(duration: Duration, kind: FailureKind) -> Self {
        Self { duration, kind }
    }

    /// Reserves the time that the next candidate typically needs out of the time that is `left` of the call:
    /// a quarter where that is unknown, and never more than half.
    pub(super) fn leaving_time_for(self, typical: Option<Duration>, left: Duration) -> Self {
        let share = left - typical.unwrap_or(left / 4).min(left / 2);
        if share < self.duration { Self { duration: share, kind: FailureKind::ShareUsedUp } } else { self }
    }

    /// The failure of an attempt that gave no `reply` in time.
    pub(super) fn failure(self, reply: &str) -> Failure {
        Failure::new(self.kind, format!("no {reply} within {:?}", self.duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_of_the_header_is_parsed() {
        for (header, expected) in [
            ("2H", Some(Duration::from_secs(7200))),
            ("3M", Some(Duration::from_secs(180))),
            ("10S", Some(Duration::from_secs(10))),
            ("250m", Some(Duration::from_millis(250))),
            ("99999999u", Some(Duration::from_micros(99_999_999))),
            ("5n", Some(Duration::from_nanos(5))),
            ("5", None),
            ("S", None),
            ("123456789S", None),
            ("-1S", None),
            ("1x", None),
        ] {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", header.parse().expect("is ascii"));
            assert_eq!(callers(&metadata), expected, "{header}");
        }
        assert_eq!(callers(&MetadataMap::new()), None);
    }

    #[test]
    fn the_shorter_deadline_applies_and_the_callers_has_a_reserve() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(of_call(minute, None), minute);
        assert_eq!(of_call(second, Some(minute)), second);
        assert_eq!(of_call(minute, Some(second)), Duration::from_millis(950));
        assert_eq!(of_call(minute, Some(Duration::from_millis(10))), Duration::from_millis(9));
    }

    #[test]
    fn an_attempt_leaves_the_next_its_typical_time_and_keeps_at_least_half() {
        let (second, timeout) =
            (Duration::from_secs, Timeout::new(Duration::from_secs(8), FailureKind::AttemptTimeout));
        for (typical, left, expected) in [
            (Some(second(3)), second(100), (second(8), FailureKind::AttemptTimeout)),
            (Some(second(3)), second(10), (second(7), FailureKind::ShareUsedUp)),
            (Some(second(9)), second(10), (second(5), FailureKind::ShareUsedUp)),
            (None, second(8), (second(6), FailureKind::ShareUsedUp)),
        ] {
            let split = timeout.leaving_time_for(typical, left);
            assert_eq!((split.duration, split.kind), expected, "{typical:?} of {left:?}");
        }
    }
}
