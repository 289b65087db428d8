//! Encoder from a message of the contract to Bedrock's JSON.
//!
//! The message is encoded as protobuf's wire form, which is then read field by field and written as JSON with
//! the tables of [`super::schema`]. The wire form costs a copy of the body, a tenth of the CPU time of its
//! signature, and saves a hand-written encoder for each of the contract's hundred messages.
//!
//! Equal requests have equal bytes: prost writes fields by number and maps sorted, and the order is kept.
use super::schema::{Field, Kind, MAX_FIELDS, MessageTable, SCHEMA};
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
        // The attempt's configuration replaces it; a member must not occur twice.
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
    message(SCHEMA.table(SCHEMA.id(name)), &wire, out);
}

/// Writes the message with the wire form `wire`. prost wrote it, so it is valid; malformed bytes would end
/// the message early instead of causing a panic.
fn message(table: &MessageTable, mut wire: &[u8], out: &mut Vec<u8>) {
    if let Some(list) = table.bare_list() {
        return bare_list(list, wire, out);
    }
    out.push(b'{');
    let mut object = ObjectWriter { out, written: 0 };
    while let Some((number, content)) = next(&mut wire) {
        if table.unknown == Some(number) {
            object.add_unknown(content.bytes());
        } else if let Some(position) = table.by_number(number) {
            let field = &table.fields()[position];
            let out = object.begin(position, field);
            if field.list || matches!(field.kind, Kind::MessageMap(_) | Kind::StringMap) {
                entries(field, content, &mut wire, out);
            } else {
                value(field, content, out);
            }
        }
    }
    object.add_required(table);
    out.push(b'}');
}

/// Writes the members of one object.
struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Bit mask of the positions of written fields. The highest bit stands for an unknown member.
    written: u64,
}

// === impl ObjectWriter ===

impl ObjectWriter<'_> {
    /// Writes the name of a member; its value must follow.
    fn begin(&mut self, position: usize, field: &Field) -> &mut Vec<u8> {
        if self.written != 0 {
            self.out.push(b',');
        }
        self.written |= 1 << position;
        self.out.extend_from_slice(field.key.as_bytes());
        self.out
    }

    /// Writes an unknown member of a union. `text` is an object with that one member.
    fn add_unknown(&mut self, text: &[u8]) {
        let text = text.trim_ascii();
        self.out.extend_from_slice(text.get(1..text.len().saturating_sub(1)).unwrap_or_default());
        self.written |= 1 << MAX_FIELDS;
    }

    /// Writes the required members that are missing, with their default values.
    fn add_required(&mut self, table: &MessageTable) {
        if table.required & !self.written == 0 {
            return;
        }
        for (position, field) in table.fields().iter().enumerate() {
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

/// Value of a field in the wire form.
#[derive(Clone, Copy)]
enum WireValue<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

// === impl WireValue ===

impl<'a> WireValue<'a> {
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

/// Takes the next field from the wire form. `None`: there is none, or it is malformed.
fn next<'a>(wire: &mut &'a [u8]) -> Option<(u32, WireValue<'a>)> {
    if wire.is_empty() {
        return None;
    }
    let (number, wire_type) = decode_key(wire).ok()?;
    let content = match wire_type {
        WireType::Varint => WireValue::Number(decode_varint(wire).ok()?),
        WireType::SixtyFourBit => WireValue::Number(wire.try_get_u64_le().ok()?),
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(wire).ok()?).ok()?;
            let (content, rest) = wire.split_at_checked(length)?;
            *wire = rest;
            WireValue::Bytes(content)
        }
        _ => return None,
    };
    Some((number, content))
}

/// Takes the next field from the wire form if its number is `number`.
fn next_of<'a>(number: u32, wire: &mut &'a [u8]) -> Option<WireValue<'a>> {
    let mut ahead = *wire;
    match next(&mut ahead) {
        Some((found, content)) if found == number => {
            *wire = ahead;
            Some(content)
        }
        _ => None,
    }
}

/// Writes a list or a map. The fields of its entries follow one another in the wire form.
fn entries(field: &Field, first: WireValue<'_>, wire: &mut &[u8], out: &mut Vec<u8>) {
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
        Some(first) => entries(field, first, &mut wire, out),
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
        Kind::MessageMap(id) => message(SCHEMA.table(id), content, out),
        _ => string(content, out),
    }
}

fn value(field: &Field, content: WireValue<'_>, out: &mut Vec<u8>) {
    match field.kind {
        Kind::String => string(content.bytes(), out),
        Kind::Bytes => {
            out.push(b'"');
            base64(content.bytes(), out);
            out.push(b'"');
        }
        Kind::Bool => out.extend_from_slice(if content.number() == 0 { b"false" } else { b"true" }),
        // int32 and int64 are two's complement in a varint.
        Kind::Int32 | Kind::Int64 => display(content.number().cast_signed(), out),
        Kind::Double => double(f64::from_bits(content.number()), out),
        Kind::ExactText => out.extend_from_slice(content.bytes()),
        Kind::Struct => structure(&Struct::decode(content.bytes()).unwrap_or_default(), out),
        Kind::Value => free_form(&Value::decode(content.bytes()).unwrap_or_default(), out),
        Kind::Message(id) => message(SCHEMA.table(id), content.bytes(), out),
        Kind::MessageMap(_) | Kind::StringMap => {} // written by `entries`
    }
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // Cannot fail: the slice has the exact size.
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or_default();
    out.truncate(start + written);
}

/// Writes a JSON string with the same bytes as serde_json. serde_json checks one byte at a time, which took a
/// seventh of the CPU time of a call with a long history. `text` is valid UTF-8, because prost has checked
/// it.
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

/// Position of the first byte that must be escaped. Checks sixteen bytes at a time without a branch, so that
/// the compiler can vectorize the check.
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

/// Writes a double. A whole number has no decimal point, because models check that a token budget is an
/// integer.
fn double(number: f64, out: &mut Vec<u8>) {
    /// Largest double up to which every integer has a double of its own.
    const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0; // 2^53
    if number.fract() == 0.0 && number.abs() <= MAX_EXACT_INTEGER {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
        display(number as i64, out);
    } else {
        let _ = serde_json::to_writer(out, &number); // an infinity becomes null: JSON has none
    }
}

/// Writes a `google.protobuf.Struct`.
fn structure(fields: &Struct, out: &mut Vec<u8>) {
    out.push(b'{');
    for (position, (name, field)) in fields.fields.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        string(name.as_bytes(), out);
        out.push(b':');
        free_form(field, out);
    }
    out.push(b'}');
}

/// Writes a `google.protobuf.Value`.
fn free_form(value: &Value, out: &mut Vec<u8>) {
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
                free_form(entry, out);
            }
            out.push(b']');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_encoded_like_serde_json() {
        let plain = "Grüße, 世界 🌍, and bytes without an escape: /\u{7f}\u{2028}. ".repeat(2);
        let splits = plain.char_indices().map(|(position, _)| plain.split_at(position));
        for (before, after) in splits {
            for escaped in (0..=0x7f_u8).map(char::from) {
                let text = format!("{escaped}{before}{escaped}{escaped}{after}");
                let mut out = Vec::new();
                string(text.as_bytes(), &mut out);
                assert_eq!(out, serde_json::to_vec(&text).expect("is JSON"), "{text:?}");
            }
        }
    }
}
