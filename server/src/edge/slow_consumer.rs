//! Slow consumers: how long a caller may leave a ready response unread.
//!
//! HTTP/2 flow control decides when a body is polled, so while a caller's window is full no timeout inside
//! the body runs. A caller who stops reading but answers pings would hold Bedrock's request, its connection
//! and a permit for as long as it likes. So every response has a monitor: one task, which sleeps until the
//! response may have been left unread for too long and ends with the body.
//!
//! A body whose last poll gave something, and which was not polled since, waits for its consumer. One whose
//! last poll was pending waits for Bedrock, and has timeouts of its own (relay.rs). When the timeout or the
//! call's deadline passes while the consumer is awaited, what is inside the body is dropped: Bedrock's
//! request ends, the permit is free, and the record says `READER_STALLED` or `DEADLINE_EXCEEDED`. hyper does
//! not let us reset the HTTP/2 stream, so the little that it has fetched, two frames at most, stays there. A
//! caller who reads on gets that, and then the typed status.
//!
//! # Why frames of limited size
//!
//! A whole answer is one frame. Handed over at once it could not be dropped any more, and a consumer who
//! reads slowly but steadily would look like one who does not read. In smaller frames every fetch is a sign
//! of life. A consumer who does not fetch one of them within the timeout, which is some hundred bytes per
//! second, does not read.
//!
//! # Why the monitor holds the record
//!
//! The record of a whole answer ends only when the answer has been read. The monitor task holds it too and is
//! the last to drop it, after the connection had its turn to write: so the caller does not wait for spans,
//! metrics and the log line.
use crate::{
    error::CallError,
    record::{CallRecord, Consumer, RecordSlot},
};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use parking_lot::{Mutex, MutexGuard};
use std::{
    future::poll_fn,
    mem,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::AcqRel},
    },
    task::{Context, Poll},
};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep_until},
};
use tokio_util::task::TaskTracker;
use tonic::{Code, Response, Status};

/// Largest frame that is handed over: HTTP/2's own largest frame, unless it is configured.
const MAX_DATA_FRAME: usize = 16 * 1024;

/// A body with a monitor, if it is the response of a call.
#[derive(Debug)]
pub(crate) enum StallGuardBody<B> {
    Guarded { shared: Arc<Shared<B>>, _monitor: MonitorHandle },
    Unguarded(B),
}

/// What a body and its monitor share. Only the body keeps it alive.
#[derive(Debug)]
pub(crate) struct Shared<B> {
    consumer: Consumer,
    response: Mutex<GuardedResponse<B>>,
}

#[derive(Debug)]
struct GuardedResponse<B> {
    /// Absent: the body has ended, or its consumer was abandoned.
    body: Option<B>,
    /// The record of a whole answer. A stream holds its own.
    record: Option<RecordSlot>,
    /// Bytes that the body gave and the consumer has not fetched.
    unread: Bytes,
    /// Time since when something is ready to be fetched. Absent: the consumer waits for us.
    ready_since: Option<Instant>,
    /// Trailers of our own follow after `unread`.
    owes_trailers: bool,
}

/// Ends the monitor when the body is gone.
#[derive(Debug)]
pub(crate) struct MonitorHandle {
    /// The monitor has started, or the body has ended before that.
    has_started: Arc<AtomicBool>,
    task: AbortHandle,
}

/// The response with a whole answer. Its record ends when the body ends and not before: the consumer may stop
/// in the middle.
pub(crate) fn unary_response<T>(answer: T, record: CallRecord, slot: RecordSlot) -> Response<T> {
    let mut response = stream_response(answer, record.consumer().cloned());
    slot.give_back(record);
    response.extensions_mut().insert(slot);
    response
}

/// The response with an answer that is being generated; the stream holds the record.
pub(crate) fn stream_response<S>(stream: S, consumer: Option<Consumer>) -> Response<S> {
    let mut response = Response::new(stream);
    if let Some(consumer) = consumer {
        response.extensions_mut().insert(consumer);
    }
    response
}

