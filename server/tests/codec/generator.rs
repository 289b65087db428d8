//! Messages of the contract, generated from its descriptors: a field that is added to the contract is
//! generated too.
//!
//! With AWS's service model Bedrock would accept the generated values. Without it they are any values of
//! their types, including content blocks that the contract does not have.
use crate::service_model::{ServiceModel, Shape};
use proptest::{collection, option, prelude::*, sample, strategy::Union, string::string_regex};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _,
    Value,
};
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    sync::LazyLock,
};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(switchboard_proto::FILE_DESCRIPTOR_SET).expect("the contract decodes")
});

/// Fields that Bedrock neither receives nor sends.
const OURS: [&str; 9] = [
    "CountTokensRequest.task_type",
    "CountTokensResponse.route",
    "ConverseRequest.task_type",
    "ConverseResponse.route",
    "ConverseResponse.latency",
    "ConverseResponse.cost",
    "ConverseStreamMetadataEvent.latency",
    "ConverseStreamMetadataEvent.cost",
    "ConverseStreamMetadataEvent.route",
];

/// A union that is not a oneof in protobuf, since one of its members is a list.
const UNION_WITH_A_LIST: &str = "DocumentSource";

/// The descriptor of `switchboard.v1.{name}`.
pub(crate) fn descriptor(name: &str) -> MessageDescriptor {
    POOL.get_message_by_name(&format!("switchboard.v1.{name}")).expect("is in the contract")
}

/// The names of the field's message and of the field, such as "ImageBlock.format".
pub(crate) fn name(field: &FieldDescriptor) -> &str {
    field.full_name().trim_start_matches("switchboard.v1.")
}

pub(crate) fn is_ours(field: &FieldDescriptor) -> bool {
    OURS.contains(&name(field))
}

/// True for a string that holds JSON.
fn is_exact_text(field: &FieldDescriptor) -> bool {
    field.name().ends_with("_json") || field.name() == "json_text"
}

/// True for JSON as a `Struct` or `Value`.
fn is_free(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(it) if it.package_name() == "google.protobuf")
}

/// The name of the field in Bedrock's JSON, as the contract documents it. Absent: Bedrock's JSON does not
/// have it.
pub(crate) fn member(field: &FieldDescriptor) -> Option<String> {
    if is_ours(field) || field.name() == "unknown_json" || field.kind().as_enum().is_some() {
        return None;
    }
    Some(match field.name() {
        "json_text" => "json".to_owned(),
        "raw_stop_reason" => "stopReason".to_owned(),
        name if name.ends_with("_json") => field.json_name().trim_end_matches("Json").to_owned(),
        _ => field.json_name().to_owned(),
    })
}

/// The only field of a message that is a bare list in JSON. Absent: the message is an object in JSON.
pub(crate) fn bare_list(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    let is_bare = matches!(message.name(), "ToolResultDelta" | "GuardrailAssessments");
    message.fields().next().filter(|_| is_bare)
}

/// The message that must result when `message` is encoded as Bedrock's JSON and decoded again: `Struct` and
/// `Value` become JSON text with sorted members and whole numbers without a point, and fields that only
/// Switchboard has are absent.
pub(crate) fn expected(message: &DynamicMessage) -> DynamicMessage {
    let mut out = DynamicMessage::new(message.descriptor());
    for (field, value) in message.fields().filter(|(field, _)| !is_ours(field)) {
        if is_free(&field) {
            let oneof = field.containing_oneof().expect("a Struct or Value has a string of JSON beside it");
            let text =
                oneof.fields().find(is_exact_text).expect("a Struct or Value has a string of JSON beside it");
            let free = value.as_message().expect("is a Struct or a Value");
            out.set_field(&text, Value::String(free_text(free)));
        } else {
            out.set_field(&field, expected_value(value));
        }
    }
    out
}

