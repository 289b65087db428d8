//! Models, and the tasks that they serve.
use super::{AfterContent, Force, TaskDeadline};
use crate::units::MaxTokens;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use toml::Spanned;

/// `[models.NAME]`: a model, under the name by which tasks call it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What Bedrock calls it: a model id, an inference profile's id or any ARN that Converse takes.
    pub id: String,
    /// The region to call. Absent: `[bedrock] region`.
    pub region: Option<String>,
    /// Most tokens that it may generate. Absent: what the catalogue says, and nothing is cut where it is silent.
    pub max_output_tokens: Option<MaxTokens>,
    /// The id under which the catalogue knows it, where `id` does not tell: an application inference profile, a
    /// provisioned model. Absent: `id` tells.
    pub base_model: Option<String>,
    /// Other ways to the same model, tried in this order before another model is. Empty: none.
    #[serde(default)]
    pub ladder: Vec<Rung>,
    /// What decides whether it is asked: `auto`, or for an operator who knows better `open` (never) or `closed` (always).
    #[serde(default)]
    pub breaker: Force,
    /// Clocks of its own. Those absent are the task's; one that the task sets itself comes before these.
    #[serde(default)]
    pub deadline: TaskDeadline,
}

/// `[[models.NAME.ladder]]`: another way to the same model. What it does not set is as in the model itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// Another id, such as an inference profile of more regions.
    pub id: Option<String>,
    /// Another region.
    pub region: Option<String>,
    /// A service tier: "priority", "default", "flex" or "reserved". A caller who names one itself gets no such attempt.
    pub service_tier: Option<String>,
}

/// `[tasks.NAME]`: a kind of work, and the models that serve it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What it is for, shown by `ListTasks`.
    #[serde(default)]
    pub description: String,
    /// Names of `[models]`, in the order in which they are tried.
    pub models: Spanned<Vec<Spanned<String>>>,
    /// Most tokens generated when the caller sets no `max_tokens`.
    #[serde(default)]
    pub max_tokens: MaxTokens,
    /// What happens to a request that a model accepts only with changes.
    #[serde(default)]
    pub unsupported: Unsupported,
    /// Clocks of its own. Those absent are the model's, or else the ones of `[deadline]`.
    #[serde(default)]
    pub deadline: TaskDeadline,
    /// How long the first model may take, to the first content or to the whole answer, before the next is asked beside it.
    /// Absent: it never is.
    #[serde(with = "humantime_serde", default)]
    pub hedge_after: Option<Duration>,
    /// What happens when a stream breaks after content has been sent.
    #[serde(default)]
    pub after_content: AfterContent,
    /// The largest share of calls that may go to models other than the first. Absent: `[routing] max_fallback_share`.
    pub max_fallback_share: Option<f64>,
    /// Whether its models may process what they are sent in a wider geography than the first one does.
    #[serde(default)]
    pub residency: Residency,
}

/// `[tasks.NAME] residency`: where a task's requests may be processed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Residency {
    /// Where the first model processes them: no model and no rung may leave its geography.
    #[default]
    Same,
    /// Anywhere.
    Any,
}

/// What happens to a request that a model accepts only with changes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Unsupported {
    /// They are made, and told in the route.
    #[default]
    Adjust,
    /// The model is skipped; with no other left the call is refused.
    Reject,
}

// === impl Model ===

impl Model {
    /// A model with the defaults of everything but its id.
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

    pub(super) fn check(&self) -> Result<(), String> {
        if self.id.trim().is_empty() {
            return Err("id is empty: set the model id that Bedrock knows".to_owned());
        }
        if self.deadline.call.is_some() || self.deadline.reader.is_some() {
            let problem = "deadline.call and deadline.reader are clocks of a whole call: set them in a task or in [deadline]";
            return Err(problem.to_owned());
        }
        for (rung, position) in self.ladder.iter().zip(1..) {
            let Rung { id, region, service_tier } = rung;
            if [id, region, service_tier].into_iter().all(Option::is_none) {
                return Err(format!(
                    "ladder rung {position} changes nothing: set id, region or service_tier"
                ));
            }
            if [id, region].into_iter().flatten().any(|text| text.trim().is_empty()) {
                return Err(format!("ladder rung {position} has an empty id or region: leave it out"));
            }
            if let Some(tier) = service_tier
                && !["priority", "default", "flex", "reserved"].contains(&tier.as_str())
            {
                return Err(format!(
                    "ladder rung {position} has the service tier \"{tier}\": use priority, default, flex or reserved"
                ));
            }
        }
        Ok(())
    }
}

// === impl Task ===

impl Task {
    /// A task with the defaults of everything but its models.
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
}
