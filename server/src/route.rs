//! Routing: from a task type to a [`RoutePlan`]. Pure: no clock, no I/O.
//!
//! A task's models become its candidates: each with its ladder, the other ways to the same model, behind it.
pub mod residency;

use crate::{
    catalogue::{Catalogue, ModelFacts, shown},
    config::{
        self, AfterContent, Config, Deadline, Force, MaxTokens, Residency, Rung, UnknownTasks, Unsupported,
    },
    error::CallError,
};
use residency::{is_within, residence};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use switchboard_proto::v1::Resolution;

/// Every task that the configuration names.
#[derive(Debug)]
pub struct Routes {
    tasks: BTreeMap<String, Arc<Task>>,
    unknown: UnknownTasks,
    version: String,
    targets: Vec<Target>,
}

/// A model in a region, in a service tier: what is learned of it holds for all tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name in the configuration.
    pub name: String,
    /// What Bedrock calls it, as it may be shown.
    pub model_id: String,
    /// The region to call.
    pub region: String,
    /// The tier. Absent: the caller's, or Bedrock's default.
    pub service_tier: Option<String>,
    /// What decides whether it is asked.
    pub force: Force,
    /// The id that Bedrock is given.
    id: String,
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
    /// How long a call may take, all attempts included. The other clocks are the candidates'.
    pub call: Duration,
    /// How long a caller may take nothing of an answer that is ready.
    pub reader: Duration,
    /// Whether a request may be changed to suit a model.
    pub may_adjust: bool,
    /// How long a model may take before the next is asked beside it. Absent: it never is.
    pub hedge_after: Option<Duration>,
    /// What happens when a stream breaks after content has been sent.
    pub after_content: AfterContent,
    /// The largest share of calls that may go to models other than the first, from 0 to 1.
    pub max_fallback_share: f64,
    /// Which of the tasks it is, from 0.
    pub index: usize,
}

/// A model that may serve a task.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name in the configuration.
    pub name: String,
    /// What Bedrock calls it. It may be an ARN, with an account in it: not for logs, traces and callers.
    pub model_id: String,
    /// The same, as it may be shown.
    pub shown_id: String,
    /// The region to call.
    pub region: String,
    /// The service tier to ask for. Absent: the caller's, or Bedrock's default.
    pub service_tier: Option<String>,
    /// Its clocks in this task.
    pub deadline: Deadline,
    /// The geography that it would carry requests to, out of the one that the task keeps them in. Absent: it keeps them.
    pub leaves_to: Option<String>,
    /// Most tokens that it may generate, as configured. Absent: what the catalogue says.
    pub max_output_tokens: Option<MaxTokens>,
    /// What is known of it.
    pub facts: Arc<ModelFacts>,
    /// The id by whose price it is charged: the configured `base_model`, where the id that is called hides its model.
    pub priced_as: String,
    /// Whether the catalogue knows it; if not, the facts are a careful guess.
    pub catalogued: bool,
    /// Which of [`Routes::targets`] it is.
    pub target: usize,
}

/// What one call will try.
#[derive(Clone, Debug)]
pub struct RoutePlan {
    /// The task as resolved.
    pub task: Arc<Task>,
    /// Why this task.
    pub resolution: Resolution,
    /// The task type that the caller sent, cut to [`MAX_REQUESTED_TASK_BYTES`].
    pub requested: String,
}

/// Longest part of an unknown task type that routes, logs and spans repeat, in bytes.
const MAX_REQUESTED_TASK_BYTES: usize = 128;

// === impl Routes ===

