//! An HTTP/1.1 connection that has no task of its own.
//!
//! Usually a client spawns a task for each connection, which hands a response over chunk by chunk. Every
//! chunk costs two task switches, and the chunk before it is sent to the caller alone, in a system call of
//! its own. Here the task that waits for the response also drives the connection. Data that arrives together
//! is read together and sent to the caller together, which cuts the cost of an event to a third.
//!
//! Nothing polls an idle connection, so a close by the server is noticed when the connection is taken for the
//! next call. The server may still close it after that check, as with any client. The request was not sent
//! then and is repeated on another connection.
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, SendRequest},
    },
};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use std::{
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};
use tokio::net::TcpStream;

/// TCP with or without TLS.
pub(super) type Socket = MaybeHttpsStream<TokioIo<TcpStream>>;

/// One connection. Dropping it closes the socket.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Reads and writes the socket when it is polled. Absent: the connection is closed.
    driver: Option<http1::Connection<Socket, Full<Bytes>>>,
}

// === impl Connection ===

impl Connection {
    /// Prepares HTTP/1.1 on an open socket. Boxed, because it is large and moves between lists and bodies.
    pub(super) async fn new(socket: Socket) -> hyper::Result<Box<Self>> {
        let (sender, driver) = http1::Builder::new().handshake(socket).await?;
        Ok(Box::new(Self { sender, driver: Some(driver) }))
    }

    /// Sends a request and waits for the head of its response. The error holds the request if none of it was
    /// sent.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let Self { sender, driver } = self;
        let mut sending = pin!(sender.try_send_request(request));
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(response) = sending.as_mut().poll(cx) {
                    return Poll::Ready(response);
                }
                let Some(open) = driver else { return Poll::Pending };
                match Pin::new(open).poll(cx) {
                    Poll::Pending => return sending.as_mut().poll(cx),
                    // `sending` gets the error only after the driver was dropped.
                    Poll::Ready(_) => *driver = None,
                }
            }
        })
        .await
    }

    /// Reads and writes as much as possible without waiting. False: the connection is closed.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(driver) = &mut self.driver
            && Pin::new(driver).poll(cx).is_ready()
        {
            self.driver = None;
        }
        self.driver.is_some()
    }

    /// True if the connection is open and can carry a request. No task is woken when that changes.
    pub(super) fn is_ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop())) && self.sender.is_ready()
    }
}
