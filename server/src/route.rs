//! Routing: from a task type to a [`RoutePlan`]. Pure: no clock, no I/O.
use crate::{
    catalogue::{Catalogue, ModelFacts},
    config::{Config, Deadline, MaxTokens, UnknownTasks, Unsupported},
    error::CallError,
};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, sync::Arc};

/// Every task that the configuration names.
#[derive(Debug)]
pub struct Routes {
    tasks: BTreeMap<String, Arc<Task>>,
    unknown: UnknownTasks,
    version: String,
    targets: usize,
}

/// A kind of work, and the models that serve it.
#[derive(Debug)]
pub struct Task {
    /// What callers put into `task_type`.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The models in the order in which they are tried; at least one.
    pub candidates: Vec<Candidate>,
    /// Most tokens generated when the caller sets no `max_tokens`.
    pub max_tokens: MaxTokens,
    /// Its clocks.
    pub deadline: Deadline,
    /// Whether a request may be changed to suit a model.
    pub may_adjust: bool,
}

/// A model that may serve a task.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name in the configuration.
    pub name: String,
    /// What Bedrock calls it.
    pub model_id: String,
    /// The region to call.
    pub region: String,
    /// Most tokens that it may generate, as configured. Absent: what the catalogue says.
    pub max_output_tokens: Option<MaxTokens>,
    /// What is known of it.
    pub facts: Arc<ModelFacts>,
    /// Whether the catalogue knows it; if not, the facts are a careful guess.
    pub catalogued: bool,
    /// Which of [`Routes::targets`] it is: candidates of several tasks that are the same model in the same region share
    /// what is learned of it.
    pub target: usize,
}

/// What one call will try.
#[derive(Clone, Debug)]
pub struct RoutePlan {
    /// The task as resolved.
    pub task: Arc<Task>,
    /// Why this task.
    pub resolution: Resolution,
}

/// Why a call is served as the task that it is served as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The caller named it.
    Named,
    /// The caller named none.
    Absent,
    /// The caller named one that the configuration does not know.
    Unknown,
}

// === impl Routes ===

impl Routes {
    /// The routes of a configuration that has been checked. Models without a region are called in `default_region`.
    #[must_use]
    pub fn new(config: &Config, catalogue: &Catalogue, default_region: &str) -> Self {
        let mut targets = Vec::new();
        let mut task = |name| task(config, catalogue, default_region, name, &mut targets);
        let tasks = config.tasks.keys().map(|name| (name.clone(), Arc::new(task(name))));
        let digest = Sha256::digest(format!("{config:?}{default_region}{catalogue:?}"));
        let tasks = tasks.collect();
        Self {
            tasks,
            targets: targets.len(),
            unknown: config.routing.unknown_tasks,
            version: digest[..6].iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// The models for a task type, in order.
    ///
    /// # Errors
    /// [`CallError::UnknownTask`] when the configuration has no such task and does not send it to `default`.
    pub fn plan(&self, task_type: &str) -> Result<RoutePlan, CallError> {
        let (name, resolution) = match task_type {
            "" => ("default", Resolution::Absent),
            named if self.tasks.contains_key(named) => (named, Resolution::Named),
            _ if self.unknown == UnknownTasks::Default => ("default", Resolution::Unknown),
            unknown => return Err(self.unknown_task(unknown)),
        };
        let task = self.tasks.get(name).ok_or_else(|| self.unknown_task(name))?;
        Ok(RoutePlan { task: Arc::clone(task), resolution })
    }

    fn unknown_task(&self, name: &str) -> CallError {
        CallError::UnknownTask { task_type: name.to_owned(), known: self.tasks.keys().cloned().collect() }
    }

    /// All tasks, by name.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values().map(AsRef::as_ref)
    }

    /// Every region that a candidate names.
    pub fn regions(&self) -> impl Iterator<Item = String> {
        self.tasks().flat_map(|task| &task.candidates).map(|candidate| candidate.region.clone())
    }

    /// How many models in how many regions there are; a candidate's [`Candidate::target`] is below it.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.targets
    }

    /// A digest that changes with any change of the configuration.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What happens to tasks that are not named.
    #[must_use]
    pub fn unknown_tasks(&self) -> UnknownTasks {
        self.unknown
    }
}

