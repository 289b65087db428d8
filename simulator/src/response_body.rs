//! The body of a response, generated as it is polled: frames, waits, stalls and closed connections.
//!
//! One step runs per poll, so that generation never runs ahead of a slow consumer. A caller that disconnects
//! drops the body with its remaining steps and its log entry, which then records the disconnect.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use crate::call_log::CallLogEntry;

/// Delay before a connection is closed on purpose, in which hyper writes out what was sent before.
const FLUSH_DELAY: Duration = Duration::from_millis(5);

/// The body type of every response.
pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, ConnectionClosed>;

/// Body error that makes hyper close the socket in the middle of a response.
#[derive(Debug)]
pub(crate) struct ConnectionClosed;

/// One step of a response.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Wait(Duration),
    /// A complete event.
    Event(Bytes),
    /// Bytes that are not a complete event.
    Bytes(Bytes),
    /// Sends nothing more and keeps the connection open.
    Stall,
    /// Closes the socket.
    CloseConnection,
}

/// Returns a body that runs the steps. The log entry is finished with the last step.
pub(crate) fn new(steps: Vec<Step>, entry: CallLogEntry) -> ResponseBody {
    let state = (VecDeque::from(steps), entry);
    let frames = stream::unfold(state, |(mut steps, mut entry)| async move {
        let bytes = next_bytes(&mut steps, &mut entry).await?;
        Some((bytes.map(Frame::data), (steps, entry)))
    });
    StreamBody::new(frames).boxed_unsync()
}

async fn next_bytes(
    steps: &mut VecDeque<Step>,
    entry: &mut CallLogEntry,
) -> Option<Result<Bytes, ConnectionClosed>> {
    loop {
        match steps.pop_front()? {
            Step::Wait(duration) if duration.is_zero() => {}
            Step::Wait(duration) => tokio::time::sleep(duration).await,
            Step::Stall => std::future::pending().await,
            Step::Event(bytes) => {
                entry.add_event();
                return Some(finish_if_last(bytes, steps, entry));
            }
            Step::Bytes(bytes) => return Some(finish_if_last(bytes, steps, entry)),
            Step::CloseConnection => {
                entry.finish();
                tokio::time::sleep(FLUSH_DELAY).await;
                return Some(Err(ConnectionClosed));
            }
        }
    }
}

/// Finishes the entry with the last bytes, because hyper does not poll a body of known length after its last
/// byte.
fn finish_if_last(
    bytes: Bytes,
    steps: &VecDeque<Step>,
    entry: &mut CallLogEntry,
) -> Result<Bytes, ConnectionClosed> {
    if steps.is_empty() {
        entry.finish();
    }
    Ok(bytes)
}

impl std::fmt::Display for ConnectionClosed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the connection was closed by an injected fault")
    }
}

impl std::error::Error for ConnectionClosed {}
