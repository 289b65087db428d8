//! The source stage: the events of one model, and the integrity of its stream.
//!
//! A stream is whole only after its metadata. An exception, a broken connection, a pause that is too long,
//! and an end without metadata are failures.
use crate::{
    attempt::Begun,
    failure::{Failure, FailureKind},
    model::ModelEvent,
};
use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// Time to wait for the end of Bedrock's response after the metadata: read to its end, the connection can be
/// reused. The caller has everything by then.
const END_GRACE: Duration = Duration::from_millis(50);

/// The stream of one model.
#[derive(Debug)]
pub(super) struct Source<E> {
    state: State<E>,
    request_id: String,
    idle: Duration,
    deadline: Instant,
    /// Start of the current wait for Bedrock. Absent: Bedrock is not the one waited for.
    waiting_since: Option<Instant>,
    /// Fires at the next time that may matter. It is reset only when it fires, not for every event.
    timer: Pin<Box<Sleep>>,
}

#[derive(Debug)]
enum State<E> {
    Running(E),
    /// The metadata has been sent; only the end of the response is missing.
    Finishing(E),
    /// Nothing more will be read.
    Drained,
}

/// What the source gives.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every item is an event; a box would allocate for each")]
pub(super) enum Item {
    Event(ModelEvent),
    /// The stream broke.
    Failure(Failure),
    /// The call's deadline passed.
    DeadlineExceeded,
    /// The stream is whole and has been read to its end.
    End,
}

// === impl Source ===

impl<E> Source<E> {
    /// Splits a stream into its first events and the source of the others.
    pub(super) fn new(begun: Begun<E>, deadline: Instant) -> (Vec<ModelEvent>, Self) {
        let Begun { head, rest, request_id, idle } = begun;
        let first_check = Instant::now().checked_add(idle).map_or(deadline, |time| time.min(deadline));
        let timer = Box::pin(sleep_until(first_check));
        let source =
            Self { state: State::Running(rest), request_id, idle, deadline, waiting_since: None, timer };
        (head, source)
    }

    /// The metadata has been sent.
    pub(super) fn finish(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Drained) {
            State::Running(events) => State::Finishing(events),
            other => other,
        };
        self.waiting_since = None;
        self.timer.as_mut().reset(Instant::now() + END_GRACE);
    }
}

impl<E: Stream<Item = Result<ModelEvent, Failure>> + Unpin> Source<E> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Item> {
        let item = loop {
            let (events, is_finishing) = match &mut self.state {
                State::Running(events) => (events, false),
                State::Finishing(events) => (events, true),
                State::Drained => return Poll::Ready(Item::End),
            };
            match Pin::new(events).poll_next(cx) {
                Poll::Ready(Some(Ok(_))) if is_finishing => {} // the metadata is the last event
                Poll::Ready(_) if is_finishing => break Item::End,
                Poll::Ready(Some(Ok(event))) => {
                    self.waiting_since = None;
                    return Poll::Ready(Item::Event(event));
                }
                Poll::Ready(Some(Err(failure))) => break Item::Failure(failure),
                Poll::Ready(None) => {
                    break self
                        .failure(FailureKind::EndedEarly, "the stream ended without metadata".to_owned());
                }
                Poll::Pending => break ready!(self.poll_timeouts(cx, is_finishing)),
            }
        };
        self.state = State::Drained;
        Poll::Ready(item)
    }

    fn poll_timeouts(&mut self, cx: &mut Context<'_>, is_finishing: bool) -> Poll<Item> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let limit = if is_finishing { END_GRACE } else { self.idle };
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let timeout = since.checked_add(limit).unwrap_or(self.deadline);
            if is_finishing && timeout <= now {
                return Poll::Ready(Item::End);
            }
            if self.deadline <= now {
                return Poll::Ready(Item::DeadlineExceeded);
            }
            if timeout <= now {
                return Poll::Ready(
                    self.failure(FailureKind::IdleTimeout, format!("no event within {limit:?}")),
                );
            }
            self.timer.as_mut().reset(self.deadline.min(timeout));
        }
    }

    fn failure(&self, kind: FailureKind, message: String) -> Item {
        Item::Failure(Failure::new(kind, message).of_request(&self.request_id))
    }
}
