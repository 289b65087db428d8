//! Blame: whose fault it is that a call did not end as its caller wished. One table for traces, metrics and the log.
use crate::{
    attempt::failure::{Failure, FailureKind},
    error::CallError,
};
use switchboard_proto::v1::{Outcome, StopReason};

/// Where the fault lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FaultDomain {
    /// All was well, a cut answer included: how long it may be is the caller's wish, and `truncations` counts it.
    #[default]
    None,
    /// The request was wrong, its deadline too short to ask anybody, or the caller left or did not read.
    Caller,
    /// A guardrail or a content filter stopped the answer, as somebody wished it to.
    Policy,
    /// Bedrock or its model failed, was too slow, or has no capacity for this account.
    Bedrock,
    /// Ourselves: full, wrongly configured, without permissions, or broken. Its operator must look.
    Switchboard,
}

// === impl FaultDomain ===

impl FaultDomain {
    /// As dashboards have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Caller => "caller",
            Self::Policy => "policy",
            Self::Bedrock => "bedrock",
            Self::Switchboard => "switchboard",
        }
    }

    /// Of one attempt.
    #[must_use]
    pub const fn of_failure(kind: FailureKind) -> Self {
        match kind.row().outcome {
            Outcome::Rejected => Self::Caller,
            Outcome::Misconfigured => Self::Switchboard, // permissions, credentials, model ids
            _ => Self::Bedrock,
        }
    }

    /// Of a call that ended with an error.
    #[must_use]
    pub const fn of_error(error: &CallError) -> Self {
        match error {
            CallError::Invalid(_)
            | CallError::UnknownTask { .. }
            | CallError::UnknownRequest
            | CallError::NoEligibleModel(_)
            | CallError::ReaderStalled { .. }
            | CallError::DeadlineExceeded { attempts: 0 } => Self::Caller,
            CallError::Failed(Failure { kind, .. }) | CallError::Interrupted(Failure { kind, .. }) => {
                Self::of_failure(*kind)
            }
            CallError::DeadlineExceeded { .. }
            | CallError::NoHealthyModel { .. }
            | CallError::FallbackCapped => Self::Bedrock,
            CallError::Shed | CallError::Internal => Self::Switchboard,
        }
    }

    /// Of a call that ended well.
    #[must_use]
    pub const fn of_stop(reason: Option<StopReason>) -> Self {
        match reason {
            Some(StopReason::GuardrailIntervened | StopReason::ContentFiltered) => Self::Policy,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_failure_is_somebodys_fault() {
        use FailureKind as K;
        for kind in K::ALL {
            let expected = match kind {
                K::ModelRefused | K::ContextTooLong | K::Invalid | K::Conflict => FaultDomain::Caller,
                K::AccessDenied
                | K::ExpiredCredentials
                | K::NotFound
                | K::NeedsProfile
                | K::Misconfigured => FaultDomain::Switchboard,
                K::Throttled
                | K::DailyQuota
                | K::ServiceQuota
                | K::ModelNotReady
                | K::Unavailable
                | K::Internal
                | K::ModelTimeout
                | K::ModelError
                | K::Unreachable
                | K::Protocol
                | K::EndedEarly
                | K::UnknownException
                | K::HeadersTimeout
                | K::FirstContentTimeout
                | K::TooSlow
                | K::IdleTimeout
                | K::AttemptTimeout
                | K::ShareUsedUp => FaultDomain::Bedrock,
            };
            assert_eq!(FaultDomain::of_failure(kind), expected, "{kind:?}");
            for error in [CallError::Failed, CallError::Interrupted] {
                let error = error(Failure::new(kind, "injected"));
                assert_eq!(FaultDomain::of_error(&error), expected, "{error:?}");
            }
        }
    }

    #[test]
    fn every_other_end_is_somebodys_fault() {
        let ends = [
            (CallError::invalid("messages", "is empty"), "caller"),
            (CallError::UnknownTask { task_type: String::new(), known: Vec::new() }, "caller"),
            (CallError::UnknownRequest, "caller"),
            (CallError::NoEligibleModel(Vec::new()), "caller"),
            (CallError::ReaderStalled { patience: Duration::ZERO }, "caller"),
            (CallError::DeadlineExceeded { attempts: 0 }, "caller"),
            (CallError::DeadlineExceeded { attempts: 1 }, "bedrock"),
            (CallError::NoHealthyModel { until: None }, "bedrock"),
            (CallError::FallbackCapped, "bedrock"),
            (CallError::Shed, "switchboard"),
            (CallError::Internal, "switchboard"),
        ];
        for (error, expected) in ends {
            assert_eq!(FaultDomain::of_error(&error).word(), expected, "{error:?}");
        }
        for reason in [StopReason::GuardrailIntervened, StopReason::ContentFiltered] {
            assert_eq!(FaultDomain::of_stop(Some(reason)), FaultDomain::Policy);
        }
        for reason in [None, Some(StopReason::EndTurn), Some(StopReason::MaxTokens)] {
            assert_eq!(FaultDomain::of_stop(reason), FaultDomain::None);
        }
    }
}
