//! What one model refuses and another accepts. Which model has which quirk is data (`models.toml`).

use serde_json::Value;

use crate::error::Refusal;
use crate::models::{Model, Quirk};
use crate::prompt::list;
use crate::response::reasoning;

mod media;
mod schema_subset;

type Checked = Result<(), Refusal>;

/// Checks the body against everything this model refuses.
pub(crate) fn check(model: &Model, body: &Value) -> Checked {
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

fn sampling(model: &Model, body: &Value) -> Checked {
    let (inference, extra) = (&body["inferenceConfig"], &body["additionalModelRequestFields"]);
    let given = [
        ("temperature", !inference["temperature"].is_null() || !extra["temperature"].is_null()),
        ("top_p", !inference["topP"].is_null() || !extra["top_p"].is_null()),
        ("top_k", !extra["top_k"].is_null()),
    ];
    if model.is(Quirk::NoSampling)
        && let Some((name, _)) = given.iter().find(|(_, given)| *given)
    {
        return Err(Refusal::model(format!("`{name}` is deprecated for this model.")));
    }
    if model.is(Quirk::OneSamplingParameter) && given[0].1 && given[1].1 {
        return Err(Refusal::model(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        ));
    }
    Ok(())
}

fn max_tokens(model: &Model, body: &Value) -> Checked {
    let limit = model.max_output;
    match body["inferenceConfig"]["maxTokens"].as_u64() {
        Some(asked) if asked > limit as u64 => Err(Refusal::validation(format!(
            "The maximum tokens you requested exceeds the model limit of {limit}. Try again with a maximum tokens value that is lower than {limit}."
        ))),
        _ => Ok(()),
    }
}

fn tools(model: &Model, body: &Value) -> Checked {
    let config = &body["toolConfig"];
    if config.is_null() {
        return Ok(());
    }
    if model.is(Quirk::NoTools) {
        return Err(Refusal::validation("This model doesn't support tool use."));
    }
    let choice = &config["toolChoice"];
    let forced = ["any", "tool"].into_iter().find(|kind| !choice[*kind].is_null());
    if model.is(Quirk::NoToolChoice) && !choice.is_null() {
        let kind = forced.unwrap_or("auto");
        return Err(unsupported_choice(kind));
    }
    if model.is(Quirk::NoForcedTools)
        && let Some(kind) = forced
    {
        return Err(unsupported_choice(kind));
    }
    let strict = list(config, "tools").iter().position(|tool| tool["toolSpec"]["strict"] == true);
    match strict {
        Some(index) if model.is(Quirk::NoStrictTools) => Err(Refusal::validation(format!(
            "This model doesn't support the strict field at toolConfig.tools.{index}.toolSpec. Remove strict and try again."
        ))),
        _ => Ok(()),
    }
}

fn unsupported_choice(kind: &str) -> Refusal {
    Refusal::validation(format!(
        "This model doesn't support the toolConfig.toolChoice.{kind} field. Remove toolConfig.toolChoice.{kind} and try again."
    ))
}

fn system(model: &Model, body: &Value) -> Checked {
    if model.is(Quirk::NoSystem) && !list(body, "system").is_empty() {
        return Err(Refusal::validation(
            "This model doesn't support the system field. Remove system and try again.",
        ));
    }
    Ok(())
}

fn prefill(model: &Model, body: &Value) -> Checked {
    if list(body, "messages").last().is_none_or(|message| message["role"] != "assistant") {
        return Ok(());
    }
    if model.is(Quirk::NoPrefill) {
        return Err(Refusal::model(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    if model.is(Quirk::NoPrefillWithTools) && !body["toolConfig"].is_null() {
        return Err(Refusal::model(
            "Your API request included an `assistant` message in the final position, which would pre-fill the `assistant` response. When using tools, pre-filling the `assistant` response is not supported.",
        ));
    }
    Ok(())
}

fn structured_output(model: &Model, body: &Value) -> Checked {
    let format = &body["outputConfig"]["textFormat"];
    if format.is_null() {
        return Ok(());
    }
    if model.is(Quirk::NoStructuredOutput) {
        return Err(Refusal::validation(
            "This model doesn't support the outputConfig.textFormat field. Remove outputConfig.textFormat and try again.",
        ));
    }
    let text = format["structure"]["jsonSchema"]["schema"].as_str().unwrap_or_default();
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => Ok(()),
        _ => Err(Refusal::validation(
            "The schema field at outputConfig.textFormat.structure.jsonSchema is not a valid JSON schema. Update the schema and try again.",
        )),
    }
}

fn thinking(model: &Model, body: &Value) -> Checked {
    let asked = reasoning::asked(body);
    let Some(kind) = asked["type"].as_str().filter(|_| model.is(Quirk::SignsThinking)) else { return Ok(()) };
    if !model.thinking.iter().any(|mode| mode == kind) {
        return Err(Refusal::model(format!(
            "\"thinking.type.{kind}\" is not supported for this model. Use \"thinking.type.{}\" instead.",
            model.thinking.first().map_or("disabled", String::as_str)
        )));
    }
    if kind == "disabled" {
        return Ok(());
    }
    budget(model, body, asked)?;
    with_thinking(body)
}

fn budget(model: &Model, body: &Value, asked: &Value) -> Checked {
    if asked["type"] != "enabled" {
        return Ok(());
    }
    let Some(budget) = asked["budget_tokens"].as_u64() else {
        return Err(Refusal::model("thinking.enabled.budget_tokens: Field required"));
    };
    if budget < 1024 {
        return Err(Refusal::model(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ));
    }
    if body["inferenceConfig"]["maxTokens"].as_u64().unwrap_or(model.max_output as u64) <= budget {
        return Err(Refusal::model("`max_tokens` must be greater than `thinking.budget_tokens`."));
    }
    Ok(())
}

fn with_thinking(body: &Value) -> Checked {
    let temperature = body["inferenceConfig"]["temperature"].as_f64();
    if temperature.is_some_and(|temperature| temperature != 1.0) {
        return Err(Refusal::model("`temperature` may only be set to 1 when thinking is enabled."));
    }
    let choice = &body["toolConfig"]["toolChoice"];
    if !choice["any"].is_null() || !choice["tool"].is_null() {
        return Err(Refusal::model("Thinking may not be enabled when tool_choice forces tool use."));
    }
    Ok(())
}
