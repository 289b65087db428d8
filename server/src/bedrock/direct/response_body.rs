//! Body of a response, which drives the connection that it is read from.
use super::{connection::Connection, idle::IdleConnections, in_use::InUseGuard};
use crate::bedrock::transport::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Body of a response. At its end the connection becomes idle. Dropping the body before its end closes the
/// connection.
#[derive(Debug)]
pub(super) struct ResponseBody {
    body: Incoming,
    /// Absent: the body has ended, or the connection is closed.
    connection: Option<Box<Connection>>,
    idle: Arc<IdleConnections>,
    /// Absent: the body has ended, or the connection does not count as in use.
    in_use: Option<InUseGuard>,
}

// === impl ResponseBody ===

impl ResponseBody {
    /// Gives `connection` to `idle` at the end of the body, and drops `in_use`.
    pub(super) fn new(
        body: Incoming,
        connection: Box<Connection>,
        idle: Arc<IdleConnections>,
        in_use: Option<InUseGuard>,
    ) -> Self {
        Self { body, connection: Some(connection), idle, in_use }
    }

    fn release(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle.put(connection);
        }
        self.in_use = None;
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut is_driven = false;
        loop {
            if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
                if frame.is_none() || self.body.is_end_stream() {
                    self.release();
                }
                return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
            }
            if std::mem::replace(&mut is_driven, true) {
                return Poll::Pending;
            }
            if self.connection.as_mut().is_some_and(|connection| !connection.drive(cx)) {
                self.connection = None;
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
