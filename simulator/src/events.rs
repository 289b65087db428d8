//! A reply as the events of a stream, paced, and bent by faults.
//!
//! The order is Bedrock's: messageStart; per block its deltas and contentBlockStop; messageStop; metadata. Only tool
//! calls have a contentBlockStart.

use std::time::Duration;

use serde_json::{Value, json};

use crate::frame;
use crate::response::{Block, Pace, Reply, metrics};
use crate::response_body::Step;
use crate::tokens;

pub(crate) mod stream_fault;

/// Most tokens one delta carries.
const MOST_TOKENS_A_DELTA: usize = 4;

struct Event {
    kind: &'static str,
    payload: Value,
    /// What the model had to generate first.
    tokens: usize,
}

/// The whole stream, one step per event and per wait.
pub(crate) fn script(reply: &mut Reply, pace: &Pace) -> Vec<Step> {
    let mut random = reply.random.clone();
    let mut events = vec![Event::new("messageStart", json!({ "role": "assistant" }))];
    for (index, block) in reply.blocks.iter().enumerate() {
        block_events(index, block, &mut random, &mut events);
    }
    events.push(message_stop(reply));
    events.push(metadata(reply, pace.total(reply.output_tokens)));
    let mut steps = vec![Step::Wait(pace.first_token)];
    for event in events {
        if event.tokens > 0 {
            steps.push(Step::Wait(pace.per_token.mul_f64(event.tokens as f64)));
        }
        steps.push(Step::Event(frame::event(event.kind, event.payload, &mut random)));
    }
    steps
}

fn block_events(index: usize, block: &Block, random: &mut fastrand::Rng, events: &mut Vec<Event>) {
    match block {
        Block::Text(text) => deltas(index, text, random, events, |text| json!({ "text": text })),
        Block::Cited { text, citations } => {
            deltas(index, text, random, events, |text| json!({ "text": text }));
            events.extend(
                citations.iter().map(|citation| Event::delta(index, json!({ "citation": citation }), 0)),
            );
        }
        Block::ToolUse { id, name, input } => {
            let start = json!({ "toolUse": { "toolUseId": id, "name": name } });
            events
                .push(Event::new("contentBlockStart", json!({ "contentBlockIndex": index, "start": start })));
            events.push(Event::delta(index, json!({ "toolUse": { "input": "" } }), 0));
            deltas(index, input, random, events, |input| json!({ "toolUse": { "input": input } }));
        }
        Block::Reasoning { text, signature } => {
            deltas(index, text, random, events, |text| json!({ "reasoningContent": { "text": text } }));
            let signed =
                signature.iter().map(|signature| json!({ "reasoningContent": { "signature": signature } }));
            events.extend(signed.map(|delta| Event::delta(index, delta, 0)));
        }
    }
    events.push(Event::new("contentBlockStop", json!({ "contentBlockIndex": index })));
}

fn deltas(
    index: usize,
    text: &str,
    random: &mut fastrand::Rng,
    events: &mut Vec<Event>,
    wrap: impl Fn(&str) -> Value,
) {
    let pieces = tokens::split(text);
    let mut rest = pieces.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(random.usize(1..=MOST_TOKENS_A_DELTA).min(rest.len()));
        let text: String = now.iter().map(|piece| piece.text.as_str()).collect();
        events.push(Event::delta(index, wrap(&text), now.iter().map(|piece| piece.tokens).sum()));
        rest = later;
    }
}

fn message_stop(reply: &Reply) -> Event {
    let mut payload = json!({ "stopReason": reply.stop_reason });
    if let Some(fields) = &reply.additional_fields {
        payload["additionalModelResponseFields"] = fields.clone();
    }
    Event::new("messageStop", payload)
}

fn metadata(reply: &Reply, latency: Duration) -> Event {
    let mut payload = json!({ "usage": reply.usage, "metrics": metrics(latency) });
    for (member, value) in &reply.extras {
        payload[*member] = value.clone();
    }
    Event::new("metadata", payload)
}

// === impl Event ===

impl Event {
    fn new(kind: &'static str, payload: Value) -> Self {
        Self { kind, payload, tokens: 0 }
    }

    fn delta(index: usize, delta: Value, tokens: usize) -> Self {
        Self {
            kind: "contentBlockDelta",
            payload: json!({ "contentBlockIndex": index, "delta": delta }),
            tokens,
        }
    }
}
