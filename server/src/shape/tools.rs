//! Tools: declarations that a model requires, and settings that it refuses.
use super::{Action, Draft, needs::used_tools};
use crate::catalogue::Capability;
use std::collections::BTreeSet;
use switchboard_proto::v1::{self as pb, tool as tool_entry, tool_choice::Choice, tool_input_schema};

impl Draft<'_, '_> {
    pub(super) fn shape_tools(&mut self) {
        self.declare_used_tools();
        self.relax_tool_choice();
        self.relax_strictness();
    }

    /// Declares the tools that the history uses. Bedrock refuses a history that uses tools if none is
    /// declared.
    fn declare_used_tools(&mut self) {
        if self.request().tool_config.is_some() || used_tools(self.request()).next().is_none() {
            return;
        }
        let names: BTreeSet<_> = used_tools(self.request()).filter(|name| !name.is_empty()).collect();
        let mut tools: Vec<_> = names.into_iter().map(any_input).collect();
        if tools.is_empty() {
            tools.push(any_input("unnamed"));
        }
        self.shaped.request.to_mut().tool_config = Some(pb::ToolConfiguration { tools, tool_choice: None });
        self.note(
            "tool_config",
            Action::Added,
            "Bedrock requires a declaration of the tools that the history uses",
        );
    }

    fn relax_tool_choice(&mut self) {
        let Some(choice) = self.request().tool_config.as_ref().and_then(|config| config.tool_choice.as_ref())
        else {
            return;
        };
        let forced = !matches!(choice.choice, Some(Choice::Auto(_)) | None);
        let (allowed, to, why) = if !self.facts.has(Capability::ToolChoice) {
            (false, None, "the model does not support tool choice")
        } else if forced && !self.facts.has(Capability::ForcedToolChoice) {
            let auto = pb::ToolChoice { choice: Some(Choice::Auto(pb::AutoToolChoice {})) };
            (false, Some(auto), "the model does not support forced tool use")
        } else {
            (true, None, "")
        };
        if !allowed {
            let action = if to.is_some() { Action::Replaced } else { Action::Removed };
            if let Some(config) = &mut self.shaped.request.to_mut().tool_config {
                config.tool_choice = to;
            }
            self.note("tool_config.tool_choice", action, why);
        }
    }

    fn relax_strictness(&mut self) {
        if self.facts.has(Capability::StrictTools) {
            return;
        }
        let Some(config) = &self.request().tool_config else { return };
        let is_strict = |entry: &pb::Tool| matches!(&entry.tool, Some(tool_entry::Tool::ToolSpec(spec)) if spec.strict == Some(true));
        let strict: Vec<_> =
            (0..config.tools.len()).filter(|position| is_strict(&config.tools[*position])).collect();
        for position in strict {
            let tools =
                self.shaped.request.to_mut().tool_config.as_mut().map(|config| &mut config.tools[position]);
            if let Some(tool_entry::Tool::ToolSpec(spec)) = tools.and_then(|entry| entry.tool.as_mut()) {
                spec.strict = None;
            }
            let path = format!("tool_config.tools[{position}].tool_spec.strict");
            self.note(path, Action::Removed, "the model does not support strict tools");
        }
    }
}

/// A tool that accepts any input.
fn any_input(name: &str) -> pb::Tool {
    let schema = tool_input_schema::Schema::JsonText(r#"{"type":"object"}"#.to_owned());
    pb::Tool {
        tool: Some(tool_entry::Tool::ToolSpec(pb::ToolSpecification {
            name: name.to_owned(),
            input_schema: Some(pb::ToolInputSchema { schema: Some(schema) }),
            ..Default::default()
        })),
    }
}
