//! Validates the body against the service model: types, required members, unions, ranges, lengths, patterns,
//! enums.
//!
//! `shapes.json` is derived from AWS's service model for Bedrock Runtime (botocore 1.44.5, Apache-2.0): the
//! shapes reachable from the inputs of Converse, ConverseStream and CountTokens, without documentation. As in
//! the service, unknown members are ignored, null means absent, and one message reports all violations.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use crate::error::ServiceError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    kind: Kind,
    #[serde(default)]
    members: BTreeMap<String, String>,
    #[serde(default)]
    required: Vec<String>,
    /// Shape of the elements of a list or of the values of a map.
    #[serde(default)]
    of: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    values: Vec<String>,
    min: Option<f64>,
    max: Option<f64>,
    pattern: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Structure,
    Union,
    List,
    Map,
    String,
    Enum,
    Integer,
    Float,
    Boolean,
    Blob,
    Document,
}

/// (shape, value): enum values that the service accepts in recorded traffic although its model does not list
/// them.
const ALSO_ACCEPTED: [(&str, &str); 1] = [("ToolUseType", "tool_use")];

#[expect(clippy::expect_used, reason = "compiled in, and loaded by a test")]
static SHAPES: LazyLock<HashMap<String, Shape>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../shapes.json")).expect("shapes.json is valid"));

#[expect(clippy::expect_used, reason = "compiled in, and loaded by a test")]
static PATTERNS: LazyLock<HashMap<&str, Regex>> = LazyLock::new(|| {
    let patterns = SHAPES.values().filter_map(|shape| shape.pattern.as_deref());
    patterns.map(|text| (text, Regex::new(&format!("^(?:{text})$")).expect("a valid pattern"))).collect()
});

/// A validation in progress.
#[derive(Default)]
struct Validator {
    /// Path of the current value in the notation of Converse: `messages.0.content.1`.
    path: Vec<String>,
    violations: Vec<String>,
    /// The first violation that the service reports alone: a wrong type, a union with no or several members.
    fatal: Option<ServiceError>,
}

/// Validates `body` against the input shape named `shape`.
pub(crate) fn check(body: &Value, shape: &str) -> Result<(), ServiceError> {
    let mut validator = Validator::default();
    validator.value(body, shape);
    if let Some(error) = validator.fatal {
        return Err(error);
    }
    let all = validator.violations.join("; ");
    match validator.violations.len() {
        0 => Ok(()),
        1 => Err(ServiceError::validation(format!("1 validation error detected: {all}"))),
        many => Err(ServiceError::validation(format!("{many} validation errors detected: {all}"))),
    }
}

// === impl Validator ===

impl Validator {
    fn value(&mut self, value: &Value, name: &str) {
        let Some(shape) = SHAPES.get(name) else { return };
        match (shape.kind, value) {
            (Kind::Document, _) => {}
            (Kind::Structure, Value::Object(_)) => self.structure(value, shape),
            (Kind::Union, Value::Object(_)) => self.union(value, name, shape),
            (Kind::List, Value::Array(items)) => self.list(items, shape),
            (Kind::Map, Value::Object(_)) => self.map(value, shape),
            (Kind::Enum, Value::String(text)) => self.enumeration(text, name, shape),
            (Kind::String | Kind::Blob, Value::String(text)) => self.text(text, shape),
            (Kind::Integer, Value::Number(number)) if number.is_i64() => self.range(value, shape),
            (Kind::Float, Value::Number(_)) => self.range(value, shape),
            (Kind::Boolean, Value::Bool(_)) => {}
            (kind, _) => self.wrong_type(value, kind),
        }
    }

    fn structure(&mut self, value: &Value, shape: &Shape) {
        for member in shape.required.iter().filter(|member| value[member.as_str()].is_null()) {
            self.at(member, |validator| validator.violation(None, "Member must not be null"));
        }
        self.members(value, shape);
    }

    fn members(&mut self, value: &Value, shape: &Shape) {
        for (member, of) in &shape.members {
            if !value[member.as_str()].is_null() {
                self.at(member, |validator| validator.value(&value[member.as_str()], of));
            }
        }
    }

    fn union(&mut self, value: &Value, name: &str, shape: &Shape) {
        let set = shape.members.keys().filter(|member| !value[member.as_str()].is_null()).count();
        if set == 1 {
            return self.members(value, shape);
        }
        let keys = shape.members.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let one = if set == 0 { "one" } else { "only one" };
        let path = self.path.join(".");
        self.fail(ServiceError::validation(format!(
            "The {name} object at {path} must set {one} of the following keys: {keys}."
        )));
    }

