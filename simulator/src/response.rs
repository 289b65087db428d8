//! Generates the response to a request. The same seed, model and request always give the same response.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cache::CacheUsage;
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

/// The input of a response.
pub(crate) struct ModelInput<'a> {
    pub(crate) seed: u64,
    pub(crate) model: &'static Model,
    /// Model id as the caller sent it; part of every generated text.
    pub(crate) id: &'a str,
    pub(crate) body: &'a Value,
    pub(crate) input_tokens: usize,
    pub(crate) cache: CacheUsage,
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct ModelResponse {
    pub(crate) blocks: Vec<Block>,
    pub(crate) stop_reason: &'static str,
    pub(crate) usage: Value,
    pub(crate) output_tokens: usize,
    /// Members that only some responses have: `trace`, `serviceTier`, `performanceConfig`.
    pub(crate) optional_members: Vec<(&'static str, Value)>,
    /// `additionalModelResponseFields`. Absent: not requested.
    pub(crate) additional_fields: Option<Value>,
    /// Random source for what does not change the text: the size of deltas, padding.
    pub(crate) random: fastrand::Rng,
}

/// A content block of a response.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Block {
    Text(String),
    Cited { text: String, citations: Vec<Value> },
    ToolUse { id: String, name: String, input: String },
    Reasoning { text: String, signature: Option<String> },
}

/// Delays of a response of a model, scaled by the configured speed.
pub(crate) struct Timing {
    pub(crate) first_token: Duration,
    pub(crate) per_token: Duration,
}

/// Generates the response.
pub(crate) fn generate(input: ModelInput<'_>) -> ModelResponse {
    let mut random = fastrand::Rng::with_seed(seed(&input));
    let mut optional_members = echoed_members(input.body);
    if let Some(intervention) = guardrail::evaluate(input.body) {
        optional_members.extend(intervention.trace.map(|trace| ("trace", trace)));
        return finish(
            &input,
            vec![Block::Text(intervention.text)],
            "guardrail_intervened",
            optional_members,
            random,
        );
    }
    let mut blocks = Vec::new();
    blocks.extend(reasoning::generate(&input));
    let stop_reason = match tools::generate_call(&input, &mut random) {
        Some(call) => {
            blocks.push(call);
            "tool_use"
        }
        None => {
            blocks.extend(generate_text(&input, &mut random));
            "end_turn"
        }
    };
    finish(&input, blocks, stop_reason, optional_members, random)
}

fn generate_text(input: &ModelInput<'_>, random: &mut fastrand::Rng) -> Vec<Block> {
    let schema = &input.body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"];
    if let Some(schema) = schema.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        let prompt = prompt::last_user_text(input.body);
        return vec![Block::Text(schema_value::generate(&schema, &prompt, random).to_string())];
    }
    let text = text::generate(input.id, input.body, random);
    std::iter::once(Block::Text(text)).chain(citations::generate(input.body)).collect()
}

fn finish(
    input: &ModelInput<'_>,
    blocks: Vec<Block>,
    stop_reason: &'static str,
    optional_members: Vec<(&'static str, Value)>,
    random: fastrand::Rng,
) -> ModelResponse {
    let limited = limits::apply(blocks, stop_reason, &input.body["inferenceConfig"], input.model.max_output);
    let uncached = input.input_tokens.saturating_sub(input.cache.total());
    let mut usage = json!({
        "inputTokens": uncached,
        "outputTokens": limited.tokens,
        "totalTokens": input.input_tokens + limited.tokens,
    });
    input.cache.add_to(&mut usage);
    let paths = prompt::list(input.body, "additionalModelResponseFieldPaths");
    let additional_fields = limited
        .stop_sequence
        .filter(|_| paths.iter().any(|path| path == "/stop_sequence"))
        .map(|sequence| json!({ "stop_sequence": sequence }));
    ModelResponse {
        blocks: limited.blocks,
        stop_reason: limited.stop_reason,
        usage,
        output_tokens: limited.tokens,
        optional_members,
        additional_fields,
        random,
    }
}

/// Returns the members of the request that the response repeats.
fn echoed_members(body: &Value) -> Vec<(&'static str, Value)> {
    let members = ["serviceTier", "performanceConfig"].into_iter();
    members.filter(|member| !body[*member].is_null()).map(|member| (member, body[member].clone())).collect()
}

/// Ignores limits and stop sequences, so that a limited response is a prefix of the unlimited one.
fn seed(input: &ModelInput<'_>) -> u64 {
    let mut digest = Digest::new(input.seed);
    digest.add_bytes(input.model.id.as_bytes());
    for member in ["messages", "system", "toolConfig", "outputConfig"] {
        digest.add(&input.body[member]);
    }
    digest.value()
}

// === impl Block ===

impl Block {
    /// Returns the block of a unary response.
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

// === impl ModelResponse ===

impl ModelResponse {
    /// Returns the body of a unary response.
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
        for (member, value) in &self.optional_members {
            body[*member] = value.clone();
        }
        body
    }
}

/// Returns `metrics`. The latency is at least one millisecond.
pub(crate) fn metrics(latency: Duration) -> Value {
    json!({ "latencyMs": u64::try_from(latency.as_millis()).unwrap_or(u64::MAX).max(1) })
}

// === impl Timing ===

impl Timing {
    /// Scales the speed of the model by `speed`. A speed of 0 has no delays.
    pub(crate) fn new(model: &Model, speed: f64) -> Self {
        if speed == 0.0 {
            return Self { first_token: Duration::ZERO, per_token: Duration::ZERO };
        }
        Self {
            first_token: model.first_token.div_f64(speed),
            per_token: Duration::from_secs_f64(1.0 / (model.tokens_per_second * speed)),
        }
    }

    /// Returns the latency of a complete response.
    pub(crate) fn total(&self, tokens: usize) -> Duration {
        self.first_token + self.per_token.mul_f64(tokens as f64)
    }
}
