//! Usage types: the words that state what a price is for.
//!
//! There are three formats, and each mixes region, model and kind of token:
//!
//! ```text
//! USE1-Nova2.0Lite-cache-read-input-token-count-cross-region-global
//! USE1-MP:USE1_CacheWrite1hInputTokenCount_Global-Units
//! USE1-MP:USE1_cache_write_tokens_1h_global_standard-Units
//! ```
//!
//! A usage type is split into words. The kind of token is found among them, and every word after it must be
//! known. The words before it name region and model; none of them may state that the price is for something
//! else.
use std::fmt;
use switchboard_catalogue::ServiceTier;

/// A parsed usage type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UsageType {
    pub(super) kind: Kind,
    pub(super) scope: Scope,
    /// Absent: the usage type states none.
    pub(super) tier: Option<ServiceTier>,
    /// True if the price is for long prompts.
    pub(super) long: bool,
}

/// Kinds of tokens that have their own price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Input,
    Output,
    CacheRead,
    CacheWrite5m,
    CacheWrite1h,
}

/// Where the calls are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// In the region; also in its geography, unless another row has the price of the geography.
    Region,
    /// In a geography. Absent: the geography of the region.
    Geography(Option<String>),
    /// In any region.
    Global,
}

/// Words, at any position, that state that the price is for something that the catalogue has no price for.
const OTHER_PRODUCTS: [(&str, &str); 15] = [
    ("cached", "it is a second price of cached input"),
    ("batch", "it is for batches"),
    ("mantle", "it is for an API other than Converse"),
    ("custom", "it is for customized models"),
    ("customization", "it is for customized models"),
    ("provisioned", "it is for provisioned throughput"),
    ("reserved", "it is for reserved capacity"),
    ("tpm", "it is for reserved capacity"),
    ("latency", "it is for latency-optimized inference"),
    ("optimized", "it is for latency-optimized inference"),
    ("speech", "it is for speech"),
    ("image", "it is for images"),
    ("video", "it is for video"),
    ("audio", "it is for audio"),
    ("fast", "it is for fast inference"),
];

/// Parses a usage type.
///
/// # Errors
/// With the reason why the catalogue has no such price.
pub(super) fn parse(usage_type: &str) -> Result<UsageType, String> {
    let words = words(usage_type.rsplit(':').next().unwrap_or_default());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Some((_, reason)) = OTHER_PRODUCTS.iter().find(|(word, _)| words.contains(word)) {
        return Err((*reason).to_owned());
    }
    let (kind, rest) = kind(&words).ok_or("it is not charged by the token")?;
    let mut parsed = UsageType { kind, scope: Scope::Region, tier: None, long: false };
    parsed.add_words(rest)?;
    Ok(parsed)
}

/// Returns the kind of token and the words after it.
fn kind<'a, 'w>(words: &'a [&'w str]) -> Option<(Kind, &'a [&'w str])> {
    const FILLERS: [&str; 4] = ["input", "token", "tokens", "count"];
    let after = |at: usize| {
        let rest = &words[at..];
        &rest[rest.iter().take_while(|word| FILLERS.contains(word)).count()..]
    };
    words.iter().enumerate().find_map(|(at, word)| {
        let next = words.get(at + 1).copied().unwrap_or_default();
        match (*word, next) {
            ("cache", "read") => Some((Kind::CacheRead, after(at + 2))),
            ("cache", "write") => Some((Kind::CacheWrite5m, after(at + 2))),
            ("cache", "write1h") => Some((Kind::CacheWrite1h, after(at + 2))),
            ("input", "token" | "tokens") => Some((Kind::Input, after(at + 2))),
            ("output", "token" | "tokens") => Some((Kind::Output, after(at + 2))),
            _ => None,
        }
    })
}

/// Splits a text into lower-case words: at characters other than letters and digits, and before capital
/// letters.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in text.chars() {
        if !letter.is_ascii_alphanumeric() || (letter.is_ascii_uppercase() && !before.is_ascii_uppercase()) {
            words.push(String::new());
        }
        if letter.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

// === impl UsageType ===

impl UsageType {
    /// Interprets the words after the kind.
    fn add_words(&mut self, mut words: &[&str]) -> Result<(), String> {
        while let [word, rest @ ..] = words {
            words = rest;
            match (*word, rest) {
                ("units" | "standard" | "text" | "5m", _) => {}
                ("global", _) => self.scope = Scope::Global,
                ("geo" | "regional" | "cris", _) => self.scope = Scope::Geography(None),
                ("cross", ["region", "us", "gov", rest @ ..]) => words = self.geography("us-gov", rest),
                (
                    "cross",
                    ["region", name @ ("us" | "eu" | "apac" | "jp" | "au" | "in" | "ca"), rest @ ..],
                ) => {
                    words = self.geography(name, rest);
                }
                ("cross", ["region", "global", rest @ ..]) => {
                    self.scope = Scope::Global;
                    words = rest;
                }
                ("cross", ["region", rest @ ..]) => {
                    self.scope = Scope::Geography(None);
                    words = rest;
                }
                ("1h" | "1hour", _) => self.set_one_hour()?,
                ("1", ["h" | "hour", rest @ ..]) => {
                    self.set_one_hour()?;
                    words = rest;
                }
                ("lctx" | "longcontext", _) => self.long = true,
                ("long", ["ctx" | "context", rest @ ..]) => {
                    self.long = true;
                    words = rest;
                }
                ("flex", _) => self.tier = Some(ServiceTier::Flex),
                ("priority", _) => self.tier = Some(ServiceTier::Priority),
                (word, _) => return Err(format!("\"{word}\" is not known")),
            }
        }
        Ok(())
    }

