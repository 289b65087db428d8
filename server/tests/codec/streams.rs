//! Event streams: recorded, malformed and damaged, in pieces of every size.
use crate::recordings;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use serde_json::Value;
use std::{collections::BTreeMap, fs};
use switchboard_server::{
    bedrock::{ModelEvent, codec::Frames},
    failure::{Failure, FailureKind},
};

/// What a stream gave, and how it ended.
#[derive(Debug, PartialEq)]
pub(crate) struct Heard {
    pub(crate) events: Vec<ModelEvent>,
    /// `None`: at its end.
    pub(crate) end: Option<Failure>,
}

/// Reads a stream that comes in these pieces, as `BedrockEvents` does.
pub(crate) fn heard<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Heard {
    let (mut frames, mut events, mut gaps) = (Frames::default(), Vec::new(), Vec::new());
    for piece in pieces {
        frames.push(piece);
        loop {
            match frames.next(&mut gaps) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(failure) => return Heard { events, end: Some(failure) },
            }
        }
    }
    let cut = || Failure::new(FailureKind::Protocol, "the stream ended inside a frame");
    Heard { events, end: (!frames.is_between_frames()).then(cut) }
}

/// One frame.
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

/// The same bytes in pieces: at every place where there are two, one byte each, and of random sizes.
fn is_heard_alike_in_all_pieces(bytes: &[u8], whole: &Heard) {
    for position in 0..=bytes.len() {
        let (left, right) = bytes.split_at(position);
        assert_eq!(&heard([left, right]), whole, "in two pieces, at {position}");
    }
    is_heard_alike_in_some_pieces(bytes, whole);
}

fn is_heard_alike_in_some_pieces(bytes: &[u8], whole: &Heard) {
    assert_eq!(&heard(bytes.chunks(1)), whole, "byte by byte");
    let mut random = fastrand::Rng::with_seed(bytes.len() as u64);
    for _ in 0..8 {
        let (mut rest, mut pieces) = (bytes, Vec::new());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(random.usize(..=rest.len().min(200)));
            pieces.push(piece);
            rest = more;
        }
        assert_eq!(&heard(pieces), whole, "in random pieces");
    }
}

// === vectors ===

#[test]
fn valid_frames_that_are_no_events_and_malformed_ones_end_in_a_failure() {
    let Some(folder) = recordings::folder("the vectors of event streams") else { return };
    let folder = folder.join("eventstream_vectors");
    let expected = fs::read_to_string(folder.join("expected.json")).expect("is there");
    let expected: BTreeMap<String, Value> = serde_json::from_str(&expected).expect("is JSON");
    let mut counts = BTreeMap::<_, usize>::new();
    for (vector, expected) in &expected {
        let bytes = fs::read(folder.join(vector)).expect("is there");
        let whole = heard([bytes.as_slice()]);
        let end = whole.end.as_ref().unwrap_or_else(|| panic!("{vector} ended in silence: {whole:?}"));
        assert_eq!((end.kind, whole.events.as_slice()), (FailureKind::Protocol, [].as_slice()), "{vector}");
        let is_valid = expected["expect"] == "decodes";
        let was_read = end.message.starts_with("a frame of the unknown type");
        assert_eq!(was_read, is_valid, "{vector}: {}", end.message);
        is_heard_alike_in_all_pieces(&bytes, &whole);
        *counts.entry(if is_valid { "valid" } else { "malformed" }).or_default() += 1;
    }
    println!("{counts:?} vectors, at every place where they can be split");
    assert_eq!(counts, BTreeMap::from([("malformed", 12), ("valid", 8)]));
}

#[test]
fn bodies_that_are_no_event_streams_end_in_a_failure() {
    let Some(folder) = recordings::folder("malformed streams") else { return };
    let exchanges = recordings::lines(folder.join("malformed_streams.jsonl"));
    assert_eq!(exchanges.len(), 2);
    for exchange in exchanges {
        let bytes = recordings::stream(&exchange);
        let whole = heard([bytes.as_slice()]);
        let end = whole.end.as_ref().map(|end| end.kind);
        assert_eq!((end, whole.events.len()), (Some(FailureKind::Protocol), 0), "{}", exchange["reason"]);
        is_heard_alike_in_all_pieces(&bytes, &whole);
    }
}

