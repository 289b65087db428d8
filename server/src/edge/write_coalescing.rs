//! Write coalescing: a response and its trailers leave in one packet.
//!
//! The HTTP/2 library writes a DATA frame of 256 bytes or more by itself, with a vectored write from where
//! its payload lies, and flushes. The trailers, which say that the response is whole, would follow in a
//! system call and a packet of their own and wake the caller a second time. Here such a frame is buffered and
//! the flush after it is skipped: the library flushes once more when it has nothing left to write, at the end
//! of the same poll.
//!
//! Nothing waits for anything: what the library has ready in one poll leaves at its end.
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};
use tonic::transport::server::Connected;

/// Most bytes that a connection buffers. Larger writes go out from where they lie.
const MAX_BUFFERED: usize = 8 << 10;

/// A caller's connection.
#[derive(Debug)]
pub(crate) struct CoalescingIo<IO> {
    io: BufWriter<IO>,
    /// A frame was written by itself, so another flush will follow.
    skip_next_flush: bool,
}

// === impl CoalescingIo ===

impl<IO: AsyncWrite> CoalescingIo<IO> {
    pub(crate) fn new(io: IO) -> Self {
        Self { io: BufWriter::with_capacity(MAX_BUFFERED, io), skip_next_flush: false }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for CoalescingIo<IO> {
    /// Flushes first: nothing that is buffered may wait for the caller to send something.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.io.buffer().is_empty() {
            self.skip_next_flush = false;
            if let Poll::Ready(Err(error)) = Pin::new(&mut self.io).poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Pin::new(self.io.get_mut()).poll_read(cx, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for CoalescingIo<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.as_mut().poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let is_lone_frame = slices.len() > 1;
        if !is_lone_frame && self.io.buffer().is_empty() {
            return Pin::new(self.io.get_mut()).poll_write_vectored(cx, slices);
        }
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        self.skip_next_flush = is_lone_frame;
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.skip_next_flush) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx) // which flushes
    }
}

impl<IO: AsyncWrite + Connected> Connected for CoalescingIo<IO> {
    type ConnectInfo = IO::ConnectInfo;

    fn connect_info(&self) -> IO::ConnectInfo {
        self.io.get_ref().connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_test::io::{Builder, Mock};

    async fn write_lone_frame(io: &mut CoalescingIo<Mock>, parts: [&[u8]; 2]) {
        let slices = parts.map(IoSlice::new);
        let written =
            poll_fn(|cx| Pin::new(&mut *io).poll_write_vectored(cx, &slices)).await.expect("writes");
        assert_eq!(written, parts.concat().len());
        io.flush().await.expect("flushes");
    }

    #[tokio::test]
    async fn a_response_and_its_trailers_are_one_write() {
        let mut io = CoalescingIo::new(Builder::new().write(b"head, answer, trailers").build());
        write_lone_frame(&mut io, [b"head, ", b"answer"]).await;
        io.write_all(b", trailers").await.expect("writes");
        io.flush().await.expect("flushes");
    }

    #[tokio::test]
    async fn a_frame_without_a_successor_leaves_with_the_next_flush() {
        let mut io = CoalescingIo::new(Builder::new().write(b"head, answer").build());
        write_lone_frame(&mut io, [b"head, ", b"answer"]).await;
        io.flush().await.expect("flushes");
        assert!(io.io.buffer().is_empty());
    }

    #[tokio::test]
    async fn a_skipped_flush_does_not_wait_for_the_caller() {
        let script = Builder::new().write(b"head, answer").read(b"next").build();
        let mut io = CoalescingIo::new(script);
        write_lone_frame(&mut io, [b"head, ", b"answer"]).await;
        let mut next = [0; 4];
        io.read_exact(&mut next).await.expect("reads");
        assert!(io.io.buffer().is_empty());
    }

    #[tokio::test]
    async fn small_writes_pass_straight_through() {
        let mut io = CoalescingIo::new(Builder::new().write(b"event").build());
        io.write_all(b"event").await.expect("writes"); // a mock that was not written to panics when it is dropped
        assert!(io.io.buffer().is_empty());
    }

    #[tokio::test]
    async fn buffered_bytes_are_written_at_shutdown() {
        let mut io = CoalescingIo::new(Builder::new().write(b"good bye").build());
        write_lone_frame(&mut io, [b"good ", b"bye"]).await;
        io.shutdown().await.expect("shuts down");
    }
}
