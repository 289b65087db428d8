//! The catalogue: what is known of each model, so that a request can be fitted to it before it is sent.
//!
//! The facts are data (`deploy/models.toml`, compiled in, extended by configuration), because models change monthly and
//! a list of them in code is wrong by the next release. Ids are opaque here: they are looked up, never built or taken
//! apart, but for the geography that an inference profile puts before them.
//!
//! What nobody knows is permitted: a refusal from Bedrock names its reason, while one from us might be mistaken. Only a
//! Claude without a row is held back, from what some of the newest refuse; each generation took less than the last.
mod error;
mod id;
mod price;
pub mod units;

pub use error::ConfigError;
pub use id::{base_id, geography, shown};
pub use price::{Price, ServiceTier};

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};
use toml::Spanned;
use units::MaxTokens;

/// The table that is compiled in.
const BUILT_IN: &str = include_str!("../../../deploy/models.toml");

/// All models of which something is known, by the id without a geography.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Catalogue {
    models: BTreeMap<String, Arc<ModelFacts>>,
}

/// What is known of a model.
#[derive(Clone, Debug)]
pub struct Known {
    /// The facts: the catalogue's, or what an id alone tells.
    pub facts: Arc<ModelFacts>,
    /// Whether the catalogue has the model.
    pub catalogued: bool,
}

/// `[[model]]`: the facts of one model.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ModelFacts {
    /// Its id, without a geography.
    pub id: String,
    /// What AWS's price list calls it.
    #[serde(default)]
    pub price_list: Vec<String>,
    /// Geographies that ids of its inference profiles are known to wear: `us`, `eu`, `global`, …
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Whether Bedrock takes the bare id.
    #[serde(default)]
    pub on_demand: bool,
    /// Who is spoken to, which decides how additional request fields are spelt.
    #[serde(default)]
    pub family: Family,
    /// Most tokens of prompt and answer together. Absent: unknown.
    pub context_tokens: Option<u32>,
    /// Most tokens that it can generate. Absent: unknown.
    pub max_output_tokens: Option<MaxTokens>,
    /// Which sampling parameters it takes.
    #[serde(default)]
    pub sampling: Sampling,
    /// How it reasons. Absent: unknown.
    pub reasoning: Option<Reasoning>,
    /// Which reasoning it takes back in the history.
    #[serde(default)]
    pub reasoning_replay: ReasoningReplay,
    /// The highest effort that it takes. Absent: unknown, or it has no such setting.
    pub max_effort: Option<Effort>,
    /// What it cannot do. Ask [`ModelFacts::has`], which knows what follows from that.
    #[serde(default)]
    pub lacks: Vec<Capability>,
    /// The shortest prefix that prompt caching keeps. Absent: unknown.
    pub cache_min_tokens: Option<u32>,
    /// Most cache points in a request. Absent: unknown.
    pub max_cache_points: Option<u8>,
    /// What it costs. Ask [`ModelFacts::price`].
    #[serde(default)]
    pub prices: Vec<Price>,
    /// When it came and when it goes.
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// Who says all this.
    pub source: Option<String>,
    /// When they said it.
    pub as_of: Option<Date>,
}

/// Who is spoken to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "they are names")]
pub enum Family {
    Claude,
    Nova,
    Titan,
    Llama,
    Mistral,
    GptOss,
    /// OpenAI's others.
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
    /// Not in the catalogue.
    #[default]
    #[serde(skip_deserializing)]
    Unknown,
}

/// Something that a model can do or takes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// A system prompt.
    System,
    /// Messages of the role `system` in the midst of a conversation.
    SystemRole,
    /// A conversation that begins with the assistant's turn.
    FirstTurnOfAssistant,
    /// Two turns of one role in a row.
    RepeatedRoles,
    /// A last turn of the assistant, which the model continues.
    Prefill,
    /// The same, with tools on offer.
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
    /// Images.
    Images,
    /// Documents.
    Documents,
    /// Video.
    Video,
    /// Audio.
    Audio,
    /// Media that lie in S3 rather than in the request. Not said of documents inside tool results: a Claude that refuses
    /// the rest was recorded taking one.
    S3Sources,
    /// Cache points.
    Caching,
    /// Cache points that last an hour.
    #[serde(rename = "caching-1h")]
    Caching1h,
    /// `outputConfig.textFormat`: answers after a JSON schema.
    StructuredOutput,
    /// Stop sequences.
    StopSequences,
    /// `CountTokens`.
    CountsTokens,
}

/// Which of temperature, top_p and top_k a model takes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// All of them.
    #[default]
    All,
    /// Temperature or top_p, not both.
    One,
    /// None of them.
    None,
}

