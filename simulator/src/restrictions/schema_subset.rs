//! The dialect of JSON schema that Claude compiles for strict tools and structured output.
//!
//! Words as recorded: ``output_config.format.schema: For 'array' type, property 'maxItems' is not supported``.

use serde_json::Value;

use crate::error::Refusal;
use crate::models::Model;
use crate::prompt::list;

/// (type, members it may not have)
const UNSUPPORTED: [(&str, &[&str]); 3] = [
    ("array", &["maxItems"]),
    ("integer", &["multipleOf", "minimum", "maximum"]),
    ("number", &["multipleOf", "minimum", "maximum"]),
];

/// Refuses a schema the model cannot compile.
pub(super) fn check(model: &Model, body: &Value) -> Result<(), Refusal> {
    if model.vendor() != "anthropic" {
        return Ok(());
    }
    let strict = list(&body["toolConfig"], "tools").iter().map(|tool| &tool["toolSpec"]).enumerate();
    for (index, tool) in strict.filter(|(_, tool)| tool["strict"] == true) {
        compile(&tool["inputSchema"]["json"], &format!("tools.{index}.custom"))?;
    }
    let text = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"].as_str();
    match text.and_then(|text| serde_json::from_str(text).ok()) {
        Some(schema) => compile(&schema, "output_config.format.schema"),
        None => Ok(()),
    }
}

fn compile(schema: &Value, place: &str) -> Result<(), Refusal> {
    for (kind, members) in UNSUPPORTED {
        if schema["type"] != kind {
            continue;
        }
        if let Some(member) = members.iter().find(|member| schema.get(**member).is_some()) {
            return Err(Refusal::model(format!(
                "{place}: For '{kind}' type, property '{member}' is not supported"
            )));
        }
    }
    if let Some(least) = schema["minItems"].as_u64().filter(|least| *least > 1) {
        return Err(Refusal::model(format!(
            "{place}: For 'array' type, 'minItems' values other than 0 or 1 are not supported (got: [{least}])"
        )));
    }
    children(schema).try_for_each(|child| compile(child, place))
}

/// Every schema directly inside this one.
fn children(schema: &Value) -> impl Iterator<Item = &Value> {
    let named = ["properties", "$defs", "definitions"].into_iter();
    let named = named.filter_map(|member| schema[member].as_object()).flat_map(|members| members.values());
    let listed = ["anyOf", "oneOf", "allOf"].into_iter().flat_map(|member| list(schema, member));
    named.chain(listed).chain(schema.get("items"))
}
