//! The model catalogue: facts about each model, used to adapt a request to the model before it is sent.
//!
//! The facts are data (`deploy/models.toml`, compiled in, extended by configuration), because models change
//! every month and a list in code would be wrong by the next release. Model ids are opaque: they are looked
//! up, never built or parsed, except for the geography prefix of an inference profile.
//!
//! An unknown capability counts as present: a refusal from Bedrock states its reason, while a refusal of ours
//! could be wrong. The exception is a Claude model without a row: it is treated as if it lacked what some of
//! the newest Claude models refuse, because each generation has accepted less than the one before.
mod error;
mod facts;
mod geography;
mod id;
mod price;
pub mod units;

pub use error::{ConfigError, most_similar};
pub use facts::{
    Capability, Date, Effort, Lifecycle, ModelFacts, ModelFamily, Reasoning, ReasoningReplay, Sampling,
};
pub use geography::geographies_of_region;
pub use id::{base_id, geography, shown};
pub use price::{Price, ServiceTier};

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use toml::Spanned;

/// The built-in catalogue.
const BUILT_IN: &str = include_str!("../../../deploy/models.toml");

/// All models that the catalogue knows, by model id without a geography.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Catalogue {
    models: BTreeMap<String, Arc<ModelFacts>>,
}

/// The facts about a model id.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Facts from the catalogue, or derived from the id alone.
    pub facts: Arc<ModelFacts>,
    /// True if the catalogue has the model.
    pub catalogued: bool,
}

/// A catalogue file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    model: Vec<Spanned<ModelFacts>>,
}

// === impl Catalogue ===

impl Catalogue {
    /// The built-in catalogue.
    #[must_use]
    #[expect(clippy::expect_used, reason = "compiled in, and parsed by a test")]
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("deploy/models.toml is valid")
    }

    /// Parses a catalogue file.
    ///
    /// # Errors
    /// For invalid TOML, unknown keys, values out of bounds, and models that are listed twice or contradict
    /// themselves.
    pub fn parse(toml: &str) -> Result<Self, ConfigError> {
        let table: Table = toml::from_str(toml).map_err(|error| ConfigError::from_toml(toml, &error))?;
        let mut models = BTreeMap::new();
        for model in table.model {
            let invalid = |problem| ConfigError::new(toml, Some(model.span()), problem);
            let facts = model.get_ref();
            facts.check().map_err(invalid)?;
            if models.insert(facts.id.clone(), Arc::new(facts.clone())).is_some() {
                return Err(invalid(format!("[[model]] \"{}\" is listed twice: remove one", facts.id)));
            }
        }
        Ok(Self { models })
    }

    /// Adds the models of `more`. They replace models of the same id as a whole.
    #[must_use]
    pub fn extend(mut self, more: Self) -> Self {
        self.models.extend(more.models);
        self
    }

    /// Returns the facts about a model id, an inference profile id, or an ARN of either. Other ARNs
    /// (application inference profiles, provisioned throughput, prompts, prompt routers) do not reveal their
    /// model and are unknown; resolve the id that the configuration gives as `base_model` instead.
    #[must_use]
    pub fn resolve(&self, model_id: &str) -> Resolved {
        self.find(model_id)
            .map(|facts| Resolved { facts: Arc::clone(facts), catalogued: true })
            .unwrap_or_else(|| Resolved { facts: Arc::new(ModelFacts::guess(model_id)), catalogued: false })
    }

    /// The text of the built-in catalogue.
    #[must_use]
    pub fn built_in_text() -> &'static str {
        BUILT_IN
    }

    /// All models, sorted by id.
    pub fn models(&self) -> impl Iterator<Item = &Arc<ModelFacts>> {
        self.models.values()
    }

    fn find(&self, model_id: &str) -> Option<&Arc<ModelFacts>> {
        let name = id::named_model(model_id)?;
        self.models.get(name).or_else(|| self.models.get(id::split_geography(name)?.1))
    }
}

#[cfg(test)]
mod tests;
