//! Facts about one model.
use crate::{
    id::{base_id, named_model},
    price::{Price, ServiceTier},
    units::MaxTokens,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// `[[model]]`: facts about one model.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ModelFacts {
    /// Model id, without a geography.
    pub id: String,
    /// Names of the model in AWS's price list.
    #[serde(default)]
    pub price_list: Vec<String>,
    /// Geography prefixes of its known inference profiles: `us`, `eu`, `global`, …
    #[serde(default)]
    pub profiles: Vec<String>,
    /// True if Bedrock accepts the bare model id.
    #[serde(default)]
    pub on_demand: bool,
    /// Model family, which determines the names of additional request fields.
    #[serde(default)]
    pub family: ModelFamily,
    /// Context length in tokens, input and output together. Absent: unknown.
    pub context_tokens: Option<u32>,
    /// Maximum number of output tokens. Absent: unknown.
    pub max_output_tokens: Option<MaxTokens>,
    /// Sampling parameters that the model accepts.
    #[serde(default)]
    pub sampling: Sampling,
    /// How the model reasons. Absent: unknown.
    pub reasoning: Option<Reasoning>,
    /// Reasoning blocks that the model accepts in the history.
    #[serde(default)]
    pub reasoning_replay: ReasoningReplay,
    /// Highest effort that the model accepts. Absent: unknown, or the model has no effort setting.
    pub max_effort: Option<Effort>,
    /// Missing capabilities. Use [`ModelFacts::has`], which also considers the capabilities that depend on
    /// them.
    #[serde(default)]
    pub lacks: Vec<Capability>,
    /// Shortest prefix, in tokens, that prompt caching keeps. Absent: unknown.
    pub cache_min_tokens: Option<u32>,
    /// Maximum number of cache points in a request. Absent: unknown.
    pub max_cache_points: Option<u8>,
    /// Prices. Use [`ModelFacts::price_of`].
    #[serde(default)]
    pub prices: Vec<Price>,
    /// Dates of launch and retirement.
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// Source of these facts.
    pub source: Option<String>,
    /// Date on which the source was read.
    pub as_of: Option<Date>,
}

/// Model family: models that accept the same additional request fields.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "names of model families")]
pub enum ModelFamily {
    Claude,
    Nova,
    Titan,
    Llama,
    Mistral,
    GptOss,
    /// Models of OpenAI other than GPT-OSS.
    Gpt,
    #[serde(rename = "deepseek")]
    DeepSeek,
    Qwen,
    Glm,
    Kimi,
    Gemma,
    #[serde(rename = "minimax")]
    MiniMax,
    Nemotron,
    Palmyra,
    Jamba,
    Cohere,
    Grok,
    /// The family is unknown. Not a value of the file.
    #[default]
    #[serde(skip_deserializing)]
    Unknown,
}

/// A feature that a model may lack.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// System prompts.
    System,
    /// Messages of the role `system` inside a conversation.
    SystemRole,
    /// A conversation that starts with an assistant message.
    FirstTurnOfAssistant,
    /// Two consecutive messages of one role.
    RepeatedRoles,
    /// Prefill: a last message of the assistant, which the model continues.
    Prefill,
    /// Prefill in a request that declares tools.
    PrefillWithTools,
    /// Tools.
    Tools,
    /// Any tool choice, even `auto`.
    ToolChoice,
    /// The tool choices `any` and `tool`.
    ForcedToolChoice,
    /// `strict: true` on a tool.
    StrictTools,
    /// Tools in `ConverseStream`.
    StreamingTools,
    /// Image input.
    Images,
    /// Document input.
    Documents,
    /// Video input.
    Video,
    /// Audio input.
    Audio,
    /// Media that are referenced in S3 instead of sent in the request. Does not cover documents inside tool
    /// results: a Claude model that refuses all other S3 sources was recorded accepting one.
    S3Sources,
    /// Cache points.
    Caching,
    /// Cache points with a lifetime of one hour.
    #[serde(rename = "caching-1h")]
    Caching1h,
    /// `outputConfig.textFormat`: answers that follow a JSON schema.
    StructuredOutput,
    /// Stop sequences.
    StopSequences,
    /// `CountTokens`.
    CountsTokens,
}

