//! The relay: a model's events to the caller, one for each poll.
//!
//! Nothing is spawned or buffered: HTTP/2 flow control decides when tonic polls us, and only then do we read from
//! Bedrock. A caller who hangs up drops this stream and Bedrock's with it; the record, dropped unfinished, says
//! "cancelled".
//!
//! A stream ends well in one way only: after its metadata. Whatever else ends it, an exception, a broken connection,
//! silence, or a quiet end without the metadata, becomes a status; nothing is made to look like an answer.
use crate::{
    attempt::{
        Begun,
        failure::{Failure, FailureKind},
    },
    bedrock::ModelEvent,
    error::CallError,
    record::{Busy, CallRecord},
};
use futures_util::Stream;
use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use switchboard_proto::v1::ConverseStreamResponse;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

/// How long the end of Bedrock's response is awaited after the metadata: read to its end, the connection can be used
/// again. The caller has everything by then.
const END_GRACE: Duration = Duration::from_millis(50);

/// The reply stream of one call.
#[derive(Debug)]
pub(crate) struct Relay<E> {
    busy: Busy,
    stream: RelayedStream<E>,
}

#[derive(Debug)]
struct RelayedStream<E> {
    /// What was read before the first content was there.
    head: VecDeque<ModelEvent>,
    /// Absent: nothing more is wanted of the model, and its connection is free.
    events: Option<E>,
    request_id: String,
    record: CallRecord,
    idle: Duration,
    deadline: Instant,
    /// Since when we have been waiting for Bedrock. Absent: we have not; the caller is reading, or not.
    waiting_since: Option<Instant>,
    /// Rings at the next moment that may matter; set again only when it rings, not for every event.
    timer: Pin<Box<Sleep>>,
    /// The metadata has been sent.
    complete: bool,
}

// === impl Relay ===

impl<E> Relay<E> {
    /// Relays what has begun, after the route. Bedrock may be silent for `idle` between two events.
    #[must_use]
    pub(crate) fn new(begun: Begun<E>, record: CallRecord, idle: Duration, deadline: Instant) -> Self {
        let mut head = VecDeque::from(begun.head);
        head.push_front(ModelEvent::Route(record.route()));
        let timer = Box::pin(sleep_until(deadline.min(Instant::now() + idle)));
        let stream = RelayedStream {
            head,
            events: Some(begun.rest),
            request_id: begun.request_id,
            idle,
            deadline,
            waiting_since: None,
            timer,
            complete: false,
            record,
        };
        Self { busy: stream.record.busy().clone(), stream }
    }
}

impl<E: Stream<Item = Result<ModelEvent, Failure>> + Unpin> Stream for Relay<E> {
    type Item = Result<ConverseStreamResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { busy, stream } = self.get_mut();
        busy.count(|| stream.poll(cx))
    }
}

// === impl RelayedStream ===

impl<E: Stream<Item = Result<ModelEvent, Failure>> + Unpin> RelayedStream<E> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ConverseStreamResponse, Status>>> {
        if let Some(event) = self.head.pop_front() {
            return Poll::Ready(Some(Ok(self.reply(event))));
        }
        let Some(events) = &mut self.events else { return Poll::Ready(None) };
        loop {
            let polled = Pin::new(&mut *events).poll_next(cx);
            match polled {
                Poll::Ready(Some(Ok(_))) if self.complete => {} // the metadata is the last event, whatever follows it
                Poll::Ready(_) if self.complete => break,
                Poll::Ready(Some(Ok(event))) => {
                    self.waiting_since = None;
                    return Poll::Ready(Some(Ok(self.reply(event))));
                }
                Poll::Ready(Some(Err(failure))) => return self.fail(failure),
                Poll::Ready(None) => {
                    let early = Failure::new(FailureKind::EndedEarly, "the stream ended without metadata");
                    let early = early.of_request(&self.request_id);
                    return self.fail(early);
                }
                Poll::Pending => return self.poll_clocks(cx),
            }
        }
        self.events = None;
        Poll::Ready(None)
    }

    /// Nothing is there yet: have we waited for too long?
    fn poll_clocks(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ConverseStreamResponse, Status>>> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let patience = if self.complete { END_GRACE } else { self.idle };
            if self.complete && since + patience <= now {
                self.events = None;
                return Poll::Ready(None);
            }
            if self.deadline <= now {
                self.events = None;
                let attempts = self.record.attempts();
                return Poll::Ready(Some(Err(self.record.refused(CallError::DeadlineExceeded { attempts }))));
            }
            if since + patience <= now {
                let silence = Failure::new(FailureKind::IdleTimeout, format!("no event within {patience:?}"));
                let silence = silence.of_request(&self.request_id);
                return self.fail(silence);
            }
            self.timer.as_mut().reset(self.deadline.min(since + patience));
        }
    }

    fn fail(&mut self, failure: Failure) -> Poll<Option<Result<ConverseStreamResponse, Status>>> {
        self.events = None;
        Poll::Ready(Some(Err(self.record.interrupted(failure))))
    }

    fn reply(&mut self, mut event: ModelEvent) -> ConverseStreamResponse {
        if let ModelEvent::Metadata(metadata) = &mut event {
            metadata.latency = Some(self.record.latency());
            self.record.saw_usage(metadata.usage.as_ref());
            self.record.completed();
            self.complete = true;
            self.waiting_since = None;
            self.timer.as_mut().reset(Instant::now() + END_GRACE);
        }
        ConverseStreamResponse { event: Some(event) }
    }
}
