//! What an engine returns for a request: the vocabulary that both engines and their caller share.
use bytes::Bytes;
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use std::error::Error;

/// Error of a connection or of a body.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// Body of a reply, not read yet. Dropping it before its end cancels the request at Bedrock at once.
///
/// The box costs an allocation for each reply and an indirect call for each chunk, and keeps the types of the
/// engines out of this file.
pub(super) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A reply whose HTTP status is a success.
#[derive(Debug)]
pub(super) struct Reply {
    /// Bedrock's id of the request. Empty: Bedrock sent none.
    pub(super) request_id: String,
    pub(super) body: Body,
}

// === impl Reply ===

impl Reply {
    pub(super) fn new<B>(request_id: String, body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error = BoxError> + Send + 'static,
    {
        Self { request_id, body: body.boxed_unsync() }
    }
}