/// How a model reasons before it answers.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Reasoning {
    /// It cannot be asked to.
    None,
    /// On request, up to a number of tokens.
    Budget,
    /// On request, as much as it sees fit for the effort that is asked of it.
    Adaptive,
    /// On request, either way.
    BudgetOrAdaptive,
    /// Always; a request can neither start nor stop it.
    Always,
}

/// Which reasoning blocks a model takes back in the history.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ReasoningReplay {
    /// None, or nobody knows.
    #[default]
    None,
    /// Its own, which carry a signature, and redacted ones.
    Signed,
    /// Any.
    Any,
}

/// How hard a model is asked to try. In Claude's order: the highest that a model takes does not promise all below it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are names")]
pub enum Effort {
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

/// When a model came and when it goes, where it is known.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Lifecycle {
    /// The day it came.
    pub launched: Option<Date>,
    /// The day until which it is promised to stay.
    pub retires_not_before: Option<Date>,
    /// The day it goes, or went.
    pub retires: Option<Date>,
}

/// A day, written `2026-11-22`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// The file as a whole.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    model: Vec<Spanned<ModelFacts>>,
}

// === impl Catalogue ===

impl Catalogue {
    /// The models that we ship with.
    #[must_use]
    #[expect(clippy::expect_used, reason = "compiled in, and parsed by a test")]
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("deploy/models.toml is valid")
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// For TOML that is none, unknown keys, values out of bounds, and models that are there twice or contradict
    /// themselves.
    pub fn parse(toml: &str) -> Result<Self, ConfigError> {
        let table: Table = toml::from_str(toml).map_err(|error| ConfigError::from_toml(toml, &error))?;
        let mut models = BTreeMap::new();
        for model in table.model {
            let wrong = |problem| ConfigError::new(toml, Some(model.span()), problem);
            let facts = model.get_ref();
            facts.check().map_err(wrong)?;
            if models.insert(facts.id.clone(), Arc::new(facts.clone())).is_some() {
                return Err(wrong(format!("[[model]] \"{}\" is there twice: remove one", facts.id)));
            }
        }
        Ok(Self { models })
    }

    /// Adds the models of `more`, which replace those of the same id as a whole.
    #[must_use]
    pub fn extend(mut self, more: Self) -> Self {
        self.models.extend(more.models);
        self
    }

    /// What is known of a model, by anything that Bedrock takes for its id: the id itself, an inference profile's, or
    /// an ARN of either. ARNs that hide their model (application inference profiles, provisioned throughput, prompts
    /// and their routers) are unknown; [`Catalogue::resolve_as`] is for them.
    #[must_use]
    pub fn resolve(&self, model_id: &str) -> Known {
        self.find(model_id)
            .map(|facts| Known { facts: Arc::clone(facts), catalogued: true })
            .unwrap_or_else(|| Known { facts: Arc::new(ModelFacts::guess(model_id)), catalogued: false })
    }

    /// What is known of a model whose id hides it, by the id that configuration gives it instead. Absent where the
    /// catalogue has no such model: then configuration is mistaken.
    #[must_use]
    pub fn resolve_as(&self, base: &str) -> Option<Known> {
        self.find(base).map(|facts| Known { facts: Arc::clone(facts), catalogued: true })
    }

    /// The table that is compiled in, as it is written.
    #[must_use]
    pub fn built_in_text() -> &'static str {
        BUILT_IN
    }

    /// All models, in the order of their ids.
    pub fn models(&self) -> impl Iterator<Item = &Arc<ModelFacts>> {
        self.models.values()
    }

    fn find(&self, model_id: &str) -> Option<&Arc<ModelFacts>> {
        let name = id::named_model(model_id)?;
        self.models.get(name).or_else(|| self.models.get(id::split_geography(name)?.1))
    }
}

// === impl ModelFacts ===

