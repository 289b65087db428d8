//! The relay: a model's events to the caller, one for each poll.
//!
//! Nothing is spawned or buffered: HTTP/2 flow control decides when tonic polls us, and only then do we read from
//! Bedrock. A caller who hangs up drops this stream and Bedrock's with it; the record, dropped unfinished, says
//! "cancelled". A caller who does not read is the concern of reader.rs: no clock here runs then.
//!
//! A stream ends well in one way only: after its metadata. Whatever else ends it, an exception, a broken connection,
//! silence, or a quiet end without the metadata, becomes a status that says what had been sent; nothing is made to look
//! like an answer. In a task that allows it another model may begin anew instead: then the caller is told to forget what
//! it has, and never gets two models' words as one answer.
mod news;
mod restart;
mod sent;

use crate::{
    attempt::{
        Begun,
        failure::{Failure, FailureKind},
        targets::Trial,
    },
    bedrock::ModelEvent,
    error::CallError,
    record::{Busy, CallRecord},
};
use futures_util::Stream;
use news::News;
pub(crate) use restart::{Anew, anew};
use restart::{Restarted, Restarting};
use sent::Sent;
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

/// What is ready is sent together, and a model may have said much at once. The first content does not wait for that: after
/// it there is nothing for a moment, once for tonic, which then sends what it has, and once for the connection to write it.
const PAUSES: u8 = 2;

/// The reply stream of one call.
#[derive(Debug)]
pub(crate) struct Relay<E> {
    busy: Busy,
    news: News,
    stream: RelayedStream<E>,
}

type Polled = Poll<Option<Result<ConverseStreamResponse, Status>>>;

#[derive(Debug)]
struct RelayedStream<E> {
    /// What is to be sent before anything more is read.
    head: VecDeque<ModelEvent>,
    /// How often we are still to pause after the head.
    pauses: u8,
    from: Source<E>,
    request_id: String,
    /// Absent: a model that begins anew has it.
    record: Option<CallRecord>,
    trial: Option<Trial>,
    /// Absent: no other model may begin anew.
    anew: Option<Anew<E>>,
    sent: Sent,
    idle: Duration,
    deadline: Instant,
    /// Since when we have been waiting for Bedrock. Absent: we have not; the caller is reading, or not.
    waiting_since: Option<Instant>,
    /// Rings at the next moment that may matter; set again only when it rings, not for every event.
    timer: Pin<Box<Sleep>>,
    /// The metadata has been sent.
    complete: bool,
}

/// Where the next event comes from.
#[derive(Debug)]
enum Source<E> {
    Model(E),
    /// The model's stream broke; another one is being asked.
    Another(Restarting<E>, Failure),
    /// Nothing more is wanted of any model, and the connection is free.
    Nowhere,
}

// === impl Relay ===

impl<E> Relay<E> {
    /// Relays what has begun, after the route, until `deadline`. With `anew` another model may take over.
    #[must_use]
    pub(crate) fn new(begun: Begun<E>, record: CallRecord, deadline: Instant, anew: Option<Anew<E>>) -> Self {
        let mut head = VecDeque::from(begun.head);
        head.push_front(ModelEvent::Route(record.route()));
        let timer = Box::pin(sleep_until(deadline.min(Instant::now() + begun.idle)));
        let busy = record.busy().clone();
        let stream = RelayedStream {
            head,
            pauses: PAUSES,
            from: Source::Model(begun.rest),
            request_id: begun.request_id,
            record: Some(record),
            trial: begun.trial,
            anew,
            sent: Sent::default(),
            idle: begun.idle,
            deadline,
            waiting_since: None,
            timer,
            complete: false,
        };
        Self { busy, news: News::new(), stream }
    }
}

impl<E: Stream<Item = Result<ModelEvent, Failure>> + Unpin> Stream for Relay<E> {
    type Item = Result<ConverseStreamResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { busy, news, stream } = self.get_mut();
        news.poll(cx, |cx| busy.count(|| stream.poll(cx)))
    }
}

// === impl RelayedStream ===

impl<E> Drop for RelayedStream<E> {
    /// The caller left, perhaps: then what it was sent is part of the bill.
    fn drop(&mut self) {
        if let Some(record) = self.record.as_mut().filter(|_| !self.complete) {
            record.sent(self.sent.clone().into());
        }
    }
}

impl<E: Stream<Item = Result<ModelEvent, Failure>> + Unpin> RelayedStream<E> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Polled {
        loop {
            if let Some(event) = self.head.pop_front() {
                return Poll::Ready(Some(Ok(self.reply(event))));
            }
            if self.pauses > 0 {
                self.pauses -= 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match &mut self.from {
                Source::Model(_) => return self.poll_model(cx),
                Source::Another(restarting, _) => {
                    let (record, restarted) = ready!(restarting.as_mut().poll(cx));
                    self.record = Some(record);
                    if let Some(broken) = self.restart(restarted) {
                        return self.end_with(CallError::Interrupted(broken));
                    }
                }
                Source::Nowhere => return Poll::Ready(None),
            }
        }
    }

