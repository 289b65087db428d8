//! Event streams: recorded, malformed and damaged ones, in chunks of every size.
use crate::recordings;
use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder, write_message_to};
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use serde_json::Value;
use std::{collections::BTreeMap, fs};
use switchboard_server::{
    bedrock::codec::EventStreamDecoder,
    failure::{Failure, FailureKind},
    model::ModelEvent,
};

/// The events of a stream, and how it ended.
#[derive(Debug, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) events: Vec<ModelEvent>,
    /// Absent: the stream ended between two frames.
    pub(crate) end: Option<Failure>,
}

/// Decodes a stream that arrives in these chunks, as `BedrockEvents` does.
pub(crate) fn decoded<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let (mut decoder, mut events, mut unknown) = (EventStreamDecoder::default(), Vec::new(), Vec::new());
    for chunk in chunks {
        decoder.push(chunk);
        loop {
            match decoder.next(&mut unknown) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(failure) => return Decoded { events, end: Some(failure) },
            }
        }
    }
    let cut = || Failure::new(FailureKind::Protocol, "the stream ended inside a frame");
    Decoded { events, end: (!decoder.is_between_frames()).then(cut) }
}

/// Encodes one frame by the SDK's encoder.
pub(crate) fn frame(message_type: &str, name: &str, payload: &[u8]) -> Vec<u8> {
    let header =
        |name: &'static str, value: &str| Header::new(name, HeaderValue::String(value.to_owned().into()));
    let message = Message::new(payload.to_vec())
        .add_header(header(":message-type", message_type))
        .add_header(header(if message_type == "event" { ":event-type" } else { ":exception-type" }, name))
        .add_header(header(":content-type", "application/json"));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("fits into a frame");
    bytes
}

/// Asserts that the bytes decode to `whole` however they are cut: in two at every place, into single bytes,
/// and into chunks of random sizes.
fn decodes_alike_in_all_chunks(bytes: &[u8], whole: &Decoded) {
    for position in 0..=bytes.len() {
        let (left, right) = bytes.split_at(position);
        assert_eq!(&decoded([left, right]), whole, "in two chunks, at {position}");
    }
    decodes_alike_in_some_chunks(bytes, whole);
}

/// Asserts that the bytes decode to `whole` when cut into single bytes and into chunks of random sizes.
fn decodes_alike_in_some_chunks(bytes: &[u8], whole: &Decoded) {
    assert_eq!(&decoded(bytes.chunks(1)), whole, "byte by byte");
    let mut random = fastrand::Rng::with_seed(bytes.len() as u64);
    for _ in 0..8 {
        let (mut rest, mut chunks) = (bytes, Vec::new());
        while !rest.is_empty() {
            let (chunk, more) = rest.split_at(random.usize(..=rest.len().min(200)));
            chunks.push(chunk);
            rest = more;
        }
        assert_eq!(&decoded(chunks), whole, "in random chunks");
    }
}

// === vectors ===

#[test]
fn valid_frames_without_an_event_and_malformed_frames_end_in_a_failure() {
    let mut counts = BTreeMap::<_, usize>::new();
    for (vector, bytes, is_valid) in vectors() {
        let whole = decoded([bytes.as_slice()]);
        let end = whole.end.as_ref().unwrap_or_else(|| panic!("{vector} ended without a failure: {whole:?}"));
        assert_eq!((end.kind, whole.events.as_slice()), (FailureKind::Protocol, [].as_slice()), "{vector}");
        let was_read = end.message.starts_with("a frame of the unknown type");
        assert_eq!(was_read, is_valid, "{vector}: {}", end.message);
        decodes_alike_in_all_chunks(&bytes, &whole);
        *counts.entry(if is_valid { "valid" } else { "malformed" }).or_default() += 1;
    }
    println!("{counts:?} vectors, at every place where they can be split");
    assert_eq!(counts.len(), 2, "the vectors are all valid or all malformed: {counts:?}");
}

#[test]
fn the_decoder_of_the_sdk_agrees_which_vectors_are_malformed() {
    for (vector, bytes, is_valid) in vectors() {
        let decoded = MessageFrameDecoder::new().decode_frame(bytes.as_slice());
        assert_eq!(matches!(decoded, Ok(DecodedFrame::Complete(_))), is_valid, "{vector}: {decoded:?}");
    }
}