fn expected_value(value: &Value) -> Value {
    match value {
        Value::Message(message) => Value::Message(expected(message)),
        Value::List(entries) => Value::List(entries.iter().map(expected_value).collect()),
        Value::Map(entries) => {
            Value::Map(entries.iter().map(|(key, value)| (key.clone(), expected_value(value))).collect())
        }
        other => other.clone(),
    }
}

fn free_text(free: &DynamicMessage) -> String {
    if free.descriptor().name() == "Struct" {
        let fields: prost_types::Struct = free.transcode_to().expect("is a Struct");
        struct_json(&fields).to_string()
    } else {
        json(&free.transcode_to().expect("is a Value")).to_string()
    }
}

fn struct_json(fields: &prost_types::Struct) -> serde_json::Value {
    fields.fields.iter().map(|(name, value)| (name.clone(), json(value))).collect()
}

fn json(value: &prost_types::Value) -> serde_json::Value {
    use prost_types::value::Kind as K;
    match value.kind.as_ref() {
        None | Some(K::NullValue(_)) => serde_json::Value::Null,
        #[expect(clippy::cast_possible_truncation, reason = "whole, and small enough to be exact")]
        Some(K::NumberValue(number)) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => {
            (*number as i64).into()
        }
        Some(K::NumberValue(number)) => (*number).into(),
        Some(K::StringValue(text)) => text.as_str().into(),
        Some(K::BoolValue(truth)) => (*truth).into(),
        Some(K::StructValue(fields)) => struct_json(fields),
        Some(K::ListValue(list)) => list.values.iter().map(json).collect(),
    }
}

/// Generates messages.
pub(crate) struct Generator<'m> {
    model: Option<&'m ServiceModel>,
    /// True for messages that Bedrock sends: they have every list that is required.
    replies: bool,
    /// Strategies made so far, by message and shape.
    made: RefCell<HashMap<Made, BoxedStrategy<DynamicMessage>>>,
}

type Made = (String, Option<*const Shape>);

type Part = BoxedStrategy<(FieldDescriptor, Value)>;

impl<'m> Generator<'m> {
    /// Generates messages that `model` allows. Without a model: any messages.
    pub(crate) fn new(model: Option<&'m ServiceModel>) -> Self {
        Self { model, replies: false, made: RefCell::default() }
    }

    /// Generates messages that Bedrock sends.
    pub(crate) fn of_replies(model: Option<&'m ServiceModel>) -> Self {
        Self { replies: true, ..Self::new(model) }
    }

    /// Generates `switchboard.v1.{name}`, which is `shape` in the model.
    pub(crate) fn messages(&self, name: &str, shape: &str) -> BoxedStrategy<DynamicMessage> {
        self.message(&descriptor(name), self.model.map(|model| model.shape(shape)))
    }

    fn message(
        &self,
        descriptor: &MessageDescriptor,
        shape: Option<&'m Shape>,
    ) -> BoxedStrategy<DynamicMessage> {
        let key = (descriptor.full_name().to_owned(), shape.map(std::ptr::from_ref));
        if let Some(made) = self.made.borrow().get(&key) {
            return made.clone();
        }
        let mut parts = Vec::new();
        for choice in choices(descriptor) {
            let required = shape.is_some_and(|shape| choice.iter().any(|it| is_required(it, shape)));
            let ways = choice.iter().filter_map(|field| Some((weight(field), self.field(field, shape)?)));
            let ways: Vec<_> = ways.collect();
            if ways.is_empty() {
                continue;
            }
            let way = Union::new_weighted(ways);
            parts.push(if required {
                way.prop_map(Some).boxed()
            } else {
                option::weighted(0.8, way).boxed()
            });
        }
        let descriptor = descriptor.clone();
        let made = parts
            .prop_map(move |fields| {
                let mut message = DynamicMessage::new(descriptor.clone());
                for (field, value) in fields.into_iter().flatten() {
                    message.set_field(&field, value);
                }
                message
            })
            .boxed();
        self.made.borrow_mut().insert(key, made.clone());
        made
    }

