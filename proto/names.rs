//! Names of enum values as people and programs see them outside protobuf: without the enum's prefix.
use crate::v1::{AdjustmentAction, ErrorReason, Outcome, Resolution};
use tonic::Code;

/// The reason without its prefix, as `ErrorInfo.reason` carries it: `BEDROCK_THROTTLED`.
#[must_use]
pub fn reason_name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

/// The outcome without its prefix: `MODEL_ERROR`.
#[must_use]
pub fn outcome_name(outcome: Outcome) -> &'static str {
    outcome.as_str_name().trim_start_matches("OUTCOME_")
}

/// The action as metrics and spans have it: `removed`.
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

/// The resolution as logs, spans and metrics have it: `unknown`.
#[must_use]
pub const fn resolution_name(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Named => "named",
        Resolution::Absent => "absent",
        Resolution::Unknown => "unknown",
        Resolution::Unspecified => "unspecified",
    }
}

/// The status code as the gRPC specification writes it: `INVALID_ARGUMENT`.
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
