//! Fault domains: who is responsible for a call that did not succeed. One table for traces, metrics and the
//! log.
use crate::{
    error::CallError,
    failure::{Failure, FailureKind},
};
use switchboard_proto::v1::{Outcome, StopReason};
use tonic::Code;

/// Who is responsible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum FaultDomain {
    /// Nobody: the call succeeded. An answer cut off at `max_tokens` is a success, which
    /// `switchboard.truncations` counts.
    #[default]
    None,
    /// The caller: the request was wrong, the deadline too short for any attempt, or the caller left or did
    /// not read.
    Caller,
    /// A guardrail or content filter stopped the answer, as configured.
    Policy,
    /// Bedrock: it or its model failed, was too slow, or has no capacity for this account.
    Bedrock,
    /// This process: at capacity, misconfigured, without permissions, or broken. Its operator must act.
    Switchboard,
}

// === impl FaultDomain ===

impl FaultDomain {
    /// The name in dashboards.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Caller => "caller",
            Self::Policy => "policy",
            Self::Bedrock => "bedrock",
            Self::Switchboard => "switchboard",
        }
    }

    /// Fault domain of a failed attempt.
    #[must_use]
    pub(crate) const fn of_failure(kind: FailureKind) -> Self {
        match kind.row().outcome {
            Outcome::Rejected => Self::Caller,
            Outcome::Misconfigured => Self::Switchboard, // permissions, credentials, model ids
            _ => Self::Bedrock,
        }
    }

    /// Fault domain of a call that ended with an error.
    #[must_use]
    pub(crate) const fn of_error(error: &CallError) -> Self {
        match error {
            CallError::Invalid(_)
            | CallError::UnknownTask(_)
            | CallError::UnknownRequest
            | CallError::UploadTimeout { .. }
            | CallError::NoEligibleModel(_)
            | CallError::SlowConsumer { .. }
            | CallError::DeadlineExceeded { attempts: 0 } => Self::Caller,
            CallError::Failed(Failure { kind, .. }) | CallError::Interrupted(Failure { kind, .. }) => {
                Self::of_failure(*kind)
            }
            CallError::DeadlineExceeded { .. }
            | CallError::NoHealthyModel { .. }
            | CallError::FallbackCapped => Self::Bedrock,
            CallError::Overloaded | CallError::Internal => Self::Switchboard,
        }
    }

    /// Fault domain of a call that was answered without a `CallError`, by its status code.
    #[must_use]
    pub(crate) const fn of_code(code: Code) -> Self {
        match code {
            Code::Ok => Self::None,
            Code::Unknown | Code::Internal | Code::Unavailable | Code::DataLoss => Self::Switchboard,
            _ => Self::Caller,
        }
    }

    /// Fault domain of a call that succeeded.
    #[must_use]
    pub(crate) const fn of_stop(reason: Option<StopReason>) -> Self {
        match reason {
            Some(StopReason::GuardrailIntervened | StopReason::ContentFiltered) => Self::Policy,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::UnknownTask;
    use std::time::Duration;

    #[test]
    fn every_failure_has_a_fault_domain() {
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
    fn every_other_error_has_a_fault_domain() {
        let unknown = UnknownTask { requested: String::new(), suggestion: None, known: Vec::new() };
        let ends = [
            (CallError::invalid("messages", "is empty"), "caller"),
            (CallError::UnknownTask(unknown), "caller"),
            (CallError::UnknownRequest, "caller"),
            (CallError::NoEligibleModel(Vec::new()), "caller"),
            (CallError::SlowConsumer { timeout: Duration::ZERO }, "caller"),
            (CallError::DeadlineExceeded { attempts: 0 }, "caller"),
            (CallError::DeadlineExceeded { attempts: 1 }, "bedrock"),
            (CallError::NoHealthyModel { until: None }, "bedrock"),
            (CallError::FallbackCapped, "bedrock"),
            (CallError::Overloaded, "switchboard"),
            (CallError::Internal, "switchboard"),
        ];
        for (error, expected) in ends {
            assert_eq!(FaultDomain::of_error(&error).name(), expected, "{error:?}");
        }
        for reason in [StopReason::GuardrailIntervened, StopReason::ContentFiltered] {
            assert_eq!(FaultDomain::of_stop(Some(reason)), FaultDomain::Policy);
        }
        for reason in [None, Some(StopReason::EndTurn), Some(StopReason::MaxTokens)] {
            assert_eq!(FaultDomain::of_stop(reason), FaultDomain::None);
        }
    }
}
