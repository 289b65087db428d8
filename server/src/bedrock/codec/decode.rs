//! Decoder from Bedrock's JSON to a message of the contract.
//!
//! The JSON is read once, member by member, and written as protobuf's wire form with the tables of
//! [`super::schema`]. prost decodes that. Free-form JSON keeps its exact text. Nothing that Bedrock may add
//! breaks a reply: a member that the contract does not have is kept in `unknown_json` if the message has that
//! field, else it is reported as an [`UnknownMember`].
use super::schema::{Field, Kind, MessageId, MessageTable, SCHEMA};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Members that are ignored without a report: padding that hides the length of an answer, and second names of
/// counters that are decoded by their first name.
const IGNORED_MEMBERS: [&str; 3] = ["p", "cacheReadInputTokenCount", "cacheWriteInputTokenCount"];

/// A JSON member that Bedrock sent and the contract does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownMember {
    /// Name of the message that has the member.
    pub message: &'static str,
    /// Name of the member.
    pub member: String,
}

/// Reason why JSON cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The text is not valid JSON, or a member has another type than Bedrock documents.
    #[error("unexpected JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// prost cannot decode the wire form.
    #[error("invalid protobuf message: {0}")]
    Wire(#[from] prost::DecodeError),
}

/// Decodes `json` as the message `id`, which must be that of `M`.
pub(super) fn message<M: Message + Default>(
    id: MessageId,
    json: &[u8],
    unknown: &mut Vec<UnknownMember>,
) -> Result<M, DecodeError> {
    let mut wire = Vec::with_capacity(json.len());
    wire_form(id, json, &mut wire, unknown)?;
    Ok(M::decode(wire.as_slice())?)
}

/// Decodes `json` as the message `id` and appends its wire form to `out`.
pub(super) fn wire_form(
    id: MessageId,
    json: &[u8],
    out: &mut Vec<u8>,
    unknown: &mut Vec<UnknownMember>,
) -> Result<(), DecodeError> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    MessageSeed { table: SCHEMA.table(id), out, unknown }.deserialize(&mut reader)?;
    Ok(reader.end()?)
}

/// Writes the key of field `number`, the length, and the bytes that `content` writes.
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

/// Writes a length-delimited field.
fn bytes_field(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Reads an object, or the bare list that stands for a message.
struct MessageSeed<'a> {
    table: &'static MessageTable,
    out: &'a mut Vec<u8>,
    unknown: &'a mut Vec<UnknownMember>,
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
        write!(f, "the object {}", self.table.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { table, out, unknown } = self;
        let (mut has_content, mut unknown_member) = (false, None);
        while let Some(name) = members.next_key::<JsonString<'de>>()? {
            if let Some(field) = table.by_member(&name.0) {
                let before = out.len();
                members.next_value_seed(FieldSeed { field, out, unknown })?;
                has_content |= out.len() > before;
            } else if IGNORED_MEMBERS.contains(&name.0.as_ref()) {
                members.next_value::<serde::de::IgnoredAny>()?;
            } else {
                let value = members.next_value::<&'de RawValue>()?;
                if table.unknown.is_none() {
                    unknown.push(UnknownMember { message: &table.name, member: name.0.clone().into_owned() });
                }
                unknown_member = Some((name.0, value));
            }
        }
        match (table.unknown, unknown_member) {
            (Some(number), Some((name, value))) if !has_content => {
                let name = serde_json::to_string(&name).map_err(A::Error::custom)?;
                bytes_field(number, format!("{{{name}:{value}}}").as_bytes(), out);
            }
            // The union has a known member too, which is its content.
            (Some(_), Some((name, _))) => {
                unknown.push(UnknownMember { message: &table.name, member: name.into_owned() });
            }
            _ => {}
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        let Some(field) = self.table.bare_list() else {
            return Err(A::Error::custom(format_args!("a list instead of {}", self.table.name)));
        };
        FieldSeed { field, out: self.out, unknown: self.unknown }.visit_seq(entries)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(()) // null means absent
    }
}

/// Reads the value of a member and writes its field with its key. A list becomes one field for each entry.
struct FieldSeed<'a> {
    field: &'static Field,
    out: &'a mut Vec<u8>,
    unknown: &'a mut Vec<UnknownMember>,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        if self.field.list {
            return json.deserialize_any(self);
        }
        let Self { field, out, unknown } = self;
        match field.kind {
            Kind::ExactText | Kind::Struct | Kind::Value => {
                let value = <&'de RawValue as serde::Deserialize>::deserialize(json)?;
                bytes_field(field.number, value.get().as_bytes(), out);
                Ok(())
            }
            Kind::Message(id) => message_field(field.number, SCHEMA.table(id), json, out, unknown),
            _ => json.deserialize_any(FieldSeed { field, out, unknown }),
        }
    }
}

/// Reads a message and writes its field. A null writes no field instead of an empty message.
fn message_field<'de, D: Deserializer<'de>>(
    number: u32,
    table: &'static MessageTable,
    json: D,
    out: &mut Vec<u8>,
    unknown: &mut Vec<UnknownMember>,
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
            let Self(number, MessageSeed { table, out, unknown }) = self;
            delimited(number, out, |out| MessageSeed { table, out, unknown }.visit_map(members))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
            let Self(number, MessageSeed { table, out, unknown }) = self;
            delimited(number, out, |out| MessageSeed { table, out, unknown }.visit_seq(entries))
        }
    }
    json.deserialize_any(Nullable(number, MessageSeed { table, out, unknown }))
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
            Kind::String => bytes_field(number, value.as_bytes(), self.out),
            Kind::Bytes => bytes_field(number, &STANDARD.decode(value).map_err(E::custom)?, self.out),
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
            // Otherwise the upper bits would be lost on the wire, and the caller would get another number.
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
        let Self { field, out, unknown } = self;
        while entries.next_element_seed(EntrySeed { field, out, unknown })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self { field, out, unknown } = self;
        while let Some(key) = entries.next_key::<JsonString<'de>>()? {
            delimited(field.number, out, |out| {
                bytes_field(1, key.0.as_bytes(), out);
                match field.kind {
                    Kind::MessageMap(id) => delimited(2, out, |out| {
                        entries.next_value_seed(MessageSeed { table: SCHEMA.table(id), out, unknown })
                    }),
                    Kind::StringMap => {
                        bytes_field(2, entries.next_value::<JsonString<'de>>()?.0.as_bytes(), out);
                        Ok(())
                    }
                    _ => Err(A::Error::custom(format_args!("an object instead of {:?}", field.member))),
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
    unknown: &'a mut Vec<UnknownMember>,
}

impl<'de> DeserializeSeed<'de> for EntrySeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let Self { field, out, unknown } = self;
        match field.kind {
            Kind::Message(id) => message_field(field.number, SCHEMA.table(id), json, out, unknown),
            _ => json.deserialize_any(FieldSeed { field, out, unknown }),
        }
    }
}

/// A string that is borrowed if it has no escapes.
struct JsonString<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for JsonString<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = JsonString<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(JsonString(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(JsonString(Cow::Owned(value.to_owned())))
            }
        }
        json.deserialize_str(Borrowed)
    }
}
