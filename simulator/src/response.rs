//! The reply to a request: the same seed, model and request always give the same one.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cache::CacheUse;
use crate::digest::Digest;
use crate::models::Model;
use crate::{prompt, tokens};

mod citations;
mod guardrail;
mod limits;
pub(crate) mod reasoning;
mod schema_value;
mod text;
mod tools;

/// What a reply is made from.
pub(crate) struct Ask<'a> {
    pub(crate) seed: u64,
    pub(crate) model: &'static Model,
    /// The id as the caller sent it; replies are marked with it.
    pub(crate) id: &'a str,
    pub(crate) body: &'a Value,
    pub(crate) input_tokens: usize,
    pub(crate) cache: CacheUse,
}

/// A whole reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) blocks: Vec<Block>,
    pub(crate) stop_reason: &'static str,
    pub(crate) usage: Value,
    pub(crate) output_tokens: usize,
    /// Members that only some replies have: `trace`, `serviceTier`, `performanceConfig`.
    pub(crate) extras: Vec<(&'static str, Value)>,
    pub(crate) additional_fields: Option<Value>,
    /// Seeds whatever may differ between two replies with the same words: the size of deltas, padding.
    pub(crate) random: fastrand::Rng,
}

/// One content block of a reply.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Block {
    Text(String),
    Cited { text: String, citations: Vec<Value> },
    ToolUse { id: String, name: String, input: String },
    Reasoning { text: String, signature: Option<String> },
}

/// How long a reply takes at the model's own pace.
pub(crate) struct Pace {
    pub(crate) first_token: Duration,
    pub(crate) per_token: Duration,
}

/// Makes the reply.
pub(crate) fn compose(ask: Ask<'_>) -> Reply {
    let mut random = fastrand::Rng::with_seed(seed(&ask));
    let mut extras = echoes(ask.body);
    if let Some(intervention) = guardrail::intervene(ask.body) {
        extras.extend(intervention.trace.map(|trace| ("trace", trace)));
        return finish(&ask, vec![Block::Text(intervention.text)], "guardrail_intervened", extras, random);
    }
    let mut blocks = Vec::new();
    blocks.extend(reasoning::think(&ask));
    let stop_reason = match tools::call(&ask, &mut random) {
        Some(call) => {
            blocks.push(call);
            "tool_use"
        }
        None => {
            blocks.extend(speak(&ask, &mut random));
            "end_turn"
        }
    };
    finish(&ask, blocks, stop_reason, extras, random)
}

fn speak(ask: &Ask<'_>, random: &mut fastrand::Rng) -> Vec<Block> {
    let format = &ask.body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"];
    if let Some(schema) = format.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        let words = prompt::last_words(ask.body);
        return vec![Block::Text(schema_value::of(&schema, &words, random).to_string())];
    }
    let text = text::reply(ask.id, ask.body, random);
    std::iter::once(Block::Text(text)).chain(citations::cite(ask.body)).collect()
}

fn finish(
    ask: &Ask<'_>,
    blocks: Vec<Block>,
    stop_reason: &'static str,
    extras: Vec<(&'static str, Value)>,
    random: fastrand::Rng,
) -> Reply {
    let limited = limits::apply(blocks, stop_reason, &ask.body["inferenceConfig"], ask.model.max_output);
    let input = ask.input_tokens.saturating_sub(ask.cache.total());
    let mut usage = json!({
        "inputTokens": input,
        "outputTokens": limited.tokens,
        "totalTokens": ask.input_tokens + limited.tokens,
    });
    ask.cache.report(&mut usage);
    let wanted = prompt::list(ask.body, "additionalModelResponseFieldPaths");
    let additional_fields = limited
        .stop_sequence
        .filter(|_| wanted.iter().any(|path| path == "/stop_sequence"))
        .map(|sequence| json!({ "stop_sequence": sequence }));
    Reply {
        blocks: limited.blocks,
        stop_reason: limited.stop_reason,
        usage,
        output_tokens: limited.tokens,
        extras,
        additional_fields,
        random,
    }
}

/// What the request asked for and the reply repeats.
fn echoes(body: &Value) -> Vec<(&'static str, Value)> {
    let members = ["serviceTier", "performanceConfig"].into_iter();
    members.filter(|member| !body[*member].is_null()).map(|member| (member, body[member].clone())).collect()
}

/// Limits and stop sequences are left out, so that a shorter reply is the beginning of the longer one.
fn seed(ask: &Ask<'_>) -> u64 {
    let mut digest = Digest::new(ask.seed);
    digest.add_bytes(ask.model.id.as_bytes());
    for member in ["messages", "system", "toolConfig", "outputConfig"] {
        digest.add(&ask.body[member]);
    }
    digest.value()
}

// === impl Block ===

impl Block {
    /// The block as it stands in a whole reply.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => json!({ "text": text }),
            Self::Cited { text, citations } => {
                json!({ "citationsContent": { "content": [{ "text": text }], "citations": citations } })
            }
            Self::ToolUse { id, name, input } => {
                let input = serde_json::from_str(input).unwrap_or_else(|_| json!({}));
                json!({ "toolUse": { "toolUseId": id, "name": name, "input": input } })
            }
            Self::Reasoning { text, signature: Some(signature) } => {
                json!({ "reasoningContent": { "reasoningText": { "text": text, "signature": signature } } })
            }
            Self::Reasoning { text, signature: None } => {
                json!({ "reasoningContent": { "reasoningText": { "text": text } } })
            }
        }
    }

    pub(crate) fn tokens(&self) -> usize {
        match self {
            Self::Text(text) | Self::Cited { text, .. } | Self::Reasoning { text, .. } => tokens::count(text),
            Self::ToolUse { name, input, .. } => tokens::count(name) + tokens::count(input) + 8,
        }
    }
}

// === impl Reply ===

impl Reply {
    /// The body of a whole reply.
    pub(crate) fn to_json(&self, latency: Duration) -> Value {
        let content: Vec<Value> = self.blocks.iter().map(Block::to_json).collect();
        let mut body = json!({
            "output": { "message": { "role": "assistant", "content": content } },
            "stopReason": self.stop_reason,
            "usage": self.usage,
            "metrics": metrics(latency),
        });
        if let Some(fields) = &self.additional_fields {
            body["additionalModelResponseFields"] = fields.clone();
        }
        for (member, value) in &self.extras {
            body[*member] = value.clone();
        }
        body
    }
}

/// `metrics`, at least one millisecond.
pub(crate) fn metrics(latency: Duration) -> Value {
    json!({ "latencyMs": u64::try_from(latency.as_millis()).unwrap_or(u64::MAX).max(1) })
}

// === impl Pace ===

impl Pace {
    /// The model's pace, `speed` times as fast; a speed of 0 does not wait.
    pub(crate) fn new(model: &Model, speed: f64) -> Self {
        if speed == 0.0 {
            return Self { first_token: Duration::ZERO, per_token: Duration::ZERO };
        }
        Self {
            first_token: model.first_token.div_f64(speed),
            per_token: Duration::from_secs_f64(1.0 / (model.tokens_per_second * speed)),
        }
    }

    pub(crate) fn total(&self, tokens: usize) -> Duration {
        self.first_token + self.per_token.mul_f64(tokens as f64)
    }
}
