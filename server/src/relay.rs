//! The relay: a model's events to the caller, one for each poll.
//!
//! Nothing is spawned or buffered: HTTP/2 flow control decides when tonic polls us, and only then do we read
//! from Bedrock. A caller who hangs up drops this stream and Bedrock's with it; the record, dropped before
//! its end, says "cancelled". A caller who does not read is the concern of `edge/slow_consumer.rs`: no
//! timeout here runs then.
//!
//! An event passes these stages:
//!
//! ```text
//!   source.rs    the model's stream, its integrity and its timeouts; or a restart
//!      ▼
//!   (a content policy would hold back, change or stop events here)
//!      ▼
//!   account.rs   record, attempt and cost; the metadata event gets latency, cost and route
//!      ▼
//!   the reply
//! ```
//!
//! A stream ends well in one way only: after its metadata. Anything else becomes a status that says what had
//! been sent. In a task that allows it another model may restart the stream instead: then the caller is told
//! to discard what it has, and never gets the output of two models as one answer.
mod account;
mod received;
mod restart;
mod source;
mod wake_gate;

pub(crate) use restart::{Restart, restart};

use crate::{
    attempt::{Answered, Begun},
    error::CallError,
    failure::Failure,
    model::ModelEvent,
    record::{CallRecord, PollTimer},
};
use account::Account;
use futures_util::Stream;
use restart::{Restarted, Restarting};
use source::{Item, Source};
use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};
use switchboard_proto::v1::ConverseStreamResponse;
use tokio::time::Instant;
use tonic::Status;
use wake_gate::WakeGate;

/// Number of polls that return nothing after the first content. tonic collects what is ready before it
/// writes, and a model may have sent much at once. The first pause makes tonic hand over what it has, the
/// second makes the connection write it.
const PAUSES: u8 = 2;

/// The response stream of one call.
#[derive(Debug)]
pub(crate) struct Relay<E> {
    timer: PollTimer,
    gate: WakeGate,
    stream: RelayedStream<E>,
}

type Polled = Poll<Option<Result<ConverseStreamResponse, Status>>>;

#[derive(Debug)]
struct RelayedStream<E> {
    /// Events to send before anything more is read.
    head: VecDeque<ModelEvent>,
    /// Pauses that are still to be made after the head.
    pauses: u8,
    stage: Stage<E>,
    account: Account,
    deadline: Instant,
    /// Absent: no other model may restart the stream.
    restart: Option<Restart<E>>,
}

/// Where the next event comes from.
#[derive(Debug)]
enum Stage<E> {
    Model(Source<E>),
    /// The model's stream broke with this failure; another model is being called.
    Restarting(Restarting<E>, Failure),
    Ended,
}

// === impl Relay ===

impl<E> Relay<E> {
    /// Relays a stream that has begun, after the route, until `deadline`. With `restart` another model may
    /// take over.
    #[must_use]
    pub(crate) fn new(
        (begun, attempt): Answered<Begun<E>>,
        record: CallRecord,
        deadline: Instant,
        restart: Option<Restart<E>>,
    ) -> Self {
        let (head, source) = Source::new(begun, deadline);
        let mut head = VecDeque::from(head);
        head.push_front(ModelEvent::Route(record.route()));
        let timer = record.timer().clone();
        let account = Account::new(attempt, record);
        let stage = Stage::Model(source);
        let stream = RelayedStream { head, pauses: PAUSES, stage, account, deadline, restart };
        Self { timer, gate: WakeGate::new(), stream }
    }
}

impl<E: Stream<Item = Result<ModelEvent, Failure>> + Unpin> Stream for Relay<E> {
    type Item = Result<ConverseStreamResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { timer, gate, stream } = self.get_mut();
        gate.poll(cx, |cx| timer.time(|| stream.poll(cx)))
    }
}

// === impl RelayedStream ===

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
            match &mut self.stage {
                Stage::Model(source) => match ready!(source.poll(cx)) {
                    Item::Event(event) => return Poll::Ready(Some(Ok(self.reply(event)))),
                    Item::End => {
                        self.stage = Stage::Ended;
                        return Poll::Ready(None);
                    }
                    Item::DeadlineExceeded => {
                        let attempts = self.account.attempts();
                        return self.end(CallError::DeadlineExceeded { attempts });
                    }
                    Item::Failure(failure) => {
                        if let Some(failure) = self.start_restart(failure) {
                            return self.end(CallError::Interrupted(failure));
                        }
                    }
                },
                Stage::Restarting(restarting, _) => {
                    let (record, restarted) = ready!(restarting.as_mut().poll(cx));
                    if let Some(failure) = self.finish_restart(record, restarted) {
                        return self.end(CallError::Interrupted(failure));
                    }
                }
                Stage::Ended => return Poll::Ready(None),
            }
        }
    }

    /// Calls another model, where the task allows it and another model may succeed. Else the failure is
    /// returned.
    fn start_restart(&mut self, failure: Failure) -> Option<Failure> {
        self.stage = Stage::Ended;
        self.account.failed(&failure);
        let restart = self.restart.take().filter(|_| failure.kind.row().try_next);
        let Some(restart) = restart else { return Some(failure) };
        let Some(record) = self.account.take_record() else { return Some(failure) };
        self.stage = Stage::Restarting(restart.begin(record), failure);
        None
    }

    /// Continues with the other model's stream, if there is one. Else the failure of the first is returned.
    fn finish_restart(&mut self, record: CallRecord, restarted: Restarted<E>) -> Option<Failure> {
        let Stage::Restarting(_, failure) = std::mem::replace(&mut self.stage, Stage::Ended) else {
            return None;
        };
        let Some(((begun, attempt), restart)) = restarted else {
            self.account.restore_record(record);
            return Some(failure);
        };
        record.accept_feedback();
        let (head, source) = Source::new(begun, self.deadline);
        self.head.push_back(restart::event(&failure));
        self.head.push_back(ModelEvent::Route(record.route()));
        self.head.extend(head);
        self.pauses = PAUSES;
        self.stage = Stage::Model(source);
        self.account = Account::new(attempt, record);
        self.restart = Some(restart);
        None
    }

    fn end(&mut self, error: CallError) -> Polled {
        self.stage = Stage::Ended;
        Poll::Ready(self.account.end(error).map(Err))
    }

    fn reply(&mut self, mut event: ModelEvent) -> ConverseStreamResponse {
        self.account.event(&mut event);
        if let (ModelEvent::Metadata(_), Stage::Model(source)) = (&event, &mut self.stage) {
            source.finish();
        }
        ConverseStreamResponse { event: Some(event) }
    }
}
