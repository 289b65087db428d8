//! Streamed answers.
//!
//! Nothing is buffered here: HTTP/2 flow control connects the reader of a stream with the model.

use crate::{Collected, Collector, Error, Result, pb};
use futures_util::{Stream, future::poll_fn};
use pb::{ContentBlockDeltaEvent, content_block_delta::Delta};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Streaming;

/// One event of a stream.
pub use crate::pb::converse_stream_response::Event;

/// Time after the deadline in which the server's own deadline error, which has the attempts, can still
/// arrive.
const GRACE: Duration = Duration::from_millis(500);

/// Events of a streamed answer, in order: the route is the first, the metadata the last. Dropping the stream
/// cancels the call.
///
/// An error is always the last item. A stream that ends without metadata ends with an error, because the
/// answer is incomplete.
pub struct EventStream {
    replies: Streaming<pb::ConverseStreamResponse>,
    timer: Option<Pin<Box<Sleep>>>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// The metadata has not arrived.
    Open,
    /// The metadata has arrived: the answer is complete.
    Complete,
    /// No item follows.
    Ended,
}

/// Text of a streamed answer; see [`EventStream::text`].
#[derive(Debug)]
pub struct TextStream {
    events: EventStream,
    has_returned_text: bool,
}

// === impl EventStream ===

impl EventStream {
    pub(crate) fn new(replies: Streaming<pb::ConverseStreamResponse>, ends_at: Option<Instant>) -> Self {
        let timer = ends_at.map(|ends_at| Box::pin(sleep_until(ends_at + GRACE)));
        Self { replies, timer, state: State::Open }
    }

    /// Returns the next event; `None` after the last one.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Returns only the text. If another model starts over after text was returned, the stream ends with an
    /// error of the kind [`Restarted`](crate::ErrorKind::Restarted), because the text cannot be taken back:
    /// for tasks that allow restarts, read the events.
    pub fn text(self) -> TextStream {
        TextStream { events: self, has_returned_text: false }
    }

    /// Reads to the end and assembles the complete answer.
    pub async fn collect_message(mut self) -> Result<Collected> {
        let mut collector = Collector::default();
        while let Some(event) = self.next().await {
            collector.push(event?);
        }
        collector.finish()
    }

    fn poll_reply(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        if let Some(timer) = &mut self.timer
            && timer.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Some(Err(Error::deadline())));
        }
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.replies).poll_next(context)) {
                Some(Ok(pb::ConverseStreamResponse { event: Some(event) })) => Some(Ok(event)),
                Some(Ok(_newer_than_this_contract)) => continue,
                Some(Err(status)) => Some(Err(Error::from_status("", status))),
                None if self.state == State::Open => Some(Err(Error::incomplete())),
                None => None,
            });
        }
    }
}

impl Stream for EventStream {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.state == State::Ended {
            return Poll::Ready(None);
        }
        let item = ready!(self.poll_reply(context));
        self.state = match &item {
            Some(Ok(Event::Metadata(_))) => State::Complete,
            Some(Ok(_)) => self.state,
            Some(Err(_)) | None => State::Ended,
        };
        Poll::Ready(item)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("state", &self.state).finish_non_exhaustive()
    }
}

// === impl TextStream ===

impl TextStream {
    /// Returns the next part of the text; `None` after the last one.
    pub async fn next(&mut self) -> Option<Result<String>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for TextStream {
    type Item = Result<String>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.events).poll_next(context)?) {
                Some(event) => {
                    if let Some(item) = self.text_of(event) {
                        return Poll::Ready(Some(item));
                    }
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

impl TextStream {
    fn text_of(&mut self, event: Event) -> Option<Result<String>> {
        match event {
            Event::ContentBlockDelta(ContentBlockDeltaEvent { delta: Some(delta), .. }) => {
                match delta.delta {
                    Some(Delta::Text(text)) if !text.is_empty() => {
                        self.has_returned_text = true;
                        Some(Ok(text))
                    }
                    _ => None,
                }
            }
            Event::Restart(restart) if self.has_returned_text => {
                self.events.state = State::Ended;
                Some(Err(Error::restarted(restart.reason())))
            }
            _ => None,
        }
    }
}
