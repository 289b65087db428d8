//! Comparison of JSON that ignores differences which protobuf cannot express.
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Map, Value};
use std::sync::LazyLock;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(switchboard_proto::FILE_DESCRIPTOR_SET).expect("the contract decodes")
});

/// Members that the contract does not have: padding, and second names of members that it has.
const DOUBLED: [&str; 3] = ["p", "cacheReadInputTokenCount", "cacheWriteInputTokenCount"];

/// Reads protobuf JSON as a message of the contract, with a JSON decoder that is not Switchboard's.
pub(crate) fn from_json<M: Message + Default>(name: &str, json: &Value) -> Result<M, String> {
    let descriptor = POOL.get_message_by_name(&format!("switchboard.v1.{name}")).expect("is in the contract");
    let options = prost_reflect::DeserializeOptions::new().deny_unknown_fields(false);
    let message = DynamicMessage::deserialize_with_options(descriptor, json, &options);
    message.map_err(|error| error.to_string())?.transcode_to().map_err(|error| error.to_string())
}

/// Converts a message to protobuf JSON and that to Bedrock's JSON: members that hold JSON as text are parsed,
/// and members that only Switchboard has become null.
pub(crate) fn as_bedrock(name: &str, message: &impl Message) -> Value {
    let descriptor = POOL.get_message_by_name(&format!("switchboard.v1.{name}")).expect("is in the contract");
    let dynamic =
        DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).expect("is such a message");
    let options = SerializeOptions::new().skip_default_fields(false).stringify_64_bit_integers(false);
    let mut json: Value =
        dynamic.serialize_with_options(serde_json::value::Serializer, &options).expect("is JSON");
    for ours in ["/metadata/latency", "/metadata/cost", "/metadata/route", "/latency", "/cost", "/route"] {
        if let Some(value) = json.pointer_mut(ours) {
            *value = Value::Null;
        }
    }
    bedrock(json)
}

fn bedrock(json: Value) -> Value {
    match json {
        Value::Array(entries) => entries.into_iter().map(bedrock).collect(),
        Value::Object(members) => members.into_iter().filter_map(member).collect::<Map<_, _>>().into(),
        other => other,
    }
}

fn member((name, value): (String, Value)) -> Option<(String, Value)> {
    let exact = match name.as_str() {
        "stopReason" => return None, // the enum; `rawStopReason` has the text
        "rawStopReason" => return Some(("stopReason".to_owned(), value)),
        "jsonText" => Some("json".to_owned()),
        _ => name.strip_suffix("Json").map(ToOwned::to_owned),
    };
    match (exact, value) {
        (Some(name), Value::String(text)) => Some((name, serde_json::from_str(&text).expect("is JSON"))),
        (_, Value::Object(mut list)) if list.len() == 1 && list.contains_key("blocks") => {
            Some((name, bedrock(list.remove("blocks")?)))
        }
        (_, Value::Object(mut list)) if list.len() == 1 && list.contains_key("assessments") => {
            Some((name, bedrock(list.remove("assessments")?)))
        }
        (_, value) => Some((name, bedrock(value))),
    }
}

/// Removes empty lists and nulls, which protobuf cannot tell from absent members, and writes whole numbers in
/// one way.
pub(crate) fn neutral(json: Value) -> Value {
    match json {
        Value::Array(entries) => entries.into_iter().map(neutral).collect(),
        Value::Object(members) => {
            let kept = members
                .into_iter()
                .filter(|(name, _)| !DOUBLED.contains(&name.as_str()))
                .map(|(name, value)| (name, neutral(value)))
                .filter(|(_, value)| {
                    !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty())
                });
            kept.collect::<Map<_, _>>().into()
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                (float as i64).into()
            }
            _ => number.into(),
        },
        other => other,
    }
}

/// Describes the first place where two values differ. Absent: they are equal.
pub(crate) fn difference(expected: &Value, found: &Value, path: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let names = expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name)));
            names.into_iter().find_map(|name| {
                let (left, right) = (expected.get(name), found.get(name));
                let null = Value::Null;
                difference(left.unwrap_or(&null), right.unwrap_or(&null), &format!("{path}.{name}"))
            })
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => expected
            .iter()
            .zip(found)
            .enumerate()
            .find_map(|(position, (left, right))| difference(left, right, &format!("{path}[{position}]"))),
        _ if expected == found => None,
        _ => Some(format!("{path}: expected {}, found {}", short(expected), short(found))),
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(200).collect()
}