    /// A value for the field. Absent: the field is never set.
    fn field(&self, field: &FieldDescriptor, parent: Option<&'m Shape>) -> Option<Part> {
        let shape = match (self.model, parent, member(field)) {
            (Some(_), Some(list), _) if list.kind == "list" => Some(list),
            (Some(model), Some(parent), Some(member)) => Some(model.member(parent, &member)?),
            _ => None,
        };
        let values = if is_ours(field) {
            matches!(field.kind(), Kind::String).then(|| text(None))?
        } else if field.kind().as_enum().is_some() {
            return None; // a string field beside it has the same value
        } else if field.name() == "unknown_json" {
            self.model.is_none().then(unknown_member)?
        } else if is_exact_text(field) {
            json_text().prop_map(Value::String).boxed()
        } else if field.is_map() {
            self.map(field, shape)
        } else if field.is_list() {
            let entry = shape.and_then(|shape| self.model?.entry(shape));
            let sizes = sizes(shape);
            // Protobuf cannot tell an empty list from an absent one, so a required list has at least one
            // entry.
            let must_be_there = field.parent_message().name() == UNION_WITH_A_LIST
                || (self.replies && parent.is_some_and(|parent| is_required(field, parent)));
            let least = usize::from(must_be_there).max(*sizes.start());
            collection::vec(self.value(&field.kind(), entry), least..=*sizes.end())
                .prop_map(Value::List)
                .boxed()
        } else {
            self.value(&field.kind(), shape)
        };
        let field = field.clone();
        Some(values.prop_map(move |value| (field.clone(), value)).boxed())
    }

    fn map(&self, field: &FieldDescriptor, shape: Option<&'m Shape>) -> BoxedStrategy<Value> {
        let kind = field.kind();
        let entry = kind.as_message().expect("a map's entry is a message");
        let key_shape = shape.and_then(|shape| self.model?.key(shape));
        let value_shape = shape.and_then(|shape| self.model?.entry(shape));
        let keys = text(key_shape).prop_map(|key| match key {
            Value::String(key) => MapKey::String(key),
            _ => unreachable!("a text is a string"),
        });
        let values = self.value(&entry.map_entry_value_field().kind(), value_shape);
        collection::hash_map(keys, values, sizes(shape)).prop_map(Value::Map).boxed()
    }

    fn value(&self, kind: &Kind, shape: Option<&'m Shape>) -> BoxedStrategy<Value> {
        let bound = |bound: Option<f64>, other: f64| bound.unwrap_or(other);
        let (min, max) = shape.map_or((None, None), |shape| (shape.min, shape.max));
        match kind {
            Kind::String => text(shape),
            Kind::Bytes => collection::vec(any::<u8>(), *sizes(shape).start()..40)
                .prop_map(|bytes| Value::Bytes(bytes.into()))
                .boxed(),
            Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
            #[expect(clippy::cast_possible_truncation, reason = "the model's bounds are whole")]
            Kind::Int32 => (bound(min, i32::MIN.into()) as i32..=bound(max, i32::MAX.into()) as i32)
                .prop_map(Value::I32)
                .boxed(),
            Kind::Int64 => any::<i64>().prop_map(Value::I64).boxed(),
            Kind::Double if shape.is_some() => {
                (bound(min, -1e9)..=bound(max, 1e9)).prop_map(Value::F64).boxed()
            }
            Kind::Double => number().prop_map(Value::F64).boxed(),
            Kind::Message(it) if it.full_name() == "google.protobuf.Struct" => {
                collection::btree_map(string(0, 8), free(), 0..4)
                    .prop_map(|fields| dynamic("Struct", &prost_types::Struct { fields }))
                    .boxed()
            }
            Kind::Message(it) if it.full_name() == "google.protobuf.Value" => {
                free().prop_map(|value| dynamic("Value", &value)).boxed()
            }
            Kind::Message(message) => self.message(message, shape).prop_map(Value::Message).boxed(),
            other => panic!("the contract has a field of the kind {other:?}"),
        }
    }
}

