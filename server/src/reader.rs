//! The reader: how long a caller may take nothing of an answer that is ready.
//!
//! HTTP/2 flow control decides when a body is polled, so while a caller's window is full no clock within the body runs.
//! A caller who stops reading but answers pings would hold Bedrock's request, its connection and a permit for as long as
//! it likes. So every answer has a watch beside it: one task, which sleeps until the answer may have been left lying for
//! too long and ends with the body.
//!
//! A body whose last poll gave something, and which was not polled since, waits for its reader. One whose last poll was
//! pending waits for Bedrock, and has clocks of its own (relay.rs). When the limit or the call's deadline passes while
//! the reader is awaited, what is inside the body is dropped: Bedrock's request ends, the permit is free, and the record
//! says `READER_STALLED` or `DEADLINE_EXCEEDED`. hyper lets nobody reset its HTTP/2 stream, so the little that it has
//! fetched, two pieces at most, stays there; a caller who reads on gets that, and then the typed status.
//!
//! # Why pieces
//!
//! A whole answer is one frame. Handed over as one it could not be dropped any more, and a reader who takes it slowly but
//! steadily would look like one who takes nothing. In pieces, every one that is fetched is a sign of life; whoever does not
//! take one of them in the time that it has, some hundred bytes a second, does not read.
//!
//! # Who tells of the call
//!
//! The task holds the record of a whole answer too. When the body has ended it is the last to do so, and it takes its turn
//! after the connection, which has the answer to write: so the caller does not wait for span, metrics and log line.
use crate::{error::CallError, record::CallRecord};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::{
    future::poll_fn,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::AcqRel},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep_until},
};
use tokio_util::task::TaskTracker;
use tonic::{Code, Response, Status};

/// How much is handed over at a time: HTTP/2's own largest frame, where nobody asks for another.
const PIECE: usize = 16 * 1024;

/// The reader of one answer: what is allowed to it, and what has become of it. Shared by the call's record and its body,
/// and brought from one to the other among the response's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Reader(Arc<Known>);

#[derive(Debug)]
struct Known {
    patience: Duration,
    deadline: Instant,
    given_up: OnceLock<Why>,
    /// The error with which the call has ended. Absent: it goes on, or has ended well.
    status: OnceLock<Status>,
    /// The task has begun to look, or the body has ended before that.
    is_looked_at: AtomicBool,
}

/// Why a reader was given up.
#[derive(Clone, Copy, Debug)]
enum Why {
    /// It took nothing for too long.
    Stalled,
    /// The call's deadline passed while it took nothing.
    Deadline,
}

/// The record of a whole answer, on its way to the body. An extension has to be `Clone`.
#[derive(Clone, Debug)]
struct Kept(Arc<Mutex<Option<CallRecord>>>);

/// A body whose reader is watched, where it is the answer of a call.
#[derive(Debug)]
pub(crate) enum Watched<B> {
    Answer { watch: Arc<Watch<B>>, _guard: Guard },
    Other(B),
}

/// What a body and the task beside it share. The body alone keeps it alive.
#[derive(Debug)]
pub(crate) struct Watch<B> {
    reader: Reader,
    answer: Mutex<Answer<B>>,
}

#[derive(Debug)]
struct Answer<B> {
    /// Absent: it has ended, or its reader was given up.
    body: Option<B>,
    /// Of a whole answer; a stream has its own.
    record: Option<Kept>,
    /// What the body gave and the reader has not fetched.
    rest: Bytes,
    /// Since when something is there to be fetched. Absent: the reader waits for us.
    ready_since: Option<Instant>,
    /// After `rest` comes an end that is not the body's own.
    owes_end: bool,
}

/// Ends the task when the body is gone.
#[derive(Debug)]
pub(crate) struct Guard {
    reader: Reader,
    task: AbortHandle,
}

/// A whole answer. Its record is closed when its body ends and not before: its reader may stop in the midst of it.
pub(crate) fn whole<T>(answer: T, record: CallRecord) -> Response<T> {
    let mut response = streamed(answer, record.reader().cloned());
    response.extensions_mut().insert(Kept(Arc::new(Mutex::new(Some(record)))));
    response
}

