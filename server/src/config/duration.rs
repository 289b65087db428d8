//! Durations of the configuration: written "30s" or "1h 30m", and at most 24 hours. The bound keeps sums of a
//! duration and a point in time within what the clock can represent.
use serde::{Deserializer, Serializer, de};
use std::time::Duration;

/// Longest duration of a key without bounds of its own.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    humantime_serde::serialize(duration, serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    bounded(humantime_serde::deserialize(deserializer)?)
}

/// An optional duration.
pub(super) mod option {
    use super::{Deserializer, Duration, Serializer, bounded};

    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        humantime_serde::serialize(duration, serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let duration: Option<Duration> = humantime_serde::deserialize(deserializer)?;
        duration.map(bounded).transpose()
    }
}

fn bounded<E: de::Error>(duration: Duration) -> Result<Duration, E> {
    if duration <= MAX {
        return Ok(duration);
    }
    Err(E::custom(format!("{} is too long: use at most {}", shown(duration), shown(MAX))))
}

/// Formats a duration as it is written in the configuration.
pub(super) fn shown(duration: Duration) -> String {
    humantime_serde::re::humantime::format_duration(duration).to_string()
}