    fn poll_model(&mut self, cx: &mut Context<'_>) -> Polled {
        let Source::Model(events) = &mut self.from else { return Poll::Ready(None) };
        loop {
            let polled = Pin::new(&mut *events).poll_next(cx);
            match polled {
                Poll::Ready(Some(Ok(_))) if self.complete => {} // the metadata is the last event, whatever follows it
                Poll::Ready(_) if self.complete => break,
                Poll::Ready(Some(Ok(event))) => {
                    self.waiting_since = None;
                    return Poll::Ready(Some(Ok(self.reply(event))));
                }
                Poll::Ready(Some(Err(failure))) => return self.fail(failure, cx),
                Poll::Ready(None) => {
                    let early = Failure::new(FailureKind::EndedEarly, "the stream ended without metadata");
                    let early = early.of_request(&self.request_id);
                    return self.fail(early, cx);
                }
                Poll::Pending => return self.poll_clocks(cx),
            }
        }
        self.from = Source::Nowhere;
        Poll::Ready(None)
    }

    /// Nothing is there yet: have we waited for too long?
    fn poll_clocks(&mut self, cx: &mut Context<'_>) -> Polled {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let patience = if self.complete { END_GRACE } else { self.idle };
            if self.complete && since + patience <= now {
                self.from = Source::Nowhere;
                return Poll::Ready(None);
            }
            if self.deadline <= now {
                let attempts = self.record.as_ref().map_or(0, CallRecord::attempts);
                return self.end_with(CallError::DeadlineExceeded { attempts });
            }
            if since + patience <= now {
                let silence = Failure::new(FailureKind::IdleTimeout, format!("no event within {patience:?}"));
                let silence = silence.of_request(&self.request_id);
                return self.fail(silence, cx);
            }
            self.timer.as_mut().reset(self.deadline.min(since + patience));
        }
    }

    /// The model's stream broke: another one begins anew, where that is allowed and may help, or the call is over.
    fn fail(&mut self, failure: Failure, cx: &mut Context<'_>) -> Polled {
        self.from = Source::Nowhere;
        if let Some(trial) = self.trial.take() {
            trial.failed(&failure);
        }
        if let Some(record) = &mut self.record {
            record.sent(self.sent.clone().into());
            record.broke(&failure);
        }
        let anew = self.anew.take().filter(|_| failure.kind.row().next);
        let Some(anew) = anew else { return self.end_with(CallError::Interrupted(failure)) };
        if let Some(record) = self.record.take() {
            self.from = Source::Another(anew.begin(record), failure);
        }
        self.poll(cx)
    }

    fn restart(&mut self, restarted: Restarted<E>) -> Option<Failure> {
        let Source::Another(_, failure) = std::mem::replace(&mut self.from, Source::Nowhere) else {
            return None;
        };
        let Some((begun, anew)) = restarted else { return Some(failure) };
        self.record.iter().for_each(CallRecord::served);
        let route = self.record.as_ref().map(CallRecord::route);
        self.head.push_back(restart::told(&failure));
        self.head.extend(route.map(ModelEvent::Route));
        self.head.extend(begun.head);
        self.pauses = PAUSES;
        self.from = Source::Model(begun.rest);
        (self.request_id, self.trial, self.anew) = (begun.request_id, begun.trial, Some(anew));
        (self.idle, self.waiting_since, self.sent) = (begun.idle, None, Sent::default());
        self.timer.as_mut().reset(self.deadline.min(Instant::now() + self.idle));
        None
    }

    fn end_with(&mut self, error: CallError) -> Polled {
        self.from = Source::Nowhere;
        let sent = &self.sent;
        let ended = self.record.as_mut().map(|record| {
            record.sent(sent.clone().into());
            Err(record.refused(error))
        });
        Poll::Ready(ended)
    }

    fn reply(&mut self, mut event: ModelEvent) -> ConverseStreamResponse {
        self.sent.note(&event);
        if let Some(record) = &mut self.record {
            record.saw_event(&event);
        }
        if let (ModelEvent::Metadata(metadata), Some(record)) = (&mut event, &mut self.record) {
            metadata.latency = Some(record.latency());
            record.saw_usage(
                metadata.usage.as_ref(),
                metadata.service_tier.as_ref(),
                metadata.performance_config.as_ref(),
            );
            metadata.cost = record.cost();
            metadata.route = Some(record.route());
            record.completed();
            self.complete = true;
            self.waiting_since = None;
            self.timer.as_mut().reset(Instant::now() + END_GRACE);
            if let Some(trial) = self.trial.take() {
                trial.ended_well();
            }
        }
        ConverseStreamResponse { event: Some(event) }
    }
}