// === recorded streams ===

#[test]
fn recorded_streams_are_heard_alike_in_pieces_of_any_size() {
    let Some(folder) = recordings::folder("recorded streams in pieces") else { return };
    let recorded = recordings::lines(folder.join("public/converse_stream.jsonl"));
    let response_only = recordings::lines(folder.join("stream_response_only.jsonl"));
    assert_eq!((recorded.len(), response_only.len()), (95, 2));
    let (mut frames, mut bytes) = (0, 0);
    for exchange in recorded.iter().chain(&response_only) {
        let (body, id) = (recordings::stream(exchange), &exchange["id"]);
        let whole = heard([body.as_slice()]);
        assert_eq!(whole.end, None, "{id}");
        assert_eq!(Some(whole.events.len()), exchange["decoded_events"].as_array().map(Vec::len), "{id}");
        let unknown = whole.events.iter().find(|event| matches!(event, ModelEvent::Unknown(_)));
        assert_eq!(unknown, None, "{id}");
        is_heard_alike_in_some_pieces(&body, &whole);
        frames += whole.events.len();
        bytes += body.len();
    }
    println!("97 streams with {frames} events in {bytes} bytes, byte by byte and in random pieces");
}

#[test]
fn a_stream_that_is_cut_anywhere_but_between_frames_does_not_end_in_silence() {
    let Some(body) = short_stream("a stream that is cut") else { return };
    let whole = heard([body.as_slice()]);
    let mut silent = 0;
    for length in 0..body.len() {
        let cut = heard([&body[..length]]);
        assert_eq!(cut.events, whole.events[..cut.events.len()], "cut at {length}");
        silent += usize::from(cut.end.is_none());
    }
    // Between two frames the codec cannot know; whoever reads the events misses the last one.
    assert_eq!(silent, whole.events.len());
}

#[test]
fn no_change_of_a_single_byte_makes_another_event() {
    let Some(mut body) = short_stream("streams with a byte changed") else { return };
    let whole = heard([body.as_slice()]);
    assert_eq!(whole.end, None);
    let mut changes = 0;
    for position in 0..body.len() {
        for change in 1..=u8::MAX {
            body[position] ^= change;
            let damaged = heard([body.as_slice()]);
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
}

/// The shortest recorded stream.
fn short_stream(left_out: &str) -> Option<Vec<u8>> {
    let folder = recordings::folder(left_out)?;
    let recorded = recordings::lines(folder.join("public/converse_stream.jsonl"));
    recorded.iter().map(recordings::stream).min_by_key(Vec::len)
}

// === frames that say something else ===

#[test]
fn an_event_from_the_future_is_passed_on_as_it_came() {
    let whole = heard([frame("event", "contentBlockThought", b"{\"a\": 1}").as_slice()]);
    let [ModelEvent::Unknown(event)] = whole.events.as_slice() else { panic!("{whole:?}") };
    assert_eq!((event.event_type.as_str(), event.json.as_str()), ("contentBlockThought", "{\"a\": 1}"));
}

#[test]
fn events_that_only_switchboard_sends_are_none_of_bedrocks() {
    for name in ["route", "restart", "unknown"] {
        let whole = heard([frame("event", name, b"{}").as_slice()]);
        let [ModelEvent::Unknown(event)] = whole.events.as_slice() else { panic!("{whole:?}") };
        assert_eq!(event.event_type, name);
    }
}

#[test]
fn an_exception_ends_a_stream_with_its_kind_and_words() {
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
        let whole = heard([bytes.as_slice()]);
        let end = whole.end.as_ref().map(|end| (end.kind, end.message.as_str()));
        assert_eq!((whole.events.len(), end), (1, Some((kind, format!("{name}: too much").as_str()))));
        is_heard_alike_in_all_pieces(&bytes, &whole);
    }
}

#[test]
fn a_payload_that_is_not_the_events_json_is_a_failure() {
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
        let whole = heard([frame("event", "messageStart", payload.as_bytes()).as_slice()]);
        if payload == "null" {
            assert_eq!((whole.events.len(), whole.end), (1, None), "null is an event without members");
        } else {
            assert_eq!(whole.end.map(|end| end.kind), Some(FailureKind::Protocol), "{payload}");
        }
    }
}
