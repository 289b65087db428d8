//! A line: one connection, without a task of its own.
//!
//! A client's connection usually is a task, and hands over an answer piece by piece: each costs a change of tasks there
//! and back, and meanwhile what was handed over before goes out to the caller, alone, in a system call of its own. Here
//! whoever waits for an answer moves its connection. What has come in at once is read at once, goes out at once, and an
//! event costs a third of what it did.
//!
//! While it waits for its next call nobody watches a line. Whether its other end has closed it is looked at when it is
//! taken from the shelf, as any client has to; a request that meets a closed one was not sent and goes to another.
use super::pool::OneMore;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, Connection, SendRequest},
    },
};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use std::{
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{net::TcpStream, time::Instant};

/// How long a connection may wait for its next call. The SDK's figure.
const IDLE: Duration = Duration::from_secs(90);

pub(super) type Socket = MaybeHttpsStream<TokioIo<TcpStream>>;

/// One connection. Dropped, it is closed.
#[derive(Debug)]
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    /// Absent: it has ended.
    connection: Option<Connection<Socket, Full<Bytes>>>,
    waits_since: Instant,
}

/// The connections of a place that wait for calls; the last one back is the first to be taken.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "a line is large and goes from hand to hand")]
pub(super) struct Shelf(Mutex<Vec<Box<Line>>>);

/// The body of an answer, and the line that it comes over. Dropped before its end, it closes the line.
#[derive(Debug)]
pub(in super::super) struct AnswerBody {
    body: Incoming,
    /// Absent: it is back on the shelf, or has ended.
    line: Option<Box<Line>>,
    shelf: Arc<Shelf>,
    in_use: Option<OneMore>,
}

// === impl Line ===

impl Line {
    pub(super) async fn over(socket: Socket) -> hyper::Result<Box<Self>> {
        let (sender, connection) = http1::Builder::new().handshake(socket).await?;
        Ok(Box::new(Self { sender, connection: Some(connection), waits_since: Instant::now() }))
    }

    /// Sends a request and waits for the head of its answer. The error holds the request if none of it was sent.
    pub(super) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let Self { sender, connection, .. } = self;
        let mut sending = pin!(sender.try_send_request(request));
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(answer) = sending.as_mut().poll(cx) {
                    return Poll::Ready(answer);
                }
                let Some(moving) = connection else { return Poll::Pending };
                match Pin::new(moving).poll(cx) {
                    Poll::Pending => return sending.as_mut().poll(cx),
                    // Whoever waits for it learns why only when it is gone.
                    Poll::Ready(_) => *connection = None,
                }
            }
        })
        .await
    }

    /// Moves it; false: it has ended.
    fn advance(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.connection = None;
        }
        self.connection.is_some()
    }

    /// Whether it can carry a call. Nobody is told when that changes.
    fn is_free(&mut self) -> bool {
        self.advance(&mut Context::from_waker(Waker::noop())) && self.sender.is_ready()
    }
}

// === impl Shelf ===

impl Shelf {
    /// One that is still good. `None`: there is none, so one has to be opened.
    pub(super) fn take(&self) -> Option<Box<Line>> {
        loop {
            let mut line = self.lines(Vec::pop)?;
            if line.waits_since.elapsed() < IDLE && line.is_free() {
                return Some(line);
            }
        }
    }

    fn put(&self, mut line: Box<Line>) {
        if line.is_free() {
            line.waits_since = Instant::now();
            self.lines(|lines| lines.push(line));
        }
    }

    /// Closes those that have waited for too long, and lets go of those that their other end has closed.
    pub(super) fn tidy(&self) {
        let mut lines = self.lines(std::mem::take);
        lines.retain_mut(|line| line.waits_since.elapsed() < IDLE && line.is_free());
        self.lines(|others| {
            lines.append(others); // they came back last
            *others = lines;
        });
    }

    fn lines<T>(&self, work: impl FnOnce(&mut Vec<Box<Line>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl AnswerBody ===

impl AnswerBody {
    /// Goes back to `shelf` at its end.
    pub(super) fn new(body: Incoming, line: Box<Line>, shelf: Arc<Shelf>) -> Self {
        Self { body, line: Some(line), shelf, in_use: None }
    }

    /// Counts as busy until its end.
    pub(super) fn counted(self, in_use: OneMore) -> Self {
        Self { in_use: Some(in_use), ..self }
    }

    fn ended(&mut self) {
        if let Some(line) = self.line.take() {
            self.shelf.put(line);
        }
        self.in_use = None;
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut moved = false;
        loop {
            if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
                if frame.is_none() || self.body.is_end_stream() {
                    self.ended();
                }
                return Poll::Ready(frame);
            }
            if std::mem::replace(&mut moved, true) {
                return Poll::Pending;
            }
            if self.line.as_mut().is_some_and(|line| !line.advance(cx)) {
                self.line = None;
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
