//! Protobuf JSON, converted with the descriptors of the contract.
use crate::Result;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value;
use std::sync::LazyLock;

static CONTRACT: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(switchboard_proto::FILE_DESCRIPTOR_SET).ok());

pub(crate) fn read<M: Message + Default>(name: &str, value: Value) -> Result<M> {
    Ok(DynamicMessage::deserialize(descriptor(name)?, value)?.transcode_to()?)
}

pub(crate) fn write<M: Message>(name: &str, message: &M) -> Result<Value> {
    let mut dynamic = DynamicMessage::new(descriptor(name)?);
    dynamic.transcode_from(message)?;
    Ok(serde_json::to_value(&dynamic)?)
}

fn descriptor(name: &str) -> Result<MessageDescriptor> {
    let contract = CONTRACT.as_ref().ok_or("the contract cannot be read")?;
    let found = contract.get_message_by_name(&format!("switchboard.v1.{name}"));
    Ok(found.ok_or_else(|| format!("the contract has no {name}"))?)
}