    fn geography<'a, 'w>(&mut self, name: &str, rest: &'a [&'w str]) -> &'a [&'w str] {
        self.scope = Scope::Geography(Some(name.to_owned()));
        rest
    }

    fn set_one_hour(&mut self) -> Result<(), String> {
        match self.kind {
            Kind::CacheWrite5m | Kind::CacheWrite1h => {
                self.kind = Kind::CacheWrite1h;
                Ok(())
            }
            _ => Err("\"1h\" is known only for cache writes".to_owned()),
        }
    }
}

// === impl Scope ===

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region => f.write_str("in the region or its geography"),
            Self::Geography(Some(name)) => write!(f, "in the geography \"{name}\""),
            Self::Geography(None) => f.write_str("in the region's geography"),
            Self::Global => f.write_str("globally"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(kind: Kind) -> UsageType {
        UsageType { kind, scope: Scope::Region, tier: None, long: false }
    }

    fn global(kind: Kind) -> UsageType {
        UsageType { scope: Scope::Global, ..plain(kind) }
    }

    #[test]
    fn parses_the_three_formats() {
        use Kind::{CacheRead, CacheWrite1h, CacheWrite5m, Input, Output};
        let apac = Scope::Geography(Some("apac".to_owned()));
        let flex = Some(ServiceTier::Flex);
        let priority = Some(ServiceTier::Priority);
        for (usage_type, expected) in [
            ("USE1-Nova2.0Lite-input-tokens", plain(Input)),
            ("USE1-NovaMicro-output-tokens", plain(Output)),
            ("USE1-NovaSonic-text-input-tokens", plain(Input)),
            ("USE1-Nova2.0Lite-input-tokens-cross-region-global", global(Input)),
            ("APN1-NovaLite-output-tokens-cross-region-apac", UsageType { scope: apac, ..plain(Output) }),
            (
                "EU-Nova2.0Lite-input-tokens-cross-region",
                UsageType { scope: Scope::Geography(None), ..plain(Input) },
            ),
            ("USE1-Nova2.0Lite-cache-read-input-token-count", plain(CacheRead)),
            ("USE1-Nova2.0Lite-cache-write-input-token-count-cross-region-global", global(CacheWrite5m)),
            ("USE1-Qwen3-32B-input-tokens-flex", UsageType { tier: flex, ..plain(Input) }),
            (
                "USE1-Nova2.0Lite-output-tokens-priority-cross-region-global",
                UsageType { tier: priority, ..global(Output) },
            ),
            ("USE1-MP:USE1_InputTokenCount-Units", plain(Input)),
            ("USE1-MP:USE1_OutputTokenCount_Global-Units", global(Output)),
            ("USE1-MP:USE1_CacheReadInputTokenCount_Global-Units", global(CacheRead)),
            ("USE1-MP:USE1_CacheWriteInputTokenCount-Units", plain(CacheWrite5m)),
            ("USE1-MP:USE1_CacheWrite1hInputTokenCount_Global-Units", global(CacheWrite1h)),
            ("APN2-MP:APN2_InputTokenCount_LCtx_Global-Units", UsageType { long: true, ..global(Input) }),
            ("USE1-MP:USE1_input_tokens_standard-Units", plain(Input)),
            ("USE1-MP:USE1_output_tokens_global_standard-Units", global(Output)),
            ("USE1-MP:USE1_cache_read_tokens_global_standard-Units", global(CacheRead)),
            ("EU-MP:EU_cache_write_tokens_standard-Units", plain(CacheWrite5m)),
            ("USE1-MP:USE1_cache_write_tokens_1h_global_standard-Units", global(CacheWrite1h)),
            ("USE1-MP:USE1_input_tokens_long_ctx_standard-Units", UsageType { long: true, ..plain(Input) }),
        ] {
            assert_eq!(parse(usage_type), Ok(expected), "{usage_type}");
        }
    }

    #[test]
    fn refuses_prices_of_other_products_with_the_reason() {
        for (usage_type, expected) in [
            ("USE1-MP:USE1_InputTokenCount_Global_Batch-Units", "batches"),
            ("USE1-MP:USE1_Reserved_1Month_InputTPM_Geo-Units", "reserved"),
            ("USE1-MP:USE1_InputTokenCount_LatencyOptimized-Units", "latency"),
            ("USE1-google.gemma-3-4b-it-mantle-input-tokens-standard", "an API other than"),
            ("USE1-MP:USE1_cache_write_tokens_30m_standard-Units", "\"30m\" is not known"),
            ("USE1-MP:USE1_cached_input_tokens_standard-Units", "cached"),
            ("USE1-NovaCanvas-T2I-1024-Standard", "not charged by the token"),
            ("USE1-MP:USE1_input_tokens_1h_standard-Units", "1h"),
            ("USE1-Guardrail-ContentPolicyUnitsConsumed", "not charged by the token"),
            ("", "not charged by the token"),
        ] {
            let reason = parse(usage_type).expect_err(usage_type);
            assert!(reason.contains(expected), "{usage_type}: {reason}");
        }
    }
}
