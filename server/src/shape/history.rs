//! The history: blocks that one model wrote or accepted, and another may refuse.
use super::{Action, Draft};
use crate::{
    catalogue::{Capability, ModelFacts, ReasoningReplay},
    route::Task,
};
use std::collections::BTreeSet;
use switchboard_proto::v1::{
    self as pb, content_block::Block, reasoning_content_block, system_content_block, tool as tool_entry,
};

/// Position of a block: index of its message, and index in the message.
type Position = (usize, usize);

impl Draft<'_, '_> {
    pub(super) fn shape_history(&mut self, task: &Task) {
        self.remove_foreign_reasoning(task);
        self.limit_cache_points();
        self.rename_documents();
    }

    /// Signed reasoning is accepted only by the model that wrote it. The history does not name that model; it
    /// is assumed to be the task's first. If Bedrock refuses the reasoning, [`super::Repair::Reasoning`]
    /// removes it.
    fn remove_foreign_reasoning(&mut self, task: &Task) {
        let facts = self.facts;
        let is_first = task.candidates.first().is_none_or(|first| first.facts.id == facts.id);
        let found: Vec<(Position, &'static str)> =
            positions(self.request(), |block| refusal(block, facts, is_first)).collect();
        let last_turn = self.request().messages.iter().rposition(|message| message.role == "assistant");
        for ((message, block), why) in found.iter().rev() {
            self.shaped.request.to_mut().messages[*message].content.remove(*block);
            self.note(
                format!("messages[{message}].content[{block}].reasoning_content"),
                Action::Removed,
                *why,
            );
        }
        if found.iter().any(|((message, _), _)| Some(*message) == last_turn) {
            self.stop_reasoning_within_tool_use(last_turn);
        }
        let emptied: BTreeSet<usize> = found.into_iter().map(|((message, _), _)| message).collect();
        for message in emptied.into_iter().rev() {
            if self.request().messages[message].content.is_empty() {
                self.shaped.request.to_mut().messages.remove(message);
                self.note(
                    format!("messages[{message}]"),
                    Action::Removed,
                    "the message contained only reasoning of another model",
                );
            }
        }
    }

    /// A model that reasons requires its reasoning before a tool use that has no result yet. Without it,
    /// reasoning is turned off.
    fn stop_reasoning_within_tool_use(&mut self, last_turn: Option<usize>) {
        let uses_tool = last_turn.is_some_and(|turn| {
            let content = &self.request().messages[turn].content;
            content.iter().any(|block| matches!(block.block, Some(Block::ToolUse(_))))
        });
        if uses_tool {
            let why = "the reasoning before the last tool use was removed";
            for name in ["thinking", "reasoning_config"] {
                self.shaped.remove_extra(name, why);
            }
        }
    }

    fn limit_cache_points(&mut self) {
        if !self.facts.has(Capability::Caching) {
            self.remove_cache_points(usize::MAX, "the model does not support prompt caching");
            return;
        }
        if !self.facts.has(Capability::Caching1h) {
            self.shorten_cache_points();
        }
        let limit = self.facts.max_cache_points.map_or(usize::MAX, usize::from);
        let surplus = cache_points(self.request()).saturating_sub(limit);
        self.remove_cache_points(
            surplus,
            &format!("the model accepts at most {limit} cache points; the last ones are kept"),
        );
    }

    /// Removes the first `count` cache points in the order in which the model reads the request: tools,
    /// system, messages.
    fn remove_cache_points(&mut self, count: usize, why: &str) {
        let mut left = count.min(cache_points(self.request()));
        if left == 0 {
            return;
        }
        let request = self.shaped.request.to_mut();
        let mut removed = Vec::new();
        if let Some(config) = &mut request.tool_config {
            remove_first(&mut config.tools, is_tool_point, &mut left, "tool_config.tools", &mut removed);
        }
        remove_first(&mut request.system, is_system_point, &mut left, "system", &mut removed);
        for (position, message) in request.messages.iter_mut().enumerate() {
            remove_first(
                &mut message.content,
                is_point,
                &mut left,
                &format!("messages[{position}].content"),
                &mut removed,
            );
        }
        for path in removed {
            self.note(path, Action::Removed, why);
        }
    }

    fn shorten_cache_points(&mut self) {
        let is_long = |point: &pb::CachePointBlock| point.ttl.as_deref() == Some("1h");
        let any = all_points(self.request()).any(is_long);
        if any {
            for_each_point(self.shaped.request.to_mut(), |point| {
                point.ttl = point.ttl.take().filter(|ttl| ttl != "1h");
            });
            self.note("cache_point.ttl", Action::Removed, "the model caches prompts for five minutes only");
        }
    }

    /// Bedrock accepts only certain document names, and each name once.
    fn rename_documents(&mut self) {
        let mut seen = BTreeSet::new();
        let found: Vec<Position> = positions(self.request(), |block| match block {
            Block::Document(document) => {
                (!is_document_name(&document.name) || !seen.insert(document.name.clone())).then_some(())
            }
            _ => None,
        })
        .map(|(position, ())| position)
        .collect();
        for (count, (message, block)) in found.into_iter().enumerate() {
            let entry = &mut self.shaped.request.to_mut().messages[message].content[block];
            if let Some(Block::Document(document)) = &mut entry.block {
                document.name = format!("document-{message}-{}", count + 1);
            }
            let why = "Bedrock accepts only letters, digits, single spaces, hyphens, underscores and brackets, and each name once";
            self.note(format!("messages[{message}].content[{block}].document.name"), Action::Replaced, why);
        }
    }
}

/// Returns the positions of the blocks for which `pick` returns a value, with the values.
fn positions<'a, T>(
    request: &'a pb::ConverseRequest,
    mut pick: impl FnMut(&'a Block) -> Option<T> + 'a,
) -> impl Iterator<Item = (Position, T)> + 'a {
    let blocks = request.messages.iter().enumerate().flat_map(|(message, turn)| {
        turn.content.iter().enumerate().map(move |(block, entry)| ((message, block), entry.block.as_ref()))
    });
    blocks.filter_map(move |(position, block)| Some((position, pick(block?)?)))
}

