//! What the codec knows about the contract: a table per message, read from the descriptors once.
//!
//! The contract's field names are Bedrock's, so the tables are all there is to say about the two forms of a message;
//! a field added to the contract needs no line here. The few differences are rules about names:
//!
//! | field | in Bedrock's JSON |
//! |---|---|
//! | `x_json`, `json_text` | the member `x` (or `json`), as exact text |
//! | `unknown_json` | whatever member of a union this contract does not know |
//! | an enum `x` beside `raw_x` | only the text: the member `x` is `raw_x` |
//! | a message with one repeated field, in the place of a list | the bare list |
//! | a field of [`OURS`] | nothing: it is not Bedrock's |
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind as ProtoKind, MessageDescriptor};
use std::{collections::HashMap, sync::LazyLock};

/// Fields that Bedrock neither gets nor sends.
const OURS: [&str; 8] = [
    "switchboard.v1.CountTokensRequest.task_type",
    "switchboard.v1.CountTokensResponse.route",
    "switchboard.v1.ConverseRequest.task_type",
    "switchboard.v1.ConverseResponse.route",
    "switchboard.v1.ConverseResponse.latency",
    "switchboard.v1.ConverseResponse.cost",
    "switchboard.v1.ConverseStreamMetadataEvent.latency",
    "switchboard.v1.ConverseStreamMetadataEvent.cost",
];

/// Lists that Bedrock wants even when they are empty.
const REQUIRED_LISTS: [&str; 4] = [
    "switchboard.v1.Message.content",
    "switchboard.v1.ToolResultBlock.content",
    "switchboard.v1.SearchResultBlock.content",
    "switchboard.v1.ToolConfiguration.tools",
];

/// The tables of the contract's messages.
pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::load);

/// The tables of all messages, by [`ShapeId`].
pub(super) struct Schema {
    shapes: Vec<Shape>,
    ids: HashMap<String, ShapeId>,
}

/// Where a message's table stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShapeId(usize);

/// One message in its two forms.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// The message's name, for reports.
    pub(super) name: String,
    fields: Vec<Field>,
    /// Where the field of a member stands. A list: a message has so few that hashing a name takes longer than looking.
    by_member: Vec<(String, usize)>,
    by_number: Vec<Option<usize>>,
    /// A bit for each field that is required.
    pub(super) required: u64,
    /// The number of `unknown_json`.
    pub(super) unknown: Option<u32>,
}

/// One field in its two forms.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name in JSON.
    pub(super) member: String,
    /// The name as it is written: in quotes, with its colon.
    pub(super) key: String,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) list: bool,
    /// Sent even when it has its default, since Bedrock requires it.
    pub(super) required: bool,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Bytes,
    Bool,
    Int32,
    Int64,
    Double,
    /// JSON in a string.
    ExactText,
    /// JSON as `google.protobuf.Struct`.
    Struct,
    /// JSON as `google.protobuf.Value`.
    Value,
    Message(ShapeId),
    /// A map from strings to messages.
    MessageMap(ShapeId),
    /// A map from strings to strings.
    StringMap,
}

// === impl Schema ===

impl Schema {
    fn load() -> Self {
        #[expect(clippy::expect_used, reason = "the set is compiled in; any test that runs at all proves it")]
        let pool =
            DescriptorPool::decode(switchboard_proto::FILE_DESCRIPTOR_SET).expect("the contract decodes");
        let messages: Vec<_> =
            pool.all_messages().filter(|message| message.package_name() == "switchboard.v1").collect();
        let ids: HashMap<_, _> = messages
            .iter()
            .enumerate()
            .map(|(position, message)| (message.full_name().to_owned(), ShapeId(position)))
            .collect();
        let shapes = messages.iter().map(|message| Shape::new(message, &ids)).collect();
        Self { shapes, ids }
    }

    pub(super) fn shape(&self, id: ShapeId) -> &Shape {
        &self.shapes[id.0]
    }

    /// The table of `switchboard.v1.{name}`, which must exist.
    pub(super) fn named(&self, name: &str) -> ShapeId {
        self.ids[&format!("switchboard.v1.{name}")]
    }
}

// === impl Shape ===

impl Shape {
    fn new(message: &MessageDescriptor, ids: &HashMap<String, ShapeId>) -> Self {
        let mut shape = Self { name: message.name().to_owned(), ..Self::default() };
        for descriptor in message.fields().filter(|field| !OURS.contains(&field.full_name())) {
            if descriptor.name() == "unknown_json" {
                shape.unknown = Some(descriptor.number());
            } else if let Some(kind) = Kind::new(&descriptor, ids) {
                shape.add(Field::new(&descriptor, kind));
            }
        }
        shape
    }

