//! Calls over HTTP/2 without a gRPC library, which would always read the response: for tests of slow
//! consumers.
use crate::harness::ReceivedStream;
use bytes::{Buf as _, Bytes};
use prost::Message as _;
use std::time::Duration;
use switchboard_proto::v1 as pb;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};
use tonic::{Code, Status};

/// The response of one call.
#[derive(Debug)]
pub(crate) struct RawCall {
    body: h2::RecvStream,
    received: Vec<u8>,
}

impl RawCall {
    /// Starts a call on `connection`, whose streams have the given flow-control window in bytes.
    pub(crate) async fn start(
        connection: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        window: u32,
        method: &str,
        request: &pb::ConverseRequest,
        timeout: Option<&'static str>,
    ) -> Self {
        let mut builder = h2::client::Builder::new();
        let connected = builder.initial_window_size(window).handshake::<_, Bytes>(connection).await;
        let (mut calls, connection) = connected.expect("connects");
        tokio::spawn(async move { drop(connection.await) }); // also answers pings
        let mut head =
            http::Request::post(format!("http://switchboard.test/switchboard.v1.ConverseService/{method}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers");
        if let Some(timeout) = timeout {
            head = head.header("grpc-timeout", timeout);
        }
        let message = request.encode_to_vec();
        let mut body = vec![0];
        body.extend(u32::try_from(message.len()).expect("fits").to_be_bytes());
        body.extend(message);
        let (response, mut sent) =
            calls.send_request(head.body(()).expect("is valid"), false).expect("is sent");
        sent.send_data(body.into(), true).expect("is sent");
        let response = response.await.expect("begins");
        Self { body: response.into_body(), received: Vec::new() }
    }

    /// Reads the rest without delay.
    pub(crate) async fn read_all(self) -> (Vec<Bytes>, Status) {
        self.read_slowly(f64::INFINITY).await
    }

    /// Reads the rest at `rate` bytes per second.
    pub(crate) async fn read_slowly(mut self, rate: f64) -> (Vec<Bytes>, Status) {
        while let Some(chunk) = self.body.data().await {
            let chunk = chunk.expect("continues");
            self.received.extend_from_slice(&chunk);
            let length = u32::try_from(chunk.len()).expect("fits");
            sleep(Duration::from_secs_f64(f64::from(length) / rate)).await;
            self.body.flow_control().release_capacity(chunk.len()).expect("was received");
        }
        let trailers = self.body.trailers().await.expect("ends").expect("has trailers");
        let status = Status::from_header_map(&trailers).expect("has a status");
        (messages(self.received.into()), status)
    }
}

/// The messages that arrived completely.
fn messages(mut received: Bytes) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while received.len() >= 5 {
        let length = received.slice(1..5).get_u32() as usize;
        if received.len() < 5 + length {
            break;
        }
        messages.push(received.slice(5..5 + length));
        received.advance(5 + length);
    }
    messages
}

/// Decodes messages as the events of a stream.
pub(crate) fn received_stream(messages: &[Bytes], status: Status) -> ReceivedStream {
    let event = |message: &Bytes| {
        pb::ConverseStreamResponse::decode(message.clone()).expect("is an event").event.expect("is known")
    };
    let status = Some(status).filter(|status| status.code() != Code::Ok);
    ReceivedStream { events: messages.iter().map(event).collect(), status }
}
