//! The models that can be called, and how an id or ARN in a path finds one.
//!
//! Facts about models are data (`models.toml`, compiled in); this file only gives them types.

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use crate::config::Config;
use crate::error::Refusal;

/// One model of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    pub(crate) id: String,
    /// Geo prefixes its inference profiles wear: `us`, `eu`, …
    #[serde(default)]
    pub(crate) profiles: Vec<String>,
    /// May be called by its bare id.
    #[serde(default)]
    pub(crate) on_demand: bool,
    #[serde(default)]
    pub(crate) retired: bool,
    /// Most tokens in, and most tokens out.
    pub(crate) context: usize,
    pub(crate) max_output: usize,
    /// The shortest prefix prompt caching keeps. Absent: no caching.
    pub(crate) cache_min: Option<usize>,
    #[serde(with = "humantime_serde")]
    pub(crate) first_token: Duration,
    pub(crate) tokens_per_second: f64,
    /// Values `thinking.type` may take. Empty: the model ignores the field.
    #[serde(default)]
    pub(crate) thinking: Vec<String>,
    #[serde(default)]
    quirks: Vec<Quirk>,
}

/// What a model refuses, or does unasked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Quirk {
    /// temperature, topP and top_k are refused.
    NoSampling,
    /// temperature or topP, not both.
    OneSamplingParameter,
    /// The tool choices `any` and `tool` are refused.
    NoForcedTools,
    /// Any tool choice is refused.
    NoToolChoice,
    NoTools,
    /// `strict: true` on a tool is refused.
    NoStrictTools,
    /// `outputConfig.textFormat` is refused.
    NoStructuredOutput,
    /// The last message must be the user's.
    NoPrefill,
    /// The last message must be the user's when tools are offered.
    NoPrefillWithTools,
    NoSystem,
    /// Messages with the role `system` are allowed.
    SystemRole,
    NoImages,
    NoDocuments,
    NoVideo,
    /// Reasons on every call, asked or not.
    AlwaysThinks,
    /// Reasoning carries a signature that must come back unharmed.
    SignsThinking,
    /// Turns need not alternate and the first may be the assistant's.
    AnyRoles,
    /// Text of only white space is allowed, as long as it is not empty.
    WhitespaceText,
    /// `CountTokens` knows the model.
    CountsTokens,
}

#[derive(Deserialize)]
struct Table {
    model: Vec<Model>,
}

#[expect(clippy::expect_used, reason = "compiled in, and loaded by a test")]
static MODELS: LazyLock<Vec<Model>> = LazyLock::new(|| {
    toml::from_str::<Table>(include_str!("../models.toml")).expect("models.toml is valid").model
});

/// All models, in the order of the table.
pub(crate) fn all() -> &'static [Model] {
    &MODELS
}

/// The model a path means, whether or not it may be called that way.
pub(crate) fn find(id: &str, config: &Config) -> Option<&'static Model> {
    let base = match id.rsplit_once('/') {
        Some((arn, _)) if arn.contains(":application-inference-profile") => {
            config.profiles.get(id).unwrap_or(&config.default_profile_model)
        }
        Some((arn, rest)) if is_bedrock_arn(arn) => rest,
        Some(_) => return None,
        None => id,
    };
    MODELS.iter().find(|model| model.id == base || model.profile_ids().any(|profile| profile == base))
}

/// The model a call with this id reaches; otherwise Bedrock's refusal.
pub(crate) fn resolve(id: &str, config: &Config) -> Result<&'static Model, Refusal> {
    let model =
        find(id, config).ok_or_else(|| Refusal::validation("The provided model identifier is invalid."))?;
    if model.retired && !config.serve_retired {
        return Err(Refusal::named("ResourceNotFoundException")
            .saying("This model version has reached the end of its life. Please refer to the AWS documentation for more details."));
    }
    let bare = id.rsplit('/').next() == Some(&model.id) && !id.contains("application-inference-profile");
    if bare && !model.on_demand {
        return Err(Refusal::validation(format!(
            "Invocation of model ID {id} with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model."
        )));
    }
    Ok(model)
}

fn is_bedrock_arn(arn: &str) -> bool {
    arn.starts_with("arn:aws") && (arn.ends_with(":inference-profile") || arn.ends_with(":foundation-model"))
}

// === impl Model ===

impl Model {
    pub(crate) fn is(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// The first part of the id: `anthropic`, `amazon`, …
    pub(crate) fn vendor(&self) -> &str {
        self.id.split('.').next().unwrap_or_default()
    }

    pub(crate) fn profile_ids(&self) -> impl Iterator<Item = String> + '_ {
        self.profiles.iter().map(|geo| format!("{geo}.{}", self.id))
    }

    /// Everything a caller may put into the path for this model.
    pub(crate) fn callable_ids(&self) -> Vec<String> {
        let bare = self.on_demand.then(|| self.id.clone());
        bare.into_iter().chain(self.profile_ids()).collect()
    }
}
