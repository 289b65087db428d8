//! An answer while it is generated.
//!
//! Nothing is buffered here: HTTP/2 flow control reaches from the reader of these streams to the model.

use crate::{Collected, Collector, Error, Result, names::reason_name, pb};
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

/// How long the server's own word about a deadline, which names the attempts, may arrive after the deadline.
const GRACE: Duration = Duration::from_millis(500);

/// The events of an answer, in order: the route first, the metadata last. Dropping it cancels the call.
///
/// An error is always the last item. A stream that just ends, without its metadata, is one too: the answer is not whole.
pub struct EventStream {
    replies: Streaming<pb::ConverseStreamResponse>,
    clock: Option<Pin<Box<Sleep>>>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// The metadata is still to come.
    Open,
    /// The metadata came: the stream may end.
    Whole,
    /// Nothing follows.
    Ended,
}

/// The words of an answer, piece by piece; see [`EventStream::text`].
#[derive(Debug)]
pub struct TextStream {
    events: EventStream,
    wrote: bool,
}

// === impl EventStream ===

impl EventStream {
    pub(crate) fn new(replies: Streaming<pb::ConverseStreamResponse>, ends_at: Option<Instant>) -> Self {
        let clock = ends_at.map(|ends_at| Box::pin(sleep_until(ends_at + GRACE)));
        Self { replies, clock, state: State::Open }
    }

    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Only the words. Where another model starts over after some were given out, the text ends with an error of the
    /// kind [`Restarted`](crate::ErrorKind::Restarted), since words cannot be taken back: read events for such tasks.
    pub fn text(self) -> TextStream {
        TextStream { events: self, wrote: false }
    }

    /// Reads to the end and puts the pieces together.
    pub async fn collect_message(mut self) -> Result<Collected> {
        let mut collector = Collector::default();
        while let Some(event) = self.next().await {
            collector.push(event?);
        }
        collector.finish()
    }

    fn poll_reply(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        if let Some(clock) = &mut self.clock
            && clock.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Some(Err(Error::deadline())));
        }
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.replies).poll_next(context)) {
                Some(Ok(pb::ConverseStreamResponse { event: Some(event) })) => Some(Ok(event)),
                Some(Ok(_newer_than_this_contract)) => continue,
                Some(Err(status)) => Some(Err(Error::ended("", status))),
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
            Some(Ok(Event::Metadata(_))) => State::Whole,
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
    /// The next piece; `None` after the last.
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
                    if let Some(item) = self.words_of(event) {
                        return Poll::Ready(Some(item));
                    }
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

impl TextStream {
    fn words_of(&mut self, event: Event) -> Option<Result<String>> {
        match event {
            Event::ContentBlockDelta(ContentBlockDeltaEvent { delta: Some(delta), .. }) => {
                match delta.delta {
                    Some(Delta::Text(words)) if !words.is_empty() => {
                        self.wrote = true;
                        Some(Ok(words))
                    }
                    _ => None,
                }
            }
            Event::Restart(restart) if self.wrote => {
                self.events.state = State::Ended;
                Some(Err(Error::restarted(reason_name(restart.reason()))))
            }
            _ => None,
        }
    }
}
