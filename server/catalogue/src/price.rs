//! Prices: what a token costs, for each way to call a model.
use crate::units::PicoUsd;
use serde::{Deserialize, Serialize};

/// `prices`: what one token costs, for some of the ways to call a model.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The geographies of the ids for which it holds; `""` is the bare id.
    pub profiles: Vec<String>,
    /// The service tier for which it holds.
    #[serde(default)]
    pub tier: ServiceTier,
    /// It holds for prompts longer than this, all of their tokens and of the answer's. 0: for all that no other row
    /// with the same profiles and tier claims.
    #[serde(default)]
    pub above_input_tokens: u32,
    /// A token of the prompt that has nothing to do with the cache.
    pub input: PicoUsd,
    /// A token of the answer.
    pub output: PicoUsd,
    /// A token read from the cache. Absent: unknown.
    pub cache_read: Option<PicoUsd>,
    /// A token written to the cache for five minutes. Absent: unknown.
    pub cache_write_5m: Option<PicoUsd>,
    /// A token written to the cache for an hour. Absent: unknown.
    pub cache_write_1h: Option<PicoUsd>,
}

/// Bedrock's service tiers.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "lowercase")]
pub enum ServiceTier {
    /// Everyone's.
    #[default]
    Default,
    /// Cheaper, and answered when there is room.
    Flex,
    /// Dearer, and answered first.
    Priority,
    /// Bought ahead.
    Reserved,
}

// === impl ServiceTier ===

impl ServiceTier {
    const WORDS: [(&str, Self); 4] = [
        ("default", Self::Default),
        ("flex", Self::Flex),
        ("priority", Self::Priority),
        ("reserved", Self::Reserved),
    ];

    /// The tier of Bedrock's word for it. Absent: a tier that we do not know.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(other, _)| *other == word).map(|&(_, tier)| tier)
    }

    /// Bedrock's word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

// === impl Price ===

impl Price {
    pub(super) fn holds_for(&self, geography: &str, tier: ServiceTier, input_tokens: u64) -> bool {
        let long_enough = self.above_input_tokens == 0 || input_tokens > u64::from(self.above_input_tokens);
        self.tier == tier && long_enough && self.profiles.iter().any(|profile| profile == geography)
    }

    /// Whether there are calls for which both hold and neither comes first.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.tier == other.tier
            && self.above_input_tokens == other.above_input_tokens
            && self.profiles.iter().any(|profile| other.profiles.contains(profile))
    }
}