fn task(
    config: &Config,
    catalogue: &Catalogue,
    default_region: &str,
    name: &str,
    targets: &mut Vec<(String, String)>,
) -> Task {
    let task = &config.tasks[name];
    let mut candidate = |name: &String| {
        let model = &config.models[name];
        let known = catalogue.resolve(model.base_model.as_deref().unwrap_or(&model.id));
        let region = model.region.clone().unwrap_or_else(|| default_region.to_owned());
        let target = (model.id.clone(), region.clone());
        let known_target = targets.iter().position(|other| *other == target);
        Candidate {
            name: name.clone(),
            model_id: model.id.clone(),
            region,
            target: known_target.unwrap_or_else(|| {
                targets.push(target);
                targets.len() - 1
            }),
            max_output_tokens: model.max_output_tokens,
            facts: known.facts,
            catalogued: known.catalogued,
        }
    };
    Task {
        name: name.to_owned(),
        description: task.description.clone(),
        candidates: task.models.get_ref().iter().map(|name| candidate(name.get_ref())).collect(),
        max_tokens: task.max_tokens,
        deadline: task.deadline.over(config.deadline),
        may_adjust: task.unsupported == Unsupported::Adjust,
    }
}

// === impl Candidate ===

impl Candidate {
    /// Most tokens that it can generate. `None`: unknown, so nothing is cut.
    #[must_use]
    pub fn max_output_tokens(&self) -> Option<MaxTokens> {
        match (self.max_output_tokens, self.facts.max_output_tokens) {
            (Some(configured), Some(known)) => Some(configured.min(known)),
            (configured, known) => configured.or(known),
        }
    }

    /// The id under which Bedrock counts its tokens: CountTokens takes no inference profiles, only the models in them.
    #[must_use]
    pub fn counting_id(&self) -> &str {
        if self.catalogued { &self.facts.id } else { &self.model_id }
    }
}

// === impl Task ===

impl Task {
    /// Whether a model of it is a managed prompt, which may bring the conversation with it.
    #[must_use]
    pub fn may_bring_messages(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.model_id.contains(":prompt/"))
    }
}

// === impl Resolution ===

impl Resolution {
    /// The word for it in `ExplainRoute`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(unknown_tasks: UnknownTasks) -> Routes {
        let mut config = Config::for_two_models("us.big", "us.small");
        config.routing.unknown_tasks = unknown_tasks;
        Routes::new(&config, &Catalogue::built_in(), "us-east-1")
    }

    fn resolved(routes: &Routes, task_type: &str) -> (String, Resolution, Vec<String>) {
        let plan = routes.plan(task_type).expect("is a task");
        let models = plan.task.candidates.iter().map(|candidate| candidate.model_id.clone()).collect();
        (plan.task.name.clone(), plan.resolution, models)
    }

    #[test]
    fn a_task_is_served_by_its_models_in_order() {
        let routes = routes(UnknownTasks::Default);
        let expected = |name: &str, resolution, models: [&str; 2]| {
            (name.to_owned(), resolution, models.map(ToOwned::to_owned).to_vec())
        };
        assert_eq!(
            resolved(&routes, "summarization"),
            expected("summarization", Resolution::Named, ["us.small", "us.big"])
        );
        assert_eq!(resolved(&routes, ""), expected("default", Resolution::Absent, ["us.big", "us.small"]));
        assert_eq!(
            resolved(&routes, "poetry"),
            expected("default", Resolution::Unknown, ["us.big", "us.small"])
        );
    }

    #[test]
    fn an_unknown_task_is_refused_where_the_setting_says_so() {
        let refused = routes(UnknownTasks::Refuse).plan("poetry");
        assert!(matches!(refused, Err(CallError::UnknownTask { task_type, .. }) if task_type == "poetry"));
    }

    #[test]
    fn the_version_changes_with_the_configuration_and_with_nothing_else() {
        let version =
            |config: &Config| Routes::new(config, &Catalogue::built_in(), "us-east-1").version().to_owned();
        let one = Config::for_two_models("a", "b");
        assert_eq!(version(&one), version(&one.clone()));
        assert_ne!(version(&one), version(&Config::for_two_models("a", "c")));
    }
}
