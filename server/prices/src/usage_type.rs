//! Usage types: what the words of one say of a price.
//!
//! There are three ways to write them, and each mixes region, model and price in one:
//!
//! ```text
//! USE1-Nova2.0Lite-cache-read-input-token-count-cross-region-global
//! USE1-MP:USE1_CacheWrite1hInputTokenCount_Global-Units
//! USE1-MP:USE1_cache_write_tokens_1h_global_standard-Units
//! ```
//!
//! So a usage type is cut into words, the kind of token is found among them, and each word after it must be one that we
//! know; of those before it, which name region and model, none may say that it is about something else.
use std::fmt;
use switchboard_catalogue::ServiceTier;

/// What a usage type says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UsageType {
    pub(super) kind: Kind,
    pub(super) scope: Scope,
    /// Absent: it says none.
    pub(super) tier: Option<ServiceTier>,
    /// Whether it is for long prompts.
    pub(super) long: bool,
}

/// The kinds of token that have a price of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Input,
    Output,
    CacheRead,
    CacheWrite5m,
    CacheWrite1h,
}

/// Where a call is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// In the region, and where nothing else is said, in its geography.
    Region,
    /// In a geography. Absent: the one of the region.
    Geography(Option<String>),
    /// Anywhere.
    Global,
}

/// Words that make a price one of something else, wherever they stand.
const ELSE: [(&str, &str); 15] = [
    ("cached", "it stands beside another price of cached input"),
    ("batch", "it is for batches"),
    ("mantle", "it is for another API than Converse"),
    ("custom", "it is for customized models"),
    ("customization", "it is for customized models"),
    ("provisioned", "it is for provisioned throughput"),
    ("reserved", "it is for reserved capacity"),
    ("tpm", "it is for reserved capacity"),
    ("latency", "it is for the latency-optimized form"),
    ("optimized", "it is for the latency-optimized form"),
    ("speech", "it is for speech"),
    ("image", "it is for images"),
    ("video", "it is for video"),
    ("audio", "it is for audio"),
    ("fast", "it is for the fast form"),
];

/// Reads one.
///
/// # Errors
/// Why it is the price of nothing that the catalogue has a price for.
pub(super) fn read(usage_type: &str) -> Result<UsageType, String> {
    let words = words(usage_type.rsplit(':').next().unwrap_or_default());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Some((_, why)) = ELSE.iter().find(|(word, _)| words.contains(word)) {
        return Err((*why).to_owned());
    }
    let (kind, rest) = kind(&words).ok_or("it is not charged by the token")?;
    let mut read = UsageType { kind, scope: Scope::Region, tier: None, long: false };
    read.take(rest)?;
    Ok(read)
}

/// The kind, and the words after it.
fn kind<'a, 'w>(words: &'a [&'w str]) -> Option<(Kind, &'a [&'w str])> {
    const COUNTED: [&str; 4] = ["input", "token", "tokens", "count"];
    let after = |at: usize| {
        let rest = &words[at..];
        &rest[rest.iter().take_while(|word| COUNTED.contains(word)).count()..]
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

/// Lower-case words: cut where something else than a letter or a digit stands, and where a capital follows.
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
    /// Each word after the kind.
    fn take(&mut self, mut words: &[&str]) -> Result<(), String> {
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
                ("1h" | "1hour", _) => self.for_an_hour()?,
                ("1", ["h" | "hour", rest @ ..]) => {
                    self.for_an_hour()?;
                    words = rest;
                }
                ("lctx" | "longcontext", _) => self.long = true,
                ("long", ["ctx" | "context", rest @ ..]) => {
                    self.long = true;
                    words = rest;
                }
                ("flex", _) => self.tier = Some(ServiceTier::Flex),
                ("priority", _) => self.tier = Some(ServiceTier::Priority),
                (word, _) => return Err(format!("\"{word}\" is not understood")),
            }
        }
        Ok(())
    }

    fn geography<'a, 'w>(&mut self, name: &str, rest: &'a [&'w str]) -> &'a [&'w str] {
        self.scope = Scope::Geography(Some(name.to_owned()));
        rest
    }

    fn for_an_hour(&mut self) -> Result<(), String> {
        match self.kind {
            Kind::CacheWrite5m | Kind::CacheWrite1h => {
                self.kind = Kind::CacheWrite1h;
                Ok(())
            }
            _ => Err("\"1h\" is not understood of anything but cache writes".to_owned()),
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
    fn the_three_ways_to_write_one_are_understood() {
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
            assert_eq!(read(usage_type), Ok(expected), "{usage_type}");
        }
    }

    #[test]
    fn what_is_the_price_of_something_else_is_refused_with_its_reason() {
        for (usage_type, expected) in [
            ("USE1-MP:USE1_InputTokenCount_Global_Batch-Units", "batches"),
            ("USE1-MP:USE1_Reserved_1Month_InputTPM_Geo-Units", "reserved"),
            ("USE1-MP:USE1_InputTokenCount_LatencyOptimized-Units", "latency"),
            ("USE1-google.gemma-3-4b-it-mantle-input-tokens-standard", "another API"),
            ("USE1-MP:USE1_cache_write_tokens_30m_standard-Units", "\"30m\" is not understood"),
            ("USE1-MP:USE1_cached_input_tokens_standard-Units", "cached"),
            ("USE1-NovaCanvas-T2I-1024-Standard", "not charged by the token"),
            ("USE1-MP:USE1_input_tokens_1h_standard-Units", "1h"),
            ("USE1-Guardrail-ContentPolicyUnitsConsumed", "not charged by the token"),
            ("", "not charged by the token"),
        ] {
            let why = read(usage_type).expect_err(usage_type);
            assert!(why.contains(expected), "{usage_type}: {why}");
        }
    }
}
