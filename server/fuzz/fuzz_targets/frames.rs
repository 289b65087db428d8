//! Bytes of an event stream: the decoder never panics, and the size of the chunks makes no difference.
#![no_main]

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use libfuzzer_sys::fuzz_target;
use switchboard_server::{bedrock::codec::EventStreamDecoder, failure::Failure, model::ModelEvent};

/// Headers of the frames that are built: message type, name of the second header, and its value. A fuzzer
/// would not guess the checksums of a frame.
const HEADERS: [(&str, &str, &str); 10] = [
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

// The first byte chooses the form of the input. If it is even, the rest is the stream itself. If it is odd,
// each line becomes a frame: its first byte chooses the headers, and the rest is the payload. The second byte
// is the size of the chunks.
fuzz_target!(|input: &[u8]| {
    let [choice, size, rest @ ..] = input else { return };
    let stream = if choice % 2 == 0 { rest.to_vec() } else { frames(rest) };
    let whole = read(std::iter::once(stream.as_slice()));
    assert_eq!(read(stream.chunks(usize::from(*size).max(1))), whole);
    assert_eq!(read(stream.chunks(1)), whole);
});

fn frames(lines: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let [choice, payload @ ..] = line else { continue };
        let (message_type, header, name) = HEADERS[usize::from(*choice) % HEADERS.len()];
        let text = |text: &'static str| HeaderValue::String(text.into());
        let frame = Message::new(payload.to_vec())
            .add_header(Header::new(":message-type", text(message_type)))
            .add_header(Header::new(header, text(name)));
        write_message_to(&frame, &mut stream).expect("fits into a frame");
    }
    stream
}

/// Decodes a stream that arrives in these chunks. Returns its events, the failure that ended it, and whether
/// it ended between two frames.
fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<ModelEvent>, Option<Failure>, bool) {
    let (mut decoder, mut events, mut unknown) = (EventStreamDecoder::default(), Vec::new(), Vec::new());
    for chunk in chunks {
        decoder.push(chunk);
        loop {
            match decoder.next(&mut unknown) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(failure) => return (events, Some(failure), false),
            }
        }
    }
    (events, None, decoder.is_between_frames())
}