/// Which of temperature, top_p and top_k a model accepts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// All of them.
    #[default]
    All,
    /// Temperature or top_p, but not both.
    One,
    /// None of them.
    None,
}

/// How a model reasons before it answers.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Reasoning {
    /// Never.
    None,
    /// On request, with a token budget.
    Budget,
    /// On request, for an effort; the model chooses its own budget.
    Adaptive,
    /// On request, with a budget or for an effort.
    BudgetOrAdaptive,
    /// Always; a request can neither start nor stop it.
    Always,
}

/// Which reasoning blocks a model accepts in the history.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ReasoningReplay {
    /// None, or unknown.
    #[default]
    None,
    /// Signed blocks of the same model, and redacted ones.
    Signed,
    /// All.
    Any,
}

/// Reasoning effort that a request asks for, in Claude's order. A model that accepts one effort may still
/// refuse a lower one.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "names of efforts")]
pub enum Effort {
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

/// Dates of a model's launch and retirement.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Lifecycle {
    /// Date of launch. Absent: unknown.
    pub launched: Option<Date>,
    /// Earliest date of retirement. Absent: unknown.
    pub retires_not_before: Option<Date>,
    /// Date of retirement, past or future. Absent: unknown.
    pub retires: Option<Date>,
}

/// A date, written `2026-11-22`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String", into = "String")]
pub struct Date(toml::value::Date);

// === impl ModelFacts ===

impl ModelFacts {
    /// True unless the model is known to lack the capability or one that it depends on.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        !self.lacks.contains(&capability) && capability.needs().iter().all(|&needed| self.has(needed))
    }

    /// Price of the model if it is called by `invoked_id` in a service tier with a prompt of `input_tokens`,
    /// which include the tokens read from and written to the cache. Absent: unknown, which is not zero. An
    /// ARN that does not reveal its model has no price of its own: pass the configured `base_model`.
    #[must_use]
    pub fn price_of(&self, invoked_id: &str, tier: ServiceTier, input_tokens: u64) -> Option<&Price> {
        let geography = self.geography_of(invoked_id)?;
        let applies = |price: &&Price| price.applies_to(geography, tier, input_tokens);
        self.prices.iter().filter(applies).max_by_key(|price| price.above_input_tokens)
    }

    /// Geography prefix of an id of this model; empty for the bare id. Absent: the id belongs to another
    /// model.
    fn geography_of<'a>(&self, invoked_id: &'a str) -> Option<&'a str> {
        let rest = named_model(invoked_id)?.strip_suffix(self.id.as_str())?;
        if rest.is_empty() { Some(rest) } else { rest.strip_suffix('.') }
    }

    /// Facts that are derived from a model id alone.
    #[must_use]
    pub fn guess(model_id: &str) -> Self {
        let name = base_id(model_id);
        let is_claude = model_id.contains("anthropic.claude");
        let family = if is_claude { ModelFamily::Claude } else { ModelFamily::of_id(name) };
        Self {
            id: name.to_owned(),
            price_list: Vec::new(),
            profiles: Vec::new(),
            on_demand: false,
            family,
            context_tokens: None,
            max_output_tokens: None,
            sampling: if is_claude { Sampling::None } else { Sampling::All },
            reasoning: None,
            reasoning_replay: if is_claude { ReasoningReplay::Signed } else { ReasoningReplay::None },
            max_effort: None,
            lacks: if is_claude { UNKNOWN_CLAUDE_LACKS.to_vec() } else { Vec::new() },
            cache_min_tokens: None,
            max_cache_points: None,
            prices: Vec::new(),
            lifecycle: Lifecycle::default(),
            source: None,
            as_of: None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { id, .. } = self;
        if id.trim().is_empty() || id.contains('/') || id.starts_with("arn:") {
            return Err(format!(
                "[[model]] id \"{id}\" is not a model id: use one such as \"amazon.nova-lite-v1:0\""
            ));
        }
        if self
            .context_tokens
            .is_some_and(|context| self.max_output_tokens.is_some_and(|output| exceeds(output, context)))
        {
            return Err(format!(
                "[[model]] \"{id}\" max_output_tokens is more than context_tokens: lower it"
            ));
        }
        for (position, price) in self.prices.iter().enumerate() {
            let is_listed = |geography: &String| geography.is_empty() || self.profiles.contains(geography);
            if let Some(geography) = price.profiles.iter().find(|geography| !is_listed(geography)) {
                return Err(format!(
                    "[[model]] \"{id}\" has a price for \"{geography}\", which profiles does not list: add it to \
                     profiles, or remove the price"
                ));
            }
            if self.prices[..position].iter().any(|earlier| earlier.overlaps(price)) {
                let Price { profiles, tier, above_input_tokens, .. } = price;
                return Err(format!(
                    "[[model]] \"{id}\" has two prices for the same calls: remove one of those with tier \"{}\" and \
                     above_input_tokens = {above_input_tokens} for one of {profiles:?}",
                    tier.name()
                ));
            }
        }
        Ok(())
    }
}

