//! Models, and the tasks that they serve.
use super::{AfterContent, Deadline, Force, TaskDeadline, duration, duration::shown, invalid::Invalid};
use crate::{catalogue::ServiceTier, units::MaxTokens};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use toml::Spanned;

/// `[models.NAME]`: a model, under the name that tasks refer to.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Bedrock's identifier: a model id, an inference profile id, or any ARN that Converse accepts.
    pub id: String,
    /// Region to call. Absent: `[bedrock] region`.
    pub region: Option<String>,
    /// Maximum number of output tokens. Absent: the limit of the catalogue, or none if it is unknown.
    pub max_output_tokens: Option<MaxTokens>,
    /// Id under which the catalogue lists the model, if `id` does not reveal it: for application inference
    /// profiles and provisioned models. Absent: `id`.
    pub base_model: Option<String>,
    /// Ladder: alternative deployments of the model, tried in this order before another model is. Empty:
    /// none.
    #[serde(default)]
    pub ladder: Vec<Rung>,
    /// Override of the circuit breaker.
    #[serde(default)]
    pub breaker: Force,
    /// Timeouts of the model, for tasks that set none.
    #[serde(default)]
    pub deadline: TaskDeadline,
}

/// `[[models.NAME.ladder]]`: an alternative deployment of a model. Absent values are those of the model.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// Model id, for example an inference profile that covers more regions. Absent: the model's.
    pub id: Option<String>,
    /// Region. Absent: the model's.
    pub region: Option<String>,
    /// Service tier: "priority", "default", "flex" or "reserved". The rung is skipped for callers that set a
    /// tier themselves. Absent: none.
    pub service_tier: Option<String>,
}

/// `[tasks.NAME]`: a kind of work, and the models that serve it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Description for `ListTasks`.
    #[serde(default)]
    pub description: String,
    /// Names of `[models]`, in the order in which they are tried.
    pub models: Spanned<Vec<Spanned<String>>>,
    /// Maximum number of output tokens for callers that set no `max_tokens`.
    #[serde(default)]
    pub max_tokens: MaxTokens,
    /// Treatment of a request that a model accepts only with changes.
    #[serde(default)]
    pub unsupported: Unsupported,
    /// Timeouts of the task. Absent values are the model's, then those of `[deadline]`.
    #[serde(default)]
    pub deadline: TaskDeadline,
    /// Hedging: time to the first content, or to the whole answer, after which the next model is called in
    /// parallel. Absent: no hedging.
    #[serde(with = "duration::option", default)]
    pub hedge_after: Option<Duration>,
    /// Treatment of a stream that breaks after content was sent.
    #[serde(default)]
    pub after_content: AfterContent,
    /// Fallback cap: largest share of calls that models other than the first may serve. Absent: `[routing]
    /// max_fallback_share`.
    pub max_fallback_share: Option<f64>,
    /// Data residency of requests.
    #[serde(default)]
    pub residency: Residency,
}

/// `[tasks.NAME] residency`: where the requests of a task may be processed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Residency {
    /// In the geography of the first model; a model or rung outside it is a configuration error.
    #[default]
    Same,
    /// Anywhere.
    Any,
}

/// `[tasks.NAME] unsupported`: treatment of a request that a model accepts only with changes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Unsupported {
    /// The request is changed, and the adjustments are listed in the route.
    #[default]
    Adjust,
    /// The model is skipped; if no other is left, the call is refused.
    Reject,
}

// === impl Model ===

impl Model {
    /// A model with the defaults of everything except its id.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            region: None,
            max_output_tokens: None,
            base_model: None,
            ladder: Vec::new(),
            breaker: Force::default(),
            deadline: TaskDeadline::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        if self.id.trim().is_empty() {
            return Err(Invalid::new("id", "is empty: set Bedrock's id of the model"));
        }
        let of_calls = [("deadline.call", self.deadline.call), ("deadline.reader", self.deadline.reader)];
        if let Some((key, _)) = of_calls.iter().find(|(_, timeout)| timeout.is_some()) {
            let problem = "is a timeout of a whole call, not of a model: set it in a task or in [deadline]";
            return Err(Invalid::new(*key, problem));
        }
        self.deadline.check().map_err(|invalid| invalid.below("deadline"))?;
        for (rung, position) in self.ladder.iter().zip(1..) {
            rung.check().map_err(|problem| Invalid::new("ladder", format!("rung {position} {problem}")))?;
        }
        Ok(())
    }
}

// === impl Rung ===

impl Rung {
    fn check(&self) -> Result<(), String> {
        let Self { id, region, service_tier } = self;
        if [id, region, service_tier].into_iter().all(Option::is_none) {
            return Err("changes nothing: set id, region or service_tier".to_owned());
        }
        if [id, region].into_iter().flatten().any(|text| text.trim().is_empty()) {
            return Err("has an empty id or region: set it, or remove the key".to_owned());
        }
        match service_tier {
            Some(tier) if ServiceTier::named(tier).is_none() => Err(format!(
                "has the service tier \"{tier}\": use \"priority\", \"default\", \"flex\" or \"reserved\""
            )),
            _ => Ok(()),
        }
    }
}

// === impl Task ===

impl Task {
    /// A task with the defaults of everything except its description and models.
    #[must_use]
    pub fn new(description: &str, models: impl IntoIterator<Item = &'static str>) -> Self {
        let models = models.into_iter().map(|name| Spanned::new(0..0, name.to_owned())).collect();
        Self {
            description: description.to_owned(),
            models: Spanned::new(0..0, models),
            max_tokens: MaxTokens::default(),
            unsupported: Unsupported::default(),
            deadline: TaskDeadline::default(),
            hedge_after: None,
            after_content: AfterContent::default(),
            max_fallback_share: None,
            residency: Residency::default(),
        }
    }

    /// Checks everything but the names of models. `defaults`: the `[deadline]` table.
    pub(super) fn check(&self, defaults: Deadline) -> Result<(), Invalid> {
        self.max_fallback_share.map_or(Ok(()), super::check_share)?;
        self.deadline.check_over(defaults).map_err(|invalid| invalid.below("deadline"))?;
        let call = self.deadline.over(defaults).call;
        match self.hedge_after {
            Some(after) if after >= call => {
                let problem =
                    format!("({}) must be shorter than the timeout call ({})", shown(after), shown(call));
                Err(Invalid::new("hedge_after", problem))
            }
            _ => Ok(()),
        }
    }
}
