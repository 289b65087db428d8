//! AWS's service model: what Bedrock accepts, member by member.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, fs};

/// The shapes of Bedrock's JSON, by name.
#[derive(Debug, Deserialize)]
pub(crate) struct ServiceModel {
    shapes: BTreeMap<String, Shape>,
    /// The patterns of all shapes, compiled.
    #[serde(skip)]
    patterns: BTreeMap<String, Regex>,
}

/// One shape.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) members: BTreeMap<String, Reference>,
    pub(crate) required: Vec<String>,
    /// True if exactly one member must be set.
    pub(crate) union: bool,
    /// True for any JSON value.
    pub(crate) document: bool,
    member: Option<Reference>,
    key: Option<Reference>,
    value: Option<Reference>,
    #[serde(rename = "enum")]
    pub(crate) words: Vec<String>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) pattern: Option<String>,
}

/// The use of a shape as a member.
#[derive(Debug, Deserialize)]
pub(crate) struct Reference {
    shape: String,
    /// The part of the request that carries the member, such as a header. Absent: the body.
    pub(crate) location: Option<String>,
}

// === impl ServiceModel ===

impl ServiceModel {
    /// The model of the folder of recordings. The sample has an excerpt: see
    /// `tests/recordings/service_model.py`.
    pub(crate) fn load() -> Self {
        let path = crate::recordings::folder().join("bedrock-runtime-converse.model.json");
        let text = fs::read_to_string(path).expect("is in the folder");
        let mut model: Self = serde_json::from_str(&text).expect("is a service model");
        let patterns = model.shapes.values().filter_map(|shape| shape.pattern.clone());
        model.patterns = patterns.map(|pattern| (pattern.clone(), whole(&pattern))).collect();
        model
    }

    pub(crate) fn shape(&self, name: &str) -> &Shape {
        &self.shapes[name]
    }

    pub(crate) fn member(&self, shape: &Shape, name: &str) -> Option<&Shape> {
        shape.members.get(name).filter(|it| it.location.is_none()).map(|it| self.shape(&it.shape))
    }

    /// The shape of a list's or a map's entries.
    pub(crate) fn entry(&self, shape: &Shape) -> Option<&Shape> {
        shape.member.as_ref().or(shape.value.as_ref()).map(|it| self.shape(&it.shape))
    }

    pub(crate) fn key(&self, shape: &Shape) -> Option<&Shape> {
        shape.key.as_ref().map(|it| self.shape(&it.shape))
    }

    /// Returns everything in `json` that the shape `name` does not allow.
    pub(crate) fn violations(&self, name: &str, json: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.check(self.shape(name), json, name, &mut found);
        found
    }

    fn check(&self, shape: &Shape, json: &Value, path: &str, found: &mut Vec<String>) {
        let mut wrong = |problem: String| found.push(format!("{path}: {problem}"));
        match (shape.kind.as_str(), json) {
            _ if shape.document => {}
            ("structure", Value::Object(members)) => {
                if shape.union && members.len() != 1 {
                    wrong(format!("a union with {} members", members.len()));
                }
                for name in &shape.required {
                    let there = match (self.member(shape, name), members.get(name)) {
                        (None, _) => true, // not a part of the body
                        (Some(shape), Some(Value::Null)) => shape.document,
                        (Some(_), json) => json.is_some(),
                    };
                    if !there {
                        wrong(format!("{name} is missing"));
                    }
                }
                for (name, json) in members {
                    match self.member(shape, name) {
                        Some(shape) => self.check(shape, json, &format!("{path}.{name}"), found),
                        None => found.push(format!("{path}: unknown member {name}")),
                    }
                }
            }
            ("list", Value::Array(entries)) => {
                wrong_size(shape, entries.len(), &mut wrong);
                let entry = self.entry(shape).expect("a list has entries");
                for (position, json) in entries.iter().enumerate() {
                    self.check(entry, json, &format!("{path}[{position}]"), found);
                }
            }
            ("map", Value::Object(entries)) => {
                wrong_size(shape, entries.len(), &mut wrong);
                let (key, value) = (self.key(shape), self.entry(shape));
                for (name, json) in entries {
                    let name_as_json = Value::String(name.clone());
                    self.check(key.expect("a map has keys"), &name_as_json, path, found);
                    self.check(value.expect("a map has values"), json, &format!("{path}.{name}"), found);
                }
            }
            ("string", Value::String(text)) => {
                wrong_size(shape, text.chars().count(), &mut wrong);
                if !shape.words.is_empty() && !shape.words.contains(text) {
                    wrong(format!("{text:?} is none of {:?}", shape.words));
                }
                if let Some(pattern) = &shape.pattern
                    && !self.patterns[pattern].is_match(text)
                {
                    wrong(format!("{text:?} does not match {pattern}"));
                }
            }
            ("blob", Value::String(text)) => match STANDARD.decode(text) {
                Ok(bytes) => wrong_size(shape, bytes.len(), &mut wrong),
                Err(error) => wrong(format!("is not base64: {error}")),
            },
            ("boolean", Value::Bool(_)) => {}
            ("integer", Value::Number(number))
                if number.as_i64().is_some_and(|it| i32::try_from(it).is_ok()) =>
            {
                wrong_value(shape, json, &mut wrong);
            }
            ("long", Value::Number(number)) if number.is_i64() => wrong_value(shape, json, &mut wrong),
            ("float" | "double", Value::Number(_)) => wrong_value(shape, json, &mut wrong),
            (kind, json) => wrong(format!("{json} is no {kind}")),
        }
    }
}

