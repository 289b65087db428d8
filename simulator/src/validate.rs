//! Validation that Bedrock performs for every model, after the service model and before the model.
//!
//! Messages are quoted from the service where they are known. Paths have its notation
//! (`messages.0.content.1`).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::ServiceError;
use crate::models::{Behavior, Model};
use crate::prompt::list;

type ValidationResult = Result<(), ServiceError>;

/// Validates the conversation and the other fields of the body.
pub(crate) fn check(model: &Model, body: &Value) -> ValidationResult {
    roles(model, body)?;
    for (index, message) in list(body, "messages").iter().enumerate() {
        content(model, message, &format!("messages.{index}"))?;
    }
    tool_config_present(body)?;
    tool_results(body)?;
    tool_config(&body["toolConfig"])?;
    response_paths(body)
}

/// Roles start with the user and alternate. `Behavior::AnyRoles` exempts a model.
fn roles(model: &Model, body: &Value) -> ValidationResult {
    let roles: Vec<&str> =
        list(body, "messages").iter().filter_map(|message| message["role"].as_str()).collect();
    if roles.is_empty() {
        return invalid("The messages field is empty. Add a message to the messages field and try again.");
    }
    if let Some(index) =
        roles.iter().position(|role| *role == "system").filter(|_| !model.has(Behavior::SystemRole))
    {
        return invalid(format!(
            "This model doesn't support the system role at messages.{index}. Use the system field and try again."
        ));
    }
    if model.has(Behavior::AnyRoles) {
        return Ok(());
    }
    if roles[0] != "user" {
        return invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
        );
    }
    if roles.windows(2).any(|pair| pair[0] == pair[1]) {
        return invalid(
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.",
        );
    }
    Ok(())
}

fn content(model: &Model, message: &Value, path: &str) -> ValidationResult {
    let blocks = list(message, "content");
    if blocks.is_empty() {
        return invalid(format!(
            "The content field in the Message object at {path} is empty. Add a ContentBlock object to the content field and try again."
        ));
    }
    for (index, block) in blocks.iter().enumerate() {
        not_blank(model, block, &format!("{path}.content.{index}"))?;
        allowed_for_role(message, block, &format!("{path}.content.{index}"))?;
    }
    let has = |member: &str| blocks.iter().any(|block| block.get(member).is_some());
    if has("document") && !has("text") {
        return invalid(
            "A text block must be included when using documents. Add a text block and retry your request.",
        );
    }
    media_limits(blocks, path)
}

fn not_blank(model: &Model, block: &Value, path: &str) -> ValidationResult {
    let Some(text) = block["text"].as_str() else { return Ok(()) };
    let blank = if model.has(Behavior::WhitespaceText) { text.is_empty() } else { text.trim().is_empty() };
    if blank {
        return invalid(format!(
            "The text field in the ContentBlock object at {path} is blank. Add text to the text field, and try again."
        ));
    }
    Ok(())
}

/// Media belong in user messages, tool calls and reasoning in assistant messages.
fn allowed_for_role(message: &Value, block: &Value, path: &str) -> ValidationResult {
    let (role, disallowed): (_, &[&str]) = match message["role"].as_str() {
        Some("assistant") => ("assistant", &["image", "document", "video", "audio"]),
        Some("user") => ("user", &["toolUse", "reasoningContent"]),
        _ => return Ok(()),
    };
    match disallowed.iter().find(|member| block.get(**member).is_some()) {
        Some(member) => invalid(format!(
            "The {member} block at {path} is not allowed in a message with the {role} role. Remove it and try again."
        )),
        None => Ok(()),
    }
}

fn media_limits(blocks: &[Value], path: &str) -> ValidationResult {
    for (member, max, noun) in [("image", 20, "images"), ("document", 5, "documents")] {
        if blocks.iter().filter(|block| block.get(member).is_some()).count() > max {
            return invalid(format!("The number of {noun} at {path} exceeds the limit of {max}."));
        }
    }
    Ok(())
}

fn tool_config_present(body: &Value) -> ValidationResult {
    let has_tool_blocks = crate::prompt::blocks(body)
        .any(|block| block.get("toolUse").is_some() || block.get("toolResult").is_some());
    if has_tool_blocks && body["toolConfig"].is_null() {
        return invalid(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        );
    }
    Ok(())
}

/// Each message has a result for every tool call of the message before it, and no other results.
fn tool_results(body: &Value) -> ValidationResult {
    let messages = list(body, "messages");
    for (index, message) in messages.iter().enumerate() {
        let results = ids(message, "toolResult");
        let calls = if index == 0 { BTreeSet::new() } else { pending_calls(&messages[index - 1]) };
        let missing: Vec<&str> = calls.difference(&results).copied().collect();
        if !missing.is_empty() {
            return invalid(format!(
                "Expected toolResult blocks at messages.{index}.content for the following Ids: {}",
                missing.join(", ")
            ));
        }
        if message["role"] == "user" && results.difference(&calls).next().is_some() {
            return invalid(format!(
                "The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse blocks of previous turn."
            ));
        }
    }
    match messages.last().map(pending_calls) {
        Some(calls) if !calls.is_empty() => invalid(format!(
            "Expected toolResult blocks at messages.{}.content for the following Ids: {}",
            messages.len(),
            calls.into_iter().collect::<Vec<_>>().join(", ")
        )),
        _ => Ok(()),
    }
}

/// Returns the tool calls without a result in the same message. Server-side tools have theirs there.
fn pending_calls(message: &Value) -> BTreeSet<&str> {
    ids(message, "toolUse").difference(&ids(message, "toolResult")).copied().collect()
}

fn ids<'a>(message: &'a Value, member: &str) -> BTreeSet<&'a str> {
    list(message, "content").iter().filter_map(|block| block[member]["toolUseId"].as_str()).collect()
}

fn tool_config(config: &Value) -> ValidationResult {
    let tools = list(config, "tools");
    let mut names = BTreeSet::new();
    for (index, tool) in tools.iter().enumerate() {
        let Some(spec) = tool.get("toolSpec") else { continue };
        let name = spec["name"].as_str().unwrap_or_default();
        if !names.insert(name) {
            return invalid(format!("The tool name {name} at toolConfig.tools.{index} is not unique."));
        }
        if spec["inputSchema"]["json"]["type"] != "object" {
            return invalid(format!(
                "The value at toolConfig.tools.{index}.toolSpec.inputSchema.json.type must be one of the following: object."
            ));
        }
    }
    match config["toolChoice"]["tool"]["name"].as_str() {
        Some(name) if !names.contains(name) => invalid(format!(
            "The tool {name} at toolConfig.toolChoice.tool.name is not in toolConfig.tools. Add it and try again."
        )),
        _ => Ok(()),
    }
}

/// Paths must be valid JSON pointers. They may point to a field that does not exist.
fn response_paths(body: &Value) -> ValidationResult {
    let invalid_path = list(body, "additionalModelResponseFieldPaths")
        .iter()
        .filter_map(Value::as_str)
        .find(|path| !path.starts_with('/'));
    match invalid_path {
        Some(path) => invalid(format!(
            "The additionalModelResponseFieldPaths value {path} is not a valid JSON Pointer."
        )),
        None => Ok(()),
    }
}

fn invalid(message: impl Into<String>) -> ValidationResult {
    Err(ServiceError::validation(message))
}
