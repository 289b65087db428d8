//! Tables that map the contract's messages to Bedrock's JSON, built once from the protobuf descriptors.
//!
//! The contract's field names are those of Bedrock, so a field that is added to the contract needs no code
//! here. The few differences are rules about names:
//!
//! | field of the contract | in Bedrock's JSON |
//! |---|---|
//! | `x_json`, `json_text` | member `x` (or `json`), as exact text |
//! | `unknown_json` | any member of a union that the contract does not have |
//! | an enum `x` next to `raw_x` | member `x` holds the text of `raw_x`; the enum is not sent |
//! | a message with one repeated field, in place of a list | the bare list |
//! | a field of [`SWITCHBOARD_FIELDS`] | absent: only Switchboard and its callers use it |
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind as ProtoKind, MessageDescriptor};
use std::{collections::HashMap, sync::LazyLock};

/// Fields of the contract that are neither sent to Bedrock nor received from it.
const SWITCHBOARD_FIELDS: [&str; 9] = [
    "switchboard.v1.CountTokensRequest.task_type",
    "switchboard.v1.CountTokensResponse.route",
    "switchboard.v1.ConverseRequest.task_type",
    "switchboard.v1.ConverseResponse.route",
    "switchboard.v1.ConverseResponse.latency",
    "switchboard.v1.ConverseResponse.cost",
    "switchboard.v1.ConverseStreamMetadataEvent.latency",
    "switchboard.v1.ConverseStreamMetadataEvent.route",
    "switchboard.v1.ConverseStreamMetadataEvent.cost",
];

/// Lists that Bedrock requires even if they are empty.
const REQUIRED_LISTS: [&str; 4] = [
    "switchboard.v1.Message.content",
    "switchboard.v1.ToolResultBlock.content",
    "switchboard.v1.SearchResultBlock.content",
    "switchboard.v1.ToolConfiguration.tools",
];

/// Maximum number of fields of a message. The encoder marks written fields in a `u64`, whose highest bit
/// stands for `unknown_json`.
pub(super) const MAX_FIELDS: usize = 63;

/// Tables of the contract's messages.
pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::load);

/// Tables of all messages, indexed by [`MessageId`].
pub(super) struct Schema {
    tables: Vec<MessageTable>,
    /// By the full name of the message.
    ids: HashMap<String, MessageId>,
}

/// Position of a message's table in [`Schema`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageId(usize);

/// Mapping of one message between protobuf and JSON.
#[derive(Debug, Default)]
pub(super) struct MessageTable {
    /// Name of the message without its package, for logs and errors.
    pub(super) name: String,
    fields: Vec<Field>,
    /// Position in `fields` for each member of the JSON object. A list, because a message has so few members
    /// that hashing a name takes longer than comparing them all.
    by_member: Vec<(String, usize)>,
    /// Position in `fields`, indexed by field number.
    by_number: Vec<Option<usize>>,
    /// Bit mask of the positions of required fields.
    pub(super) required: u64,
    /// Field number of `unknown_json`. Absent: unknown members cannot be kept.
    pub(super) unknown: Option<u32>,
}

/// Mapping of one field between protobuf and JSON.
#[derive(Debug)]
pub(super) struct Field {
    /// Name in JSON.
    pub(super) member: String,
    /// Encoded name: in quotes, followed by a colon.
    pub(super) key: String,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) list: bool,
    /// True if Bedrock requires the member, so that it is sent even with its default value.
    pub(super) required: bool,
}

/// Type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Bytes,
    Bool,
    Int32,
    Int64,
    Double,
    /// JSON as text, passed on unchanged.
    ExactText,
    /// JSON as `google.protobuf.Struct`.
    Struct,
    /// JSON as `google.protobuf.Value`.
    Value,
    Message(MessageId),
    /// Map from strings to messages.
    MessageMap(MessageId),
    /// Map from strings to strings.
    StringMap,
}

// === impl Schema ===

impl Schema {
    fn load() -> Self {
        #[expect(clippy::expect_used, reason = "compiled in, and decoded by nearly every test")]
        let pool =
            DescriptorPool::decode(switchboard_proto::FILE_DESCRIPTOR_SET).expect("the contract decodes");
        let messages: Vec<_> =
            pool.all_messages().filter(|message| message.package_name() == "switchboard.v1").collect();
        let ids: HashMap<_, _> = messages
            .iter()
            .enumerate()
            .map(|(position, message)| (message.full_name().to_owned(), MessageId(position)))
            .collect();
        let tables = messages.iter().map(|message| MessageTable::new(message, &ids)).collect();
        Self { tables, ids }
    }

