//! Names of enum values without the enum's prefix, for logs, metrics and people.
use crate::v1::{AdjustmentAction, ErrorReason, Outcome, Resolution};
use tonic::Code;

/// Returns the name of a reason as in `ErrorInfo.reason`: `BEDROCK_THROTTLED`.
#[must_use]
pub fn reason_name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

/// Returns the name of an outcome: `MODEL_ERROR`.
#[must_use]
pub fn outcome_name(outcome: Outcome) -> &'static str {
    outcome.as_str_name().trim_start_matches("OUTCOME_")
}

/// Returns the name of an action in metrics and spans: `removed`.
#[must_use]
pub const fn action_name(action: AdjustmentAction) -> &'static str {
    match action {
        AdjustmentAction::Added => "added",
        AdjustmentAction::Removed => "removed",
        AdjustmentAction::Lowered => "lowered",
        AdjustmentAction::Replaced => "replaced",
        AdjustmentAction::Unspecified => "unspecified",
    }
}

/// Returns the name of a resolution in logs, spans and metrics: `unknown`.
#[must_use]
pub const fn resolution_name(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Named => "named",
        Resolution::Absent => "absent",
        Resolution::Unknown => "unknown",
        Resolution::Unspecified => "unspecified",
    }
}

/// Returns the name of a status code in the gRPC specification: `INVALID_ARGUMENT`.
#[must_use]
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