/// Guards the response of a call. It wraps admission, so that an abandoned consumer gives back its permit.
/// The record has ended when the monitor among `monitors` has ended.
pub(crate) fn guard<B>(
    response: http::Response<B>,
    monitors: &TaskTracker,
) -> http::Response<StallGuardBody<B>>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let (mut head, body) = response.into_parts();
    let body = match head.extensions.remove::<Consumer>() {
        Some(consumer) => {
            StallGuardBody::new(body, consumer, head.extensions.remove::<RecordSlot>(), monitors)
        }
        None => StallGuardBody::Unguarded(body),
    };
    http::Response::from_parts(head, body)
}

// === impl StallGuardBody ===

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> StallGuardBody<B> {
    fn new(body: B, consumer: Consumer, record: Option<RecordSlot>, monitors: &TaskTracker) -> Self {
        let now = Instant::now();
        let (first_check, _) = consumer.abandoned_at(now);
        let response = GuardedResponse {
            body: Some(body),
            record: record.clone(),
            unread: Bytes::new(),
            ready_since: Some(now),
            owes_trailers: false,
        };
        let shared = Arc::new(Shared { consumer, response: Mutex::new(response) });
        let has_started = Arc::new(AtomicBool::new(false));
        let monitor = monitor(Arc::downgrade(&shared), Arc::clone(&has_started), first_check, record);
        let task = monitors.spawn(monitor).abort_handle();
        Self::Guarded { shared, _monitor: MonitorHandle { has_started, task } }
    }
}

impl<B: Default> Default for StallGuardBody<B> {
    fn default() -> Self {
        Self::Unguarded(B::default())
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for StallGuardBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.get_mut() {
            Self::Guarded { shared, .. } => shared.response().poll_frame(&shared.consumer, cx),
            Self::Unguarded(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Guarded { shared, .. } => shared.response().is_end(),
            Self::Unguarded(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Guarded { .. } => SizeHint::default(), // it may end early
            Self::Unguarded(body) => body.size_hint(),
        }
    }
}

// === impl Shared ===

/// Sleeps until the consumer may have to be abandoned, and checks again, until the body has ended. The
/// record, if it is still there then, is dropped last.
async fn monitor<B: Body>(
    shared: Weak<Shared<B>>,
    has_started: Arc<AtomicBool>,
    first_check: Instant,
    _record: Option<RecordSlot>,
) {
    if has_started.swap(true, AcqRel) {
        return after_ready_tasks().await;
    }
    let mut next_check = Some(first_check);
    while let Some(time) = next_check {
        sleep_until(time).await;
        next_check = shared.upgrade().and_then(|shared| shared.check());
    }
}

/// Gives every task that is ready its turn.
async fn after_ready_tasks() {
    let mut is_last = false;
    poll_fn(|cx| match mem::replace(&mut is_last, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref(); // not tokio's yield_now, which polls the I/O driver first
            Poll::Pending
        }
    })
    .await;
}

impl<B> Shared<B> {
    /// Abandons the consumer if it is time for that. Else returns the time of the next check. `None`: the
    /// response has ended.
    fn check(&self) -> Option<Instant> {
        let mut response = self.response();
        response.body.as_ref()?;
        let now = Instant::now();
        let Some(ready_since) = response.ready_since else {
            // Nothing was ready: at its deadline the body ends by itself.
            let (time, _) = self.consumer.abandoned_at(now);
            return if now < time { Some(time) } else { now.checked_add(self.consumer.timeout()) };
        };
        let (time, reason) = self.consumer.abandoned_at(ready_since);
        if now < time {
            return Some(time);
        }
        self.consumer.abandon(reason);
        response.abandon(&self.consumer);
        None
    }

    fn response(&self) -> MutexGuard<'_, GuardedResponse<B>> {
        self.response.lock()
    }
}

