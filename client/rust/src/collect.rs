//! Assembles the events of a stream into the answer that `Converse` would return.
//!
//! The index of a delta identifies its block. Deltas of different blocks can be interleaved, and text and
//! reasoning blocks start without a start event.

use crate::{Error, Event, Result, pb};
use block::OpenBlock;
use pb::{content_block::Block, converse_output::Output};
use std::collections::BTreeMap;

mod block;

/// Complete answer of `Converse` or of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    /// The assistant's turn. Append it to the messages to continue the conversation. Blank text, which
    /// Bedrock rejects, is left out.
    pub message: pb::Message,
    /// Why the model stopped.
    pub stop_reason: pb::StopReason,
    /// The stop reason exactly as Bedrock sent it, such as `end_turn`.
    pub raw_stop_reason: String,
    /// Tokens of the attempt that answered. `None`: Bedrock did not report usage.
    pub usage: Option<pb::TokenUsage>,
    /// Latency measured by Bedrock.
    pub metrics: Option<pb::ConverseMetrics>,
    /// Actions of a guardrail or a prompt router.
    pub trace: Option<pb::ConverseTrace>,
    /// Latency optimization that was used.
    pub performance_config: Option<pb::PerformanceConfiguration>,
    /// Service tier that was used.
    pub service_tier: Option<pb::ServiceTier>,
    /// Requested fields of the model's native response, as exact JSON text.
    pub additional_model_response_fields_json: Option<String>,
    /// The model that answered, and every attempt. For a stream, the final route.
    pub route: Option<pb::Route>,
    /// Duration of the call and of its parts.
    pub latency: Option<pb::Latency>,
    /// Cost of the call, including every attempt. `None`: unknown; do not read this as zero.
    pub cost: Option<pb::Cost>,
    /// Events that could not be added to the message: they are newer than this client, or belong to no known
    /// block.
    pub unplaced: Vec<Event>,
}

/// Assembles an answer while the caller processes the events: [`push`](Self::push) every event, then
/// [`finish`](Self::finish).
#[derive(Debug, Default)]
pub struct Collector {
    blocks: BTreeMap<i32, OpenBlock>,
    collected: Collected,
    is_complete: bool,
}

// === impl Collected ===

impl Collected {
    /// Returns the text of the answer, without reasoning and tool uses.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for block in &self.message.content {
            match &block.block {
                Some(Block::Text(part)) => text.push_str(part),
                Some(Block::CitationsContent(cited)) => {
                    for part in &cited.content {
                        let Some(pb::citation_generated_content::Block::Text(part)) = &part.block else {
                            continue;
                        };
                        text.push_str(part);
                    }
                }
                _ => {}
            }
        }
        text
    }

    /// Returns the tool calls that the model requests.
    pub fn tool_uses(&self) -> impl Iterator<Item = &pb::ToolUseBlock> {
        self.message.content.iter().filter_map(|block| match &block.block {
            Some(Block::ToolUse(tool_use)) => Some(tool_use),
            _ => None,
        })
    }
}

impl From<pb::ConverseResponse> for Collected {
    fn from(response: pb::ConverseResponse) -> Self {
        let stop_reason = response.stop_reason();
        let message = match response.output.and_then(|output| output.output) {
            Some(Output::Message(message)) => message,
            None => pb::Message::default(),
        };
        Self {
            message,
            stop_reason,
            raw_stop_reason: response.raw_stop_reason,
            usage: response.usage,
            metrics: response.metrics,
            trace: response.trace,
            performance_config: response.performance_config,
            service_tier: response.service_tier,
            additional_model_response_fields_json: response.additional_model_response_fields_json,
            route: response.route,
            latency: response.latency,
            cost: response.cost,
            unplaced: Vec::new(),
        }
    }
}

// === impl Collector ===

impl Collector {
    /// Adds the next event. A restart event discards everything before it.
    pub fn push(&mut self, event: Event) {
        let collected = &mut self.collected;
        match event {
            Event::Route(route) => collected.route = Some(route),
            Event::MessageStart(start) => collected.message.role = start.role,
            Event::ContentBlockStart(event) => {
                let block = OpenBlock::begin(event.start.and_then(|start| start.start));
                self.blocks.insert(event.content_block_index, block);
            }
            Event::ContentBlockDelta(event) => self.append(event),
            Event::ContentBlockStop(_) => {} // not relied on: Bedrock sometimes omits it
            Event::MessageStop(stop) => {
                collected.stop_reason = stop.stop_reason();
                collected.raw_stop_reason = stop.raw_stop_reason;
                collected.additional_model_response_fields_json = stop.additional_model_response_fields_json;
            }
            Event::Restart(_) => *self = Self::default(),
            Event::Metadata(metadata) => self.take_metadata(metadata),
            Event::Unknown(_) => collected.unplaced.push(event),
        }
    }

    /// Returns the answer; an error of the kind [`Incomplete`](crate::ErrorKind::Incomplete) if the metadata
    /// is missing.
    pub fn finish(self) -> Result<Collected> {
        if !self.is_complete {
            return Err(Error::incomplete());
        }
        let mut collected = self.collected;
        collected.message.content = self.blocks.into_values().flat_map(OpenBlock::close).collect();
        if collected.message.role.is_empty() {
            collected.message.role = "assistant".to_owned();
        }
        Ok(collected)
    }

    fn append(&mut self, event: pb::ContentBlockDeltaEvent) {
        let pb::ContentBlockDeltaEvent { delta, content_block_index } = event;
        let Some(delta) = delta.and_then(|delta| delta.delta) else { return };
        let block = self.blocks.entry(content_block_index).or_default();
        if let Err(delta) = block.append(delta) {
            let delta = Some(pb::ContentBlockDelta { delta: Some(*delta) });
            let event = pb::ContentBlockDeltaEvent { delta, content_block_index };
            self.collected.unplaced.push(Event::ContentBlockDelta(event));
        }
    }

    fn take_metadata(&mut self, metadata: pb::ConverseStreamMetadataEvent) {
        self.is_complete = true;
        let collected = &mut self.collected;
        collected.route = metadata.route.or(collected.route.take());
        collected.usage = metadata.usage;
        collected.metrics = metadata.metrics;
        collected.trace = metadata.trace;
        collected.performance_config = metadata.performance_config;
        collected.service_tier = metadata.service_tier;
        collected.latency = metadata.latency;
        collected.cost = metadata.cost;
    }
}
