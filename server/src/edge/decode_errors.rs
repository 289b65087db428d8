//! Maps the gRPC library's refusals of a request to our errors.
//!
//! tonic answers a request above the size limit with OUT_OF_RANGE, and one that is incomplete, cannot be
//! decompressed or cannot be decoded with INTERNAL. All are mistakes of the caller, so all become
//! INVALID_ARGUMENT with details like any other. Switchboard never sends OUT_OF_RANGE itself, and its
//! INTERNAL always has details.
use crate::error::CallError;
use bytesize::ByteSize;
use tonic::{Code, Status};

/// The error in place of tonic's status. `None`: the status is to be kept.
pub(super) fn map_decode_error(status: &Status, max_request_size: ByteSize) -> Option<CallError> {
    let problem = match status.code() {
        Code::OutOfRange => format!("is larger than {max_request_size}: send large files as s3_location"),
        Code::Internal if status.details().is_empty() => {
            format!("is not a complete message of this contract: {}", status.message())
        }
        _ => return None,
    };
    Some(CallError::invalid("request", problem))
}
