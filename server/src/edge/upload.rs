//! A request's body that stays pending if its caller has cancelled the call.
//!
//! tonic takes a body that RST_STREAM with CANCEL has cut off as the end of the messages. It would answer a
//! caller who has left that the message is missing, and the record would say so. While the body is pending
//! instead, hyper notices the reset and drops the call, which the record reports as cancelled.
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tonic::{Code, Status};

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

impl<B: Body<Error = Status>> Body for Upload<B> {
    type Data = B::Data;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Status>>> {
        match self.project().body.poll_frame(cx) {
            Poll::Ready(Some(Err(status))) if status.code() == Code::Cancelled => Poll::Pending,
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
