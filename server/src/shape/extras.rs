//! Additional request fields, which only one model family accepts.
//!
//! A known field is sent to its own family only. An unknown field is sent to the family of the task's first
//! model only. Removing a field does not change the text of the others: integers and the order of keys stay
//! exact.
use super::{Action, Draft, Shaped};
use crate::catalogue::{ModelFamily, Reasoning};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use std::fmt;
use switchboard_proto::v1::converse_request::AdditionalRequestFields as Extras;

/// Fields with a known family.
const FAMILIES: [(&str, ModelFamily); 12] = [
    ("thinking", ModelFamily::Claude),
    ("reasoning_config", ModelFamily::Claude),
    ("top_k", ModelFamily::Claude),
    ("anthropic_beta", ModelFamily::Claude),
    ("anthropic_version", ModelFamily::Claude),
    ("output_config", ModelFamily::Claude),
    ("context_management", ModelFamily::Claude),
    ("inferenceConfig", ModelFamily::Nova),
    ("reasoningConfig", ModelFamily::Nova),
    ("schemaVersion", ModelFamily::Nova),
    ("max_gen_len", ModelFamily::Llama),
    ("textGenerationConfig", ModelFamily::Titan),
];

/// Reasoning settings of Claude models.
#[derive(Debug, Deserialize)]
pub(super) struct Thinking {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) budget_tokens: Option<i64>,
}

impl Draft<'_, '_> {
    pub(super) fn shape_extras(&mut self, first_family: ModelFamily) {
        let (family, why) = (self.facts.family, "the field is for models of another family");
        if family != ModelFamily::Unknown {
            for name in self.shaped.extra_names() {
                let meant_for = FAMILIES
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map_or(first_family, |(_, family)| *family);
                if meant_for != family && meant_for != ModelFamily::Unknown {
                    self.shaped.remove_extra(&name, why);
                }
            }
        }
        for name in ["thinking", "reasoning_config"] {
            self.shape_thinking(name);
        }
    }

    fn shape_thinking(&mut self, name: &str) {
        let Some(thinking) = self.shaped.thinking(name) else { return };
        match (self.facts.reasoning, thinking.kind.as_str()) {
            (Some(Reasoning::None), _) => {
                self.shaped.remove_extra(name, "the model does not support reasoning")
            }
            (Some(Reasoning::Always), "disabled") => {
                self.shaped.remove_extra(name, "reasoning cannot be turned off for the model")
            }
            (Some(Reasoning::Adaptive | Reasoning::Always), "enabled") => {
                self.shaped.set_extra(
                    name,
                    r#"{"type":"adaptive"}"#,
                    "the model does not accept a reasoning budget",
                );
            }
            (Some(Reasoning::Budget), "adaptive") => {
                self.shaped.remove_extra(name, "the model requires a reasoning budget")
            }
            _ => {}
        }
    }
}

// === impl Shaped ===

impl Shaped<'_> {
    pub(super) fn thinking(&self, name: &str) -> Option<Thinking> {
        match self.request.additional_request_fields.as_ref()? {
            Extras::AdditionalModelRequestFieldsJson(text) => {
                let members: Members = serde_json::from_str(text).ok()?;
                let (_, value) = members.0.iter().find(|(member, _)| member == name)?;
                serde_json::from_str(value.get()).ok()
            }
            Extras::AdditionalModelRequestFields(fields) => {
                use prost_types::value::Kind;
                let Some(Kind::StructValue(value)) = &fields.fields.get(name)?.kind else { return None };
                let member = |name| value.fields.get(name).and_then(|member| member.kind.as_ref());
                let Some(Kind::StringValue(kind)) = member("type") else { return None };
                let budget_tokens = match member("budget_tokens") {
                    #[expect(clippy::cast_possible_truncation, reason = "a number of tokens; casts saturate")]
                    Some(Kind::NumberValue(number)) => Some(*number as i64),
                    _ => None,
                };
                Some(Thinking { kind: kind.clone(), budget_tokens })
            }
        }
    }

    fn extra_names(&self) -> Vec<String> {
        match &self.request.additional_request_fields {
            Some(Extras::AdditionalModelRequestFields(fields)) => fields.fields.keys().cloned().collect(),
            Some(Extras::AdditionalModelRequestFieldsJson(text)) => serde_json::from_str::<Members>(text)
                .map(|members| members.0.into_iter().map(|(name, _)| name).collect())
                .unwrap_or_default(),
            None => Vec::new(),
        }
    }

    pub(super) fn remove_extra(&mut self, name: &str, why: &str) {
        if self.take_extra(name) {
            self.note(format!("additional_model_request_fields.{name}"), Action::Removed, why);
        }
    }

    /// Removes a field without noting it. Returns true if the field was present.
    pub(super) fn take_extra(&mut self, name: &str) -> bool {
        if !self.extra_names().iter().any(|member| member == name) {
            return false;
        }
        match &mut self.request.to_mut().additional_request_fields {
            Some(Extras::AdditionalModelRequestFields(fields)) => drop(fields.fields.remove(name)),
            Some(Extras::AdditionalModelRequestFieldsJson(text)) => edit(text, |members| {
                members.retain(|(member, _)| member != name);
            }),
            None => {}
        }
        if self.extra_names().is_empty() {
            self.request.to_mut().additional_request_fields = None;
        }
        true
    }

    /// Replaces the value of an existing field by a JSON text.
    fn set_extra(&mut self, name: &str, json: &str, why: &str) {
        match &mut self.request.to_mut().additional_request_fields {
            Some(Extras::AdditionalModelRequestFieldsJson(text)) => edit(text, |members| {
                let value = RawValue::from_string(json.to_owned()).ok();
                if let (Some(entry), Some(value)) =
                    (members.iter_mut().find(|(member, _)| member == name), value)
                {
                    entry.1 = value;
                }
            }),
            Some(Extras::AdditionalModelRequestFields(fields)) => {
                // The only value that is ever set is {"type": "adaptive"}.
                let kind = prost_types::Value::from("adaptive");
                let object = prost_types::Struct { fields: [("type".to_owned(), kind)].into() };
                let value = prost_types::value::Kind::StructValue(object);
                fields.fields.insert(name.to_owned(), prost_types::Value { kind: Some(value) });
            }
            None => {}
        }
        self.note(format!("additional_model_request_fields.{name}"), Action::Replaced, why);
    }
}

/// Changes the members of a JSON object. The text of unchanged members stays exact.
fn edit(text: &mut String, change: impl FnOnce(&mut Vec<(String, Box<RawValue>)>)) {
    let Ok(Members(mut members)) = serde_json::from_str(text) else { return };
    change(&mut members);
    let members = members
        .iter()
        .filter_map(|(name, value)| serde_json::to_string(name).ok().map(|name| format!("{name}:{value}")));
    *text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
}

/// Members of a JSON object in their order, each with its exact text.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> de::Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut object: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = object.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        json.deserialize_map(Object)
    }
}
