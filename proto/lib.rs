//! Switchboard's gRPC contract, generated from the files beside this one.
//!
//! [`v1`] holds the messages, the clients and the servers; [`FILE_DESCRIPTOR_SET`] is the contract itself, comments
//! included, for reflection and for tools that read messages they were not compiled with.
mod codec;
pub mod names;

/// `switchboard.v1`.
#[expect(clippy::allow_attributes, clippy::large_enum_variant, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("switchboard.v1");
}

/// The contract and everything that it imports, as an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("switchboard");
