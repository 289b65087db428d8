//! Error reasons, and the gRPC status code of each.
pub use switchboard_proto::names::reason_name;

use switchboard_proto::v1::ErrorReason;
use tonic::Code;

/// The status code of a reason. The contract's comments repeat this table; a test compares the two.
#[must_use]
pub fn code(reason: ErrorReason) -> Code {
    use ErrorReason as R;
    match reason {
        R::InvalidField | R::UnknownTask | R::ModelRejected | R::ContextTooLong | R::NoEligibleModel => {
            Code::InvalidArgument
        }
        R::BedrockThrottled | R::BedrockQuota | R::CoolingDown => Code::ResourceExhausted,
        R::BedrockUnavailable
        | R::ModelError
        | R::ModelNotReady
        | R::BedrockUnreachable
        | R::BedrockProtocol
        | R::StreamInterrupted
        | R::NoHealthyModel
        | R::FallbackCapped
        | R::Shed => Code::Unavailable,
        R::ModelTimeout | R::DeadlineExceeded | R::ReaderStalled => Code::DeadlineExceeded,
        R::ModelAccessDenied | R::ModelNotFound => Code::FailedPrecondition,
        R::UnknownRequest => Code::NotFound,
        R::Internal | R::Unspecified => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_says_which_code_each_reason_has() {
        let contract = include_str!("../../proto/switchboard/v1/route.proto");
        let reasons = contract.split("enum ErrorReason").nth(1).expect("is in the contract");
        let reasons = reasons.split("\n}").next().expect("has an end");
        let (mut documented, mut compared) = (None, 0);
        for line in reasons.lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix("// [") {
                documented = comment.split(']').next();
            } else if let Some((name, _)) = line.split_once(" = ") {
                let reason = ErrorReason::from_str_name(name).expect("is a reason");
                if let Some(expected) = documented.take() {
                    let found = format!("{:?}", code(reason)).to_lowercase();
                    assert_eq!(found, expected.replace('_', "").to_lowercase(), "{name}");
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, 24);
    }
}
