//! Protobuf JSON, converted with the descriptors of the contract. Names are Bedrock's; default values are
//! omitted.

use super::Failure;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use std::{
    io::{self, Write},
    sync::LazyLock,
};
use switchboard_client::pb;

static CONTRACT: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(switchboard_proto::FILE_DESCRIPTOR_SET).ok());

/// Parses a `ConverseRequest`: a Bedrock Converse body with `taskType`.
pub(super) fn parse_request(text: &str) -> Result<pb::ConverseRequest, Failure> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(descriptor("ConverseRequest")?, &mut parser)
        .map_err(|error| Failure::Request(format!("the request is not a ConverseRequest: {error}")))?;
    parser.end().map_err(|error| Failure::Request(format!("text after the request: {error}")))?;
    message.transcode_to().map_err(|error| Failure::Output(io::Error::other(error)))
}

/// Writes a message as one line to standard output.
pub(super) fn print(name: &str, message: &impl Message) -> Result<(), Failure> {
    let mut dynamic = DynamicMessage::new(descriptor(name)?);
    dynamic.transcode_from(message).map_err(|error| Failure::Output(io::Error::other(error)))?;
    let mut line = serde_json::to_vec(&dynamic).map_err(|error| Failure::Output(error.into()))?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line).and_then(|()| stdout.flush()).map_err(Failure::Output)
}

fn descriptor(name: &str) -> Result<MessageDescriptor, Failure> {
    let found = CONTRACT
        .as_ref()
        .and_then(|contract| contract.get_message_by_name(&format!("switchboard.v1.{name}")));
    found.ok_or_else(|| Failure::Output(io::Error::other(format!("the contract has no {name}"))))
}
