//! Assembles one content block from its deltas.

use crate::pb;
use bytes::BytesMut;
use pb::{
    ContentBlock, content_block::Block, content_block_delta::Delta, content_block_start::Start, image_source,
    reasoning_content_block, reasoning_content_block_delta as reasoning_delta, tool_result_block_delta,
    tool_result_content_block, tool_use_block::Arguments,
};

/// Content block that is being received.
#[derive(Debug, Default)]
pub(super) enum OpenBlock {
    /// No delta yet: the first one determines the kind of block.
    #[default]
    Empty,
    Text {
        text: String,
        citations: Vec<pb::Citation>,
    },
    ToolUse {
        start: pb::ToolUseBlockStart,
        input: String,
    },
    ToolResult(pb::ToolResultBlock),
    Reasoning(Reasoning),
    Image {
        format: String,
        source: Option<image_source::Source>,
        error: Option<pb::ErrorBlock>,
    },
    /// Exact JSON objects, in order.
    Unknown(Vec<String>),
}

/// Reasoning: plain text or encrypted. A model sends one or the other.
#[derive(Debug, Default)]
pub(super) struct Reasoning {
    text: Option<String>,
    signature: Option<String>,
    redacted: BytesMut,
    unknown: Vec<String>,
}

// === impl OpenBlock ===

impl OpenBlock {
    pub(super) fn begin(start: Option<Start>) -> Self {
        match start {
            Some(Start::ToolUse(start)) => Self::ToolUse { start, input: String::new() },
            Some(Start::ToolResult(start)) => Self::ToolResult(pb::ToolResultBlock {
                tool_use_id: start.tool_use_id,
                r#type: start.r#type,
                status: start.status,
                content: Vec::new(),
            }),
            Some(Start::Image(start)) => Self::Image { format: start.format, source: None, error: None },
            Some(Start::UnknownJson(json)) => Self::Unknown(vec![json]),
            None => Self::Empty,
        }
    }

    /// Adds a delta. Returns the delta as an error if it does not belong to this kind of block.
    pub(super) fn append(&mut self, delta: Delta) -> Result<(), Box<Delta>> {
        if matches!(self, Self::Empty) {
            *self = Self::of_kind(&delta);
        }
        match (self, delta) {
            (Self::Text { text, .. }, Delta::Text(more)) => text.push_str(&more),
            (Self::Text { citations, .. }, Delta::Citation(delta)) => citations.push(citation(delta)),
            (Self::ToolUse { input, .. }, Delta::ToolUse(delta)) => input.push_str(&delta.input),
            (Self::ToolResult(result), Delta::ToolResult(delta)) => append_parts(result, delta.blocks),
            (Self::Reasoning(reasoning), Delta::ReasoningContent(delta)) => reasoning.append(delta),
            (Self::Image { source, error, .. }, Delta::Image(delta)) => {
                *error = delta.error.or(error.take());
                append_bytes(source, delta.source.and_then(|source| source.source));
            }
            (Self::Unknown(parts), Delta::UnknownJson(json)) => parts.push(json),
            (_, delta) => return Err(Box::new(delta)),
        }
        Ok(())
    }

    /// Returns the block as it is sent back in a history: no block for blank text, and one block for each
    /// delta of an unknown kind, because it is unknown how to combine them.
    pub(super) fn close(self) -> Vec<ContentBlock> {
        let blocks = match self {
            Self::Empty => vec![],
            Self::Text { text, citations } => close_text(text, citations).into_iter().collect(),
            Self::ToolUse { start, input } => vec![Block::ToolUse(close_tool_use(start, input))],
            Self::ToolResult(result) => vec![Block::ToolResult(result)],
            Self::Reasoning(reasoning) => reasoning.close().map(Block::ReasoningContent).collect(),
            Self::Image { format, source, error } => {
                let source = source.map(|source| pb::ImageSource { source: Some(source) });
                vec![Block::Image(pb::ImageBlock { format, source, error })]
            }
            Self::Unknown(parts) => parts.into_iter().map(Block::UnknownJson).collect(),
        };
        blocks.into_iter().map(|block| ContentBlock { block: Some(block) }).collect()
    }

