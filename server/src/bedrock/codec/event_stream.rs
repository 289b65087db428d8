//! Decoder of an event stream: bytes to frames, frames to events or exceptions, JSON to messages.
use super::{
    decode::{self, UnknownMember},
    frame::Frame,
    schema::{Kind, MessageTable, SCHEMA},
};
use crate::{
    bedrock::error_body::ErrorBody,
    failure::{Exception, Failure, FailureKind},
    model::{ModelEvent, stop_reason},
};
use bytes::{Buf as _, BytesMut};
use prost::Message as _;
use std::sync::LazyLock;
use switchboard_proto::v1 as pb;

/// Table of the events, looked up once instead of for each event.
static EVENTS: LazyLock<&MessageTable> = LazyLock::new(|| SCHEMA.table(SCHEMA.id("ConverseStreamResponse")));

/// Decodes the events of a stream whose bytes arrive in chunks of any size.
#[derive(Debug, Default)]
pub struct EventStreamDecoder {
    /// Bytes that belong to no decoded frame yet.
    buffer: BytesMut,
    /// Protobuf form of the last event. Kept for its capacity.
    wire: Vec<u8>,
}

// === impl EventStreamDecoder ===

impl EventStreamDecoder {
    /// Appends the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// True if no frame is incomplete, so that the stream may end here.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Decodes the next event. `None`: its frame is incomplete. Members that the contract does not have are
    /// appended to `unknown`.
    ///
    /// # Errors
    /// For an exception, a malformed frame, and JSON that does not match its event. The rest of the stream
    /// must then be ignored.
    pub fn next(&mut self, unknown: &mut Vec<UnknownMember>) -> Result<Option<ModelEvent>, Failure> {
        let Self { buffer, wire } = self;
        let frame = Frame::parse(buffer).map_err(|error| protocol(error.to_string()))?;
        let Some(frame) = frame else { return Ok(None) };
        let (length, event) = (frame.length, event(&frame, wire, unknown));
        buffer.advance(length);
        event.map(Some)
    }
}

fn event(
    frame: &Frame<'_>,
    wire: &mut Vec<u8>,
    unknown: &mut Vec<UnknownMember>,
) -> Result<ModelEvent, Failure> {
    match frame.header(":message-type") {
        "event" => decode(frame.header(":event-type"), frame.payload, wire, unknown),
        "exception" => Err(exception(frame.header(":exception-type"), frame.payload)),
        "error" => Err(error_frame(frame)),
        other => Err(protocol(format!("a frame of the unknown type {other:?}"))),
    }
}

fn decode(
    event_type: &str,
    payload: &[u8],
    wire: &mut Vec<u8>,
    unknown: &mut Vec<UnknownMember>,
) -> Result<ModelEvent, Failure> {
    let known =
        EVENTS.by_member(event_type).filter(|field| !SWITCHBOARD_EVENTS.contains(&field.member.as_str()));
    let Some((number, Kind::Message(id))) = known.map(|field| (field.number, field.kind)) else {
        return Ok(unknown_event(event_type, payload));
    };
    wire.clear();
    decode::delimited(number, wire, |wire| decode::wire_form(id, payload, wire, unknown))
        .map_err(|error| protocol(format!("{event_type}: {error}")))?;
    let reply = pb::ConverseStreamResponse::decode(wire.as_slice())
        .map_err(|error| protocol(format!("{event_type}: {error}")))?;
    let event = reply.event.ok_or_else(|| protocol(format!("{event_type}: no event")))?;
    Ok(with_stop_reason(event))
}

/// Events of the contract that Switchboard adds. Bedrock never sends them.
const SWITCHBOARD_EVENTS: [&str; 3] = ["route", "restart", "unknown"];

fn unknown_event(event_type: &str, payload: &[u8]) -> ModelEvent {
    let json = String::from_utf8_lossy(payload).into_owned();
    ModelEvent::Unknown(pb::UnknownEvent { event_type: event_type.to_owned(), json })
}

fn with_stop_reason(mut event: ModelEvent) -> ModelEvent {
    if let ModelEvent::MessageStop(stop) = &mut event {
        stop.stop_reason = stop_reason(&stop.raw_stop_reason).into();
    }
    event
}

fn exception(name: &str, payload: &[u8]) -> Failure {
    let body = ErrorBody::parse(payload);
    let exception =
        Exception { name, status: None, message: &body.message, original_status: body.original_status_code };
    Failure::new(exception.kind(), format!("{name}: {}", body.message))
}

/// Decodes a frame of type "error". Bedrock's service model has none, but the protocol allows it: one header
/// holds the name, another the message.
fn error_frame(frame: &Frame<'_>) -> Failure {
    let (name, message) = (frame.header(":error-code"), frame.header(":error-message"));
    let exception = Exception { name, message, ..Exception::default() };
    Failure::new(exception.kind(), format!("{name}: {message}"))
}

fn protocol(message: String) -> Failure {
    Failure::new(FailureKind::Protocol, message)
}
