//! The engine: how a body that we made reaches Bedrock, and how the answer's body comes back.
//!
//! Everything above (the codec, the events, the failures) is the same for both. See [`bedrock`](super) for why there are
//! two.
use super::{direct::Direct, sdk::Sdk, source::Source};
use crate::{config, failure::Failure};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::{
    collections::BTreeSet,
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

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
    /// Parts of the SDK, without what puts them together for every call.
    Direct(Box<Direct>),
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
#[derive(Debug)]
pub(super) enum ReplyBody {
    /// From the direct engine.
    Direct(super::direct::AnswerBody),
    /// From the SDK.
    Sdk(SdkBody),
}

// === impl Engine ===

impl Engine {
    pub(super) async fn connect(
        settings: &config::Bedrock,
        source: &Source,
        regions: &BTreeSet<String>,
    ) -> Result<Self, super::ConnectError> {
        Ok(match settings.engine {
            config::Engine::Direct => {
                Self::Direct(Box::new(Direct::connect(settings, source, regions).await?))
            }
            config::Engine::Sdk => Self::Sdk(Sdk::new(source, regions)),
        })
    }

    /// The SDK's future is many kilobytes, hence its box: without it the direct engine's calls would carry them too.
    pub(super) async fn send(
        &self,
        region: &str,
        operation: Operation,
        model_id: &str,
        body: Bytes,
    ) -> Result<Reply, Failure> {
        match self {
            Self::Direct(direct) => direct.send(region, operation, model_id, body).await,
            Self::Sdk(sdk) => Box::pin(sdk.send(region, operation, model_id, body)).await,
        }
    }

    /// Goes on with the credentials of a source that was loaded anew.
    pub(super) fn renew(&self, source: &Source) {
        match self {
            Self::Direct(direct) => direct.renew(source),
            Self::Sdk(sdk) => sdk.renew(source),
        }
    }
}

// === impl ReplyBody ===

impl http_body::Body for ReplyBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Direct(body) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Self::Sdk(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Direct(body) => body.is_end_stream(),
            Self::Sdk(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Direct(body) => body.size_hint(),
            Self::Sdk(body) => http_body::Body::size_hint(body),
        }
    }
}
