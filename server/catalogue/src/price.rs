//! Prices per token, for each way to call a model.
use crate::units::PicoUsd;
use serde::{Deserialize, Serialize};

/// `prices`: price of one token of each kind, for some of the ways to call a model.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Geography prefixes of the ids that have this price; `""` is the bare id.
    pub profiles: Vec<String>,
    /// Service tier that has this price.
    #[serde(default)]
    pub tier: ServiceTier,
    /// The price applies to all tokens of a call whose prompt is longer than this. 0: it applies to prompts
    /// for which no other row of the same profiles and tier does.
    #[serde(default)]
    pub above_input_tokens: u32,
    /// Price of an input token that is neither read from nor written to the cache.
    pub input: PicoUsd,
    /// Price of an output token.
    pub output: PicoUsd,
    /// Price of a token read from the cache. Absent: unknown.
    pub cache_read: Option<PicoUsd>,
    /// Price of a token written to the cache for five minutes. Absent: unknown.
    pub cache_write_5m: Option<PicoUsd>,
    /// Price of a token written to the cache for one hour. Absent: unknown.
    pub cache_write_1h: Option<PicoUsd>,
}

/// Service tiers of Bedrock.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "lowercase")]
pub enum ServiceTier {
    /// Standard capacity, if a request names no tier.
    #[default]
    Default,
    /// Lower price, served when there is capacity.
    Flex,
    /// Higher price, served first.
    Priority,
    /// Capacity that was bought in advance.
    Reserved,
}

// === impl ServiceTier ===

impl ServiceTier {
    const NAMES: [(&str, Self); 4] = [
        ("default", Self::Default),
        ("flex", Self::Flex),
        ("priority", Self::Priority),
        ("reserved", Self::Reserved),
    ];

    /// The tier with this name in Bedrock's API. Absent: the name is unknown.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(other, _)| *other == name).map(|&(_, tier)| tier)
    }

    /// Name of the tier in Bedrock's API.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

// === impl Price ===

impl Price {
    pub(crate) fn applies_to(&self, geography: &str, tier: ServiceTier, input_tokens: u64) -> bool {
        let long_enough = self.above_input_tokens == 0 || input_tokens > u64::from(self.above_input_tokens);
        self.tier == tier && long_enough && self.profiles.iter().any(|profile| profile == geography)
    }

    /// True if both prices apply to the same calls and neither takes precedence.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.tier == other.tier
            && self.above_input_tokens == other.above_input_tokens
            && self.profiles.iter().any(|profile| other.profiles.contains(profile))
    }
}
