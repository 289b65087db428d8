//! Answers that are read by hand: a gRPC library always reads, so who would rather not speaks HTTP/2 by itself.
use crate::harness::Heard;
use bytes::{Buf as _, Bytes};
use prost::Message as _;
use std::time::Duration;
use switchboard_proto::v1 as pb;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};
use tonic::{Code, Status};

/// One answer.
#[derive(Debug)]
pub(crate) struct ByHand {
    body: h2::RecvStream,
    received: Vec<u8>,
}

impl ByHand {
    /// Asks over a connection of its own, on which every answer has this window.
    pub(crate) async fn ask(
        connection: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        window: u32,
        method: &str,
        request: &pb::ConverseRequest,
        timeout: Option<&'static str>,
    ) -> Self {
        let mut builder = h2::client::Builder::new();
        let made = builder.initial_window_size(window).handshake::<_, Bytes>(connection).await;
        let (mut calls, connection) = made.expect("connects");
        tokio::spawn(async move { drop(connection.await) }); // and answers pings
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

    /// Reads on, as fast as it comes.
    pub(crate) async fn read_on(self) -> (Vec<Bytes>, Status) {
        self.read_slowly(f64::INFINITY).await
    }

    /// Reads on, so many bytes a second.
    pub(crate) async fn read_slowly(mut self, rate: f64) -> (Vec<Bytes>, Status) {
        while let Some(piece) = self.body.data().await {
            let piece = piece.expect("goes on");
            self.received.extend_from_slice(&piece);
            let length = u32::try_from(piece.len()).expect("fits");
            sleep(Duration::from_secs_f64(f64::from(length) / rate)).await;
            self.body.flow_control().release_capacity(piece.len()).expect("was received");
        }
        let trailers = self.body.trailers().await.expect("ends").expect("has trailers");
        let status = Status::from_header_map(&trailers).expect("has a status");
        (messages(self.received.into()), status)
    }
}

/// The messages that arrived whole.
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

/// These messages, as the events of a stream.
pub(crate) fn heard(messages: &[Bytes], status: Status) -> Heard {
    let event = |message: &Bytes| {
        pb::ConverseStreamResponse::decode(message.clone()).expect("is an event").event.expect("is known")
    };
    let status = Some(status).filter(|status| status.code() != Code::Ok);
    Heard { events: messages.iter().map(event).collect(), status }
}
