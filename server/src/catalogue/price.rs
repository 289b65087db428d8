//! Prices: what a token costs, exactly.
//!
//! A price list says dollars for a million tokens, with up to six decimals. So one token costs a whole number of
//! millionths of a millionth of a dollar, and no bill is ever rounded before its sum.
use serde::Deserialize;
use std::fmt;

/// Money in picodollars, millionths of a millionth of a US dollar; `u64` holds 18 million dollars of them. A price
/// list's `"0.035"` for a million tokens is 35,000 of them for one.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(try_from = "String")]
pub struct PicoUsd(pub u64);

/// `prices`: what one token costs, for some of the ways to call a model.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Hash)]
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

// === impl PicoUsd ===

impl TryFrom<String> for PicoUsd {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        picodollars(&written).map(Self).ok_or_else(|| {
            format!(
                "\"{written}\" is no price: write US dollars for a million tokens, with at most six decimals"
            )
        })
    }
}

impl fmt::Display for PicoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:012} USD", self.0 / 1_000_000_000_000, self.0 % 1_000_000_000_000)
    }
}

/// Dollars for a million tokens as picodollars for one.
fn picodollars(written: &str) -> Option<u64> {
    let (whole, decimals) = written.split_once('.').unwrap_or((written, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 6 {
        return None;
    }
    let millionths: u64 = format!("{decimals:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(millionths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_exactly() {
        for (written, expected) in [
            ("0.00875", 8_750),
            ("0.035", 35_000),
            ("5", 5_000_000),
            ("27.50", 27_500_000),
            ("5.79425", 5_794_250),
            ("0.000001", 1),
            ("0", 0),
            ("18446744073709.551615", u64::MAX),
        ] {
            assert_eq!(PicoUsd::try_from(written.to_owned()), Ok(PicoUsd(expected)), "{written}");
        }
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for written in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "1.0.0",
            " 1",
            "0.0000001",
            "1.-5",
            "x",
            "18446744073709.551616",
            "99999999999999999999",
            "NaN",
            "１",
        ] {
            let problem = PicoUsd::try_from(written.to_owned()).expect_err(written);
            assert!(problem.starts_with(&format!("\"{written}\" is no price")), "{problem}");
        }
    }

    #[test]
    fn money_is_shown_in_dollars() {
        assert_eq!(PicoUsd(5_794_250).to_string(), "0.000005794250 USD");
        assert_eq!(PicoUsd(12_000_000_000_001).to_string(), "12.000000000001 USD");
    }
}