/// The path of each vector, its bytes, and whether it is a valid frame. There is at least one.
fn vectors() -> Vec<(String, Vec<u8>, bool)> {
    let folder = recordings::folder().join("eventstream_vectors");
    let expected = fs::read_to_string(folder.join("expected.json")).expect("is there");
    let expected: BTreeMap<String, Value> = serde_json::from_str(&expected).expect("is JSON");
    assert!(!expected.is_empty(), "{} has no vectors", folder.display());
    let vector = |(vector, expected): (String, Value)| {
        let bytes = fs::read(folder.join(&vector)).unwrap_or_else(|error| panic!("{vector}: {error}"));
        (vector, bytes, expected["expect"] == "decodes")
    };
    expected.into_iter().map(vector).collect()
}

#[test]
fn bodies_that_are_not_event_streams_end_in_a_failure() {
    for exchange in recordings::lines::<Value>("malformed_streams.jsonl") {
        let bytes = recordings::stream(&exchange);
        let whole = decoded([bytes.as_slice()]);
        let end = whole.end.as_ref().map(|end| end.kind);
        assert_eq!((end, whole.events.len()), (Some(FailureKind::Protocol), 0), "{}", exchange["reason"]);
        decodes_alike_in_all_chunks(&bytes, &whole);
    }
}

// === recorded streams ===

/// All recorded streams, of both files.
fn recorded() -> Vec<Value> {
    let files = ["public/converse_stream.jsonl", "stream_response_only.jsonl"];
    files.into_iter().flat_map(recordings::lines).collect()
}

/// The recorded names of a stream's events, and the exception that ends it. Absent: none does.
fn expected(exchange: &Value) -> (Vec<&str>, Option<&str>) {
    let all = exchange["decoded_events"].as_array().expect("has events");
    let exception = all.last().and_then(|last| last["exception_type"].as_str());
    let events = &all[..all.len() - usize::from(exception.is_some())];
    let names = events.iter().map(|event| event["event_type"].as_str().expect("is an event"));
    (names.collect(), exception)
}

#[test]
fn recorded_streams_are_decoded_alike_in_chunks_of_any_size() {
    let (mut streams, mut frames, mut bytes) = (0, 0, 0);
    for exchange in recorded() {
        let (body, id) = (recordings::stream(&exchange), &exchange["id"]);
        let whole = decoded([body.as_slice()]);
        let (events, exception) = expected(&exchange);
        match (&whole.end, exception) {
            (None, None) => {}
            (Some(end), Some(name)) => {
                assert!(end.message.starts_with(&format!("{name}: ")), "{id}: {end:?}")
            }
            (end, exception) => panic!("{id}: expected {exception:?}, found {end:?}"),
        }
        assert_eq!(whole.events.len(), events.len(), "{id}");
        let unknown = whole.events.iter().find(|event| matches!(event, ModelEvent::Unknown(_)));
        assert_eq!(unknown, None, "{id}");
        decodes_alike_in_some_chunks(&body, &whole);
        streams += 1;
        frames += whole.events.len();
        bytes += body.len();
    }
    println!("{streams} streams with {frames} events in {bytes} bytes, byte by byte and in random chunks");
    assert!(frames > streams, "{frames} events in {streams} streams");
}

/// The frames of the sample are encoded by a script of this repository.
#[test]
fn recorded_frames_are_the_bytes_that_the_sdk_encodes() {
    for exchange in recorded() {
        let (body, mut encoded) = (recordings::stream(&exchange), Vec::new());
        let (mut decoder, mut rest) = (MessageFrameDecoder::new(), body.as_slice());
        while !rest.is_empty() {
            let decoded = decoder.decode_frame(&mut rest).expect("is valid");
            let DecodedFrame::Complete(message) = decoded else { panic!("{} is cut", exchange["id"]) };
            write_message_to(&message, &mut encoded).expect("fits into a frame");
        }
        assert_eq!(encoded, body, "{}", exchange["id"]);
    }
}

