//! Validation of requests before a model is called.
//!
//! Only requests that no model would accept are refused, with the paths of the fields. Everything else is
//! left to the models, which accept more kinds of content every month.
//!
//! Exact JSON is copied into the body for Bedrock, so each such text is checked to be exactly one value.
//! Otherwise a caller could close the surrounding braces and write members of the body that callers must not
//! set.
//!
//! Paths are formatted only for invalid fields: a long history has a thousand of them.
use crate::{
    error::{CallError, Violations},
    route::Task,
    rpc::Method,
};
use serde_json::{Value, value::RawValue};
use std::fmt::{self, Display};
use switchboard_proto::v1::{
    self as pb, citation_location, content_block::Block, converse_request::AdditionalRequestFields,
    reasoning_content_block, tool, tool_input_schema, tool_result_content_block as result,
    tool_use_block::Arguments,
};

/// Roles of messages.
const ROLES: [&str; 3] = ["user", "assistant", "system"];

/// Checks a request for a task. `CountTokens` requires no messages.
///
/// # Errors
/// [`CallError::Invalid`] with every invalid field.
pub(crate) fn check(request: &pb::ConverseRequest, task: &Task, method: Method) -> Result<(), CallError> {
    let mut validator = Validator(Violations::default());
    if request.messages.is_empty() && method != Method::CountTokens && !task.may_bring_messages() {
        validator.add("messages", "is empty: send at least one message, of the role \"user\"");
    }
    validator.messages(&request.messages);
    validator.system(&request.system);
    validator.inference(request.inference_config.as_ref());
    validator.tools(request.tool_config.as_ref());
    validator.labels(request);
    if let Some(AdditionalRequestFields::AdditionalModelRequestFieldsJson(json)) =
        &request.additional_request_fields
    {
        validator.object(format_args!("additional_model_request_fields_json"), json);
    }
    validator.0.into_result()
}

/// Path of a field, formatted only if it is needed.
type Path<'a> = fmt::Arguments<'a>;

/// Collects the violations of a request.
struct Validator(Violations);

impl Validator {
    fn add(&mut self, field: impl Display, problem: impl Into<String>) {
        self.0.add(field.to_string(), problem);
    }

    fn messages(&mut self, messages: &[pb::Message]) {
        for (position, message) in messages.iter().enumerate() {
            let path = format_args!("messages[{position}]");
            if !ROLES.contains(&message.role.as_str()) {
                let problem = format!("is {:?}: use \"user\", \"assistant\" or \"system\"", message.role);
                self.add(format_args!("{path}.role"), problem);
            } else if position == 0 && message.role != "user" {
                self.add(
                    format_args!("{path}.role"),
                    "is not \"user\": the first message must have the role \"user\"",
                );
            }
            if message.content.is_empty() {
                self.add(format_args!("{path}.content"), "is empty: send at least one block");
            }
            for (position, block) in message.content.iter().enumerate() {
                self.block(format_args!("{path}.content[{position}]"), block.block.as_ref());
            }
        }
    }

    fn block(&mut self, path: Path<'_>, block: Option<&Block>) {
        match block {
            None => self.add(path, "has no content: set exactly one of text, image, document and so on"),
            Some(Block::ToolUse(tool_use)) => match &tool_use.arguments {
                None => self.add(
                    format_args!("{path}.tool_use.input"),
                    "is missing: use {} for a tool without arguments",
                ),
                Some(Arguments::InputJson(json)) => {
                    self.json(format_args!("{path}.tool_use.input_json"), json)
                }
                Some(Arguments::Input(_)) => {}
            },
            Some(Block::ToolResult(tool_result)) => {
                for (position, part) in tool_result.content.iter().enumerate() {
                    self.tool_result(
                        format_args!("{path}.tool_result.content[{position}]"),
                        part.block.as_ref(),
                    );
                }
            }
            Some(Block::UnknownJson(json)) => self.union(format_args!("{path}.unknown_json"), json),
            Some(Block::ReasoningContent(reasoning)) => {
                if let Some(reasoning_content_block::Block::UnknownJson(json)) = &reasoning.block {
                    self.union(format_args!("{path}.reasoning_content.unknown_json"), json);
                }
            }
            Some(Block::CitationsContent(cited)) => {
                for (position, citation) in cited.citations.iter().enumerate() {
                    let location = citation.location.as_ref().and_then(|location| location.location.as_ref());
                    if let Some(citation_location::Location::UnknownJson(json)) = location {
                        let path = format_args!("{path}.citations_content.citations[{position}]");
                        self.union(format_args!("{path}.location.unknown_json"), json);
                    }
                }
            }
            Some(_) => {}
        }
    }

