//! One block of a message while its pieces come in.

use crate::pb;
use bytes::BytesMut;
use pb::{
    ContentBlock, content_block::Block, content_block_delta::Delta, content_block_start::Start, image_source,
    reasoning_content_block, reasoning_content_block_delta as reasoning_delta, tool_result_block_delta,
    tool_result_content_block, tool_use_block::Arguments,
};

/// What has come of a block so far.
#[derive(Debug, Default)]
pub(super) enum OpenBlock {
    /// Nothing: the first piece decides.
    #[default]
    Empty,
    Text {
        words: String,
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

/// Readable or sealed; a model sends one or the other.
#[derive(Debug, Default)]
pub(super) struct Reasoning {
    words: Option<String>,
    signature: Option<String>,
    sealed: BytesMut,
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

    /// Adds a piece; hands it back if it does not belong to this kind of block.
    pub(super) fn append(&mut self, delta: Delta) -> Result<(), Box<Delta>> {
        if matches!(self, Self::Empty) {
            *self = Self::of_kind(&delta);
        }
        match (self, delta) {
            (Self::Text { words, .. }, Delta::Text(more)) => words.push_str(&more),
            (Self::Text { citations, .. }, Delta::Citation(delta)) => citations.push(citation(delta)),
            (Self::ToolUse { input, .. }, Delta::ToolUse(delta)) => input.push_str(&delta.input),
            (Self::ToolResult(result), Delta::ToolResult(delta)) => append_parts(result, delta.blocks),
            (Self::Reasoning(reasoning), Delta::ReasoningContent(delta)) => reasoning.append(delta),
            (Self::Image { source, error, .. }, Delta::Image(delta)) => {
                *error = delta.error.or(error.take());
                append_bytes(source, delta.source.and_then(|source| source.source));
            }
            (Self::Unknown(pieces), Delta::UnknownJson(json)) => pieces.push(json),
            (_, delta) => return Err(Box::new(delta)),
        }
        Ok(())
    }

    /// The block as history wants it: none for blank text, and one for each piece of an unknown kind, since how those
    /// would join is unknown too.
    pub(super) fn close(self) -> Vec<ContentBlock> {
        let blocks = match self {
            Self::Empty => vec![],
            Self::Text { words, citations } => close_text(words, citations).into_iter().collect(),
            Self::ToolUse { start, input } => vec![Block::ToolUse(close_tool_use(start, input))],
            Self::ToolResult(result) => vec![Block::ToolResult(result)],
            Self::Reasoning(reasoning) => reasoning.close().map(Block::ReasoningContent).collect(),
            Self::Image { format, source, error } => {
                let source = source.map(|source| pb::ImageSource { source: Some(source) });
                vec![Block::Image(pb::ImageBlock { format, source, error })]
            }
            Self::Unknown(pieces) => pieces.into_iter().map(Block::UnknownJson).collect(),
        };
        blocks.into_iter().map(|block| ContentBlock { block: Some(block) }).collect()
    }

    /// The kind of block that begins with this piece. Tools name themselves in a start event: without one there is no
    /// block to add to. Nor does a piece of an unknown kind begin one: known pieces may follow.
    fn of_kind(delta: &Delta) -> Self {
        match delta {
            Delta::Text(_) | Delta::Citation(_) => Self::Text { words: String::new(), citations: Vec::new() },
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
            Some(reasoning_delta::Delta::Text(more)) => self.words.get_or_insert_default().push_str(&more),
            Some(reasoning_delta::Delta::Signature(more)) => {
                self.signature.get_or_insert_default().push_str(&more);
            }
            Some(reasoning_delta::Delta::RedactedContent(more)) => self.sealed.extend_from_slice(&more),
            Some(reasoning_delta::Delta::UnknownJson(json)) => self.unknown.push(json),
            None => {}
        }
    }

    fn close(self) -> impl Iterator<Item = pb::ReasoningContentBlock> {
        use reasoning_content_block::Block;
        let Self { words, signature, sealed, unknown } = self;
        let readable = (words.is_some() || signature.is_some()).then(|| {
            let text = words.unwrap_or_default();
            Block::ReasoningText(pb::ReasoningTextBlock { text, signature })
        });
        let sealed = (!sealed.is_empty()).then(|| Block::RedactedContent(sealed.freeze()));
        let unknown = unknown.into_iter().map(Block::UnknownJson);
        let blocks = readable.into_iter().chain(sealed).chain(unknown);
        blocks.map(|block| pb::ReasoningContentBlock { block: Some(block) })
    }
}

fn close_text(words: String, citations: Vec<pb::Citation>) -> Option<Block> {
    if citations.is_empty() {
        return (!words.trim().is_empty()).then_some(Block::Text(words));
    }
    let words = pb::citation_generated_content::Block::Text(words);
    let content = vec![pb::CitationGeneratedContent { block: Some(words) }];
    Some(Block::CitationsContent(pb::CitationsContentBlock { content, citations }))
}

/// No input at all means `{}`: models leave it out for tools without arguments.
fn close_tool_use(start: pb::ToolUseBlockStart, input: String) -> pb::ToolUseBlock {
    let input = if input.is_empty() { "{}".to_owned() } else { input };
    pb::ToolUseBlock {
        tool_use_id: start.tool_use_id,
        name: start.name,
        r#type: start.r#type,
        arguments: Some(Arguments::InputJson(input)),
    }
}

/// Words go on where the words before ended; every JSON value is a part of its own.
fn append_parts(result: &mut pb::ToolResultBlock, parts: Vec<pb::ToolResultBlockDelta>) {
    use tool_result_block_delta::Block as Piece;
    use tool_result_content_block::Block as Part;
    for piece in parts.into_iter().filter_map(|part| part.block) {
        let last = result.content.last_mut().and_then(|part| part.block.as_mut());
        let part = match (last, piece) {
            (Some(Part::Text(words)), Piece::Text(more)) => {
                words.push_str(&more);
                continue;
            }
            (_, Piece::Text(words)) => Part::Text(words),
            (_, Piece::JsonText(json)) => Part::JsonText(json),
            (_, Piece::UnknownJson(json)) => Part::UnknownJson(json),
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
    let words = delta.source_content.into_iter().map(|content| pb::CitationSourceContent {
        block: content.text.map(pb::citation_source_content::Block::Text),
    });
    pb::Citation {
        title: delta.title,
        source: delta.source,
        source_content: words.collect(),
        location: delta.location,
    }
}
