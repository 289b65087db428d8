//! The stream events of a response, with their delays.
//!
//! Events have Bedrock's order: messageStart; for each block its deltas and contentBlockStop; messageStop;
//! metadata. Only tool calls have a contentBlockStart.

use std::time::Duration;

use serde_json::{Value, json};

use crate::frame;
use crate::response::{Block, ModelResponse, Timing, metrics};
use crate::response_body::Step;
use crate::tokens;

pub(crate) mod stream_fault;

const MAX_TOKENS_PER_DELTA: usize = 4;

struct Event {
    event_type: &'static str,
    payload: Value,
    /// Number of tokens that the model generates before it sends the event.
    tokens: usize,
}

/// Returns the steps of the whole stream: one per event, and one per delay.
pub(crate) fn to_steps(response: &mut ModelResponse, timing: &Timing) -> Vec<Step> {
    let mut random = response.random.clone();
    let mut events = vec![Event::new("messageStart", json!({ "role": "assistant" }))];
    for (index, block) in response.blocks.iter().enumerate() {
        add_block(index, block, &mut random, &mut events);
    }
    events.push(message_stop(response));
    events.push(metadata(response, timing.total(response.output_tokens)));
    let mut steps = vec![Step::Wait(timing.first_token)];
    for event in events {
        if event.tokens > 0 {
            steps.push(Step::Wait(timing.per_token.mul_f64(event.tokens as f64)));
        }
        steps.push(Step::Event(frame::event(event.event_type, event.payload, &mut random)));
    }
    steps
}

fn add_block(index: usize, block: &Block, random: &mut fastrand::Rng, events: &mut Vec<Event>) {
    match block {
        Block::Text(text) => add_deltas(index, text, random, events, |text| json!({ "text": text })),
        Block::Cited { text, citations } => {
            add_deltas(index, text, random, events, |text| json!({ "text": text }));
            events.extend(
                citations.iter().map(|citation| Event::delta(index, json!({ "citation": citation }), 0)),
            );
        }
        Block::ToolUse { id, name, input } => {
            let start = json!({ "toolUse": { "toolUseId": id, "name": name } });
            events
                .push(Event::new("contentBlockStart", json!({ "contentBlockIndex": index, "start": start })));
            events.push(Event::delta(index, json!({ "toolUse": { "input": "" } }), 0));
            add_deltas(index, input, random, events, |input| json!({ "toolUse": { "input": input } }));
        }
        Block::Reasoning { text, signature } => {
            add_deltas(index, text, random, events, |text| json!({ "reasoningContent": { "text": text } }));
            let signatures =
                signature.iter().map(|signature| json!({ "reasoningContent": { "signature": signature } }));
            events.extend(signatures.map(|delta| Event::delta(index, delta, 0)));
        }
    }
    events.push(Event::new("contentBlockStop", json!({ "contentBlockIndex": index })));
}

fn add_deltas(
    index: usize,
    text: &str,
    random: &mut fastrand::Rng,
    events: &mut Vec<Event>,
    to_delta: impl Fn(&str) -> Value,
) {
    let spans = tokens::split(text);
    let mut rest = spans.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(random.usize(1..=MAX_TOKENS_PER_DELTA).min(rest.len()));
        let text: String = now.iter().map(|span| span.text.as_str()).collect();
        events.push(Event::delta(index, to_delta(&text), now.iter().map(|span| span.tokens).sum()));
        rest = later;
    }
}

fn message_stop(response: &ModelResponse) -> Event {
    let mut payload = json!({ "stopReason": response.stop_reason });
    if let Some(fields) = &response.additional_fields {
        payload["additionalModelResponseFields"] = fields.clone();
    }
    Event::new("messageStop", payload)
}

fn metadata(response: &ModelResponse, latency: Duration) -> Event {
    let mut payload = json!({ "usage": response.usage, "metrics": metrics(latency) });
    for (member, value) in &response.optional_members {
        payload[*member] = value.clone();
    }
    Event::new("metadata", payload)
}

// === impl Event ===

impl Event {
    fn new(event_type: &'static str, payload: Value) -> Self {
        Self { event_type, payload, tokens: 0 }
    }

    fn delta(index: usize, delta: Value, tokens: usize) -> Self {
        Self {
            event_type: "contentBlockDelta",
            payload: json!({ "contentBlockIndex": index, "delta": delta }),
            tokens,
        }
    }
}
