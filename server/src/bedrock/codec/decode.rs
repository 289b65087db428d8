//! Bedrock's JSON as a message of the contract.
//!
//! The JSON is read once, member after member, and written in protobuf's wire form by the tables of [`super::schema`];
//! prost reads that. Free JSON keeps its exact text. Nothing that Bedrock may add breaks a reply: a member that the
//! contract lacks is kept where there is room for it (`unknown_json`) and reported as a [`Gap`] where there is not.
use super::schema::{Field, Kind, SCHEMA, Shape, ShapeId};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Members that Bedrock sends and nobody misses: padding against guessing an answer by its length, and second names of
/// counters that are read under their first.
const SUPERFLUOUS: [&str; 3] = ["p", "cacheReadInputTokenCount", "cacheWriteInputTokenCount"];

/// A member that Bedrock sent and the contract has no room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The message it came in.
    pub message: &'static str,
    /// Its name.
    pub member: String,
}

/// Why JSON is not what the contract expects.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is no JSON, or not of the shape that Bedrock documents.
    #[error("not the JSON that was expected: {0}")]
    Json(#[from] serde_json::Error),
    /// The codec's own wire form cannot be read.
    #[error("not a message of the contract: {0}")]
    Wire(#[from] prost::DecodeError),
}

/// Reads `json` as the message `shape`, which is `M`'s.
pub(super) fn message<M: Message + Default>(
    shape: ShapeId,
    json: &[u8],
    gaps: &mut Vec<Gap>,
) -> Result<M, DecodeError> {
    let mut wire = Vec::with_capacity(json.len());
    wire_form(shape, json, &mut wire, gaps)?;
    Ok(M::decode(wire.as_slice())?)
}

/// Appends the wire form of `json`, read as the message `shape`, to `out`.
pub(super) fn wire_form(
    shape: ShapeId,
    json: &[u8],
    out: &mut Vec<u8>,
    gaps: &mut Vec<Gap>,
) -> Result<(), DecodeError> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    MessageSeed { shape: SCHEMA.shape(shape), out, gaps }.deserialize(&mut reader)?;
    Ok(reader.end()?)
}

/// Writes `key`, the length and what `content` writes.
pub(super) fn delimited<E>(
    number: u32,
    out: &mut Vec<u8>,
    content: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    encode_key(number, WireType::LengthDelimited, out);
    let start = out.len();
    content(out)?;
    let (mut prefix, mut length) = ([0_u8; 10], 0);
    {
        let mut rest = prefix.as_mut_slice();
        let before = rest.len();
        encode_varint((out.len() - start) as u64, &mut rest);
        length += before - rest.len();
    }
    out.splice(start..start, prefix[..length].iter().copied());
    Ok(())
}

fn text(number: u32, text: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(text.len() as u64, out);
    out.extend_from_slice(text);
}

/// Reads an object, or the bare list that stands for one.
struct MessageSeed<'a> {
    shape: &'static Shape,
    out: &'a mut Vec<u8>,
    gaps: &'a mut Vec<Gap>,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the object {}", self.shape.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { shape, out, gaps } = self;
        let (mut known, mut stranger) = (false, None);
        while let Some(name) = members.next_key::<Text<'de>>()? {
            if let Some(field) = shape.by_member(&name.0) {
                let before = out.len();
                members.next_value_seed(FieldSeed { field, out, gaps })?;
                known |= out.len() > before;
            } else if SUPERFLUOUS.contains(&name.0.as_ref()) {
                members.next_value::<serde::de::IgnoredAny>()?;
            } else {
                let value = members.next_value::<&'de RawValue>()?;
                if shape.unknown.is_none() {
                    gaps.push(Gap { message: &shape.name, member: name.0.clone().into_owned() });
                }
                stranger = Some((name.0, value));
            }
        }
        match (shape.unknown, stranger) {
            (Some(number), Some((name, value))) if !known => {
                let name = serde_json::to_string(&name).map_err(A::Error::custom)?;
                text(number, format!("{{{name}:{value}}}").as_bytes(), out);
            }
            // A stranger beside a member that we know: the one that we know is the content.
            (Some(_), Some((name, _))) => gaps.push(Gap { message: &shape.name, member: name.into_owned() }),
            _ => {}
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        let Some(field) = self.shape.bare_list() else {
            return Err(A::Error::custom(format_args!("a list in the place of {}", self.shape.name)));
        };
        FieldSeed { field, out: self.out, gaps: self.gaps }.visit_seq(entries)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(()) // null: nothing was sent
    }
}

