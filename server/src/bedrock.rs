//! Bedrock: the models, behind one seam.
//!
//! [`Models`] is all that the rest of Switchboard knows of a model; tests put a fake there and nowhere else. [`Bedrock`]
//! is the real one: our codec (`bedrock/codec/`) around an engine (`bedrock/engine.rs`), which brings a body to Bedrock and
//! the answer's body back. These files are the only ones that name `aws_*`.
//!
//! # Why the bodies are our own
//!
//! The SDK's types lose what we promise to keep: a JSON document becomes a hash map, so that a tool's schema has other bytes
//! in every call, and a union member that the SDK does not know arrives without its content.
//!
//! # Why there are two engines
//!
//! What the SDK is good at is finding its way: credentials, regions, endpoints, signatures. Both engines have that from it
//! (`bedrock/source.rs`), and both mean the same by every failure (`bedrock/failure.rs`); the tests run on both.
//!
//! - `direct` (`bedrock/direct/`), the default, puts those parts together once, at the start. The SDK does so for every call,
//!   which takes some 25 µs of CPU; and its client speaks HTTP/2 where it can, on one connection for all calls, and opens
//!   none ahead of them.
//! - `sdk` (`bedrock/sdk.rs`) is the SDK's client, with an interceptor that puts our body in before it is signed and takes the
//!   answer's body out before it is read (`bedrock/swap.rs`). It is the judge of what the other must do, and the way out if the
//!   two ever differ: `[bedrock] engine`.
//!
//! The SDK's retries and stalled-stream protection are off, and neither engine has any: there is one retry layer, and it is
//! not here.
mod client;
pub mod codec;
mod direct;
mod engine;
mod failure;
mod sdk;
mod source;
mod swap;

pub use client::{Bedrock, BedrockEvents};
pub use source::ConnectError;

/// What Bedrock writes into an error's body.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ErrorBody {
    #[serde(alias = "Message")]
    message: String,
    original_status_code: Option<u16>,
    /// The exception's name, where it stands in no header.
    code: serde_json::Value,
    #[serde(rename = "__type")]
    kind: serde_json::Value,
}

impl ErrorBody {
    /// A body that cannot be read says nothing; the exception's name is elsewhere.
    fn read(json: &[u8]) -> Self {
        serde_json::from_slice(json).unwrap_or_default()
    }

    fn name(&self) -> Option<&str> {
        self.code.as_str().or_else(|| self.kind.as_str())
    }
}