/// Returns the reason why a model refuses a reasoning block. `None`: it accepts the block, or it is another
/// kind of block.
fn refusal(block: &Block, facts: &ModelFacts, is_first: bool) -> Option<&'static str> {
    let Block::ReasoningContent(reasoning) = block else { return None };
    let signed = match &reasoning.block {
        Some(reasoning_content_block::Block::ReasoningText(text)) => {
            text.signature.as_deref().is_some_and(|signature| !signature.is_empty())
        }
        _ => true,
    };
    match facts.reasoning_replay {
        ReasoningReplay::None => Some("the model does not accept reasoning in the history"),
        ReasoningReplay::Signed if !signed => Some("the model accepts only signed reasoning in the history"),
        ReasoningReplay::Signed if !is_first => Some(
            "signed reasoning is accepted only by the model that wrote it, assumed to be the task's first",
        ),
        _ => None,
    }
}

fn is_point(block: &pb::ContentBlock) -> bool {
    matches!(block.block, Some(Block::CachePoint(_)))
}

fn is_system_point(block: &pb::SystemContentBlock) -> bool {
    matches!(block.block, Some(system_content_block::Block::CachePoint(_)))
}

fn is_tool_point(entry: &pb::Tool) -> bool {
    matches!(entry.tool, Some(tool_entry::Tool::CachePoint(_)))
}

/// Removes the first `left` entries that match, and adds their paths to `removed`.
fn remove_first<T>(
    list: &mut Vec<T>,
    matches: fn(&T) -> bool,
    left: &mut usize,
    path: &str,
    removed: &mut Vec<String>,
) {
    let mut position = 0;
    list.retain(|entry| {
        let is_removed = *left > 0 && matches(entry);
        if is_removed {
            *left -= 1;
            removed.push(format!("{path}[{position}]"));
        }
        position += 1;
        !is_removed
    });
}

fn all_points(request: &pb::ConverseRequest) -> impl Iterator<Item = &pb::CachePointBlock> {
    let tools =
        request.tool_config.iter().flat_map(|config| &config.tools).filter_map(|entry| match &entry.tool {
            Some(tool_entry::Tool::CachePoint(point)) => Some(point),
            _ => None,
        });
    let system = request.system.iter().filter_map(|block| match &block.block {
        Some(system_content_block::Block::CachePoint(point)) => Some(point),
        _ => None,
    });
    let messages =
        request.messages.iter().flat_map(|message| &message.content).filter_map(|block| match &block.block {
            Some(Block::CachePoint(point)) => Some(point),
            _ => None,
        });
    tools.chain(system).chain(messages)
}

fn for_each_point(request: &mut pb::ConverseRequest, mut change: impl FnMut(&mut pb::CachePointBlock)) {
    for entry in request.tool_config.iter_mut().flat_map(|config| &mut config.tools) {
        if let Some(tool_entry::Tool::CachePoint(point)) = &mut entry.tool {
            change(point);
        }
    }
    for block in &mut request.system {
        if let Some(system_content_block::Block::CachePoint(point)) = &mut block.block {
            change(point);
        }
    }
    for block in request.messages.iter_mut().flat_map(|message| &mut message.content) {
        if let Some(Block::CachePoint(point)) = &mut block.block {
            change(point);
        }
    }
}

fn cache_points(request: &pb::ConverseRequest) -> usize {
    all_points(request).count()
}

/// Returns true for a valid document name: 1 to 200 letters, digits, single white space, hyphens, round and
/// square brackets according to AWS's service model; Bedrock was recorded accepting underscores too.
fn is_document_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "-_()[]".contains(c);
    let doubled = name
        .chars()
        .zip(name.chars().skip(1))
        .any(|(a, b)| a.is_ascii_whitespace() && b.is_ascii_whitespace());
    (1..=200).contains(&name.chars().count()) && name.chars().all(allowed) && !doubled
}