    fn tool_result(&mut self, path: Path<'_>, part: Option<&result::Block>) {
        match part {
            None => self.add(path, "has no content: set exactly one of json, text, image and so on"),
            Some(result::Block::JsonText(json)) => self.json(format_args!("{path}.json_text"), json),
            Some(result::Block::UnknownJson(json)) => self.union(format_args!("{path}.unknown_json"), json),
            Some(_) => {}
        }
    }

    fn system(&mut self, system: &[pb::SystemContentBlock]) {
        for (position, block) in system.iter().enumerate() {
            if block.block.is_none() {
                self.add(
                    format_args!("system[{position}]"),
                    "has no content: set text, guard_content or cache_point",
                );
            }
        }
    }

    fn inference(&mut self, inference: Option<&pb::InferenceConfiguration>) {
        let Some(inference) = inference else { return };
        if let Some(tokens) = inference.max_tokens.filter(|tokens| *tokens < 1) {
            let problem = format!("is {tokens}: use 1 or more, or omit it for the task's default");
            self.add("inference_config.max_tokens", problem);
        }
        for (name, value) in [("temperature", inference.temperature), ("top_p", inference.top_p)] {
            // The condition is negated so that NaN is refused too.
            if let Some(value) = value.filter(|value| !(0.0..=1.0).contains(value)) {
                self.add(
                    format_args!("inference_config.{name}"),
                    format!("is {value}: use a number from 0 to 1"),
                );
            }
        }
        if inference.stop_sequences.len() > 2500 {
            self.add("inference_config.stop_sequences", "has more than 2500 entries: use fewer");
        }
        if let Some(position) = inference.stop_sequences.iter().position(String::is_empty) {
            self.add(format_args!("inference_config.stop_sequences[{position}]"), "is empty: remove it");
        }
    }

    fn tools(&mut self, tools: Option<&pb::ToolConfiguration>) {
        let Some(tools) = tools else { return };
        if tools.tools.is_empty() {
            self.add("tool_config.tools", "is empty: declare at least one tool, or omit tool_config");
        }
        for (position, tool) in tools.tools.iter().enumerate() {
            let path = format_args!("tool_config.tools[{position}]");
            match &tool.tool {
                None => self.add(path, "has no content: set tool_spec, system_tool or cache_point"),
                Some(tool::Tool::ToolSpec(spec)) => self.tool_spec(format_args!("{path}.tool_spec"), spec),
                Some(_) => {}
            }
        }
    }

    fn tool_spec(&mut self, path: Path<'_>, spec: &pb::ToolSpecification) {
        match spec.input_schema.as_ref().and_then(|schema| schema.schema.as_ref()) {
            None => self.add(
                format_args!("{path}.input_schema"),
                "is missing: use {\"type\":\"object\"} to accept any input",
            ),
            Some(tool_input_schema::Schema::JsonText(json)) => {
                self.object(format_args!("{path}.input_schema.json_text"), json);
            }
            Some(tool_input_schema::Schema::Json(_)) => {}
        }
    }

    fn labels(&mut self, request: &pb::ConverseRequest) {
        if request.request_metadata.len() > 16 {
            self.add("request_metadata", "has more than 16 entries: use fewer");
        }
        for (key, value) in &request.request_metadata {
            if !(1..=256).contains(&key.chars().count()) || value.chars().count() > 256 {
                self.add(
                    "request_metadata",
                    "has an empty key, or a key or value of more than 256 characters: shorten it",
                );
            }
        }
        let paths = &request.additional_model_response_field_paths;
        if paths.len() > 10 || paths.iter().any(|path| !(1..=256).contains(&path.chars().count())) {
            self.add(
                "additional_model_response_field_paths",
                "has more than 10 paths, or a path that is empty or longer than 256 characters",
            );
        }
    }

    fn json(&mut self, path: Path<'_>, text: &str) {
        if let Err(error) = serde_json::from_str::<&RawValue>(text) {
            self.add(path, format!("is not JSON: {error}"));
        }
    }

    fn object(&mut self, path: Path<'_>, text: &str) {
        self.json(path, text);
        if !text.trim_start().starts_with('{') {
            self.add(path, "is not a JSON object");
        }
    }