fn exceeds(output: MaxTokens, context: u32) -> bool {
    i64::from(output.get()) > i64::from(context)
}

/// Capabilities that a Claude model without a row counts as lacking: some of the newest Claude models refuse
/// them.
const UNKNOWN_CLAUDE_LACKS: [Capability; 6] = [
    Capability::Prefill,
    Capability::StrictTools,
    Capability::ForcedToolChoice,
    Capability::Video,
    Capability::Audio,
    Capability::S3Sources,
];

// === impl Capability ===

impl Capability {
    /// The capabilities on which this one depends.
    pub(crate) fn needs(self) -> &'static [Self] {
        match self {
            Self::ToolChoice | Self::StrictTools | Self::StreamingTools => &[Self::Tools],
            Self::ForcedToolChoice => &[Self::ToolChoice],
            Self::PrefillWithTools => &[Self::Prefill, Self::Tools],
            Self::Caching1h => &[Self::Caching],
            _ => &[],
        }
    }
}

// === impl ModelFamily ===

impl ModelFamily {
    /// Family of a model id without geography, by its prefix.
    fn of_id(name: &str) -> Self {
        let prefixes = [
            ("amazon.nova", Self::Nova),
            ("amazon.titan", Self::Titan),
            ("meta.llama", Self::Llama),
            ("mistral.", Self::Mistral),
            ("openai.gpt-oss", Self::GptOss),
            ("openai.gpt-", Self::Gpt),
            ("deepseek.", Self::DeepSeek),
            ("qwen.", Self::Qwen),
            ("zai.glm", Self::Glm),
            ("moonshot.kimi", Self::Kimi),
            ("moonshotai.kimi", Self::Kimi),
            ("google.gemma", Self::Gemma),
            ("minimax.", Self::MiniMax),
            ("nvidia.nemotron", Self::Nemotron),
            ("writer.palmyra", Self::Palmyra),
            ("ai21.jamba", Self::Jamba),
            ("cohere.", Self::Cohere),
            ("xai.grok", Self::Grok),
        ];
        prefixes
            .iter()
            .find(|(prefix, _)| name.starts_with(prefix))
            .map_or(Self::Unknown, |&(_, family)| family)
    }
}

// === impl Effort ===

impl Effort {
    const NAMES: [(&str, Self); 5] = [
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
        ("xhigh", Self::XHigh),
        ("max", Self::Max),
    ];

    /// The effort with this name in requests. Absent: the name is unknown.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(other, _)| *other == name).map(|&(_, effort)| effort)
    }

    /// Name of the effort in requests.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

// === impl Date ===

impl TryFrom<String> for Date {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.parse::<toml::value::Datetime>() {
            Ok(toml::value::Datetime { date: Some(date), time: None, offset: None }) => Ok(Self(date)),
            _ => Err(format!("\"{text}\" is not a date: write it as \"2026-11-22\"")),
        }
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