impl Routes {
    /// The routes of a configuration that has been checked. Models without a region are called in `default_region`.
    #[must_use]
    pub fn new(config: &Config, catalogue: &Catalogue, default_region: &str) -> Self {
        let mut making = Making { config, catalogue, default_region, targets: Vec::new() };
        let names = config.tasks.keys().enumerate();
        let tasks = names.map(|(index, name)| (name.clone(), Arc::new(making.task(index, name)))).collect();
        let digest = Sha256::digest(format!("{config:?}{default_region}{catalogue:?}"));
        Self {
            tasks,
            targets: making.targets,
            unknown: config.routing.unknown_tasks,
            version: hex::encode(&digest[..6]),
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
        let requested = cut(task_type, MAX_REQUESTED_TASK_BYTES).to_owned();
        Ok(RoutePlan { task: Arc::clone(task), resolution, requested })
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

    /// Every model in its region and tier; a candidate's [`Candidate::target`] is its place here.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// What would carry requests out of the geography that their task keeps them in, in words.
    pub fn leaving(&self) -> impl Iterator<Item = String> {
        self.tasks().flat_map(|task| {
            task.candidates.iter().filter_map(move |candidate| {
                let geography = candidate.leaves_to.as_deref()?;
                let Task { name, candidates, .. } = task;
                let first = &candidates[0];
                let home = residence(&first.model_id, &first.region);
                Some(format!(
                    "[tasks.{name}] {} ({} in {}) is processed in \"{geography}\", and the task's first model in \"{home}\": \
                     remove it, or set residency = \"any\"",
                    candidate.name, candidate.shown_id, candidate.region
                ))
            })
        })
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

/// Routes in the making.
struct Making<'a> {
    config: &'a Config,
    catalogue: &'a Catalogue,
    default_region: &'a str,
    targets: Vec<Target>,
}

// === impl Making ===

impl Making<'_> {
    fn task(&mut self, index: usize, name: &str) -> Task {
        let config = self.config;
        let task = &config.tasks[name];
        let names = task.models.get_ref().iter();
        let clocks = task.deadline.over(config.deadline);
        let mut candidates: Vec<_> = names.flat_map(|name| self.model(task, name.get_ref())).collect();
        if task.residency == Residency::Same {
            keep_home(&mut candidates);
        }
        Task {
            name: name.to_owned(),
            description: task.description.clone(),
            candidates,
            max_tokens: task.max_tokens,
            call: clocks.call,
            reader: clocks.reader,
            may_adjust: task.unsupported == Unsupported::Adjust,
            hedge_after: task.hedge_after,
            after_content: task.after_content,
            max_fallback_share: task.max_fallback_share.unwrap_or(config.routing.max_fallback_share),
            index,
        }
    }

    /// A model and its ladder.
    fn model(&mut self, task: &config::Task, name: &str) -> Vec<Candidate> {
        let model = &self.config.models[name];
        let itself = Rung { id: None, region: None, service_tier: None };
        let rungs = std::iter::once(&itself).chain(&model.ladder);
        rungs.map(|rung| self.candidate(task, name, model, rung)).collect()
    }

    fn candidate(
        &mut self,
        task: &config::Task,
        name: &str,
        model: &config::Model,
        rung: &Rung,
    ) -> Candidate {
        let model_id = rung.id.as_ref().unwrap_or(&model.id);
        let priced_as = match (&rung.id, &model.base_model) {
            (Some(id), Some(base)) if !self.catalogue.resolve(id).catalogued => base,
            (None, Some(base)) => base,
            (_, _) => model_id,
        };
        let known = self.catalogue.resolve(priced_as);
        let region = rung.region.as_ref().or(model.region.as_ref());
        let target = Target {
            name: name.to_owned(),
            model_id: shown(model_id).to_owned(),
            region: region.map_or(self.default_region, String::as_str).to_owned(),
            service_tier: rung.service_tier.clone(),
            force: model.breaker,
            id: model_id.clone(),
        };
        Candidate {
            name: name.to_owned(),
            model_id: model_id.clone(),
            shown_id: target.model_id.clone(),
            region: target.region.clone(),
            service_tier: target.service_tier.clone(),
            deadline: task.deadline.over(model.deadline.over(self.config.deadline)),
            leaves_to: None,
            max_output_tokens: model.max_output_tokens,
            facts: known.facts,
            priced_as: priced_as.clone(),
            catalogued: known.catalogued,
            target: self.target(target),
        }
    }

    /// Candidates that are the same to Bedrock share a target.
    fn target(&mut self, target: Target) -> usize {
        let same = |other: &Target| {
            (&other.id, &other.region, &other.service_tier)
                == (&target.id, &target.region, &target.service_tier)
        };
        if let Some(known) = self.targets.iter().position(same) {
            return known;
        }
        self.targets.push(target);
        self.targets.len() - 1
    }
}

/// Marks what would leave the geography of the first.
fn keep_home(candidates: &mut [Candidate]) {
    let Some((first, others)) = candidates.split_first_mut() else { return };
    let home = residence(&first.model_id, &first.region);
    for other in others {
        let there = residence(&other.model_id, &other.region);
        other.leaves_to = (!is_within(there, home)).then(|| there.to_owned());
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

/// The longest prefix of `text` that has at most `max_bytes` bytes and ends between two characters.
fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
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