/// Compiles a pattern. AWS's patterns match a whole text.
fn whole(pattern: &str) -> Regex {
    Regex::new(&format!("^(?:{pattern})$")).expect("is a pattern")
}

#[expect(clippy::cast_precision_loss, reason = "sizes in tests are small")]
fn wrong_size(shape: &Shape, size: usize, wrong: &mut impl FnMut(String)) {
    let size = size as f64;
    if shape.min.is_some_and(|min| size < min) || shape.max.is_some_and(|max| size > max) {
        wrong(format!("a size of {size}, not of {:?} to {:?}", shape.min, shape.max));
    }
}

fn wrong_value(shape: &Shape, json: &Value, wrong: &mut impl FnMut(String)) {
    let value = json.as_f64().expect("is a number");
    if shape.min.is_some_and(|min| value < min) || shape.max.is_some_and(|max| value > max) {
        wrong(format!("{value}, not {:?} to {:?}", shape.min, shape.max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recordings;
    use serde_json::json;

    #[test]
    fn refuses_what_bedrock_refuses() {
        let model = ServiceModel::load();
        let request = |members: Value| {
            let mut request = json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}]});
            request.as_object_mut().expect("is one").extend(members.as_object().expect("is one").clone());
            model.violations("ConverseRequest", &request)
        };
        let with_content =
            |content: Value| request(json!({"messages": [{"role": "user", "content": content}]}));
        assert_eq!(request(json!({})), [""; 0]);
        for (violations, expected) in [
            (request(json!({"model": "x"})), "ConverseRequest: unknown member model"),
            (
                request(json!({"inferenceConfig": {"maxTokens": 0}})),
                "ConverseRequest.inferenceConfig.maxTokens: 0",
            ),
            (
                request(json!({"inferenceConfig": {"maxTokens": 1.5}})),
                "ConverseRequest.inferenceConfig.maxTokens: 1.5 is",
            ),
            (request(json!({"toolConfig": {}})), "ConverseRequest.toolConfig: tools is missing"),
            (request(json!({"toolConfig": {"tools": []}})), "ConverseRequest.toolConfig.tools: a size of 0"),
            (
                request(json!({"serviceTier": {"type": "best"}})),
                "ConverseRequest.serviceTier.type: \"best\" is none",
            ),
            (with_content(json!({})), "ConverseRequest.messages[0].content: {} is no list"),
            (with_content(json!([{}])), "ConverseRequest.messages[0].content[0]: a union with 0 members"),
            (
                with_content(json!([{"text": "a", "cachePoint": {"type": "default"}}])),
                "ConverseRequest.messages[0].content[0]: a union with 2",
            ),
            (
                with_content(json!([{"toolUse": {"toolUseId": "a b", "name": "x", "input": {}}}])),
                "ConverseRequest.messages[0].content[0].toolUse.toolUseId: \"a b\" does not match",
            ),
            (
                with_content(json!([{"image": {"format": "png", "source": {"bytes": "*"}}}])),
                "ConverseRequest.messages[0].content[0].image.source.bytes: is not base64",
            ),
        ] {
            assert_eq!(violations.len(), 1, "{violations:?}");
            assert!(violations[0].starts_with(expected), "{violations:?} is not {expected}");
        }
    }

    /// Recordings list how their request departs from the model, as found by another validator.
    #[test]
    fn agrees_with_the_validator_of_the_recordings() {
        let model = ServiceModel::load();
        let (mut right, mut wrong) = (0, 0);
        for (file, shape) in [
            ("public/converse.jsonl", "ConverseRequest"),
            ("public/converse_stream.jsonl", "ConverseStreamRequest"),
        ] {
            for exchange in recordings::lines::<Value>(file) {
                let violations = model.violations(shape, &exchange["request_json"]);
                let theirs = exchange["request_model_violations"].as_array().map_or(0, Vec::len);
                assert_eq!(violations.is_empty(), theirs == 0, "{}: {violations:?}", exchange["id"]);
                if violations.is_empty() { right += 1 } else { wrong += 1 }
            }
        }
        println!("of the recorded requests, {right} fit the service model and {wrong} do not");
        assert!(right > 0 && wrong > 0, "the recordings need requests of both kinds");
    }
}
