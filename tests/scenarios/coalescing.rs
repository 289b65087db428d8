//! Write coalescing over a real socket: a unary answer leaves in one write, and no content of a stream waits
//! for the next.
use crate::harness::*;
use futures_util::TryStreamExt as _;
use std::{
    collections::BTreeSet,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};
use switchboard_proto::v1::{
    content_block_delta::Delta, converse_service_client::ConverseServiceClient,
    converse_stream_response::Event,
};
use switchboard_server::{Parts, catalogue::Catalogue, serve, telemetry::Telemetry};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, server::Connected};

/// Far longer than a call takes here. It only ends a test that would hang.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

/// A server on TCP whose write calls are recorded, and its caller.
struct Recorded {
    caller: ConverseServiceClient<Channel>,
    writes: Writes,
    server: JoinHandle<()>,
}

/// The bytes of each write call on a socket, in order.
#[derive(Clone, Debug, Default)]
struct Writes(Arc<Mutex<Vec<Vec<u8>>>>);

/// An accepted connection, below everything that Switchboard and HTTP/2 do.
struct RecordedIo {
    io: TcpStream,
    writes: Writes,
}

/// A frame of HTTP/2.
#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    /// Positions of the write calls with its first and its last byte.
    writes: [usize; 2],
}

// === impl Recorded ===

impl Recorded {
    /// Serves the scenario on one thread, so that the order of its tasks is fixed.
    async fn serving(scenario: Scenario) -> Self {
        let (config, models) = scenario.into_parts();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("has an address");
        let writes = Writes::default();
        let recorder = writes.clone();
        let incoming =
            TcpListenerStream::new(listener).map_ok(move |io| RecordedIo { io, writes: recorder.clone() });
        let server = tokio::spawn(async move {
            let telemetry = Telemetry::default();
            let parts = Parts::fixed(&config, &Catalogue::built_in(), "us-east-1", models, &telemetry);
            serve(parts, incoming, std::future::pending()).await.expect("serves");
        });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("is an address");
        Self { caller: ConverseServiceClient::new(endpoint.connect_lazy()), writes, server }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.server.abort();
    }
}

// === impl Writes ===

impl Writes {
    fn all(&self) -> Vec<Vec<u8>> {
        self.0.lock().expect("is not poisoned").clone()
    }

    fn record(&self, slices: &[io::IoSlice<'_>], written: usize) {
        let mut bytes = slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<_>>();
        bytes.truncate(written);
        self.0.lock().expect("is not poisoned").push(bytes);
    }

    /// The frames so far that belong to a call.
    fn frames_of_calls(&self) -> Vec<Frame> {
        let writes = self.all();
        let owners: Vec<usize> =
            writes.iter().enumerate().flat_map(|(number, write)| vec![number; write.len()]).collect();
        let bytes = writes.concat();
        let (mut frames, mut start) = (Vec::new(), 0);
        while let Some(head) = bytes.get(start..start + 9) {
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let end = start + 9 + length;
            assert!(end <= bytes.len(), "the last frame is complete");
            let frame =
                Frame { kind: head[3], flags: head[4], stream, writes: [owners[start], owners[end - 1]] };
            if matches!(frame.kind, DATA | HEADERS) {
                frames.push(frame);
            }
            start = end;
        }
        assert_eq!(start, bytes.len(), "the last frame is complete");
        frames
    }
}

// === impl RecordedIo ===

impl AsyncRead for RecordedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for RecordedIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        self.writes.record(slices, written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl Connected for RecordedIo {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

// === tests ===

#[tokio::test]
async fn a_unary_answer_and_its_trailers_are_one_write() {
    for length in [1, 300, 5000] {
        let answer = says(&"x".repeat(length));
        let scenario = Scenario::new().route("coding", ["one"]).model("one", answer);
        let mut recorded = Recorded::serving(scenario).await;
        for _ in 0..3 {
            recorded.caller.converse(chat_request("coding", "Go on.")).await.expect("answers");
        }
        let frames = recorded.writes.frames_of_calls();
        let streams: BTreeSet<u32> = frames.iter().map(|frame| frame.stream).collect();
        assert_eq!(streams.len(), 3, "{length}: {frames:?}");
        for stream in streams {
            let frames: Vec<_> = frames.iter().filter(|frame| frame.stream == stream).collect();
            let kinds: Vec<_> = frames.iter().map(|frame| (frame.kind, frame.flags & END_STREAM)).collect();
            assert_eq!(kinds, [(HEADERS, 0), (DATA, 0), (HEADERS, END_STREAM)], "{length}: {frames:?}");
            let writes: BTreeSet<usize> = frames.iter().flat_map(|frame| frame.writes).collect();
            assert_eq!(writes.len(), 1, "{length}: {frames:?}");
        }
    }
}

#[tokio::test]
async fn the_first_content_of_a_stream_is_written_before_the_model_sends_the_second() {
    for length in [1, 300, 5000, 20_000] {
        let (first, gate) = ("y".repeat(length), Gate::closed());
        let answer = says_in_two_parts(&first, &gate, "the rest");
        let scenario = Scenario::new().route("coding", ["one"]).model("one", answer);
        let mut recorded = Recorded::serving(scenario).await;
        let stream = recorded.caller.converse_stream(chat_request("coding", "Go on."));
        let stream = timeout(TEST_TIMEOUT, stream).await.expect("the headers are written");
        let mut stream = stream.expect("begins").into_inner();

        let first_delta = async {
            loop {
                let event = stream.message().await.expect("continues").and_then(|reply| reply.event);
                if let Event::ContentBlockDelta(delta) = event.expect("has content") {
                    break delta.delta.and_then(|delta| delta.delta);
                }
            }
        };
        let delta = timeout(TEST_TIMEOUT, first_delta).await.expect("the first content is written");

        assert!(delta == Some(Delta::Text(first.clone())), "{length}");
        gate.open();
        let rest = timeout(TEST_TIMEOUT, ReceivedStream::read_all(stream)).await.expect("ends");
        assert!(rest.status.is_none() && rest.metadata().is_some(), "{length}: {:?}", rest.status);
        assert_eq!(rest.text(), "the rest");
    }
}
