//! Tokens and costs as spans and metrics count them.
use switchboard_proto::v1 as pb;

/// Token counts by kind. What Bedrock did not report is zero.
pub(super) struct TokenCounts {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write: u64,
}

impl TokenCounts {
    pub(super) fn of(usage: &pb::TokenUsage) -> Self {
        let count = |tokens: i32| u64::try_from(tokens).unwrap_or(0);
        Self {
            input: count(usage.input_tokens),
            output: count(usage.output_tokens),
            cache_read: count(usage.cache_read_input_tokens.unwrap_or(0)),
            cache_write: count(usage.cache_write_input_tokens.unwrap_or(0)),
        }
    }

    /// Input as the conventions count it: with cached input.
    pub(super) fn all_input(&self) -> u64 {
        self.input + self.cache_read + self.cache_write
    }
}

/// The amount in dollars, for charts. Sums are made of the integers.
#[expect(clippy::cast_precision_loss, reason = "a chart needs no more than fifteen digits")]
pub(super) fn usd(cost: pb::Cost) -> f64 {
    cost.pico_usd as f64 / 1e12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_input_counts_as_input() {
        let usage = pb::TokenUsage {
            input_tokens: 5,
            output_tokens: 7,
            cache_read_input_tokens: Some(11),
            cache_write_input_tokens: Some(13),
            ..Default::default()
        };
        let counts = TokenCounts::of(&usage);
        assert_eq!((counts.all_input(), counts.input, counts.output), (29, 5, 7));
    }
}
