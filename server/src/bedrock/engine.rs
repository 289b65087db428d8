//! The engine: how a body that we made reaches Bedrock, and how the answer's body comes back.
use super::{sdk::Sdk, source::Source};
use crate::attempt::failure::Failure;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use std::collections::BTreeSet;

/// Which of Bedrock's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// A whole answer.
    Converse,
    /// An answer as it is generated.
    ConverseStream,
    /// How many tokens a request has.
    CountTokens,
}

/// The way to Bedrock.
#[derive(Debug)]
pub(super) enum Engine {
    /// The SDK's client.
    Sdk(Sdk),
}

/// An answer whose status says success.
#[derive(Debug)]
pub(super) struct Reply {
    /// Bedrock's id of the request.
    pub(super) request_id: String,
    /// Not read yet.
    pub(super) body: ReplyBody,
}

/// The body of an answer. Dropped before its end, it ends the request at Bedrock at once.
pub(super) type ReplyBody = SdkBody;

// === impl Engine ===

impl Engine {
    pub(super) fn connect(source: &Source, regions: &BTreeSet<String>) -> Self {
        Self::Sdk(Sdk::new(source, regions))
    }

    pub(super) async fn send(
        &self,
        region: &str,
        operation: Operation,
        model_id: &str,
        body: Bytes,
    ) -> Result<Reply, Failure> {
        match self {
            Self::Sdk(sdk) => Box::pin(sdk.send(region, operation, model_id, body)).await,
        }
    }

    /// Goes on with the credentials of a source that was loaded anew.
    pub(super) fn renew(&self, source: &Source) {
        match self {
            Self::Sdk(sdk) => sdk.renew(source),
        }
    }
}
