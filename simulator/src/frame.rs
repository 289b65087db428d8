//! Frames of the AWS event-stream encoding: headers, payload and two checksums.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use serde_json::Value;

/// Alphabet of the padding member `p`, with which the service hides the length of a delta from network
/// observers.
const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Returns an event frame with padding, as the service sends it.
pub(crate) fn event(event_type: &str, mut payload: Value, random: &mut fastrand::Rng) -> Bytes {
    payload["p"] = Value::String(PADDING[..random.usize(2..=PADDING.len())].to_owned());
    let headers =
        [(":event-type", event_type), (":content-type", "application/json"), (":message-type", "event")];
    encode(&headers, payload.to_string())
}

/// Returns an exception frame. The name need not be in the service model.
pub(crate) fn exception(name: &str, payload: &Value) -> Bytes {
    let headers =
        [(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")];
    encode(&headers, payload.to_string())
}

/// Returns a frame with an unmodelled error, which has headers only.
pub(crate) fn error(code: &str, message: &str) -> Bytes {
    encode(&[(":message-type", "error"), (":error-code", code), (":error-message", message)], String::new())
}

/// Returns the frame with an invalid message checksum.
pub(crate) fn with_bad_crc(frame: &Bytes) -> Bytes {
    let mut bytes = frame.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 0xff;
    }
    bytes.into()
}

fn encode(headers: &[(&str, &str)], payload: String) -> Bytes {
    let header = |(name, value): &(&str, &str)| {
        Header::new((*name).to_owned(), HeaderValue::String((*value).to_owned().into()))
    };
    let message = Message::new_from_parts(headers.iter().map(header).collect(), payload.into_bytes());
    let mut frame = Vec::new();
    // Fails only for a header longer than 32 KiB. Such a frame is left out.
    if write_message_to(&message, &mut frame).is_err() {
        frame.clear();
    }
    frame.into()
}