#[test]
fn a_stream_that_is_cut_inside_a_frame_ends_in_a_failure() {
    let body = short_stream();
    let whole = decoded([body.as_slice()]);
    let mut silent = 0;
    for length in 0..body.len() {
        let cut = decoded([&body[..length]]);
        assert_eq!(cut.events, whole.events[..cut.events.len()], "cut at {length}");
        silent += usize::from(cut.end.is_none());
    }
    // A cut between two frames cannot be seen by the codec. The relay sees it: the last event is missing.
    assert_eq!(silent, whole.events.len());
}

#[test]
fn no_change_of_a_single_byte_makes_another_event() {
    let mut body = short_stream();
    let whole = decoded([body.as_slice()]);
    assert_eq!(whole.end, None);
    let mut changes = 0;
    for position in 0..body.len() {
        for change in 1..=u8::MAX {
            body[position] ^= change;
            let damaged = decoded([body.as_slice()]);
            body[position] ^= change;
            let place = format!("byte {position} changed by {change}");
            let end = damaged.end.unwrap_or_else(|| panic!("{place} was not noticed"));
            assert_eq!(end.kind, FailureKind::Protocol, "{place}");
            assert_eq!(damaged.events, whole.events[..damaged.events.len()], "{place}");
            assert!(damaged.events.len() < whole.events.len(), "{place}");
            changes += 1;
        }
    }
    println!("{changes} changes of one byte in {} bytes, all noticed", body.len());
    assert!(changes > 0, "the shortest stream is empty");
}

/// The shortest recorded stream of those that end without an exception.
fn short_stream() -> Vec<u8> {
    let recorded = recordings::lines::<Value>("public/converse_stream.jsonl");
    let complete = recorded.iter().filter(|exchange| expected(exchange).1.is_none());
    complete.map(recordings::stream).min_by_key(Vec::len).expect("a stream ends without an exception")
}

// === frames with other content ===

#[test]
fn an_event_of_an_unknown_type_is_passed_on_unchanged() {
    let whole = decoded([frame("event", "contentBlockThought", b"{\"a\": 1}").as_slice()]);
    let [ModelEvent::Unknown(event)] = whole.events.as_slice() else { panic!("{whole:?}") };
    assert_eq!((event.event_type.as_str(), event.json.as_str()), ("contentBlockThought", "{\"a\": 1}"));
}

#[test]
fn event_types_of_switchboard_are_unknown_in_a_stream_of_bedrock() {
    for name in ["route", "restart", "unknown"] {
        let whole = decoded([frame("event", name, b"{}").as_slice()]);
        let [ModelEvent::Unknown(event)] = whole.events.as_slice() else { panic!("{whole:?}") };
        assert_eq!(event.event_type, name);
    }
}

#[test]
fn an_exception_ends_a_stream_with_its_kind_and_message() {
    let start = frame("event", "messageStart", b"{\"role\":\"assistant\"}");
    for (name, kind) in [
        ("throttlingException", FailureKind::Throttled),
        ("internalServerException", FailureKind::Internal),
        ("modelStreamErrorException", FailureKind::ModelError),
        ("serviceUnavailableException", FailureKind::Unavailable),
        ("validationException", FailureKind::Invalid),
        ("somethingNewException", FailureKind::UnknownException),
    ] {
        let bytes = [start.clone(), frame("exception", name, b"{\"message\":\"too much\"}")].concat();
        let whole = decoded([bytes.as_slice()]);
        let end = whole.end.as_ref().map(|end| (end.kind, end.message.as_str()));
        assert_eq!((whole.events.len(), end), (1, Some((kind, format!("{name}: too much").as_str()))));
        decodes_alike_in_all_chunks(&bytes, &whole);
    }
}

#[test]
fn a_payload_that_is_not_the_json_of_its_event_is_a_failure() {
    for payload in [
        "",
        "{",
        "[]",
        "\"text\"",
        "1",
        "null",
        "{\"role\":7}",
        "{\"role\":\"a\"} {}",
        "{\"role\":\"\\ud83e\"}",
    ] {
        let whole = decoded([frame("event", "messageStart", payload.as_bytes()).as_slice()]);
        if payload == "null" {
            assert_eq!((whole.events.len(), whole.end), (1, None), "null is an event without members");
        } else {
            assert_eq!(whole.end.map(|end| end.kind), Some(FailureKind::Protocol), "{payload}");
        }
    }
}
