//! A stream's bytes as the model's events: frames, then exceptions told apart from events, then JSON.
use super::{
    decode::{self, Gap},
    frame::Frame,
    schema::{Kind, SCHEMA, Shape},
};
use crate::{
    bedrock::ErrorBody,
    failure::{Exception, Failure, FailureKind},
    model::{ModelEvent, stop_reason},
};
use bytes::{Buf as _, BytesMut};
use prost::Message as _;
use std::sync::LazyLock;
use switchboard_proto::v1 as pb;

/// The events, looked up once and not for each of them.
static EVENTS: LazyLock<&Shape> = LazyLock::new(|| SCHEMA.shape(SCHEMA.named("ConverseStreamResponse")));

/// Takes bytes as they come and gives events as they are complete.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
    wire: Vec<u8>,
}

impl Frames {
    /// Takes more bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// True: the stream may end here.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next event, if it is there as a whole.
    ///
    /// # Errors
    /// For an exception, a frame that cannot be read and JSON that is no event; nothing after it means anything.
    pub fn next(&mut self, gaps: &mut Vec<Gap>) -> Result<Option<ModelEvent>, Failure> {
        let Self { buffer, wire } = self;
        let frame = Frame::first(buffer).map_err(|broken| protocol(broken.to_string()))?;
        let Some(frame) = frame else { return Ok(None) };
        let (length, event) = (frame.length, event(&frame, wire, gaps));
        buffer.advance(length);
        event.map(Some)
    }
}

fn event(frame: &Frame<'_>, wire: &mut Vec<u8>, gaps: &mut Vec<Gap>) -> Result<ModelEvent, Failure> {
    match frame.header(":message-type") {
        "event" => decode(frame.header(":event-type"), frame.payload, wire, gaps),
        "exception" => Err(exception(frame.header(":exception-type"), frame.payload)),
        "error" => Err(error_frame(frame)),
        other => Err(protocol(format!("a frame of the unknown type {other:?}"))),
    }
}

fn decode(
    event_type: &str,
    payload: &[u8],
    wire: &mut Vec<u8>,
    gaps: &mut Vec<Gap>,
) -> Result<ModelEvent, Failure> {
    let known = EVENTS.by_member(event_type).filter(|field| !OUR_EVENTS.contains(&field.member.as_str()));
    let Some((number, Kind::Message(shape))) = known.map(|field| (field.number, field.kind)) else {
        return Ok(unknown(event_type, payload));
    };
    wire.clear();
    decode::delimited(number, wire, |wire| decode::wire_form(shape, payload, wire, gaps))
        .map_err(|error| protocol(format!("{event_type}: {error}")))?;
    let reply = pb::ConverseStreamResponse::decode(wire.as_slice())
        .map_err(|error| protocol(format!("{event_type}: {error}")))?;
    let event = reply.event.ok_or_else(|| protocol(format!("{event_type}: no event")))?;
    Ok(with_stop_reason(event))
}

/// Events of the contract's that Bedrock never sends.
const OUR_EVENTS: [&str; 3] = ["route", "restart", "unknown"];

fn unknown(event_type: &str, payload: &[u8]) -> ModelEvent {
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
    let body = ErrorBody::read(payload);
    let exception =
        Exception { name, status: None, message: &body.message, original_status: body.original_status_code };
    Failure::new(exception.kind(), format!("{name}: {}", body.message))
}

/// Not modelled by the service, but the protocol allows it: the name is in one header, the words in another.
fn error_frame(frame: &Frame<'_>) -> Failure {
    let (name, message) = (frame.header(":error-code"), frame.header(":error-message"));
    let exception = Exception { name, message, ..Exception::default() };
    Failure::new(exception.kind(), format!("{name}: {message}"))
}

fn protocol(message: String) -> Failure {
    Failure::new(FailureKind::Protocol, message)
}