/// The groups of fields of which at most one is set: unions, and each other field alone.
fn choices(message: &MessageDescriptor) -> Vec<Vec<FieldDescriptor>> {
    if message.name() == UNION_WITH_A_LIST {
        return vec![message.fields().collect()];
    }
    let in_union = |field: &FieldDescriptor| field.containing_oneof().is_some_and(|it| !it.is_synthetic());
    let unions = message.oneofs().filter(|it| !it.is_synthetic()).map(|it| it.fields().collect());
    let alone = message.fields().filter(|field| !in_union(field)).map(|field| vec![field]);
    unions.chain(alone).collect()
}

/// The weight of a variant. It grows with the number of variants inside it, so that these are generated too.
fn weight(field: &FieldDescriptor) -> u32 {
    let mut variants = BTreeSet::new();
    if let Kind::Message(message) = field.kind() {
        variants_of(&message, &mut variants);
    }
    2 + u32::try_from(variants.len()).expect("is a small number")
}

/// True if Bedrock requires the field or its union.
fn is_required(field: &FieldDescriptor, parent: &Shape) -> bool {
    let has_no_absence = !field.supports_presence() && !field.is_list() && !field.is_map();
    parent.union
        || parent.kind == "list"
        || has_no_absence
        || member(field).is_some_and(|member| parent.required.contains(&member))
}

fn dynamic(name: &str, message: &impl prost::Message) -> Value {
    let descriptor = POOL.get_message_by_name(&format!("google.protobuf.{name}")).expect("is imported");
    let bytes = message.encode_to_vec();
    Value::Message(DynamicMessage::decode(descriptor, bytes.as_slice()).expect("is one"))
}

/// The sizes to generate. All are small, since there are many fields.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the model's sizes are whole")]
fn sizes(shape: Option<&Shape>) -> std::ops::RangeInclusive<usize> {
    let min = shape.and_then(|shape| shape.min).unwrap_or_default() as usize;
    let max = shape.and_then(|shape| shape.max).map_or(usize::MAX, |max| max as usize);
    min..=max.min(min + 2)
}

fn text(shape: Option<&Shape>) -> BoxedStrategy<Value> {
    let texts = match shape {
        Some(Shape { words, .. }) if !words.is_empty() => sample::select(words.clone()).boxed(),
        Some(Shape { pattern: Some(pattern), min, max, .. }) => {
            let (min, max) = (min.unwrap_or_default(), max.unwrap_or(f64::MAX));
            #[expect(clippy::cast_precision_loss, reason = "sizes in tests are small")]
            let fits = move |text: &String| (min..=max).contains(&(text.chars().count() as f64));
            string_regex(pattern).expect("is a pattern").prop_filter("its length", fits).boxed()
        }
        other => {
            let least = *sizes(other).start();
            let most =
                other.and_then(|shape| shape.max).map_or(least + 12, |max| (least + 12).min(max as usize));
            string(least, most)
        }
    };
    texts.prop_map(Value::String).boxed()
}

/// A string of any characters, including control characters, quotes and characters beyond 16 bits.
fn string(least: usize, most: usize) -> BoxedStrategy<String> {
    let character = prop_oneof![
        any::<char>(),
        proptest::char::range(' ', '~'),
        sample::select(vec!['"', '\\', '\0', '\u{1f980}'])
    ];
    collection::vec(character, least..=most).prop_map(String::from_iter).boxed()
}

fn number() -> BoxedStrategy<f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    let whole = (-(1_i64 << 54)..=1 << 54).prop_map(|whole| {
        #[expect(clippy::cast_precision_loss, reason = "any number will do")]
        let number = whole as f64;
        number
    });
    prop_oneof![POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO, whole, -2.0..2.0].boxed()
}

