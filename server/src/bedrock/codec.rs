//! The codec: the contract's messages as Bedrock's JSON and event streams, and back, without the SDK's types in between.
mod decode;
mod encode;
mod event_stream;
mod frame;
mod schema;

pub use decode::{DecodeError, Gap};
pub use event_stream::Frames;

use prost::Message;
use schema::SCHEMA;
use std::sync::LazyLock;
use switchboard_proto::v1 as pb;

/// Reads the contract's descriptors, so that the first call need not.
pub fn warm_up() {
    LazyLock::force(&SCHEMA);
}

/// The body of a Converse or ConverseStream call: `request` with `inference` as its inference configuration. The two
/// come apart because every attempt may bring its own limits, while the rest of the request is shared.
#[must_use]
pub fn request_body(request: &pb::ConverseRequest, inference: &pb::InferenceConfiguration) -> Vec<u8> {
    encode::body(request, inference)
}

/// Reads Bedrock's JSON as the message `switchboard.v1.{name}`, which must be `M`. What the contract has no room for is
/// added to `gaps`.
///
/// # Errors
/// When `json` is no JSON, or a member has another type than the contract's.
pub fn message<M: Message + Default>(name: &str, json: &[u8], gaps: &mut Vec<Gap>) -> Result<M, DecodeError> {
    decode::message(SCHEMA.named(name), json, gaps)
}

/// Writes a message `switchboard.v1.{name}` as Bedrock's JSON.
#[must_use]
pub fn json(name: &str, message: &impl Message) -> Vec<u8> {
    encode::json(name, message)
}
