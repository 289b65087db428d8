//! The history: blocks that one model wrote or took, and the next may not.
use super::{Action, Draft};
use crate::{
    catalogue::{Capability, ModelFacts, ReasoningReplay},
    route::Task,
};
use std::collections::BTreeSet;
use switchboard_proto::v1::{
    self as pb, content_block::Block, reasoning_content_block, system_content_block, tool as tool_entry,
};

/// Where a block stands: the message and the block in it.
type Place = (usize, usize);

impl Draft<'_, '_> {
    pub(super) fn shape_history(&mut self, task: &Task) {
        self.remove_foreign_reasoning(task);
        self.limit_cache_points();
        self.rename_documents();
    }

    /// Signed reasoning goes back only to the model that thought it. Who that was the history does not say: the task's
    /// first model, unless Bedrock knows better, and then [`super::Repair::Reasoning`] leaves it out.
    fn remove_foreign_reasoning(&mut self, task: &Task) {
        let facts = self.facts;
        let is_first = task.candidates.first().is_none_or(|first| first.facts.id == facts.id);
        let found: Vec<(Place, &'static str)> =
            places(self.request(), |block| foreign(block, facts, is_first)).collect();
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
            self.stop_thinking_amid_a_tool_turn(last_turn);
        }
        let emptied: BTreeSet<usize> = found.into_iter().map(|((message, _), _)| message).collect();
        for message in emptied.into_iter().rev() {
            if self.request().messages[message].content.is_empty() {
                self.shaped.request.to_mut().messages.remove(message);
                self.note(
                    format!("messages[{message}]"),
                    Action::Removed,
                    "it held only another model's reasoning",
                );
            }
        }
    }

    /// A model that thinks wants to see, in the middle of a tool's use, what it thought before it.
    fn stop_thinking_amid_a_tool_turn(&mut self, last_turn: Option<usize>) {
        let amid = last_turn.is_some_and(|turn| {
            let content = &self.request().messages[turn].content;
            content.iter().any(|block| matches!(block.block, Some(Block::ToolUse(_))))
        });
        if amid {
            let why = "the reasoning before the last tool use is another model's";
            for name in ["thinking", "reasoning_config"] {
                self.shaped.remove_extra(name, why);
            }
        }
    }

    fn limit_cache_points(&mut self) {
        if !self.facts.has(Capability::Caching) {
            self.remove_cache_points(usize::MAX, "the model has no prompt caching");
            return;
        }
        if !self.facts.has(Capability::Caching1h) {
            self.shorten_cache_points();
        }
        let limit = self.facts.max_cache_points.map_or(usize::MAX, usize::from);
        let surplus = cache_points(self.request()).saturating_sub(limit);
        self.remove_cache_points(
            surplus,
            &format!("the model takes {limit} cache points; the last cover most"),
        );
    }

    /// Removes the first `count` cache points, in the order in which the model reads: tools, system, messages.
    fn remove_cache_points(&mut self, count: usize, why: &str) {
        let mut left = count.min(cache_points(self.request()));
        if left == 0 {
            return;
        }
        let request = self.shaped.request.to_mut();
        let mut removed = Vec::new();
        if let Some(config) = &mut request.tool_config {
            take(&mut config.tools, is_tool_point, &mut left, "tool_config.tools", &mut removed);
        }
        take(&mut request.system, is_system_point, &mut left, "system", &mut removed);
        for (position, message) in request.messages.iter_mut().enumerate() {
            take(
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
            self.note("cache_point.ttl", Action::Removed, "the model keeps prefixes for five minutes only");
        }
    }

    /// Bedrock takes only certain names, each once.
    fn rename_documents(&mut self) {
        let mut seen = BTreeSet::new();
        let found: Vec<Place> = places(self.request(), |block| match block {
            Block::Document(document) => {
                (!is_document_name(&document.name) || !seen.insert(document.name.clone())).then_some(())
            }
            _ => None,
        })
        .map(|(place, ())| place)
        .collect();
        for (count, (message, block)) in found.into_iter().enumerate() {
            let entry = &mut self.shaped.request.to_mut().messages[message].content[block];
            if let Some(Block::Document(document)) = &mut entry.block {
                document.name = format!("document-{message}-{}", count + 1);
            }
            let why = "Bedrock takes letters, digits, single spaces, hyphens, underscores and brackets, and each name once";
            self.note(format!("messages[{message}].content[{block}].document.name"), Action::Replaced, why);
        }
    }
}

/// The blocks of a request for which `pick` has something to say.
fn places<'a, T>(
    request: &'a pb::ConverseRequest,
    mut pick: impl FnMut(&'a Block) -> Option<T> + 'a,
) -> impl Iterator<Item = (Place, T)> + 'a {
    let blocks = request.messages.iter().enumerate().flat_map(|(message, turn)| {
        turn.content.iter().enumerate().map(move |(block, entry)| ((message, block), entry.block.as_ref()))
    });
    blocks.filter_map(move |(place, block)| Some((place, pick(block?)?)))
}

/// Why a block cannot go back to a model. `None`: it can, or is no reasoning.
fn foreign(block: &Block, facts: &ModelFacts, is_first: bool) -> Option<&'static str> {
    let Block::ReasoningContent(reasoning) = block else { return None };
    let signed = match &reasoning.block {
        Some(reasoning_content_block::Block::ReasoningText(text)) => {
            text.signature.as_deref().is_some_and(|signature| !signature.is_empty())
        }
        _ => true,
    };
    match facts.reasoning_replay {
        ReasoningReplay::None => Some("the model takes no reasoning back"),
        ReasoningReplay::Signed if !signed => Some("the model takes only signed reasoning back"),
        ReasoningReplay::Signed if !is_first => {
            Some("the task's first model thought it, and only that takes it back")
        }
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

/// Takes the first `left` entries that match out of a list, and writes down where they stood.
fn take<T>(
    list: &mut Vec<T>,
    matches: fn(&T) -> bool,
    left: &mut usize,
    path: &str,
    removed: &mut Vec<String>,
) {
    let mut position = 0;
    list.retain(|entry| {
        let goes = *left > 0 && matches(entry);
        if goes {
            *left -= 1;
            removed.push(format!("{path}[{position}]"));
        }
        position += 1;
        !goes
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

/// Letters, digits, single white space, hyphens, round and square brackets, says AWS's service model, and 1 to 200 of
/// them; underscores were recorded, too.
fn is_document_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "-_()[]".contains(c);
    let doubled = name
        .chars()
        .zip(name.chars().skip(1))
        .any(|(a, b)| a.is_ascii_whitespace() && b.is_ascii_whitespace());
    (1..=200).contains(&name.chars().count()) && name.chars().all(allowed) && !doubled
}
