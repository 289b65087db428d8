//! Switchboard's gRPC contract, generated from the `.proto` files in this folder.
//!
//! [`v1`] has the messages, clients and servers. [`FILE_DESCRIPTOR_SET`] has the contract with its comments,
//! for reflection and for tools that read messages dynamically.
mod codec;
pub mod names;

/// `switchboard.v1`.
#[expect(clippy::allow_attributes, clippy::large_enum_variant, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("switchboard.v1");
}

/// The contract and everything it imports, as an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("switchboard");
