//! Routing: from a task type to a [`RoutePlan`]. Pure: no clock, no I/O.
//!
//! A task's models become its candidates, each followed by its ladder: other ways to call the same model.
mod builder;
pub mod residency;
pub mod skip;

pub use skip::{Skip, Unmet};

use crate::{
    catalogue::{ModelFacts, most_similar},
    config::{AfterContent, Deadline, MaxTokens, UnknownTasks},
    deployment::{Deployment, TaskState},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use switchboard_proto::v1::Resolution;

/// Longest part of a requested task type that routes, logs and spans repeat, in bytes.
const MAX_REQUESTED_TASK_BYTES: usize = 128;

/// Every task that the configuration names.
#[derive(Debug)]
pub struct Routes {
    tasks: BTreeMap<String, Arc<Task>>,
    unknown: UnknownTasks,
}

/// A kind of work, and the models that serve it.
#[derive(Debug)]
pub struct Task {
    /// What callers put into `task_type`.
    pub name: String,
    /// Purpose of the task, for people.
    pub description: String,
    /// The models in the order in which they are tried; at least one.
    pub candidates: Arc<[Candidate]>,
    /// Most tokens generated when the caller sets no `max_tokens`.
    pub max_tokens: MaxTokens,
    /// Longest time for a call, all attempts included. The other timeouts are the candidates'.
    pub call: Duration,
    /// Longest time that a caller may leave a ready response unread.
    pub reader: Duration,
    /// True if a request may be changed to suit a model.
    pub may_adjust: bool,
    /// Time after which the next model is called in parallel. Absent: the task does not hedge.
    pub hedge_after: Option<Duration>,
    /// What happens when a stream breaks after content has been sent.
    pub after_content: AfterContent,
    /// Largest share of calls that may go to models other than the first, from 0 to 1.
    pub max_fallback_share: f64,
    state: Arc<TaskState>,
}

/// A model that may serve a task.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What is called, and what was learned of it.
    pub deployment: Arc<Deployment>,
    /// Timeouts of its attempts in this task.
    pub deadline: Deadline,
    /// The geography to which it would carry requests, out of the one in which the task keeps them. Absent:
    /// none.
    pub leaves_to: Option<String>,
    /// Most tokens that it may generate, by configuration. Absent: the catalogue's limit.
    pub max_output_tokens: Option<MaxTokens>,
    /// What the catalogue knows of the model.
    pub facts: Arc<ModelFacts>,
    /// The id whose price applies: the configured `base_model`, where the id that is called does not show its
    /// model.
    pub priced_as: String,
    /// True if the catalogue has the model. If not, the facts are a cautious guess.
    pub catalogued: bool,
}

/// What one call will try.
#[derive(Clone, Debug)]
pub struct RoutePlan {
    /// The task as resolved.
    pub task: Arc<Task>,
    /// How the task was chosen.
    pub resolution: Resolution,
    /// The task type that the caller sent, cut to 128 bytes.
    pub requested: String,
    /// The candidates of this call, in order; at least one.
    pub candidates: Arc<[Candidate]>,
}

/// The configuration has no such task and refuses unknown ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTask {
    /// The task type that the caller sent, cut to 128 bytes.
    pub requested: String,
    /// The most similar task. Absent: none is similar.
    pub suggestion: Option<String>,
    /// All tasks, sorted.
    pub known: Vec<String>,
}

// === impl Routes ===

impl Routes {
    /// The candidates for a task type, in order.
    ///
    /// # Errors
    /// When the configuration has no such task and does not send unknown tasks to `default`.
    pub fn plan(&self, task_type: &str) -> Result<RoutePlan, UnknownTask> {
        let (name, resolution) = match task_type {
            "" => ("default", Resolution::Absent),
            named if self.tasks.contains_key(named) => (named, Resolution::Named),
            _ if self.unknown == UnknownTasks::Default => ("default", Resolution::Unknown),
            unknown => return Err(self.unknown_task(unknown)),
        };
        let task = self.tasks.get(name).ok_or_else(|| self.unknown_task(name))?;
        Ok(RoutePlan {
            task: Arc::clone(task),
            resolution,
            requested: truncated(task_type).to_owned(),
            candidates: Arc::clone(&task.candidates),
        })
    }

    fn unknown_task(&self, name: &str) -> UnknownTask {
        let requested = truncated(name).to_owned();
        UnknownTask {
            suggestion: self.similar(&requested),
            requested,
            known: self.tasks.keys().cloned().collect(),
        }
    }

