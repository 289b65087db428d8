//! What Bedrock checks for every model, after the shape of the body and before the model sees it.
//!
//! Words quoted from the service where they are known; places are named its way (`messages.0.content.1`).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::Refusal;
use crate::models::{Model, Quirk};
use crate::prompt::list;

type Checked = Result<(), Refusal>;

/// Checks the conversation and the fields around it.
pub(crate) fn check(model: &Model, body: &Value) -> Checked {
    turns(model, body)?;
    for (index, message) in list(body, "messages").iter().enumerate() {
        content(model, message, &format!("messages.{index}"))?;
    }
    tool_history(body)?;
    tool_results(body)?;
    tool_config(&body["toolConfig"])?;
    response_paths(body)
}

/// A user begins, and the roles alternate; some models see to that themselves.
fn turns(model: &Model, body: &Value) -> Checked {
    let roles: Vec<&str> =
        list(body, "messages").iter().filter_map(|message| message["role"].as_str()).collect();
    if roles.is_empty() {
        return refuse("The messages field is empty. Add a message to the messages field and try again.");
    }
    if let Some(index) =
        roles.iter().position(|role| *role == "system").filter(|_| !model.is(Quirk::SystemRole))
    {
        return refuse(format!(
            "This model doesn't support the system role at messages.{index}. Use the system field and try again."
        ));
    }
    if model.is(Quirk::AnyRoles) {
        return Ok(());
    }
    if roles[0] != "user" {
        return refuse(
            "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
        );
    }
    if roles.windows(2).any(|pair| pair[0] == pair[1]) {
        return refuse(
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.",
        );
    }
    Ok(())
}

fn content(model: &Model, message: &Value, place: &str) -> Checked {
    let blocks = list(message, "content");
    if blocks.is_empty() {
        return refuse(format!(
            "The content field in the Message object at {place} is empty. Add a ContentBlock object to the content field and try again."
        ));
    }
    for (index, block) in blocks.iter().enumerate() {
        not_blank(model, block, &format!("{place}.content.{index}"))?;
        allowed_for(message, block, &format!("{place}.content.{index}"))?;
    }
    let has = |member: &str| blocks.iter().any(|block| block.get(member).is_some());
    if has("document") && !has("text") {
        return refuse(
            "A text block must be included when using documents. Add a text block and retry your request.",
        );
    }
    media_limits(blocks, place)
}

fn not_blank(model: &Model, block: &Value, place: &str) -> Checked {
    let Some(text) = block["text"].as_str() else { return Ok(()) };
    let blank = if model.is(Quirk::WhitespaceText) { text.is_empty() } else { text.trim().is_empty() };
    if blank {
        return refuse(format!(
            "The text field in the ContentBlock object at {place} is blank. Add text to the text field, and try again."
        ));
    }
    Ok(())
}

/// Images, documents and tool results come from users, tool calls and reasoning from assistants.
fn allowed_for(message: &Value, block: &Value, place: &str) -> Checked {
    let (role, others): (_, &[&str]) = match message["role"].as_str() {
        Some("assistant") => ("assistant", &["image", "document", "video", "audio"]),
        Some("user") => ("user", &["toolUse", "reasoningContent"]),
        _ => return Ok(()),
    };
    match others.iter().find(|member| block.get(**member).is_some()) {
        Some(member) => refuse(format!(
            "The {member} block at {place} is not allowed in a message with the {role} role. Remove it and try again."
        )),
        None => Ok(()),
    }
}

fn media_limits(blocks: &[Value], place: &str) -> Checked {
    for (member, most, noun) in [("image", 20, "images"), ("document", 5, "documents")] {
        if blocks.iter().filter(|block| block.get(member).is_some()).count() > most {
            return refuse(format!("The number of {noun} at {place} exceeds the limit of {most}."));
        }
    }
    Ok(())
}

fn tool_history(body: &Value) -> Checked {
    let used = crate::prompt::blocks(body)
        .any(|block| block.get("toolUse").is_some() || block.get("toolResult").is_some());
    if used && body["toolConfig"].is_null() {
        return refuse(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        );
    }
    Ok(())
}

/// Every tool call of an assistant turn is answered in the turn after it, and nothing else is.
fn tool_results(body: &Value) -> Checked {
    let messages = list(body, "messages");
    for (index, message) in messages.iter().enumerate() {
        let results = ids(message, "toolResult");
        let asked = if index == 0 { BTreeSet::new() } else { open_calls(&messages[index - 1]) };
        let missing: Vec<&str> = asked.difference(&results).copied().collect();
        if !missing.is_empty() {
            return refuse(format!(
                "Expected toolResult blocks at messages.{index}.content for the following Ids: {}",
                missing.join(", ")
            ));
        }
        if message["role"] == "user" && results.difference(&asked).next().is_some() {
            return refuse(format!(
                "The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse blocks of previous turn."
            ));
        }
    }
    match messages.last().map(open_calls) {
        Some(open) if !open.is_empty() => refuse(format!(
            "Expected toolResult blocks at messages.{}.content for the following Ids: {}",
            messages.len(),
            open.into_iter().collect::<Vec<_>>().join(", ")
        )),
        _ => Ok(()),
    }
}

/// Calls of a turn that it does not answer itself, as the service's own tools do.
fn open_calls(message: &Value) -> BTreeSet<&str> {
    ids(message, "toolUse").difference(&ids(message, "toolResult")).copied().collect()
}

fn ids<'a>(message: &'a Value, member: &str) -> BTreeSet<&'a str> {
    list(message, "content").iter().filter_map(|block| block[member]["toolUseId"].as_str()).collect()
}

fn tool_config(config: &Value) -> Checked {
    let tools = list(config, "tools");
    let mut names = BTreeSet::new();
    for (index, tool) in tools.iter().enumerate() {
        let Some(spec) = tool.get("toolSpec") else { continue };
        let name = spec["name"].as_str().unwrap_or_default();
        if !names.insert(name) {
            return refuse(format!("The tool name {name} at toolConfig.tools.{index} is not unique."));
        }
        if spec["inputSchema"]["json"]["type"] != "object" {
            return refuse(format!(
                "The value at toolConfig.tools.{index}.toolSpec.inputSchema.json.type must be one of the following: object."
            ));
        }
    }
    match config["toolChoice"]["tool"]["name"].as_str() {
        Some(name) if !names.contains(name) => refuse(format!(
            "The tool {name} at toolConfig.toolChoice.tool.name is not in toolConfig.tools. Add it and try again."
        )),
        _ => Ok(()),
    }
}

/// Paths are JSON pointers; a pointer to nothing is fine, a bad pointer is not.
fn response_paths(body: &Value) -> Checked {
    let bad = list(body, "additionalModelResponseFieldPaths")
        .iter()
        .filter_map(Value::as_str)
        .find(|path| !path.starts_with('/'));
    match bad {
        Some(path) => {
            refuse(format!("The additionalModelResponseFieldPaths value {path} is not a valid JSON Pointer."))
        }
        None => Ok(()),
    }
}

fn refuse(message: impl Into<String>) -> Checked {
    Err(Refusal::validation(message))
}