    /// Checks a text that replaces a whole union: it must be an object with exactly one member.
    fn union(&mut self, path: Path<'_>, text: &str) {
        match serde_json::from_str::<serde_json::Map<String, Value>>(text) {
            Ok(members) if members.len() == 1 => {}
            _ => self.add(path, "is not a JSON object with exactly one member"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalogue::Catalogue, config::Config, snapshot::Snapshot};

    fn problems(request: &pb::ConverseRequest) -> Vec<(String, String)> {
        let config = Config::for_two_models("a", "b");
        let routes =
            Snapshot::build(&config, &Catalogue::built_in(), "us-east-1", &Default::default()).routes;
        let task = routes.plan("").expect("is a task").task;
        match check(request, &task, Method::Converse) {
            Err(CallError::Invalid(violations)) => {
                violations.into_iter().map(|it| (it.field, it.problem)).collect()
            }
            other => other.map(|()| Vec::new()).expect("is nothing else"),
        }
    }

    fn message(role: &str, block: Option<Block>) -> pb::Message {
        pb::Message { role: role.to_owned(), content: vec![pb::ContentBlock { block }] }
    }

    fn asking(text: &str) -> pb::ConverseRequest {
        let messages = vec![message("user", Some(Block::Text(text.to_owned())))];
        pb::ConverseRequest { messages, ..Default::default() }
    }

    /// Closes the surrounding braces and writes a member of the body.
    const ESCAPE: &str = r#"{"a":1}}]}],"guardrailConfig":{},"b":[{"c":{"d":1}"#;

    fn saying(block: Block) -> pb::ConverseRequest {
        pb::ConverseRequest { messages: vec![message("user", Some(block))], ..Default::default() }
    }

    fn inference(change: impl FnOnce(&mut pb::InferenceConfiguration)) -> pb::ConverseRequest {
        let mut inference = pb::InferenceConfiguration::default();
        change(&mut inference);
        pb::ConverseRequest { inference_config: Some(inference), ..asking("hello") }
    }

    #[test]
    fn accepts_a_plain_question() {
        assert_eq!(problems(&asking("hello")), []);
    }

    #[test]
    fn errors_name_every_invalid_field() {
        let empty = pb::Message { role: "user".to_owned(), content: Vec::new() };
        let tool_use = |json: &str| {
            let arguments = Some(Arguments::InputJson(json.to_owned()));
            Some(Block::ToolUse(pb::ToolUseBlock { arguments, ..Default::default() }))
        };
        for (request, field) in [
            (pb::ConverseRequest::default(), "messages"),
            (
                pb::ConverseRequest { messages: vec![message("robot", None)], ..Default::default() },
                "messages[0].role",
            ),
            (
                pb::ConverseRequest { messages: vec![message("assistant", None)], ..Default::default() },
                "messages[0].role",
            ),
            (pb::ConverseRequest { messages: vec![empty], ..Default::default() }, "messages[0].content"),
            (
                pb::ConverseRequest { messages: vec![message("user", None)], ..Default::default() },
                "messages[0].content[0]",
            ),
            (
                pb::ConverseRequest { messages: vec![message("user", tool_use("{"))], ..Default::default() },
                "messages[0].content[0].tool_use.input_json",
            ),
            (
                pb::ConverseRequest {
                    messages: vec![message("user", Some(Block::UnknownJson("{\"a\":1,\"b\":2}".to_owned())))],
                    ..Default::default()
                },
                "messages[0].content[0].unknown_json",
            ),
            (
                saying(Block::ReasoningContent(pb::ReasoningContentBlock {
                    block: Some(reasoning_content_block::Block::UnknownJson(ESCAPE.to_owned())),
                })),
                "messages[0].content[0].reasoning_content.unknown_json",
            ),
            (
                saying(Block::CitationsContent(pb::CitationsContentBlock {
                    citations: vec![pb::Citation {
                        location: Some(pb::CitationLocation {
                            location: Some(citation_location::Location::UnknownJson(ESCAPE.to_owned())),
                        }),
                        ..Default::default()
                    }],
                    ..Default::default()
                })),
                "messages[0].content[0].citations_content.citations[0].location.unknown_json",
            ),
            (
                pb::ConverseRequest {
                    additional_request_fields: Some(
                        AdditionalRequestFields::AdditionalModelRequestFieldsJson(ESCAPE.to_owned()),
                    ),
                    ..asking("hello")
                },
                "additional_model_request_fields_json",
            ),
            (inference(|it| it.max_tokens = Some(0)), "inference_config.max_tokens"),
            (inference(|it| it.temperature = Some(1.5)), "inference_config.temperature"),
            (inference(|it| it.temperature = Some(f64::NAN)), "inference_config.temperature"),
            (inference(|it| it.top_p = Some(-0.1)), "inference_config.top_p"),
            (inference(|it| it.stop_sequences = vec![String::new()]), "inference_config.stop_sequences[0]"),
            (
                pb::ConverseRequest {
                    tool_config: Some(pb::ToolConfiguration::default()),
                    ..asking("hello")
                },
                "tool_config.tools",
            ),
        ] {
            let problems = problems(&request);
            assert!(problems.iter().any(|(found, _)| found == field), "{field}: {problems:?}");
        }
    }
}
