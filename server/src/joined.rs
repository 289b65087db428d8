//! Joined writes: an answer and its trailers leave in one packet.
//!
//! The HTTP/2 library writes a frame of 256 bytes or more by itself, from where its payload lies, and flushes. The trailers,
//! which say that the answer is whole, follow in a system call and a packet of their own, and wake the caller a second
//! time. Here what it writes so is gathered, and the first flush after it is passed over: the library flushes once more
//! when it has nothing left to write, which is at the end of the same turn.
//!
//! While several calls run, a write may have company on its way: events of other streams, answers of other calls. So it waits
//! until the tasks that are ready have had their turn and the system was asked for news once, without waiting for any;
//! and once more as long as each such turn brought something, a few times at most. A write, with all that it sets off, is
//! more than half of what an event costs.
use crate::admission::Running;
use std::{
    future::Future as _,
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf},
    task::yield_now,
};
use tonic::transport::server::Connected;

/// What is gathered at most; what is larger is written from where it lies. Each connection has that much.
const MOST: usize = 8 << 10;
/// How many turns a write waits for company.
const MOST_TURNS: u8 = 8;

/// A caller's connection.
#[derive(Debug)]
pub(crate) struct Joined<IO> {
    io: BufWriter<IO>,
    calls: Running,
    /// A frame was written by itself, so one more flush is to come.
    more_to_come: bool,
    /// How many turns what is gathered has waited. Not 0: its task will be woken.
    turns: u8,
    /// How much had been gathered when it began to wait for the last of them.
    had: usize,
}

// === impl Joined ===

impl<IO: AsyncWrite> Joined<IO> {
    pub(crate) fn new(io: IO, calls: Running) -> Self {
        Self { io: BufWriter::with_capacity(MOST, io), calls, more_to_come: false, turns: 0, had: 0 }
    }

    /// Of others' frames: the last turn brought some, or there was none yet.
    fn may_have_company(&self) -> bool {
        self.io.buffer().len() > self.had && self.turns < MOST_TURNS && self.calls.are_several()
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Joined<IO> {
    /// Nothing that was gathered waits for the caller to say something.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.io.buffer().is_empty() && self.turns == 0 {
            self.more_to_come = false;
            if let Poll::Ready(Err(error)) = Pin::new(&mut self.io).poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Pin::new(self.io.get_mut()).poll_read(cx, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Joined<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.as_mut().poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let is_frame_by_itself = slices.len() > 1;
        if !is_frame_by_itself && self.io.buffer().is_empty() && !self.calls.are_several() {
            return Pin::new(self.io.get_mut()).poll_write_vectored(cx, slices);
        }
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        self.more_to_come = is_frame_by_itself;
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.more_to_come) {
            return Poll::Ready(Ok(()));
        }
        if self.may_have_company() {
            self.turns += 1;
            self.had = self.io.buffer().len();
            let _woken_soon = pin!(yield_now()).poll(cx);
            return Poll::Pending;
        }
        (self.turns, self.had) = (0, 0);
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx) // which flushes
    }
}

impl<IO: AsyncWrite + Connected> Connected for Joined<IO> {
    type ConnectInfo = IO::ConnectInfo;

    fn connect_info(&self) -> IO::ConnectInfo {
        self.io.get_ref().connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::Arc;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::Semaphore,
    };

    /// So many run.
    fn calls(many: u32) -> Running {
        let calls = Arc::new(Semaphore::new(8));
        let running = Running::of(&calls);
        calls.try_acquire_many(many).expect("are free").forget();
        running
    }

    async fn frame_by_itself(io: &mut Joined<tokio_test::io::Mock>, parts: [&[u8]; 2]) {
        let slices = parts.map(IoSlice::new);
        let written =
            poll_fn(|cx| Pin::new(&mut *io).poll_write_vectored(cx, &slices)).await.expect("writes");
        assert_eq!(written, parts.concat().len());
        io.flush().await.expect("flushes");
    }

    #[tokio::test]
    async fn an_answer_and_its_trailers_are_one_write() {
        let mut io =
            Joined::new(tokio_test::io::Builder::new().write(b"head, answer, trailers").build(), calls(1));
        frame_by_itself(&mut io, [b"head, ", b"answer"]).await;
        io.write_all(b", trailers").await.expect("writes");
        io.flush().await.expect("flushes");
    }

    #[tokio::test]
    async fn what_has_nothing_after_it_leaves_with_the_next_flush() {
        let mut io = Joined::new(tokio_test::io::Builder::new().write(b"head, answer").build(), calls(1));
        frame_by_itself(&mut io, [b"head, ", b"answer"]).await;
        io.flush().await.expect("flushes");
        assert!(io.io.buffer().is_empty());
    }

    #[tokio::test]
    async fn what_was_passed_over_does_not_wait_for_the_caller() {
        let script = tokio_test::io::Builder::new().write(b"head, answer").read(b"next").build();
        let mut io = Joined::new(script, calls(1));
        frame_by_itself(&mut io, [b"head, ", b"answer"]).await;
        let mut next = [0; 4];
        io.read_exact(&mut next).await.expect("reads");
        assert!(io.io.buffer().is_empty());
    }

    #[tokio::test]
    async fn small_writes_go_straight_through() {
        let mut io = Joined::new(tokio_test::io::Builder::new().write(b"event").build(), calls(1));
        io.write_all(b"event").await.expect("writes"); // a mock that was not written to panics as it is dropped
        assert!(io.io.buffer().is_empty());
    }

    #[tokio::test]
    async fn the_last_words_are_written_before_the_end() {
        let mut io = Joined::new(tokio_test::io::Builder::new().write(b"good bye").build(), calls(1));
        frame_by_itself(&mut io, [b"good ", b"bye"]).await;
        io.shutdown().await.expect("shuts down");
    }

    async fn flushed_at_once(io: &mut Joined<tokio_test::io::Mock>) -> bool {
        poll_fn(|cx| Poll::Ready(Pin::new(&mut *io).poll_flush(cx))).await.is_ready()
    }

    #[tokio::test]
    async fn of_several_calls_a_write_waits_as_long_as_each_turn_brings_company() {
        let script = tokio_test::io::Builder::new().write(b"one event, another, and a third").build();
        let mut io = Joined::new(script, calls(2));
        for event in [&b"one event, "[..], b"another, ", b"and a third"] {
            io.write_all(event).await.expect("writes");
            assert!(!flushed_at_once(&mut io).await);
        }
        assert!(flushed_at_once(&mut io).await);
        assert!(io.io.buffer().is_empty());
    }

    #[tokio::test]
    async fn company_without_end_is_not_waited_for() {
        let script = tokio_test::io::Builder::new().write(&[b'.'; 9]).write(b"next").build();
        let mut io = Joined::new(script, calls(2));
        for _ in 0..8 {
            io.write_all(b".").await.expect("writes");
            assert!(!flushed_at_once(&mut io).await);
        }
        io.write_all(b".").await.expect("writes");
        assert!(flushed_at_once(&mut io).await);
        io.write_all(b"next").await.expect("writes");
        assert!(!flushed_at_once(&mut io).await); // the next waits as the first did
        io.flush().await.expect("flushes");
    }

    #[tokio::test]
    async fn a_write_that_gets_no_company_leaves_all_the_same() {
        let mut io = Joined::new(tokio_test::io::Builder::new().write(b"event").build(), calls(2));
        io.write_all(b"event").await.expect("writes");
        io.flush().await.expect("is woken");
        assert!(io.io.buffer().is_empty());
    }
}