/// An answer that is being generated; its record is in the stream.
pub(crate) fn streamed<S>(stream: S, reader: Option<Reader>) -> Response<S> {
    let mut response = Response::new(stream);
    if let Some(reader) = reader {
        response.extensions_mut().insert(reader);
    }
    response
}

/// Puts a watch beside the answer of a call. Around admission, so that a reader who is given up gives back its permit. The
/// call has been told of when its task among `readers` has ended.
pub(crate) fn watched<B>(response: http::Response<B>, readers: &TaskTracker) -> http::Response<Watched<B>>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let (mut head, body) = response.into_parts();
    let body = match head.extensions.remove::<Reader>() {
        Some(reader) => Watched::begin(body, reader, head.extensions.remove::<Kept>(), readers),
        None => Watched::Other(body),
    };
    http::Response::from_parts(head, body)
}

// === impl Reader ===

impl Reader {
    /// One that may take nothing for as long as `patience`, in a call that ends at `deadline`.
    pub(crate) fn new(patience: Duration, deadline: Instant) -> Self {
        let (given_up, status) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Known { patience, deadline, given_up, status, is_looked_at: AtomicBool::new(false) }))
    }

    /// Why the call was ended because of it. `None`: it was not.
    pub(crate) fn given_up(&self, attempts: usize) -> Option<CallError> {
        self.0.given_up.get().map(|why| match why {
            Why::Stalled => CallError::ReaderStalled { patience: self.0.patience },
            Why::Deadline => CallError::DeadlineExceeded { attempts },
        })
    }

    /// The call has ended with this error.
    pub(crate) fn learns(&self, status: &Status) {
        let _known = self.0.status.set(status.clone()); // the first one counts
    }

    /// How the call has ended, for the caller.
    fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        let _written = self.0.status.get().unwrap_or(&Status::ok("")).add_header(&mut trailers);
        trailers
    }

    /// When an answer that has been ready since then has lain for too long, and why.
    fn patience_ends(&self, ready_since: Instant) -> (Instant, Why) {
        let Known { patience, deadline, .. } = *self.0;
        match ready_since.checked_add(patience).filter(|stalled| *stalled < deadline) {
            Some(stalled) => (stalled, Why::Stalled),
            None => (deadline, Why::Deadline),
        }
    }
}

// === impl Kept ===

impl Kept {
    fn record(&self) -> MutexGuard<'_, Option<CallRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Watched ===

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Watched<B> {
    fn begin(body: B, reader: Reader, record: Option<Kept>, readers: &TaskTracker) -> Self {
        let now = Instant::now();
        let (first_look, _) = reader.patience_ends(now);
        let answer = Answer {
            body: Some(body),
            record: record.clone(),
            rest: Bytes::new(),
            ready_since: Some(now),
            owes_end: false,
        };
        let watch = Arc::new(Watch { reader: reader.clone(), answer: Mutex::new(answer) });
        let watching = readers.spawn(look_on(Arc::downgrade(&watch), reader.clone(), first_look, record));
        Self::Answer { watch, _guard: Guard { reader, task: watching.abort_handle() } }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.get_mut() {
            Self::Answer { watch, .. } => watch.answer().poll_frame(&watch.reader, cx),
            Self::Other(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Answer { watch, .. } => watch.answer().is_end(),
            Self::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Answer { .. } => SizeHint::default(), // it may end before its end
            Self::Other(body) => body.size_hint(),
        }
    }
}

// === impl Watch ===

/// Sleeps until the reader may have to be given up, and looks again, until the body has ended. The record, if it still is
/// there then, is dropped last.
async fn look_on<B: Body>(watch: Weak<Watch<B>>, reader: Reader, first_look: Instant, _record: Option<Kept>) {
    if reader.0.is_looked_at.swap(true, AcqRel) {
        return after_the_others().await;
    }
    let mut next_look = Some(first_look);
    while let Some(then) = next_look {
        sleep_until(then).await;
        next_look = watch.upgrade().and_then(|watch| watch.look());
    }
}

/// Lets every task that is ready have its turn.
async fn after_the_others() {
    let mut is_last = false;
    poll_fn(|cx| match mem::replace(&mut is_last, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref(); // and not tokio's yield_now, which asks the system for news first
            Poll::Pending
        }
    })
    .await;
}

impl<B> Watch<B> {
    /// Gives the reader up if it is time for that; else, when to look again. `None`: the answer has ended.
    fn look(&self) -> Option<Instant> {
        let mut answer = self.answer();
        answer.body.as_ref()?;
        let now = Instant::now();
        let Some(ready_since) = answer.ready_since else {
            // Nothing was ready: at its deadline the body ends by itself.
            let (then, _) = self.reader.patience_ends(now);
            return if now < then { Some(then) } else { now.checked_add(self.reader.0.patience) };
        };
        let (then, why) = self.reader.patience_ends(ready_since);
        if now < then {
            return Some(then);
        }
        let _first = self.reader.0.given_up.set(why);
        answer.give_up(&self.reader);
        None
    }

