//! Skips: why a candidate is passed over without being asked.
use crate::{route::Candidate, shape::Unmet};
use std::time::Duration;
use switchboard_proto::v1::ErrorReason;
use tokio::time::Instant;

/// Why a candidate is not asked.
#[derive(Clone, Debug)]
pub enum Skip {
    /// The request needs what the model lacks.
    Lacks(Unmet),
    /// It would carry the request out of the task's geography, to this one.
    Leaves(String),
    /// It failed too often of late, or is shut by the configuration. Absent: nobody knows for how long.
    Unwell(Option<Instant>),
    /// Too many of the task's calls have fallen back already.
    Capped,
    /// So much time is left, and it has never answered in less than that.
    NoTime {
        /// What is left.
        left: Duration,
        /// What it needs.
        least: Duration,
    },
}

// === impl Skip ===

impl Skip {
    /// What the route says, for programs.
    #[must_use]
    pub fn reason(&self) -> ErrorReason {
        match self {
            Self::Lacks(_) | Self::Leaves(_) => ErrorReason::NoEligibleModel,
            Self::Unwell(_) => ErrorReason::NoHealthyModel,
            Self::Capped => ErrorReason::FallbackCapped,
            Self::NoTime { .. } => ErrorReason::DeadlineExceeded,
        }
    }

    /// What the route says, for people.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Lacks(unmet) => unmet.lacks.clone(),
            Self::Leaves(geography) => {
                format!("it is processed in \"{geography}\", which the task does not allow")
            }
            Self::Unwell(Some(until)) => {
                let wait = until.saturating_duration_since(Instant::now());
                format!("it failed too often of late; it is asked again in {} ms", wait.as_millis())
            }
            Self::Unwell(None) => "the configuration says that it is not asked".to_owned(),
            Self::Capped => "too many calls of this task have gone to models other than its first".to_owned(),
            Self::NoTime { left, least } => {
                let (left, least) = (left.as_millis(), least.as_millis());
                format!("{left} ms are left, and it has never needed less than {least} ms")
            }
        }
    }

    /// What would leave the task's geography is never asked.
    pub(crate) fn for_residency(candidate: &Candidate) -> Option<Self> {
        candidate.leaves_to.clone().map(Self::Leaves)
    }
}