    pub(super) fn table(&self, id: MessageId) -> &MessageTable {
        &self.tables[id.0]
    }

    /// Id of the message `switchboard.v1.{name}`, which must exist.
    pub(super) fn id(&self, name: &str) -> MessageId {
        self.ids[&format!("switchboard.v1.{name}")]
    }
}

// === impl MessageTable ===

impl MessageTable {
    fn new(message: &MessageDescriptor, ids: &HashMap<String, MessageId>) -> Self {
        let mut table = Self { name: message.name().to_owned(), ..Self::default() };
        for descriptor in message.fields().filter(|field| !SWITCHBOARD_FIELDS.contains(&field.full_name())) {
            if descriptor.name() == "unknown_json" {
                table.unknown = Some(descriptor.number());
            } else if let Some(kind) = Kind::new(&descriptor, ids) {
                table.add(Field::new(&descriptor, kind));
            }
        }
        table
    }

    fn add(&mut self, field: Field) {
        let (position, number) = (self.fields.len(), field.number as usize);
        assert!(position < MAX_FIELDS, "{} has more than {MAX_FIELDS} fields", self.name);
        // A Struct and its exact text share a member. Decoding always chooses the text.
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

    /// The field that a member of the JSON object belongs to.
    pub(super) fn by_member(&self, member: &str) -> Option<&Field> {
        let known = self.by_member.iter().find(|known| known.0 == member);
        known.map(|&(_, position)| &self.fields[position])
    }

    /// Position in [`MessageTable::fields`] of the field with this number.
    pub(super) fn by_number(&self, number: u32) -> Option<usize> {
        self.by_number.get(number as usize).copied().flatten()
    }

    /// The only field of a message that stands for a bare list in JSON. `None`: the message is an object.
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
            key: format!("\"{member}\":"), // names in the contract need no escapes
            member,
            number: descriptor.number(),
            kind,
            list,
            required: REQUIRED_LISTS.contains(&descriptor.full_name())
                || (scalar && !list && !descriptor.supports_presence()),
        }
    }
}

/// Name of a field in Bedrock's JSON.
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
    /// `None` for a field that is not part of the JSON: an enum, whose text is in another field.
    fn new(descriptor: &FieldDescriptor, ids: &HashMap<String, MessageId>) -> Option<Self> {
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
        let table = SCHEMA.table(SCHEMA.id(message));
        table.fields().iter().map(|field| field.member.as_str()).collect()
    }

    #[test]
    fn fields_of_switchboard_are_not_members() {
        let all = members("ConverseRequest");
        assert!(all.contains(&"additionalModelRequestFields") && all.contains(&"inferenceConfig"));
        assert!(!all.contains(&"taskType"));
        for message in ["ConverseResponse", "ConverseStreamMetadataEvent", "CountTokensResponse"] {
            let added = members(message).into_iter().find(|it| ["route", "latency", "cost"].contains(it));
            assert_eq!(added, None, "{message}");
        }
    }

    #[test]
    fn exact_text_and_raw_text_have_the_plain_member_names() {
        assert_eq!(members("ToolInputSchema"), ["json", "json"]);
        assert_eq!(members("MessageStopEvent"), ["stopReason", "additionalModelResponseFields"]);
        assert_eq!(members("JsonSchemaDefinition"), ["schema", "name", "description"]);
    }

    #[test]
    fn members_that_bedrock_requires_are_marked() {
        let table = SCHEMA.table(SCHEMA.id("ToolResultBlock"));
        let required: Vec<_> =
            table.fields().iter().filter(|field| field.required).map(|field| &field.member).collect();
        assert_eq!(required, ["toolUseId", "content"]);
    }

    #[test]
    fn no_message_has_more_fields_than_the_encoder_can_mark() {
        for table in &SCHEMA.tables {
            let fields = table.fields().len();
            assert!(fields <= MAX_FIELDS, "{} has {fields} fields", table.name);
        }
    }

    #[test]
    #[should_panic(expected = "Large has more than 63 fields")]
    fn refuses_a_message_with_more_fields_than_the_encoder_can_mark() {
        let mut table = MessageTable { name: "Large".to_owned(), ..MessageTable::default() };
        for number in 1..=64 {
            let (member, key) = (format!("f{number}"), format!("\"f{number}\":"));
            table.add(Field { member, key, number, kind: Kind::String, list: false, required: false });
            assert!(number <= 63, "accepts field {number}");
        }
    }
}
