//! Model-specific validation: rejects what a model does not support. The behaviors of each model are data
//! (`models.toml`).

use serde_json::Value;

use crate::error::ServiceError;
use crate::models::{Behavior, Model};
use crate::prompt::list;
use crate::response::reasoning;

mod media;
mod schema_subset;

type ValidationResult = Result<(), ServiceError>;

/// Rejects a body that uses what the model does not support.
pub(crate) fn check(model: &Model, body: &Value) -> ValidationResult {
    let checks = [
        sampling,
        max_tokens,
        tools,
        system,
        prefill,
        media::check,
        structured_output,
        thinking,
        schema_subset::check,
    ];
    checks.iter().try_for_each(|check| check(model, body))?;
    reasoning::check_signatures(model, body)
}

fn sampling(model: &Model, body: &Value) -> ValidationResult {
    let (inference, additional) = (&body["inferenceConfig"], &body["additionalModelRequestFields"]);
    let parameters = [
        ("temperature", !inference["temperature"].is_null() || !additional["temperature"].is_null()),
        ("top_p", !inference["topP"].is_null() || !additional["top_p"].is_null()),
        ("top_k", !additional["top_k"].is_null()),
    ];
    if model.has(Behavior::NoSampling)
        && let Some((name, _)) = parameters.iter().find(|(_, present)| *present)
    {
        return Err(ServiceError::from_model(format!("`{name}` is deprecated for this model.")));
    }
    if model.has(Behavior::OneSamplingParameter) && parameters[0].1 && parameters[1].1 {
        return Err(ServiceError::from_model(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        ));
    }
    Ok(())
}

fn max_tokens(model: &Model, body: &Value) -> ValidationResult {
    let limit = model.max_output;
    match body["inferenceConfig"]["maxTokens"].as_u64() {
        Some(requested) if requested > limit as u64 => Err(ServiceError::validation(format!(
            "The maximum tokens you requested exceeds the model limit of {limit}. Try again with a maximum tokens value that is lower than {limit}."
        ))),
        _ => Ok(()),
    }
}

fn tools(model: &Model, body: &Value) -> ValidationResult {
    let config = &body["toolConfig"];
    if config.is_null() {
        return Ok(());
    }
    if model.has(Behavior::NoTools) {
        return Err(ServiceError::validation("This model doesn't support tool use."));
    }
    let choice = &config["toolChoice"];
    let forced = ["any", "tool"].into_iter().find(|kind| !choice[*kind].is_null());
    if model.has(Behavior::NoToolChoice) && !choice.is_null() {
        let kind = forced.unwrap_or("auto");
        return Err(unsupported_tool_choice(kind));
    }
    if model.has(Behavior::NoForcedTools)
        && let Some(kind) = forced
    {
        return Err(unsupported_tool_choice(kind));
    }
    let strict = list(config, "tools").iter().position(|tool| tool["toolSpec"]["strict"] == true);
    match strict {
        Some(index) if model.has(Behavior::NoStrictTools) => Err(ServiceError::validation(format!(
            "This model doesn't support the strict field at toolConfig.tools.{index}.toolSpec. Remove strict and try again."
        ))),
        _ => Ok(()),
    }
}

fn unsupported_tool_choice(kind: &str) -> ServiceError {
    ServiceError::validation(format!(
        "This model doesn't support the toolConfig.toolChoice.{kind} field. Remove toolConfig.toolChoice.{kind} and try again."
    ))
}

fn system(model: &Model, body: &Value) -> ValidationResult {
    if model.has(Behavior::NoSystem) && !list(body, "system").is_empty() {
        return Err(ServiceError::validation(
            "This model doesn't support the system field. Remove system and try again.",
        ));
    }
    Ok(())
}

fn prefill(model: &Model, body: &Value) -> ValidationResult {
    if list(body, "messages").last().is_none_or(|message| message["role"] != "assistant") {
        return Ok(());
    }
    if model.has(Behavior::NoPrefill) {
        return Err(ServiceError::from_model(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    if model.has(Behavior::NoPrefillWithTools) && !body["toolConfig"].is_null() {
        return Err(ServiceError::from_model(
            "Your API request included an `assistant` message in the final position, which would pre-fill the `assistant` response. When using tools, pre-filling the `assistant` response is not supported.",
        ));
    }
    Ok(())
}

fn structured_output(model: &Model, body: &Value) -> ValidationResult {
    let format = &body["outputConfig"]["textFormat"];
    if format.is_null() {
        return Ok(());
    }
    if model.has(Behavior::NoStructuredOutput) {
        return Err(ServiceError::validation(
            "This model doesn't support the outputConfig.textFormat field. Remove outputConfig.textFormat and try again.",
        ));
    }
    let text = format["structure"]["jsonSchema"]["schema"].as_str().unwrap_or_default();
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => Ok(()),
        _ => Err(ServiceError::validation(
            "The schema field at outputConfig.textFormat.structure.jsonSchema is not a valid JSON schema. Update the schema and try again.",
        )),
    }
}

fn thinking(model: &Model, body: &Value) -> ValidationResult {
    let config = reasoning::config(body);
    let Some(kind) = config["type"].as_str().filter(|_| model.has(Behavior::SignsThinking)) else {
        return Ok(());
    };
    if !model.thinking.iter().any(|mode| mode == kind) {
        return Err(ServiceError::from_model(format!(
            "\"thinking.type.{kind}\" is not supported for this model. Use \"thinking.type.{}\" instead.",
            model.thinking.first().map_or("disabled", String::as_str)
        )));
    }
    if kind == "disabled" {
        return Ok(());
    }
    thinking_budget(model, body, config)?;
    compatible_with_thinking(body)
}

fn thinking_budget(model: &Model, body: &Value, config: &Value) -> ValidationResult {
    if config["type"] != "enabled" {
        return Ok(());
    }
    let Some(budget) = config["budget_tokens"].as_u64() else {
        return Err(ServiceError::from_model("thinking.enabled.budget_tokens: Field required"));
    };
    if budget < 1024 {
        return Err(ServiceError::from_model(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ));
    }
    if body["inferenceConfig"]["maxTokens"].as_u64().unwrap_or(model.max_output as u64) <= budget {
        return Err(ServiceError::from_model("`max_tokens` must be greater than `thinking.budget_tokens`."));
    }
    Ok(())
}

fn compatible_with_thinking(body: &Value) -> ValidationResult {
    let temperature = body["inferenceConfig"]["temperature"].as_f64();
    if temperature.is_some_and(|temperature| temperature != 1.0) {
        return Err(ServiceError::from_model("`temperature` may only be set to 1 when thinking is enabled."));
    }
    let choice = &body["toolConfig"]["toolChoice"];
    if !choice["any"].is_null() || !choice["tool"].is_null() {
        return Err(ServiceError::from_model(
            "Thinking may not be enabled when tool_choice forces tool use.",
        ));
    }
    Ok(())
}