/// Reads a member's value and writes its field, key included; a list writes one for each entry.
struct FieldSeed<'a> {
    field: &'static Field,
    out: &'a mut Vec<u8>,
    gaps: &'a mut Vec<Gap>,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        if self.field.list {
            return json.deserialize_any(self);
        }
        let Self { field, out, gaps } = self;
        match field.kind {
            Kind::ExactText | Kind::Struct | Kind::Value => {
                let value = <&'de RawValue as serde::Deserialize>::deserialize(json)?;
                text(field.number, value.get().as_bytes(), out);
                Ok(())
            }
            Kind::Message(shape) => message_field(field.number, SCHEMA.shape(shape), json, out, gaps),
            _ => json.deserialize_any(FieldSeed { field, out, gaps }),
        }
    }
}

/// A null writes no field, not an empty message.
fn message_field<'de, D: Deserializer<'de>>(
    number: u32,
    shape: &'static Shape,
    json: D,
    out: &mut Vec<u8>,
    gaps: &mut Vec<Gap>,
) -> Result<(), D::Error> {
    struct Nullable<'a>(u32, MessageSeed<'a>);
    impl<'de> Visitor<'de> for Nullable<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.1.expecting(f)
        }

        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error> {
            let Self(number, MessageSeed { shape, out, gaps }) = self;
            delimited(number, out, |out| MessageSeed { shape, out, gaps }.visit_map(members))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
            let Self(number, MessageSeed { shape, out, gaps }) = self;
            delimited(number, out, |out| MessageSeed { shape, out, gaps }.visit_seq(entries))
        }
    }
    json.deserialize_any(Nullable(number, MessageSeed { shape, out, gaps }))
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the member {:?} as {:?}", self.field.member, self.field.kind)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        let number = self.field.number;
        match self.field.kind {
            Kind::String => text(number, value.as_bytes(), self.out),
            Kind::Bytes => text(number, &STANDARD.decode(value).map_err(E::custom)?, self.out),
            _ => return Err(E::invalid_type(serde::de::Unexpected::Str("…"), &self)),
        }
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        if self.field.kind != Kind::Bool {
            return Err(E::invalid_type(serde::de::Unexpected::Bool(value), &self));
        }
        encode_key(self.field.number, WireType::Varint, self.out);
        encode_varint(u64::from(value), self.out);
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        match self.field.kind {
            // Else its upper bits would be lost on the wire, and another number told.
            Kind::Int32 if i32::try_from(value).is_err() => {
                Err(E::invalid_value(serde::de::Unexpected::Signed(value), &self))
            }
            Kind::Int32 | Kind::Int64 => {
                encode_key(self.field.number, WireType::Varint, self.out);
                encode_varint(value.cast_unsigned(), self.out);
                Ok(())
            }
            #[expect(clippy::cast_precision_loss, reason = "Bedrock's doubles are scores and thresholds")]
            Kind::Double => self.visit_f64(value as f64),
            _ => Err(E::invalid_type(serde::de::Unexpected::Signed(value), &self)),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.visit_i64(i64::try_from(value).map_err(E::custom)?)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        if self.field.kind != Kind::Double {
            return Err(E::invalid_type(serde::de::Unexpected::Float(value), &self));
        }
        encode_key(self.field.number, WireType::SixtyFourBit, self.out);
        self.out.extend_from_slice(&value.to_bits().to_le_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self { field, out, gaps } = self;
        while entries.next_element_seed(EntrySeed { field, out, gaps })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self { field, out, gaps } = self;
        while let Some(key) = entries.next_key::<Text<'de>>()? {
            delimited(field.number, out, |out| {
                text(1, key.0.as_bytes(), out);
                match field.kind {
                    Kind::MessageMap(shape) => delimited(2, out, |out| {
                        entries.next_value_seed(MessageSeed { shape: SCHEMA.shape(shape), out, gaps })
                    }),
                    Kind::StringMap => {
                        text(2, entries.next_value::<Text<'de>>()?.0.as_bytes(), out);
                        Ok(())
                    }
                    _ => Err(A::Error::custom(format_args!("an object in the place of {:?}", field.member))),
                }
            })?;
        }
        Ok(())
    }
}

/// Reads one entry of a list.
struct EntrySeed<'a> {
    field: &'static Field,
    out: &'a mut Vec<u8>,
    gaps: &'a mut Vec<Gap>,
}

impl<'de> DeserializeSeed<'de> for EntrySeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let Self { field, out, gaps } = self;
        match field.kind {
            Kind::Message(shape) => message_field(field.number, SCHEMA.shape(shape), json, out, gaps),
            _ => json.deserialize_any(FieldSeed { field, out, gaps }),
        }
    }
}

/// A string that is borrowed where it holds no escapes.
struct Text<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_owned())))
            }
        }
        json.deserialize_str(Borrowed)
    }
}
