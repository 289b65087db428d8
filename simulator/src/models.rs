//! The simulated models, and the lookup of a model by the id or ARN of a request path.
//!
//! The properties of the models are data (`models.toml`, compiled in).

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use crate::config::Config;
use crate::error::ServiceError;

/// A model of `models.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    pub(crate) id: String,
    /// Geographic prefixes of its inference profiles: `us`, `eu`, …
    #[serde(default)]
    pub(crate) profiles: Vec<String>,
    /// True if the model can be called by its base id, without an inference profile.
    #[serde(default)]
    pub(crate) on_demand: bool,
    /// True if Bedrock no longer serves the model.
    #[serde(default)]
    pub(crate) retired: bool,
    /// Maximum number of input tokens.
    pub(crate) context: usize,
    /// Maximum number of output tokens.
    pub(crate) max_output: usize,
    /// Minimum number of tokens of a cached prompt prefix. Absent: no prompt caching.
    pub(crate) cache_min: Option<usize>,
    /// Delay of the first token at speed 1.
    #[serde(with = "humantime_serde")]
    pub(crate) first_token: Duration,
    pub(crate) tokens_per_second: f64,
    /// Supported values of `thinking.type`. Empty: the model ignores the field.
    #[serde(default)]
    pub(crate) thinking: Vec<String>,
    #[serde(default)]
    behaviors: Vec<Behavior>,
}

/// A behavior in which models differ: an unsupported feature, or a difference in validation or responses.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Behavior {
    /// Rejects `temperature`, `topP` and `top_k`.
    NoSampling,
    /// Rejects requests with both `temperature` and `topP`.
    OneSamplingParameter,
    /// Rejects the tool choices `any` and `tool`.
    NoForcedTools,
    /// Rejects every tool choice.
    NoToolChoice,
    NoTools,
    /// Rejects tools with `strict: true`.
    NoStrictTools,
    /// Rejects `outputConfig.textFormat`.
    NoStructuredOutput,
    /// Rejects conversations that end with an assistant message.
    NoPrefill,
    /// Rejects conversations that end with an assistant message if the request has tools.
    NoPrefillWithTools,
    NoSystem,
    /// Accepts messages with the role `system`.
    SystemRole,
    NoImages,
    NoDocuments,
    NoVideo,
    /// Returns reasoning even if the request does not enable it.
    AlwaysThinks,
    /// Signs reasoning, and rejects reasoning with an invalid signature.
    SignsThinking,
    /// Accepts messages whose roles do not alternate or do not start with the user.
    AnyRoles,
    /// Accepts text that is only white space. Empty text is still rejected.
    WhitespaceText,
    /// Supports `CountTokens`.
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

/// Returns all models in the order of `models.toml`.
pub(crate) fn all() -> &'static [Model] {
    &MODELS
}

/// Returns the model of an id or ARN, even if it cannot be called by that id. Absent: no such model.
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

/// Returns the model that a call with this id or ARN uses, or the error that Bedrock returns.
pub(crate) fn resolve(id: &str, config: &Config) -> Result<&'static Model, ServiceError> {
    let model = find(id, config)
        .ok_or_else(|| ServiceError::validation("The provided model identifier is invalid."))?;
    if model.retired && !config.serve_retired {
        return Err(ServiceError::named("ResourceNotFoundException")
            .with_message("This model version has reached the end of its life. Please refer to the AWS documentation for more details."));
    }
    let is_base_id =
        id.rsplit('/').next() == Some(&model.id) && !id.contains("application-inference-profile");
    if is_base_id && !model.on_demand {
        return Err(ServiceError::validation(format!(
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
    pub(crate) fn has(&self, behavior: Behavior) -> bool {
        self.behaviors.contains(&behavior)
    }

    /// Returns the provider, which is the first part of the id: `anthropic`, `amazon`, …
    pub(crate) fn provider(&self) -> &str {
        self.id.split('.').next().unwrap_or_default()
    }

    pub(crate) fn profile_ids(&self) -> impl Iterator<Item = String> + '_ {
        self.profiles.iter().map(|geo| format!("{geo}.{}", self.id))
    }

    /// Returns the ids by which the model can be called, without ARNs.
    pub(crate) fn callable_ids(&self) -> Vec<String> {
        let base_id = self.on_demand.then(|| self.id.clone());
        base_id.into_iter().chain(self.profile_ids()).collect()
    }
}
