//! Codec between the contract's messages and Bedrock's JSON and event streams, without the SDK's types in
//! between.
mod decode;
mod encode;
mod event_stream;
mod frame;
mod schema;

pub use decode::{DecodeError, UnknownMember};
pub use event_stream::EventStreamDecoder;

use prost::Message;
use schema::SCHEMA;
use std::sync::LazyLock;
use switchboard_proto::v1 as pb;

/// Builds the message tables now instead of during the first call.
pub fn warm_up() {
    LazyLock::force(&SCHEMA);
}

/// Encodes the body of a Converse or ConverseStream request: `request` with `inference` as its inference
/// configuration. They are separate arguments because the limits differ from attempt to attempt, while the
/// rest of the request is shared.
#[must_use]
pub fn request_body(request: &pb::ConverseRequest, inference: &pb::InferenceConfiguration) -> Vec<u8> {
    encode::body(request, inference)
}

/// Decodes Bedrock's JSON as the message `switchboard.v1.{name}`, which must be `M`. Members that the
/// contract does not have are appended to `unknown`.
///
/// # Errors
/// When `json` is not valid JSON, or a member has another type than in the contract.
pub fn message<M: Message + Default>(
    name: &str,
    json: &[u8],
    unknown: &mut Vec<UnknownMember>,
) -> Result<M, DecodeError> {
    decode::message(SCHEMA.id(name), json, unknown)
}

/// Encodes a message `switchboard.v1.{name}` as Bedrock's JSON.
#[must_use]
pub fn json(name: &str, message: &impl Message) -> Vec<u8> {
    encode::json(name, message)
}
