//! Models: the one interface between Switchboard and what answers.
//!
//! [`Models`] is all that the rest of Switchboard knows of a model. Amazon Bedrock implements it in
//! production (`bedrock.rs`), and tests put a fake there and nowhere else.
use crate::{failure::Failure, route::Candidate};
use futures_util::Stream;
use std::{
    future::Future,
    sync::{Arc, atomic::AtomicU64},
};
use switchboard_proto::v1 as pb;

/// One event of a model's answer, in the contract's own type: any other type would only be converted into it.
pub use pb::converse_stream_response::Event as ModelEvent;

/// Amazon Bedrock, or a fake of it in tests.
pub trait Models: Send + Sync + 'static {
    /// The events of an answer that is being generated. Dropping it cancels the request at the model at once.
    type Events: Stream<Item = Result<ModelEvent, Failure>> + Send + Unpin + 'static;

    /// Requests a whole answer.
    fn converse(
        &self,
        candidate: &Candidate,
        request: ModelRequest<'_>,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// Requests an answer as it is generated. Resolves when the model has accepted, before its first event.
    fn converse_stream(
        &self,
        candidate: &Candidate,
        request: ModelRequest<'_>,
    ) -> impl Future<Output = Result<Opened<Self::Events>, Failure>> + Send;

    /// Number of JSON members in replies that the contract does not have.
    fn unknown_members(&self) -> Arc<AtomicU64> {
        Arc::default()
    }

    /// Replaces expired credentials. False: there are no newer ones.
    fn renew(&self, _: &Candidate) -> impl Future<Output = bool> + Send {
        async { false }
    }

    /// Counts the tokens of a request.
    fn count_tokens(
        &self,
        candidate: &Candidate,
        request: &pb::CountTokensRequest,
    ) -> impl Future<Output = Result<Counted, Failure>> + Send;
}

/// A request for one model.
#[derive(Clone, Copy, Debug)]
pub struct ModelRequest<'a> {
    /// The conversation, without its inference configuration.
    pub request: &'a pb::ConverseRequest,
    /// The inference configuration of this attempt.
    pub inference: &'a pb::InferenceConfiguration,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// The answer as Bedrock gave it, without route and latency.
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

/// A stream that the model has accepted.
#[derive(Debug)]
pub struct Opened<E> {
    /// Its events.
    pub events: E,
    /// Bedrock's id of the request.
    pub request_id: String,
}

/// The stop reason for Bedrock's word, such as "end_turn".
#[must_use]
pub fn stop_reason(raw: &str) -> pb::StopReason {
    let name = format!("STOP_REASON_{}", raw.to_ascii_uppercase());
    pb::StopReason::from_str_name(&name).unwrap_or_default()
}
