//! The subset of JSON schema that Claude supports for strict tools and structured output.
//!
//! Messages are as recorded: ``output_config.format.schema: For 'array' type, property 'maxItems' is not
//! supported``.

use serde_json::Value;

use crate::error::ServiceError;
use crate::models::Model;
use crate::prompt::list;

/// (type, keywords that it does not support)
const UNSUPPORTED: [(&str, &[&str]); 3] = [
    ("array", &["maxItems"]),
    ("integer", &["multipleOf", "minimum", "maximum"]),
    ("number", &["multipleOf", "minimum", "maximum"]),
];

/// Rejects schemas outside the subset.
pub(super) fn check(model: &Model, body: &Value) -> Result<(), ServiceError> {
    if model.provider() != "anthropic" {
        return Ok(());
    }
    let tools = list(&body["toolConfig"], "tools").iter().map(|tool| &tool["toolSpec"]).enumerate();
    for (index, tool) in tools.filter(|(_, tool)| tool["strict"] == true) {
        check_schema(&tool["inputSchema"]["json"], &format!("tools.{index}.custom"))?;
    }
    let text = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"].as_str();
    match text.and_then(|text| serde_json::from_str(text).ok()) {
        Some(schema) => check_schema(&schema, "output_config.format.schema"),
        None => Ok(()),
    }
}

fn check_schema(schema: &Value, path: &str) -> Result<(), ServiceError> {
    for (kind, keywords) in UNSUPPORTED {
        if schema["type"] != kind {
            continue;
        }
        if let Some(keyword) = keywords.iter().find(|keyword| schema.get(**keyword).is_some()) {
            return Err(ServiceError::from_model(format!(
                "{path}: For '{kind}' type, property '{keyword}' is not supported"
            )));
        }
    }
    if let Some(min) = schema["minItems"].as_u64().filter(|min| *min > 1) {
        return Err(ServiceError::from_model(format!(
            "{path}: For 'array' type, 'minItems' values other than 0 or 1 are not supported (got: [{min}])"
        )));
    }
    subschemas(schema).try_for_each(|child| check_schema(child, path))
}

/// Returns the direct subschemas.
fn subschemas(schema: &Value) -> impl Iterator<Item = &Value> {
    let named = ["properties", "$defs", "definitions"].into_iter();
    let named = named.filter_map(|keyword| schema[keyword].as_object()).flat_map(|members| members.values());
    let listed = ["anyOf", "oneOf", "allOf"].into_iter().flat_map(|keyword| list(schema, keyword));
    named.chain(listed).chain(schema.get("items"))
}