/// Any `Value`.
fn free() -> BoxedStrategy<prost_types::Value> {
    use prost_types::value::Kind as K;
    let value = |kind| prost_types::Value { kind: Some(kind) };
    let leaf = prop_oneof![
        Just(value(K::NullValue(0))),
        any::<bool>().prop_map(move |truth| value(K::BoolValue(truth))),
        number().prop_map(move |number| value(K::NumberValue(number))),
        string(0, 8).prop_map(move |text| value(K::StringValue(text))),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..3)
                .prop_map(move |values| value(K::ListValue(prost_types::ListValue { values }))),
            collection::btree_map(string(0, 6), inner, 0..3)
                .prop_map(move |fields| value(K::StructValue(prost_types::Struct { fields }))),
        ]
    })
    .boxed()
}

/// JSON text that must be passed on unchanged: unsorted members, unusual numbers, escapes, blanks.
fn json_text() -> BoxedStrategy<String> {
    let quoted = || string(0, 6).prop_map(|text| serde_json::to_string(&text).expect("is a text"));
    let leaf = prop_oneof![
        sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "-0",
            "1.0",
            "1E5",
            "9007199254740993",
            "-9223372036854775809",
            "0.1000000000000000055",
            "\"\\u00e9\\/\"",
            "\"\\ud83e\\udd80\"",
        ])
        .prop_map(str::to_owned),
        quoted(),
    ];
    let blank = || sample::select(vec!["", "", " ", "\n\t"]);
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let entries = collection::vec(inner.clone(), 0..3);
        let members = collection::vec((quoted(), blank(), inner), 0..3);
        prop_oneof![
            (entries, blank())
                .prop_map(|(entries, blank)| format!("[{blank}{}]", entries.join(&format!(",{blank}")))),
            members.prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, blank, value)| format!("{name}{blank}:{value}{blank}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
    .boxed()
}

/// A member of a union that the contract does not have.
fn unknown_member() -> BoxedStrategy<Value> {
    let name = string_regex("future[A-Z][a-z]{0,6}").expect("is a pattern");
    (name, json_text()).prop_map(|(name, json)| Value::String(format!("{{\"{name}\":{json}}}"))).boxed()
}

/// Adds every union variant that is set in a message.
pub(crate) fn variants_in(message: &DynamicMessage, found: &mut BTreeSet<String>) {
    for (field, value) in message.fields() {
        if field.containing_oneof().is_some_and(|it| !it.is_synthetic()) {
            found.insert(name(&field).to_owned());
        }
        let mut each = |value: &Value| {
            if let Value::Message(message) = value
                && message.descriptor().package_name() == "switchboard.v1"
            {
                variants_in(message, found);
            }
        };
        match value {
            Value::List(entries) => entries.iter().for_each(each),
            Value::Map(entries) => entries.values().for_each(each),
            value => each(value),
        }
    }
}

/// Adds every union variant that a message can have.
pub(crate) fn variants_of(message: &MessageDescriptor, found: &mut BTreeSet<String>) {
    let mut seen = BTreeSet::new();
    let mut to_see = vec![message.clone()];
    while let Some(message) = to_see.pop() {
        if message.package_name() != "switchboard.v1" || !seen.insert(message.full_name().to_owned()) {
            continue;
        }
        for field in message.fields().filter(|field| !is_ours(field)) {
            if field.containing_oneof().is_some_and(|it| !it.is_synthetic()) {
                found.insert(name(&field).to_owned());
            }
            if let Kind::Message(inner) = field.kind() {
                to_see.push(if field.is_map() {
                    match inner.map_entry_value_field().kind() {
                        Kind::Message(value) => value,
                        _ => continue,
                    }
                } else {
                    inner
                });
            }
        }
    }
}