// === impl GuardedResponse ===

impl<B> GuardedResponse<B> {
    /// Drops the body, and with it the record, which gives the consumer the status of the call. If the call
    /// has succeeded, all of the answer is here already, and only its end was missing.
    fn abandon(&mut self, consumer: &Consumer) {
        (self.body, self.owes_trailers) = (None, true);
        if let Some(record) = self.record.take() {
            record.drop_returned();
        }
        if consumer.has_failed() {
            self.unread = Bytes::new();
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> GuardedResponse<B> {
    fn poll_frame(
        &mut self,
        consumer: &Consumer,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.unread.is_empty() {
            let Some(body) = &mut self.body else {
                let owes_trailers = mem::take(&mut self.owes_trailers);
                return Poll::Ready(owes_trailers.then(|| Ok(Frame::trailers(consumer.trailers()))));
            };
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => {
                    self.ready_since = None;
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.unread = data,
                    Err(frame) => {
                        self.ended(frame.trailers_ref());
                        return Poll::Ready(Some(Ok(frame)));
                    }
                },
                ended @ Poll::Ready(_) => {
                    self.ended(None);
                    return ended;
                }
            }
        }
        self.ready_since = Some(Instant::now());
        let frame = self.unread.split_to(self.unread.len().min(MAX_DATA_FRAME));
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    /// The body has ended, successfully if these trailers say so. A body that is kept after its end holds
    /// nothing.
    fn ended(&mut self, trailers: Option<&HeaderMap>) {
        self.body = None;
        let Some(slot) = self.record.take() else { return };
        let status = trailers.and_then(Status::from_header_map);
        let is_ok = status.is_some_and(|status| status.code() == Code::Ok);
        slot.with_returned(|record| {
            if is_ok {
                record.complete_on_drop();
            } else {
                let _already_sent = record.failed(CallError::Internal);
            }
        });
    }

    fn is_end(&self) -> bool {
        self.unread.is_empty() && !self.owes_trailers && self.body.as_ref().is_none_or(Body::is_end_stream)
    }
}

// === impl MonitorHandle ===

impl Drop for MonitorHandle {
    /// A monitor that has not started yet is ready, and will run before the connection does: it ends by
    /// itself.
    fn drop(&mut self) {
        if self.has_started.swap(true, AcqRel) {
            self.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::begun;
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};
    use std::{convert::Infallible, time::Duration};
    use tokio::task::yield_now;

    /// Reads a whole answer to its end while the task that writes it has a turn to come. Returns whether the
    /// record was still held then.
    async fn is_held_while_it_is_written(monitor_has_started: bool) -> bool {
        let slot = RecordSlot::new(begun().0);
        let record = slot.claim().expect("is there");
        slot.give_back(record);
        let trailers = Status::ok("").into_http::<()>().into_parts().0.headers;
        let frames = [Frame::data(Bytes::from_static(b"answer")), Frame::trailers(trailers)];
        let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
        let monitors = TaskTracker::new();
        let consumer = Consumer::new(Duration::from_secs(60), Instant::now() + Duration::from_secs(60));
        let weak = slot.downgrade();
        let mut body = StallGuardBody::new(body, consumer, Some(slot), &monitors);
        if monitor_has_started {
            yield_now().await;
        }
        let writer = weak.clone();
        let written = monitors.spawn(async move { writer.upgrade().is_some() });
        while let Some(frame) = body.frame().await {
            drop(frame.expect("cannot fail"));
        }
        drop(body);
        let was_held = written.await.expect("is written");
        monitors.close();
        monitors.wait().await;
        assert!(weak.upgrade().is_none());
        was_held
    }

    #[tokio::test]
    async fn the_record_of_a_whole_answer_ends_after_the_answer_was_written() {
        assert!(is_held_while_it_is_written(false).await);
        assert!(is_held_while_it_is_written(true).await);
    }
}
