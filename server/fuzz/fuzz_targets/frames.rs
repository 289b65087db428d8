//! Bytes that come from a connection, in pieces of any size: no panic, and pieces make no difference.
#![no_main]

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use libfuzzer_sys::fuzz_target;
use switchboard_server::{
    bedrock::codec::Frames,
    failure::Failure,
    model::ModelEvent,
};

/// What a frame may be called. A fuzzer would not guess the checksum that comes with it.
const NAMES: [(&str, &str, &str); 10] = [
    ("event", ":event-type", "messageStart"),
    ("event", ":event-type", "contentBlockStart"),
    ("event", ":event-type", "contentBlockDelta"),
    ("event", ":event-type", "contentBlockStop"),
    ("event", ":event-type", "messageStop"),
    ("event", ":event-type", "metadata"),
    ("event", ":event-type", "somethingNew"),
    ("exception", ":exception-type", "throttlingException"),
    ("error", ":error-code", "InternalError"),
    ("", ":event-type", "messageStart"),
];

// The first byte chooses: the rest is the stream as it is, or each of its lines is the payload of a frame whose name the
// line's first byte chooses. The second byte is the size of the pieces.
fuzz_target!(|input: &[u8]| {
    let [choice, size, rest @ ..] = input else { return };
    let stream = if choice % 2 == 0 { rest.to_vec() } else { framed(rest) };
    let whole = read(std::iter::once(stream.as_slice()));
    assert_eq!(read(stream.chunks(usize::from(*size).max(1))), whole);
    assert_eq!(read(stream.chunks(1)), whole);
});

fn framed(lines: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let [choice, payload @ ..] = line else { continue };
        let (message_type, header, name) = NAMES[usize::from(*choice) % NAMES.len()];
        let text = |text: &'static str| HeaderValue::String(text.into());
        let frame = Message::new(payload.to_vec())
            .add_header(Header::new(":message-type", text(message_type)))
            .add_header(Header::new(header, text(name)));
        write_message_to(&frame, &mut stream).expect("fits into a frame");
    }
    stream
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<ModelEvent>, Option<Failure>, bool) {
    let (mut frames, mut events, mut gaps) = (Frames::default(), Vec::new(), Vec::new());
    for piece in pieces {
        frames.push(piece);
        loop {
            match frames.next(&mut gaps) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(failure) => return (events, Some(failure), false),
            }
        }
    }
    (events, None, frames.is_between_frames())
}
