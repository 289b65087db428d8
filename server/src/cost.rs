//! Cost: what the tokens of an attempt come to. Pure.
//!
//! Bedrock's `inputTokens` leaves out what was read from or written to the prompt cache, so the kinds are disjoint and
//! each has its own price:
//!
//! ```text
//!   input·p(input) + output·p(output) + cache_read·p(cache_read) + Σ over lifetimes of written·p(write, lifetime)
//! ```
//!
//! Whatever was written beyond what `cacheDetails` names was written for five minutes, the lifetime of a cache point
//! that names none; Nova and older Claude models send no details at all. A kind that was used and has no price makes the
//! whole cost unknown, for half a bill looks like a bill. What bills in other units (guardrails) is not in it; what bills
//! beside the tokens inside an answer (Bedrock's own tools) makes it unknown, since no price list of ours has it.
mod bill;
mod estimate;

pub use bill::{Bill, Bills};
pub use estimate::{BYTES_PER_TOKEN, received_bytes, text_bytes};

use crate::{
    catalogue::{ModelFacts, Price, ServiceTier},
    units::{PicoUsd, Tokens},
};
use serde_json::Value;
use switchboard_proto::v1 as pb;

/// What was used of each kind that has a price of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Input that has nothing to do with the cache.
    pub input: Tokens,
    /// Output.
    pub output: Tokens,
    /// Input read from the cache.
    pub cache_read: Tokens,
    /// Input written to the cache for five minutes.
    pub cache_write_5m: Tokens,
    /// Input written to the cache for an hour.
    pub cache_write_1h: Tokens,
}

/// What it cost, kind by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Input that has nothing to do with the cache.
    pub input: PicoUsd,
    /// Output.
    pub output: PicoUsd,
    /// Input read from the cache.
    pub cache_read: PicoUsd,
    /// Input written to the cache for five minutes.
    pub cache_write_5m: PicoUsd,
    /// Input written to the cache for an hour.
    pub cache_write_1h: PicoUsd,
    /// Whether a part of it was not counted by Bedrock but guessed by us.
    pub estimated: bool,
}

/// What `usage` costs at the model of `facts` when it is called by `invoked_id` and served in `tier`. Absent: unknown, be
/// it that the id has no price, that a kind which was used has none, or that the usage cannot be understood.
#[must_use]
pub fn cost_of(
    facts: &ModelFacts,
    invoked_id: &str,
    tier: ServiceTier,
    usage: &pb::TokenUsage,
) -> Option<Cost> {
    let used = Used::of(usage)?;
    price_usage(facts.price_of(invoked_id, tier, used.prompt()?.0)?, &used)
}

// === impl Used ===

impl Used {
    /// The kinds of a usage. Absent: it says something that we cannot price, or that cannot be.
    #[must_use]
    pub fn of(usage: &pb::TokenUsage) -> Option<Self> {
        let (mut named_5m, mut named_1h) = (0, 0);
        for detail in &usage.cache_details {
            let written = u64::try_from(detail.input_tokens).ok()?;
            match detail.ttl.as_str() {
                "5m" => named_5m += written,
                "1h" => named_1h += written,
                _ if written == 0 => {}
                _ => return None, // a lifetime that is newer than our prices
            }
        }
        let written = u64::try_from(usage.cache_write_input_tokens.unwrap_or(0)).ok()?;
        let unnamed = written.saturating_sub(named_5m + named_1h);
        if uses_tools_of_bedrock(usage) {
            return None;
        }
        Some(Self {
            input: tokens(usage.input_tokens)?,
            output: tokens(usage.output_tokens)?,
            cache_read: tokens(usage.cache_read_input_tokens.unwrap_or(0))?,
            cache_write_5m: Tokens(named_5m + unnamed),
            cache_write_1h: Tokens(named_1h),
        })
    }

    /// The whole prompt, by whose length some models choose their price. Absent: more than can be counted.
    #[must_use]
    pub fn prompt(&self) -> Option<Tokens> {
        let parts = [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h];
        parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.0)).map(Tokens)
    }
}

fn tokens(count: i32) -> Option<Tokens> {
    u64::try_from(count).ok().map(Tokens)
}

/// Whether tools that run at Bedrock were used, which bill by the query. Bedrock sends `{}` where none was.
fn uses_tools_of_bedrock(usage: &pb::TokenUsage) -> bool {
    let Some(json) = &usage.server_tool_usage_json else { return false };
    serde_json::from_str::<Value>(json).map_or(true, |used| says_something(&used))
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) | Value::String(_) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(values) => values.iter().any(says_something),
        Value::Object(members) => members.values().any(says_something),
    }
}

/// Prices what was used. Absent: a kind that was used has no price, or the sum is more than the contract can express.
#[must_use]
fn price_usage(price: &Price, used: &Used) -> Option<Cost> {
    let cost = Cost {
        input: used.input.cost(price.input)?,
        output: used.output.cost(price.output)?,
        cache_read: optional(used.cache_read, price.cache_read)?,
        cache_write_5m: optional(used.cache_write_5m, price.cache_write_5m)?,
        cache_write_1h: optional(used.cache_write_1h, price.cache_write_1h)?,
        estimated: false,
    };
    cost.total().map(|_| cost)
}

/// None of a kind is free, whatever it would cost.
fn optional(used: Tokens, price: Option<PicoUsd>) -> Option<PicoUsd> {
    match price {
        _ if used == Tokens(0) => Some(PicoUsd(0)),
        Some(price) => used.cost(price),
        None => None,
    }
}

// === impl Cost ===

impl Cost {
    /// The sum of the kinds. Absent: more than the contract can say.
    #[must_use]
    pub fn total(&self) -> Option<PicoUsd> {
        let kinds = [self.input, self.output, self.cache_read, self.cache_write_5m, self.cache_write_1h];
        let sum = kinds.into_iter().try_fold(PicoUsd(0), PicoUsd::checked_add)?;
        i64::try_from(sum.0).ok().map(|_| sum)
    }

    /// Both together. Absent: more than the contract can say.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Option<Self> {
        let sum = Self {
            input: self.input.checked_add(other.input)?,
            output: self.output.checked_add(other.output)?,
            cache_read: self.cache_read.checked_add(other.cache_read)?,
            cache_write_5m: self.cache_write_5m.checked_add(other.cache_write_5m)?,
            cache_write_1h: self.cache_write_1h.checked_add(other.cache_write_1h)?,
            estimated: self.estimated || other.estimated,
        };
        sum.total().map(|_| sum)
    }

    /// As the contract says it. Absent: more than it can say.
    #[must_use]
    pub fn to_pb(&self) -> Option<pb::Cost> {
        let amount = |PicoUsd(amount)| i64::try_from(amount).ok();
        Some(pb::Cost {
            pico_usd: amount(self.total()?)?,
            estimated: self.estimated,
            usd: usd(self.total()?),
            input_pico_usd: amount(self.input)?,
            output_pico_usd: amount(self.output)?,
            cache_read_pico_usd: amount(self.cache_read)?,
            cache_write_5m_pico_usd: amount(self.cache_write_5m)?,
            cache_write_1h_pico_usd: amount(self.cache_write_1h)?,
        })
    }
}

/// The amount in dollars, for people to read. Sums are made of the integers.
#[expect(clippy::cast_precision_loss, reason = "fifteen digits are enough to read")]
fn usd(PicoUsd(amount): PicoUsd) -> f64 {
    amount as f64 / 1e12
}

#[cfg(test)]
mod tests;
