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

use crate::{attempt::failure::Failure, route::Candidate};
use futures_util::Stream;
use std::{
    future::Future,
    sync::{Arc, atomic::AtomicU64},
};
use switchboard_proto::v1 as pb;

/// One event of a model's answer: the contract's own, since any other vocabulary would only be copied into it.
pub use pb::converse_stream_response::Event as ModelEvent;

/// Whoever answers: Bedrock, or a fake of it.
pub trait Models: Send + Sync + 'static {
    /// The events of an answer that is being generated. Dropped, it ends the request at the model at once.
    type Events: Stream<Item = Result<ModelEvent, Failure>> + Send + Unpin + 'static;

    /// Asks for an answer, whole.
    fn converse(
        &self,
        candidate: &Candidate,
        ask: Ask<'_>,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// Asks for an answer as it is generated; resolves when the model has accepted, before its first event.
    fn converse_stream(
        &self,
        candidate: &Candidate,
        ask: Ask<'_>,
    ) -> impl Future<Output = Result<Opened<Self::Events>, Failure>> + Send;

    /// Counts the members of answers that the contract has no room for.
    fn gaps(&self) -> Arc<AtomicU64> {
        Arc::default()
    }

    /// Gets new credentials, for those in use have expired. False: it cannot.
    fn renew(&self, _: &Candidate) -> impl Future<Output = bool> + Send {
        async { false }
    }

    /// Asks how many tokens a request has.
    fn count_tokens(
        &self,
        candidate: &Candidate,
        request: &pb::CountTokensRequest,
    ) -> impl Future<Output = Result<Counted, Failure>> + Send;
}

/// What a model is asked.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The conversation, without its inference configuration.
    pub request: &'a pb::ConverseRequest,
    /// The inference configuration of this attempt.
    pub inference: &'a pb::InferenceConfiguration,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// As Bedrock gave it: route and latency are not in it yet.
    pub response: pb::ConverseResponse,
    /// Bedrock's id of the request.
    pub request_id: String,
}

/// A count of tokens.
#[derive(Debug)]
pub struct Counted {
    /// In tokens of the model that counted.
    pub input_tokens: i32,
    /// Bedrock's id of the request.
    pub request_id: String,
}

/// An answer that has begun.
#[derive(Debug)]
pub struct Opened<E> {
    /// Its events.
    pub events: E,
    /// Bedrock's id of the request.
    pub request_id: String,
}

/// The enum for Bedrock's word.
#[must_use]
pub fn stop_reason(raw: &str) -> pb::StopReason {
    let name = format!("STOP_REASON_{}", raw.to_ascii_uppercase());
    pb::StopReason::from_str_name(&name).unwrap_or_default()
}

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
