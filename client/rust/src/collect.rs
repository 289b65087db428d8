//! Puts a stream's pieces together: the same answer as from `Converse`, and a message that can be sent back.
//!
//! The index of a piece says which block it belongs to; pieces of several blocks may come in turns, and blocks of text
//! and reasoning begin without a start event.

use crate::{Error, Event, Result, pb};
use block::OpenBlock;
use pb::{content_block::Block, converse_output::Output};
use std::collections::BTreeMap;

mod block;

/// An answer, whole, however it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    /// What the model said. Send it back as the next turn's history. Blank text, which Bedrock refuses, is left out.
    pub message: pb::Message,
    /// Why the model stopped.
    pub stop_reason: pb::StopReason,
    /// The same in Bedrock's own word, such as `end_turn`.
    pub raw_stop_reason: String,
    /// What was read and written. `None`: Bedrock did not say.
    pub usage: Option<pb::TokenUsage>,
    /// Bedrock's own measure.
    pub metrics: Option<pb::ConverseMetrics>,
    /// What a guardrail or a prompt router did.
    pub trace: Option<pb::ConverseTrace>,
    /// The form of the model that served.
    pub performance_config: Option<pb::PerformanceConfiguration>,
    /// The tier that served.
    pub service_tier: Option<pb::ServiceTier>,
    /// The model's own reply fields, as exact JSON text.
    pub additional_model_response_fields_json: Option<String>,
    /// Who answered, and every attempt before.
    pub route: Option<pb::Route>,
    /// Where the time went.
    pub latency: Option<pb::Latency>,
    /// What the call cost, every attempt included. `None`: nobody knows; it is not nothing.
    pub cost: Option<pb::Cost>,
    /// Events that have no place in the message: newer than this client, or of no known block.
    pub unplaced: Vec<Event>,
}

/// Collects while something else reads along: [`push`](Self::push) every event, then [`finish`](Self::finish).
#[derive(Debug, Default)]
pub struct Collector {
    blocks: BTreeMap<i32, OpenBlock>,
    collected: Collected,
    is_whole: bool,
}

// === impl Collected ===

impl Collected {
    /// The words of the answer, without reasoning and tool uses.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for block in &self.message.content {
            match &block.block {
                Some(Block::Text(words)) => text.push_str(words),
                Some(Block::CitationsContent(cited)) => {
                    for part in &cited.content {
                        let Some(pb::citation_generated_content::Block::Text(words)) = &part.block else {
                            continue;
                        };
                        text.push_str(words);
                    }
                }
                _ => {}
            }
        }
        text
    }

    /// The tools that the model asks for.
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
    /// Takes the next event in. After a restart it forgets what it had.
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
            Event::ContentBlockStop(_) => {} // Bedrock has been seen to forget it, so nothing waits for it
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

    /// The answer; an error of the kind [`Incomplete`](crate::ErrorKind::Incomplete) if its metadata never came.
    pub fn finish(self) -> Result<Collected> {
        if !self.is_whole {
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
        self.is_whole = true;
        let collected = &mut self.collected;
        collected.usage = metadata.usage;
        collected.metrics = metadata.metrics;
        collected.trace = metadata.trace;
        collected.performance_config = metadata.performance_config;
        collected.service_tier = metadata.service_tier;
        collected.latency = metadata.latency;
        collected.cost = metadata.cost;
    }
}