impl ModelFacts {
    /// Whether the model can do it, as far as anyone knows.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        !self.lacks.contains(&capability) && capability.needs().iter().all(|&needed| self.has(needed))
    }

    /// What a token costs when the model is called by `invoked_id`, for a prompt of usual length in the service tier of
    /// everyone. Absent: unknown, which is not nothing. An ARN that hides its model has no price of its own: ask for the
    /// id that configuration gives it.
    #[must_use]
    pub fn price(&self, invoked_id: &str) -> Option<&Price> {
        self.price_of(invoked_id, ServiceTier::Default, 0)
    }

    /// The same for a service tier and for a prompt of `input_tokens`, those read from and written to the cache
    /// included.
    #[must_use]
    pub fn price_of(&self, invoked_id: &str, tier: ServiceTier, input_tokens: u64) -> Option<&Price> {
        let geography = self.geography(invoked_id)?;
        let holds = |price: &&Price| price.holds_for(geography, tier, input_tokens);
        self.prices.iter().filter(holds).max_by_key(|price| price.above_input_tokens)
    }

    /// What stands before our id in another; empty if nothing does. Absent if the other is no id of ours.
    fn geography<'a>(&self, invoked_id: &'a str) -> Option<&'a str> {
        let rest = id::named_model(invoked_id)?.strip_suffix(self.id.as_str())?;
        if rest.is_empty() { Some(rest) } else { rest.strip_suffix('.') }
    }

    /// What an id alone tells of a model.
    #[must_use]
    pub fn guess(model_id: &str) -> Self {
        let name = base_id(model_id);
        let careful = model_id.contains("anthropic.claude");
        let family = if careful { Family::Claude } else { Family::of_maker(name) };
        Self {
            id: name.to_owned(),
            price_list: Vec::new(),
            profiles: Vec::new(),
            on_demand: false,
            family,
            context_tokens: None,
            max_output_tokens: None,
            sampling: if careful { Sampling::None } else { Sampling::All },
            reasoning: None,
            reasoning_replay: if careful { ReasoningReplay::Signed } else { ReasoningReplay::None },
            max_effort: None,
            lacks: if careful { CAREFUL.to_vec() } else { Vec::new() },
            cache_min_tokens: None,
            max_cache_points: None,
            prices: Vec::new(),
            lifecycle: Lifecycle::default(),
            source: None,
            as_of: None,
        }
    }

    fn check(&self) -> Result<(), String> {
        let Self { id, .. } = self;
        if id.trim().is_empty() || id.contains('/') || id.starts_with("arn:") {
            return Err(format!(
                "[[model]] id \"{id}\" is no model's id: use one such as \"amazon.nova-lite-v1:0\""
            ));
        }
        if self
            .context_tokens
            .is_some_and(|context| self.max_output_tokens.is_some_and(|most| exceeds(most, context)))
        {
            return Err(format!("[[model]] \"{id}\" max_output_tokens is more than context_tokens"));
        }
        for (position, price) in self.prices.iter().enumerate() {
            let known = |geography: &String| geography.is_empty() || self.profiles.contains(geography);
            if let Some(geography) = price.profiles.iter().find(|geography| !known(geography)) {
                return Err(format!(
                    "[[model]] \"{id}\" has a price for \"{geography}\", which profiles does not list"
                ));
            }
            if self.prices[..position].iter().any(|earlier| earlier.overlaps(price)) {
                return Err(format!("[[model]] \"{id}\" has two prices for the same calls: {price:?}"));
            }
        }
        Ok(())
    }
}

fn exceeds(most: MaxTokens, context: u32) -> bool {
    i64::from(most.get()) > i64::from(context)
}

/// What we do not ask of a Claude without a row: what some of the newest refuse.
const CAREFUL: [Capability; 6] = [
    Capability::Prefill,
    Capability::StrictTools,
    Capability::ForcedToolChoice,
    Capability::Video,
    Capability::Audio,
    Capability::S3Sources,
];

// === impl Capability ===

impl Capability {
    /// What this one is nothing without.
    fn needs(self) -> &'static [Self] {
        match self {
            Self::ToolChoice | Self::StrictTools | Self::StreamingTools => &[Self::Tools],
            Self::ForcedToolChoice => &[Self::ToolChoice],
            Self::PrefillWithTools => &[Self::Prefill, Self::Tools],
            Self::Caching1h => &[Self::Caching],
            _ => &[],
        }
    }
}

// === impl Family ===

impl Family {
    /// The family of an id without geography, by how it begins.
    fn of_maker(name: &str) -> Self {
        let makers = [
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
        makers
            .iter()
            .find(|(prefix, _)| name.starts_with(prefix))
            .map_or(Self::Unknown, |&(_, family)| family)
    }
}

// === impl Effort ===

impl Effort {
    const WORDS: [(&str, Self); 5] = [
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
        ("xhigh", Self::XHigh),
        ("max", Self::Max),
    ];

    /// The effort that requests call by this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(other, _)| *other == word).map(|&(_, effort)| effort)
    }

    /// What requests call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

// === impl Date ===

impl TryFrom<String> for Date {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        let wrong = || format!("\"{written}\" is no day: write it as \"2026-11-22\"");
        let number = |range: Range<usize>| {
            let digits = written.get(range).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse::<u16>().ok()).ok_or_else(wrong)
        };
        let dashes = written.bytes().enumerate().all(|(at, byte)| (byte == b'-') == (at == 4 || at == 7));
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        if written.len() != 10 || !dashes || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(wrong());
        }
        let small = |number: u16| u8::try_from(number).map_err(|_| wrong());
        Ok(Self { year, month: small(month)?, day: small(day)? })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests;
