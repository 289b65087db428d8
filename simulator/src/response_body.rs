//! An answer as it happens: frames, waits, silences and cuts, one at a time as the body is polled.
//!
//! Nothing runs ahead of the reader. A caller who hangs up drops the body, and with it this script and its log entry,
//! which then says "hung up".

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use crate::call_log::Entry;

/// What every answer's body is.
pub(crate) type Body = UnsyncBoxBody<Bytes, Cut>;

/// The socket is closed in mid-answer, on purpose.
#[derive(Debug)]
pub(crate) struct Cut;

/// One step of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Wait(Duration),
    /// A whole event.
    Event(Bytes),
    /// Bytes that are no whole event.
    Bytes(Bytes),
    /// Silence for ever.
    Silence,
    /// The socket closes.
    Cut,
}

/// Plays the steps; the entry is finished with the last of them.
pub(crate) fn play(steps: Vec<Step>, entry: Entry) -> Body {
    let script = (VecDeque::from(steps), entry);
    let frames = stream::unfold(script, |(mut steps, mut entry)| async move {
        let bytes = next(&mut steps, &mut entry).await?;
        Some((bytes.map(Frame::data), (steps, entry)))
    });
    StreamBody::new(frames).boxed_unsync()
}

async fn next(steps: &mut VecDeque<Step>, entry: &mut Entry) -> Option<Result<Bytes, Cut>> {
    loop {
        match steps.pop_front()? {
            Step::Wait(time) if time.is_zero() => {}
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Silence => std::future::pending().await,
            Step::Event(bytes) => {
                entry.event_sent();
                return Some(finish(bytes, steps, entry));
            }
            Step::Bytes(bytes) => return Some(finish(bytes, steps, entry)),
            Step::Cut => {
                entry.finish();
                // Long enough for what was sent before to leave hyper's buffer.
                tokio::time::sleep(Duration::from_millis(5)).await;
                return Some(Err(Cut));
            }
        }
    }
}

/// A body with a known length is never polled after its last byte, so that byte finishes the entry.
fn finish(bytes: Bytes, steps: &VecDeque<Step>, entry: &mut Entry) -> Result<Bytes, Cut> {
    if steps.is_empty() {
        entry.finish();
    }
    Ok(bytes)
}

impl std::fmt::Display for Cut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the socket was cut on purpose")
    }
}

impl std::error::Error for Cut {}
