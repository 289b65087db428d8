//! Deadlines: how long a call may take.
//!
//! tonic reads the caller's `grpc-timeout` too, but stops it at the response's headers and answers CANCELLED. So the
//! header is read here, the deadline holds until the last event, and it ends a little before the caller's, so that our
//! DEADLINE_EXCEEDED, with its route, gets there first.
//!
//! What is left of it is split over the attempts: each leaves the next one the time that that one usually needs, so that
//! a model that hangs does not take the whole call with it.
use super::failure::{Failure, FailureKind};
use std::time::Duration;
use tonic::metadata::MetadataMap;

/// What is kept back of the caller's time for the answer's way back: a tenth, at most this much.
const RESERVE: Duration = Duration::from_millis(50);

/// The time that the caller gives the call, as `grpc-timeout` has it. Absent: the caller sets none, or not a valid one.
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

/// The time that a call has: the task's, or the caller's less the reserve if that is shorter.
#[must_use]
pub fn of_call(task: Duration, callers: Option<Duration>) -> Duration {
    callers.map_or(task, |callers| task.min(callers - RESERVE.min(callers / 10)))
}

/// How long an attempt may take until there is something for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) patience: Duration,
    /// What it is when it takes longer.
    kind: FailureKind,
}

// === impl Clock ===

impl Clock {
    pub(super) fn new(patience: Duration, kind: FailureKind) -> Self {
        Self { patience, kind }
    }

    /// The same, but out of the time that is `left` of the call the next model keeps what it usually needs: a quarter where
    /// nobody knows, and never more than half.
    pub(super) fn leaving_time_for(self, usual: Option<Duration>, left: Duration) -> Self {
        let share = left - usual.unwrap_or(left / 4).min(left / 2);
        if share < self.patience { Self { patience: share, kind: FailureKind::ShareUsedUp } } else { self }
    }

    /// It is over.
    pub(super) fn ran_out(self, of_what: &str) -> Failure {
        Failure::new(self.kind, format!("no {of_what} within {:?}", self.patience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_of_the_header_is_read() {
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
    fn the_shorter_deadline_holds_and_the_callers_keeps_a_reserve() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(of_call(minute, None), minute);
        assert_eq!(of_call(second, Some(minute)), second);
        assert_eq!(of_call(minute, Some(second)), Duration::from_millis(950));
        assert_eq!(of_call(minute, Some(Duration::from_millis(10))), Duration::from_millis(9));
    }

    #[test]
    fn an_attempt_leaves_the_next_what_it_usually_needs_and_at_least_half_to_itself() {
        let (second, clock) =
            (Duration::from_secs, Clock::new(Duration::from_secs(8), FailureKind::AttemptTimeout));
        for (usual, left, expected) in [
            (Some(second(3)), second(100), (second(8), FailureKind::AttemptTimeout)),
            (Some(second(3)), second(10), (second(7), FailureKind::ShareUsedUp)),
            (Some(second(9)), second(10), (second(5), FailureKind::ShareUsedUp)),
            (None, second(8), (second(6), FailureKind::ShareUsedUp)),
        ] {
            let split = clock.leaving_time_for(usual, left);
            assert_eq!((split.patience, split.kind), expected, "{usual:?} of {left:?}");
        }
    }
}