    /// Returns the kind of block that starts with this delta. Tool blocks need a start event, which has their
    /// name. A delta of an unknown kind does not determine the kind of block, because known deltas can
    /// follow.
    fn of_kind(delta: &Delta) -> Self {
        match delta {
            Delta::Text(_) | Delta::Citation(_) => Self::Text { text: String::new(), citations: Vec::new() },
            Delta::ReasoningContent(_) => Self::Reasoning(Reasoning::default()),
            Delta::Image(_) => Self::Image { format: String::new(), source: None, error: None },
            Delta::ToolUse(_) | Delta::ToolResult(_) | Delta::UnknownJson(_) => Self::Empty,
        }
    }
}

// === impl Reasoning ===

impl Reasoning {
    fn append(&mut self, delta: pb::ReasoningContentBlockDelta) {
        match delta.delta {
            Some(reasoning_delta::Delta::Text(more)) => self.text.get_or_insert_default().push_str(&more),
            Some(reasoning_delta::Delta::Signature(more)) => {
                self.signature.get_or_insert_default().push_str(&more);
            }
            Some(reasoning_delta::Delta::RedactedContent(more)) => self.redacted.extend_from_slice(&more),
            Some(reasoning_delta::Delta::UnknownJson(json)) => self.unknown.push(json),
            None => {}
        }
    }

    fn close(self) -> impl Iterator<Item = pb::ReasoningContentBlock> {
        use reasoning_content_block::Block;
        let Self { text, signature, redacted, unknown } = self;
        let plain = (text.is_some() || signature.is_some()).then(|| {
            let text = text.unwrap_or_default();
            Block::ReasoningText(pb::ReasoningTextBlock { text, signature })
        });
        let redacted = (!redacted.is_empty()).then(|| Block::RedactedContent(redacted.freeze()));
        let unknown = unknown.into_iter().map(Block::UnknownJson);
        let blocks = plain.into_iter().chain(redacted).chain(unknown);
        blocks.map(|block| pb::ReasoningContentBlock { block: Some(block) })
    }
}

fn close_text(text: String, citations: Vec<pb::Citation>) -> Option<Block> {
    if citations.is_empty() {
        return (!text.trim().is_empty()).then_some(Block::Text(text));
    }
    let text = pb::citation_generated_content::Block::Text(text);
    let content = vec![pb::CitationGeneratedContent { block: Some(text) }];
    Some(Block::CitationsContent(pb::CitationsContentBlock { content, citations }))
}

/// Returns the complete tool use. Without any input the arguments are `{}`: models send no input for tools
/// without arguments.
fn close_tool_use(start: pb::ToolUseBlockStart, input: String) -> pb::ToolUseBlock {
    let input = if input.is_empty() { "{}".to_owned() } else { input };
    pb::ToolUseBlock {
        tool_use_id: start.tool_use_id,
        name: start.name,
        r#type: start.r#type,
        arguments: Some(Arguments::InputJson(input)),
    }
}

/// Appends text to a preceding text part. Every JSON value is a part of its own.
fn append_parts(result: &mut pb::ToolResultBlock, parts: Vec<pb::ToolResultBlockDelta>) {
    use tool_result_block_delta::Block as Delta;
    use tool_result_content_block::Block as Part;
    for delta in parts.into_iter().filter_map(|part| part.block) {
        let last = result.content.last_mut().and_then(|part| part.block.as_mut());
        let part = match (last, delta) {
            (Some(Part::Text(text)), Delta::Text(more)) => {
                text.push_str(&more);
                continue;
            }
            (_, Delta::Text(text)) => Part::Text(text),
            (_, Delta::JsonText(json)) => Part::JsonText(json),
            (_, Delta::UnknownJson(json)) => Part::UnknownJson(json),
        };
        result.content.push(pb::ToolResultContentBlock { block: Some(part) });
    }
}

fn append_bytes(source: &mut Option<image_source::Source>, more: Option<image_source::Source>) {
    use image_source::Source::Bytes;
    *source = match (source.take(), more) {
        (Some(Bytes(before)), Some(Bytes(more))) => {
            let mut all = BytesMut::from(before);
            all.extend_from_slice(&more);
            Some(Bytes(all.freeze()))
        }
        (before, more) => more.or(before),
    };
}

fn citation(delta: pb::CitationsDelta) -> pb::Citation {
    let cited = delta.source_content.into_iter().map(|content| pb::CitationSourceContent {
        block: content.text.map(pb::citation_source_content::Block::Text),
    });
    pb::Citation {
        title: delta.title,
        source: delta.source,
        source_content: cited.collect(),
        location: delta.location,
    }
}