    /// The task whose name is most similar to `name`. Absent: none is similar.
    #[must_use]
    pub fn similar(&self, name: &str) -> Option<String> {
        let lower = truncated(name).to_lowercase();
        let names = self.tasks.keys().map(String::as_str);
        most_similar(&lower, names).map(str::to_owned)
    }

    /// All tasks, by name.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values().map(AsRef::as_ref)
    }

    /// Every deployment that a candidate calls, each once.
    pub fn deployments(&self) -> impl Iterator<Item = &Arc<Deployment>> {
        let mut seen = std::collections::HashSet::new();
        let candidates = self.tasks().flat_map(|task| task.candidates.iter());
        candidates.map(|candidate| &candidate.deployment).filter(move |it| seen.insert(it.series()))
    }

    /// Every region that a candidate names.
    pub fn regions(&self) -> impl Iterator<Item = String> {
        self.deployments().map(|deployment| deployment.key.region.clone())
    }

    /// Longest time that a call of any task may take. Absent: there is no task.
    #[must_use]
    pub fn longest_call(&self) -> Option<Duration> {
        self.tasks().map(|task| task.call).max()
    }

    /// What happens to tasks that are not named.
    #[must_use]
    pub fn unknown_tasks(&self) -> UnknownTasks {
        self.unknown
    }
}

/// The longest prefix of at most [`MAX_REQUESTED_TASK_BYTES`] that ends between two characters.
fn truncated(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_REQUESTED_TASK_BYTES)]
}

// === impl Candidate ===

impl Candidate {
    /// Most tokens that it can generate. `None`: unknown, so no limit applies.
    #[must_use]
    pub fn max_output_tokens(&self) -> Option<MaxTokens> {
        match (self.max_output_tokens, self.facts.max_output_tokens) {
            (Some(configured), Some(known)) => Some(configured.min(known)),
            (configured, known) => configured.or(known),
        }
    }

    /// The id under which Bedrock counts its tokens: CountTokens accepts no inference profiles, only the
    /// models in them.
    #[must_use]
    pub fn counting_id(&self) -> &str {
        if self.catalogued { &self.facts.id } else { &self.deployment.key.model_id }
    }
}

// === impl Task ===

impl Task {
    /// True if one of its models is a managed prompt, which may contain the conversation itself.
    #[must_use]
    pub fn may_bring_messages(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.deployment.key.model_id.contains(":prompt/"))
    }

    pub(crate) fn state(&self) -> &TaskState {
        &self.state
    }
}

// === impl RoutePlan ===

impl RoutePlan {
    /// True if a call that this candidate serves fell back: the candidate is another model than the first. A
    /// rung of the first model's ladder is the first model.
    #[must_use]
    pub fn is_fallback(&self, candidate: &Candidate) -> bool {
        self.candidates.first().is_some_and(|first| first.deployment.name != candidate.deployment.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalogue::Catalogue, config::Config, snapshot::Snapshot};

    fn routes(unknown_tasks: UnknownTasks) -> Routes {
        let mut config = Config::for_two_models("us.big", "us.small");
        config.routing.unknown_tasks = unknown_tasks;
        Snapshot::build(&config, &Catalogue::built_in(), "us-east-1", &Default::default()).routes
    }

    fn resolved(routes: &Routes, task_type: &str) -> (String, Resolution, Vec<String>) {
        let plan = routes.plan(task_type).expect("is a task");
        let models = plan.candidates.iter().map(|candidate| candidate.deployment.key.model_id.clone());
        (plan.task.name.clone(), plan.resolution, models.collect())
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
    fn an_unknown_task_is_refused_with_a_suggestion() {
        let routes = routes(UnknownTasks::Refuse);
        let refused = |name: &str| routes.plan(name).expect_err("is refused");
        for (requested, suggestion) in [
            ("codng", Some("coding")),
            ("Reasoning", Some("reasoning")),
            ("summarisation", Some("summarization")),
            ("poetry", None),
        ] {
            let error = refused(requested);
            assert_eq!((error.requested.as_str(), error.suggestion.as_deref()), (requested, suggestion));
            assert_eq!(error.known.len(), 6);
        }
    }

    #[test]
    fn a_long_task_type_is_cut_between_characters() {
        let plan = routes(UnknownTasks::Default).plan(&"ä".repeat(100)).expect("goes to default");
        assert_eq!(plan.requested, "ä".repeat(64));
        let plan =
            routes(UnknownTasks::Default).plan(&format!("a{}", "ä".repeat(100))).expect("goes to default");
        assert_eq!(plan.requested.len(), 127);
    }
}