    fn list(&mut self, items: &[Value], shape: &Shape) {
        self.length(items.len(), "", shape);
        for (index, item) in items.iter().enumerate() {
            self.at(&index.to_string(), |validator| validator.value(item, &shape.of));
        }
    }

    fn map(&mut self, value: &Value, shape: &Shape) {
        let Some(members) = value.as_object() else { return };
        self.length(members.len(), "", shape);
        for (key, value) in members {
            self.at(key, |validator| {
                validator.value(&Value::String(key.clone()), &shape.key);
                validator.value(value, &shape.of);
            });
        }
    }

    fn enumeration(&mut self, text: &str, name: &str, shape: &Shape) {
        if !shape.values.iter().any(|value| value == text) && !ALSO_ACCEPTED.contains(&(name, text)) {
            let values = shape.values.join(", ");
            self.violation(Some(text), &format!("Member must satisfy enum value set: [{values}]"));
        }
    }

    fn text(&mut self, text: &str, shape: &Shape) {
        let length = if shape.kind == Kind::Blob { text.len() * 3 / 4 } else { text.chars().count() };
        self.length(length, text, shape);
        let pattern = shape.pattern.as_deref().and_then(|pattern| PATTERNS.get_key_value(pattern));
        if let Some((pattern, regex)) = pattern
            && !regex.is_match(text)
        {
            self.violation(Some(text), &format!("Member must satisfy regular expression pattern: {pattern}"));
        }
    }

    fn length(&mut self, length: usize, actual: &str, shape: &Shape) {
        if let Some(min) = shape.min.filter(|min| (length as f64) < *min) {
            self.violation(Some(actual), &format!("Member must have length greater than or equal to {min}"));
        }
        if let Some(max) = shape.max.filter(|max| (length as f64) > *max) {
            self.violation(Some(actual), &format!("Member must have length less than or equal to {max}"));
        }
    }

    fn range(&mut self, value: &Value, shape: &Shape) {
        let (number, actual) = (value.as_f64().unwrap_or_default(), value.to_string());
        if let Some(min) = shape.min.filter(|min| number < *min) {
            self.violation(Some(&actual), &format!("Member must have value greater than or equal to {min}"));
        }
        if let Some(max) = shape.max.filter(|max| number > *max) {
            self.violation(Some(&actual), &format!("Member must have value less than or equal to {max}"));
        }
    }

    fn wrong_type(&mut self, value: &Value, expected: Kind) {
        let found = match value {
            Value::Null => "NULL_VALUE",
            Value::Bool(true) => "TRUE_VALUE",
            Value::Bool(false) => "FALSE_VALUE",
            Value::Number(_) => "NUMBER_VALUE",
            Value::String(_) => "STRING_VALUE",
            Value::Array(_) => "START_ARRAY",
            Value::Object(_) => "START_OBJECT",
        };
        let expected = match expected {
            Kind::Integer => "an Integer",
            Kind::Float => "a Float",
            Kind::Boolean => "a Boolean",
            Kind::List => "a List",
            Kind::Map => "a Map",
            Kind::Structure | Kind::Union | Kind::Document => "a Structure",
            Kind::String | Kind::Enum => "a String",
            Kind::Blob => "a Blob",
        };
        let path = self.path.join(".");
        let message = format!("{found} at {path} can not be converted to {expected}");
        self.fail(ServiceError::named("SerializationException").with_message(message));
    }

    /// Adds a violation. Its path counts list elements from 1 and has `member` after each index, as in the
    /// service.
    fn violation(&mut self, actual: Option<&str>, constraint: &str) {
        let actual = actual.map_or_else(|| "null".to_owned(), |text| format!("'{text}'"));
        let path = self.path.iter().map(|segment| match segment.parse::<usize>() {
            Ok(index) => format!("{}.member", index + 1),
            Err(_) => segment.clone(),
        });
        let path = path.collect::<Vec<_>>().join(".");
        self.violations
            .push(format!("Value {actual} at '{path}' failed to satisfy constraint: {constraint}"));
    }

    fn fail(&mut self, error: ServiceError) {
        self.fatal.get_or_insert(error);
    }

    fn at(&mut self, segment: &str, validate: impl FnOnce(&mut Self)) {
        self.path.push(segment.to_owned());
        validate(self);
        self.path.pop();
    }
}
