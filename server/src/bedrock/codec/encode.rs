//! A request as Bedrock's JSON.
//!
//! The message is read in its protobuf form, field after field, and written as JSON by the tables of [`super::schema`].
//! Going through the wire form costs a copy of the body, a tenth of what signing it costs, and saves a hand-written
//! writer for each of the contract's hundred messages.
//!
//! The bytes depend on the request alone: prost writes fields by number and maps sorted, and nothing here reorders.
use super::schema::{Field, Kind, SCHEMA, Shape};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::{
    Message,
    bytes::Buf as _,
    encoding::{WireType, decode_key, decode_varint},
};
use prost_types::{Struct, Value, value::Kind as ValueKind};
use std::io::Write as _;
use switchboard_proto::v1 as pb;

/// See [`super::request_body`].
pub(super) fn body(request: &pb::ConverseRequest, inference: &pb::InferenceConfiguration) -> Vec<u8> {
    if request.inference_config.is_some() {
        // Not the one of this attempt, and no member may be there twice.
        return body(&pb::ConverseRequest { inference_config: None, ..request.clone() }, inference);
    }
    let mut out = json("ConverseRequest", request);
    out.pop(); // the closing brace
    if out.len() > 1 {
        out.push(b',');
    }
    out.extend_from_slice(b"\"inferenceConfig\":");
    write("InferenceConfiguration", inference, &mut out);
    out.push(b'}');
    out
}

/// See [`super::json`].
pub(super) fn json(name: &str, message: &impl Message) -> Vec<u8> {
    let mut out = Vec::new();
    write(name, message, &mut out);
    out
}

fn write(name: &str, content: &impl Message, out: &mut Vec<u8>) {
    let wire = content.encode_to_vec();
    out.reserve(wire.len() * 5 / 4 + 64);
    message(SCHEMA.shape(SCHEMA.named(name)), &wire, out);
}

/// Writes the message whose wire form is `wire`. The wire form is prost's own, so it is known to be whole; a byte that
/// does not belong ends the message early rather than in a panic.
fn message(shape: &Shape, mut wire: &[u8], out: &mut Vec<u8>) {
    if let Some(list) = shape.bare_list() {
        return bare_list(list, wire, out);
    }
    out.push(b'{');
    let mut members = Members { out, written: 0 };
    while let Some((number, content)) = next(&mut wire) {
        if shape.unknown == Some(number) {
            members.replace_all(content.bytes());
        } else if let Some(position) = shape.by_number(number) {
            let field = &shape.fields()[position];
            let out = members.begin(position, field);
            if field.list || matches!(field.kind, Kind::MessageMap(_) | Kind::StringMap) {
                run(field, content, &mut wire, out);
            } else {
                value(field, content, out);
            }
        }
    }
    members.add_required(shape);
    out.push(b'}');
}

/// The members of an object that is being written.
struct Members<'a> {
    out: &'a mut Vec<u8>,
    /// A bit for each of the shape's fields.
    written: u64,
}

impl Members<'_> {
    fn begin(&mut self, position: usize, field: &Field) -> &mut Vec<u8> {
        if self.written != 0 {
            self.out.push(b',');
        }
        self.written |= 1 << position;
        self.out.extend_from_slice(field.key.as_bytes());
        self.out
    }

    /// A union member that this contract does not know: its text is an object, of which the content is written.
    fn replace_all(&mut self, text: &[u8]) {
        let text = text.trim_ascii();
        self.out.extend_from_slice(text.get(1..text.len().saturating_sub(1)).unwrap_or_default());
        self.written |= 1 << 63;
    }

    fn add_required(&mut self, shape: &Shape) {
        if shape.required & !self.written == 0 {
            return;
        }
        for (position, field) in shape.fields().iter().enumerate() {
            if field.required && self.written & (1 << position) == 0 {
                let default: &[u8] = match field.kind {
                    _ if field.list => b"[]",
                    Kind::Bool => b"false",
                    Kind::Int32 | Kind::Int64 | Kind::Double => b"0",
                    _ => b"\"\"",
                };
                self.begin(position, field).extend_from_slice(default);
            }
        }
    }
}

/// One field of the wire form.
#[derive(Clone, Copy)]
enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Content<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => &[],
        }
    }

    fn number(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Bytes(_) => 0,
        }
    }
}

/// Takes the next field off the wire form.
fn next<'a>(wire: &mut &'a [u8]) -> Option<(u32, Content<'a>)> {
    if wire.is_empty() {
        return None;
    }
    let (number, wire_type) = decode_key(wire).ok()?;
    let content = match wire_type {
        WireType::Varint => Content::Number(decode_varint(wire).ok()?),
        WireType::SixtyFourBit => Content::Number(wire.try_get_u64_le().ok()?),
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(wire).ok()?).ok()?;
            let (content, rest) = wire.split_at_checked(length)?;
            *wire = rest;
            Content::Bytes(content)
        }
        _ => return None,
    };
    Some((number, content))
}

/// Takes the next field off the wire form if it is another one of `number`.
fn next_of<'a>(number: u32, wire: &mut &'a [u8]) -> Option<Content<'a>> {
    let mut ahead = *wire;
    match next(&mut ahead) {
        Some((found, content)) if found == number => {
            *wire = ahead;
            Some(content)
        }
        _ => None,
    }
}

