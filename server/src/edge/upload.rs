//! A request's body: bounded in time, and pending for ever if its caller is gone.
//!
//! tonic answers a body that breaks off by the error of the transport, as if Switchboard had failed, and
//! takes one that RST_STREAM with CANCEL has cut off as the end of the messages. Nobody reads these answers.
//! While the body is pending instead, hyper notices the end of the stream or of the connection and drops the
//! call, which the record reports as cancelled, however the caller left.
use crate::error::{CallError, Context as ErrorContext};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};
use tonic::Status;

pin_project! {
    /// See the module.
    pub(super) struct Upload<B> {
        #[pin]
        body: B,
        timeout: Duration,
        // Absent: nothing had to be waited for yet, as for most requests.
        #[pin]
        timer: Option<Sleep>,
    }
}

// === impl Upload ===

impl<B> Upload<B> {
    /// The body of a request that must arrive within `timeout`.
    pub(super) fn new(body: B, timeout: Duration) -> Self {
        Self { body, timeout, timer: None }
    }
}

impl<B: Body<Error = Status>> Body for Upload<B> {
    type Data = B::Data;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Status>>> {
        let mut this = self.project();
        match this.body.poll_frame(cx) {
            Poll::Ready(Some(Err(_))) => return Poll::Pending,
            Poll::Ready(frame) => return Poll::Ready(frame),
            Poll::Pending => {}
        }
        if this.timer.is_none() {
            this.timer.set(Some(sleep(*this.timeout)));
        }
        let is_over = this.timer.as_pin_mut().is_some_and(|timer| timer.poll(cx).is_ready());
        if !is_over {
            return Poll::Pending;
        }
        let error = CallError::UploadTimeout { timeout: *this.timeout };
        Poll::Ready(Some(Err(error.into_status(&ErrorContext::default()))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
