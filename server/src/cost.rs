//! Cost of an attempt, from its token usage.
//!
//! Bedrock's `inputTokens` does not include tokens that were read from or written to the prompt cache, so the
//! kinds of tokens are disjoint and each has its own price:
//!
//! ```text
//!   input·p(input) + output·p(output) + cache_read·p(cache_read)
//!     + Σ over lifetimes of cache_write·p(cache_write, lifetime)
//! ```
//!
//! Cache writes that `cacheDetails` does not list have a lifetime of five minutes, the default of a cache
//! point; Nova and older Claude models send no details at all. If tokens of a kind without a price were used,
//! the whole cost is unknown: a partial cost would look like the whole one. Charges in other units
//! (guardrails) are not included. Server-side tools of Bedrock are charged in addition to tokens at prices
//! that the catalogue does not have, so they make the cost unknown.
mod bill;
mod estimate;

pub use bill::{Bill, Bills};
pub use estimate::{MEAN_BYTES_PER_TOKEN, received_bytes, text_bytes};

use crate::{
    catalogue::{ModelFacts, Price, ServiceTier},
    units::{PicoUsd, Tokens},
};
use serde_json::Value;
use switchboard_proto::v1 as pb;

/// Token usage by the kinds that have their own prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Input tokens that were neither read from nor written to the cache.
    pub input: Tokens,
    /// Output tokens.
    pub output: Tokens,
    /// Tokens read from the cache.
    pub cache_read: Tokens,
    /// Tokens written to the cache for five minutes.
    pub cache_write_5m: Tokens,
    /// Tokens written to the cache for one hour.
    pub cache_write_1h: Tokens,
}

/// Cost by kind of token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Cost of input tokens that were neither read from nor written to the cache.
    pub input: PicoUsd,
    /// Cost of output tokens.
    pub output: PicoUsd,
    /// Cost of tokens read from the cache.
    pub cache_read: PicoUsd,
    /// Cost of tokens written to the cache for five minutes.
    pub cache_write_5m: PicoUsd,
    /// Cost of tokens written to the cache for one hour.
    pub cache_write_1h: PicoUsd,
    /// True if at least one attempt's tokens were estimated because Bedrock did not report them.
    pub estimated: bool,
}

/// Cost of `usage` at the model of `facts`, called by `invoked_id` and served in `tier`. Absent: unknown,
/// because the id or a kind of token that was used has no price, or because the usage cannot be interpreted.
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
    /// Splits a usage into its kinds. Absent: the usage has charges without a price, or impossible values.
    #[must_use]
    pub fn of(usage: &pb::TokenUsage) -> Option<Self> {
        let (mut listed_5m, mut listed_1h) = (0, 0);
        for detail in &usage.cache_details {
            let written = u64::try_from(detail.input_tokens).ok()?;
            match detail.ttl.as_str() {
                "5m" => listed_5m += written,
                "1h" => listed_1h += written,
                _ if written == 0 => {}
                _ => return None, // a lifetime without a price
            }
        }
        let written = u64::try_from(usage.cache_write_input_tokens.unwrap_or(0)).ok()?;
        let unlisted = written.saturating_sub(listed_5m + listed_1h);
        if uses_server_tools(usage) {
            return None;
        }
        Some(Self {
            input: tokens(usage.input_tokens)?,
            output: tokens(usage.output_tokens)?,
            cache_read: tokens(usage.cache_read_input_tokens.unwrap_or(0))?,
            cache_write_5m: Tokens(listed_5m + unlisted),
            cache_write_1h: Tokens(listed_1h),
        })
    }

    /// Number of tokens in the whole prompt, on which the price of some models depends. Absent: an overflow.
    #[must_use]
    pub fn prompt(&self) -> Option<Tokens> {
        let parts = [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h];
        parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.0)).map(Tokens)
    }
}

fn tokens(count: i32) -> Option<Tokens> {
    u64::try_from(count).ok().map(Tokens)
}

/// True if server-side tools of Bedrock were used, which are charged per query. Bedrock sends `{}` if none
/// was.
fn uses_server_tools(usage: &pb::TokenUsage) -> bool {
    let Some(json) = &usage.server_tool_usage_json else { return false };
    serde_json::from_str::<Value>(json).map_or(true, |used| is_used(&used))
}

fn is_used(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) | Value::String(_) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(values) => values.iter().any(is_used),
        Value::Object(members) => members.values().any(is_used),
    }
}

/// Prices what was used. Absent: a kind that was used has no price, or the sum is more than the contract can
/// express.
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

/// Cost of tokens that may have no price. Zero tokens cost nothing, even without a price.
fn optional(used: Tokens, price: Option<PicoUsd>) -> Option<PicoUsd> {
    match price {
        _ if used == Tokens(0) => Some(PicoUsd(0)),
        Some(price) => used.cost(price),
        None => None,
    }
}

// === impl Cost ===

impl Cost {
    /// Sum of all kinds. Absent: more than the contract can express.
    #[must_use]
    pub fn total(&self) -> Option<PicoUsd> {
        let kinds = [self.input, self.output, self.cache_read, self.cache_write_5m, self.cache_write_1h];
        let sum = kinds.into_iter().try_fold(PicoUsd(0), PicoUsd::checked_add)?;
        i64::try_from(sum.0).ok().map(|_| sum)
    }

    /// Sum of both costs. Absent: more than the contract can express.
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

    /// Converts the cost to the contract's message. Absent: more than the contract can express.
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

/// The amount in US dollars, for display. Sums use the integers.
#[expect(clippy::cast_precision_loss, reason = "15 digits are enough for display")]
fn usd(PicoUsd(amount): PicoUsd) -> f64 {
    amount as f64 / 1e12
}

#[cfg(test)]
mod tests;