    fn add(&mut self, field: Field) {
        let (position, number) = (self.fields.len(), field.number as usize);
        // A Struct and its exact text share a member; replies always take the text.
        match self.by_member.iter_mut().find(|known| known.0 == field.member) {
            Some(known) if field.kind == Kind::ExactText => known.1 = position,
            Some(_) => {}
            None => self.by_member.push((field.member.clone(), position)),
        }
        if self.by_number.len() <= number {
            self.by_number.resize(number + 1, None);
        }
        self.by_number[number] = Some(position);
        self.required |= u64::from(field.required) << position;
        self.fields.push(field);
    }

    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(super) fn by_member(&self, member: &str) -> Option<&Field> {
        let known = self.by_member.iter().find(|known| known.0 == member);
        known.map(|&(_, position)| &self.fields[position])
    }

    /// The field's place in [`Shape::fields`].
    pub(super) fn by_number(&self, number: u32) -> Option<usize> {
        self.by_number.get(number as usize).copied().flatten()
    }

    /// The only field, if it is a list: such a message stands for a bare list in JSON.
    pub(super) fn bare_list(&self) -> Option<&Field> {
        match self.fields.as_slice() {
            [only] if only.list && matches!(only.member.as_str(), "blocks" | "assessments") => Some(only),
            _ => None,
        }
    }
}

// === impl Field ===

impl Field {
    fn new(descriptor: &FieldDescriptor, kind: Kind) -> Self {
        let list = descriptor.is_list();
        let scalar = matches!(
            kind,
            Kind::String | Kind::Bytes | Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Double
        );
        let member = member(descriptor);
        Self {
            key: format!("\"{member}\":"), // names of the contract have nothing to escape
            member,
            number: descriptor.number(),
            kind,
            list,
            required: REQUIRED_LISTS.contains(&descriptor.full_name())
                || (scalar && !list && !descriptor.supports_presence()),
        }
    }
}

/// The field's name in Bedrock's JSON.
fn member(descriptor: &FieldDescriptor) -> String {
    let name = descriptor.json_name();
    if let Some(exact) = name.strip_suffix("Json").or_else(|| name.strip_suffix("Text"))
        && is_exact_text(descriptor)
    {
        return exact.to_owned();
    }
    match name.strip_prefix("raw") {
        Some(rest) => rest[..1].to_lowercase() + &rest[1..],
        None => name.to_owned(),
    }
}

fn is_exact_text(descriptor: &FieldDescriptor) -> bool {
    descriptor.name().ends_with("_json") || descriptor.name() == "json_text"
}

// === impl Kind ===

impl Kind {
    /// `None` for a field that has no form of its own in JSON: an enum, whose text stands beside it.
    fn new(descriptor: &FieldDescriptor, ids: &HashMap<String, ShapeId>) -> Option<Self> {
        if descriptor.is_map() {
            return Some(match descriptor.kind().as_message()?.map_entry_value_field().kind() {
                ProtoKind::Message(value) => Self::MessageMap(*ids.get(value.full_name())?),
                _ => Self::StringMap,
            });
        }
        Some(match descriptor.kind() {
            ProtoKind::String if is_exact_text(descriptor) => Self::ExactText,
            ProtoKind::String => Self::String,
            ProtoKind::Bytes => Self::Bytes,
            ProtoKind::Bool => Self::Bool,
            ProtoKind::Int32 => Self::Int32,
            ProtoKind::Int64 => Self::Int64,
            ProtoKind::Double => Self::Double,
            ProtoKind::Message(message) => match message.full_name() {
                "google.protobuf.Struct" => Self::Struct,
                "google.protobuf.Value" => Self::Value,
                name => Self::Message(*ids.get(name)?),
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(message: &str) -> Vec<&'static str> {
        let shape = SCHEMA.shape(SCHEMA.named(message));
        shape.fields().iter().map(|field| field.member.as_str()).collect()
    }

    #[test]
    fn a_request_has_bedrocks_members_only() {
        let all = members("ConverseRequest");
        assert!(all.contains(&"additionalModelRequestFields") && all.contains(&"inferenceConfig"));
        assert!(!all.contains(&"taskType"));
    }

    #[test]
    fn exact_text_and_raw_words_take_the_plain_names() {
        assert_eq!(members("ToolInputSchema"), ["json", "json"]);
        assert_eq!(members("MessageStopEvent"), ["stopReason", "additionalModelResponseFields"]);
        assert_eq!(members("JsonSchemaDefinition"), ["schema", "name", "description"]);
    }

    #[test]
    fn what_bedrock_requires_is_required() {
        let shape = SCHEMA.shape(SCHEMA.named("ToolResultBlock"));
        let required: Vec<_> =
            shape.fields().iter().filter(|field| field.required).map(|field| &field.member).collect();
        assert_eq!(required, ["toolUseId", "content"]);
    }
}
