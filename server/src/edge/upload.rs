//! A request's body that never ends if its caller has cancelled the call.
//!
//! hyper ends a body that RST_STREAM with CANCEL has cut off as if it were complete. tonic would answer a caller who has left
//! that the message is missing, and the record would say so. While the body is pending instead, hyper notices the reset and
//! drops the call, which the record reports as cancelled.
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// See the module.
    pub(super) struct Upload<B> {
        #[pin]
        body: B,
    }
}

// === impl Upload ===

impl<B> Upload<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body }
    }
}

impl<B: Body> Body for Upload<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut body = self.project().body;
        match body.as_mut().poll_frame(cx) {
            Poll::Ready(None) if !body.is_end_stream() => Poll::Pending,
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
