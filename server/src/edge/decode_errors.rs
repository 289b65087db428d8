//! Maps the edge's and the gRPC library's refusals of a request to our errors.
//!
//! tonic answers a request above the size limit with OUT_OF_RANGE, and one that is incomplete, cannot be
//! decompressed or cannot be decoded with INTERNAL. All are mistakes of the caller, so all become
//! INVALID_ARGUMENT with details like any other. Switchboard never sends OUT_OF_RANGE itself, and its
//! INTERNAL always has details.
use crate::error::CallError;
use bytesize::ByteSize;
use std::time::Duration;
use tonic::{Code, Status};

/// Bounds of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    pub(crate) max_size: ByteSize,
    /// Longest time that a request may take to arrive.
    pub(crate) upload_timeout: Duration,
}

/// The error in place of a status that no RPC has made. `None`: the status is to be kept.
pub(super) fn map_decode_error(status: &Status, limits: RequestLimits) -> Option<CallError> {
    let RequestLimits { max_size, upload_timeout: timeout } = limits;
    let problem = match status.code() {
        Code::OutOfRange => format!("is larger than {max_size}: send large files as s3_location"),
        Code::DeadlineExceeded => return Some(CallError::UploadTimeout { timeout }),
        Code::Internal if status.details().is_empty() => {
            format!("is not a complete message of this contract: {}", status.message())
        }
        _ => return None,
    };
    Some(CallError::invalid("request", problem))
}
