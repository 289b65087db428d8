//! The edge: what tonic refuses before a service sees it, said in our words.
//!
//! tonic answers a request over the size limit with OUT_OF_RANGE and one that is no message with INTERNAL. Both are the
//! caller's mistakes, so both become INVALID_ARGUMENT with details like any other. We never send OUT_OF_RANGE ourselves.
use crate::error::{CallError, Context};
use bytesize::ByteSize;
use http::Response;
use tonic::{Code, Status, body::Body};

/// The response as it came, or with our status in the place of tonic's.
pub(crate) fn in_our_words(response: Response<Body>, max_request_size: ByteSize) -> Response<Body> {
    let Some(status) = Status::from_header_map(response.headers()) else { return response };
    let problem = match status.code() {
        Code::OutOfRange => format!("is larger than {max_request_size}: send large files as s3_location"),
        Code::Internal if status.message().contains("decode Protobuf") => {
            format!("is not a message of this contract: {}", status.message())
        }
        _ => return response,
    };
    CallError::invalid("request", problem).into_status(&Context::default()).into_http()
}
