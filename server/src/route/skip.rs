//! Reasons for which a candidate is skipped without being called.
use super::Candidate;
use std::time::Duration;
use switchboard_proto::v1::ErrorReason;
use tokio::time::Instant;

/// A requirement of the request that a model does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The field that has the requirement.
    pub field: String,
    /// What the model lacks, in words: "images".
    pub lacks: String,
}

/// Why a candidate is skipped.
#[derive(Clone, Debug)]
pub enum Skip {
    /// The model lacks what the request needs.
    Lacks(Unmet),
    /// The candidate would carry the request out of the task's geography, to this one.
    LeavesGeography(String),
    /// The circuit breaker is open until this time. Absent: the configuration keeps it open.
    BreakerOpen(Option<Instant>),
    /// Bedrock throttled the deployment recently: it is called only after the other candidates.
    CoolingDown(Duration),
    /// Too many calls of the task have fallen back already.
    FallbackCapped,
    /// The time that is left is shorter than any recent answer of the deployment took.
    NoTime {
        /// Time that is left.
        left: Duration,
        /// Time of the fastest recent answer.
        fastest: Duration,
    },
}

// === impl Skip ===

impl Skip {
    /// The reason of the skipped attempt in the route.
    #[must_use]
    pub fn reason(&self) -> ErrorReason {
        match self {
            Self::Lacks(_) | Self::LeavesGeography(_) => ErrorReason::NoEligibleModel,
            Self::BreakerOpen(_) => ErrorReason::NoHealthyModel,
            Self::CoolingDown(_) => ErrorReason::CoolingDown,
            Self::FallbackCapped => ErrorReason::FallbackCapped,
            Self::NoTime { .. } => ErrorReason::DeadlineExceeded,
        }
    }

    /// The explanation of the skipped attempt in the route.
    #[must_use]
    pub fn explanation(&self) -> String {
        match self {
            Self::Lacks(unmet) => unmet.lacks.clone(),
            Self::LeavesGeography(geography) => {
                format!("processed in \"{geography}\", which the task does not allow")
            }
            Self::BreakerOpen(Some(until)) => {
                let wait = until.saturating_duration_since(Instant::now());
                format!(
                    "circuit breaker open: it failed too often recently; next attempt in {} ms",
                    wait.as_millis()
                )
            }
            Self::BreakerOpen(None) => {
                "circuit breaker open: the configuration disables this model".to_owned()
            }
            Self::CoolingDown(left) => {
                format!("throttled recently: called only after the other models for {} ms", left.as_millis())
            }
            Self::FallbackCapped => {
                "too many calls of this task went to models other than its first (max_fallback_share)"
                    .to_owned()
            }
            Self::NoTime { left, fastest } => {
                let (left, fastest) = (left.as_millis(), fastest.as_millis());
                format!("not called: {left} ms are left, and its fastest recent answer took {fastest} ms")
            }
        }
    }

    /// A candidate that would leave the task's geography is never called.
    pub(crate) fn for_residency(candidate: &Candidate) -> Option<Self> {
        candidate.leaves_to.clone().map(Self::LeavesGeography)
    }
}