    fn answer(&self) -> MutexGuard<'_, Answer<B>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Answer ===

impl<B> Answer<B> {
    /// Drops the body, and with it the record, which tells the reader how the call has ended. If that was well, all of the
    /// answer is here already, and only its end was missing.
    fn give_up(&mut self, reader: &Reader) {
        (self.body, self.owes_end) = (None, true);
        drop(self.record.take().and_then(|kept| kept.record().take()));
        if reader.0.status.get().is_some() {
            self.rest = Bytes::new();
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Answer<B> {
    fn poll_frame(
        &mut self,
        reader: &Reader,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.rest.is_empty() {
            let Some(body) = &mut self.body else {
                let owes_end = mem::take(&mut self.owes_end);
                return Poll::Ready(owes_end.then(|| Ok(Frame::trailers(reader.trailers()))));
            };
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => {
                    self.ready_since = None;
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
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
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    /// The body has ended, well if these trailers say so; whoever keeps it does not keep what it holds.
    fn ended(&mut self, trailers: Option<&HeaderMap>) {
        self.body = None;
        if let Some(kept) = self.record.take()
            && let Some(record) = &mut *kept.record()
        {
            let status = trailers.and_then(Status::from_header_map);
            if status.is_some_and(|status| status.code() == Code::Ok) {
                record.completed_and_dropped_later();
            } else {
                let _already_sent = record.refused(CallError::Internal);
            }
        }
    }

    fn is_end(&self) -> bool {
        self.rest.is_empty() && !self.owes_end && self.body.as_ref().is_none_or(Body::is_end_stream)
    }
}

// === impl Guard ===

impl Drop for Guard {
    /// A task that has not begun yet is ready, and ahead of the connection: it ends by itself.
    fn drop(&mut self) {
        if self.reader.0.is_looked_at.swap(true, AcqRel) {
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
    use std::convert::Infallible;
    use tokio::task::yield_now;

    /// Reads a whole answer to its end while the one who writes it has a turn to come. Whether its record was still kept then.
    async fn kept_while_it_is_written(has_begun_to_look: bool) -> bool {
        let record = Arc::new(Mutex::new(Some(begun().0)));
        let kept = Arc::downgrade(&record);
        let trailers = Status::ok("").into_http::<()>().into_parts().0.headers;
        let frames = [Frame::data(Bytes::from_static(b"answer")), Frame::trailers(trailers)];
        let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
        let readers = TaskTracker::new();
        let reader = Reader::new(Duration::from_secs(60), Instant::now() + Duration::from_secs(60));
        let mut watched = Watched::begin(body, reader, Some(Kept(record)), &readers);
        if has_begun_to_look {
            yield_now().await;
        }
        let writer = kept.clone();
        let written = readers.spawn(async move { writer.upgrade().is_some() });
        while let Some(frame) = watched.frame().await {
            drop(frame.expect("cannot fail"));
        }
        drop(watched);
        let kept_until_then = written.await.expect("is written");
        readers.close();
        readers.wait().await;
        assert!(kept.upgrade().is_none());
        kept_until_then
    }

    #[tokio::test]
    async fn a_whole_answer_is_told_of_after_it_was_written() {
        assert!(kept_while_it_is_written(false).await);
        assert!(kept_while_it_is_written(true).await);
    }
}