/// A list or a map, whose entries follow one another on the wire.
fn run(field: &Field, first: Content<'_>, wire: &mut &[u8], out: &mut Vec<u8>) {
    let (open, close) = if field.list { (b'[', b']') } else { (b'{', b'}') };
    out.push(open);
    let mut entry = Some(first);
    while let Some(content) = entry {
        if field.list {
            value(field, content, out)
        } else {
            map_entry(field, content.bytes(), out)
        }
        entry = next_of(field.number, wire);
        if entry.is_some() {
            out.push(b',');
        }
    }
    out.push(close);
}

fn bare_list(field: &Field, mut wire: &[u8], out: &mut Vec<u8>) {
    match next_of(field.number, &mut wire) {
        Some(first) => run(field, first, &mut wire, out),
        None => out.extend_from_slice(b"[]"),
    }
}

fn map_entry(field: &Field, mut wire: &[u8], out: &mut Vec<u8>) {
    let (mut key, mut content): (&[u8], &[u8]) = (&[], &[]);
    while let Some((number, entry)) = next(&mut wire) {
        match number {
            1 => key = entry.bytes(),
            _ => content = entry.bytes(),
        }
    }
    string(key, out);
    out.push(b':');
    match field.kind {
        Kind::MessageMap(shape) => message(SCHEMA.shape(shape), content, out),
        _ => string(content, out),
    }
}

fn value(field: &Field, content: Content<'_>, out: &mut Vec<u8>) {
    match field.kind {
        Kind::String => string(content.bytes(), out),
        Kind::Bytes => {
            out.push(b'"');
            base64(content.bytes(), out);
            out.push(b'"');
        }
        Kind::Bool => out.extend_from_slice(if content.number() == 0 { b"false" } else { b"true" }),
        // Protobuf's int32 and int64 are two's complement in a varint.
        Kind::Int32 | Kind::Int64 => display(content.number().cast_signed(), out),
        Kind::Double => double(f64::from_bits(content.number()), out),
        Kind::ExactText => out.extend_from_slice(content.bytes()),
        Kind::Struct => structure(&Struct::decode(content.bytes()).unwrap_or_default(), out),
        Kind::Value => free(&Value::decode(content.bytes()).unwrap_or_default(), out),
        Kind::Message(shape) => message(SCHEMA.shape(shape), content.bytes(), out),
        Kind::MessageMap(_) | Kind::StringMap => {} // written by `run`
    }
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // The space is exact, so encoding cannot fail.
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or_default();
    out.truncate(start + written);
}

/// Text in quotes, byte for byte as serde_json writes it. That looks at one byte after the other, which was a seventh of what a call
/// with a long history cost; prost has checked that it is UTF-8.
fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(position) = first_escaped(rest) {
        out.extend_from_slice(&rest[..position]);
        escape(rest[position], out);
        rest = &rest[position + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Where the first byte is that cannot stand for itself. Looks at sixteen at once, with no branch among them.
fn first_escaped(text: &[u8]) -> Option<usize> {
    let (chunks, _) = text.as_chunks::<16>();
    let is_plain = |chunk: &&[u8; 16]| !chunk.iter().fold(false, |any, &byte| any | is_escaped(byte));
    let plain = chunks.iter().take_while(is_plain).count() * 16;
    let position = text[plain..].iter().position(|&byte| is_escaped(byte));
    position.map(|position| plain + position)
}

fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = match byte {
        b'"' | b'\\' => out.write_all(&[b'\\', byte]),
        b'\n' => out.write_all(b"\\n"),
        b'\r' => out.write_all(b"\\r"),
        b'\t' => out.write_all(b"\\t"),
        b'\x08' => out.write_all(b"\\b"),
        b'\x0c' => out.write_all(b"\\f"),
        _ => write!(out, "\\u{byte:04x}"),
    };
}

fn display(number: i64, out: &mut Vec<u8>) {
    let _ = write!(out, "{number}");
}

/// Whole numbers are written without a point: models check that a token budget is an integer.
fn double(number: f64, out: &mut Vec<u8>) {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
        display(number as i64, out);
    } else {
        let _ = serde_json::to_writer(out, &number); // infinities, which JSON lacks, become null
    }
}

fn structure(fields: &Struct, out: &mut Vec<u8>) {
    out.push(b'{');
    for (position, (name, field)) in fields.fields.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        string(name.as_bytes(), out);
        out.push(b':');
        free(field, out);
    }
    out.push(b'}');
}

fn free(value: &Value, out: &mut Vec<u8>) {
    match &value.kind {
        None | Some(ValueKind::NullValue(_)) => out.extend_from_slice(b"null"),
        Some(ValueKind::NumberValue(number)) => double(*number, out),
        Some(ValueKind::StringValue(text)) => string(text.as_bytes(), out),
        Some(ValueKind::BoolValue(truth)) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Some(ValueKind::StructValue(fields)) => structure(fields, out),
        Some(ValueKind::ListValue(list)) => {
            out.push(b'[');
            for (position, entry) in list.values.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                free(entry, out);
            }
            out.push(b']');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_written_as_serde_json_writes_it() {
        let plain = "Grüße, 世界 🌍, and all that goes for itself: /\u{7f}\u{2028}. ".repeat(2);
        let places = plain.char_indices().map(|(place, _)| plain.split_at(place));
        for (before, after) in places {
            for escaped in (0..=0x7f_u8).map(char::from) {
                let text = format!("{escaped}{before}{escaped}{escaped}{after}");
                let mut out = Vec::new();
                string(text.as_bytes(), &mut out);
                assert_eq!(out, serde_json::to_vec(&text).expect("is JSON"), "{text:?}");
            }
        }
    }
}
