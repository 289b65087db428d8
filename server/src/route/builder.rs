//! Builds [`Routes`] from a checked configuration.
use super::{
    Candidate, Routes, Task,
    residency::{is_within, residence},
};
use crate::{
    catalogue::{Catalogue, shown},
    config::{self, Config, Residency, Rung, Unsupported},
    deployment::{Deployment, Key, Policies, Registry},
};
use std::{collections::HashMap, sync::Arc};

/// Context of one build.
struct Builder<'a> {
    config: &'a Config,
    catalogue: &'a Catalogue,
    default_region: &'a str,
    registry: &'a Registry,
    /// Candidates of several tasks share a deployment.
    deployments: HashMap<(Key, String), Arc<Deployment>>,
}

impl Routes {
    /// The routes of a checked configuration. Models without a region are called in `default_region`. What
    /// `registry` has learned of a deployment or a task stays with it.
    pub(crate) fn build(
        config: &Config,
        catalogue: &Catalogue,
        default_region: &str,
        registry: &Registry,
    ) -> Self {
        let deployments = HashMap::new();
        let mut builder = Builder { config, catalogue, default_region, registry, deployments };
        let tasks = config.tasks.iter();
        Self {
            tasks: tasks.map(|(name, task)| (name.clone(), Arc::new(builder.task(name, task)))).collect(),
            unknown: config.routing.unknown_tasks,
        }
    }

    /// Candidates that would carry requests out of the geography in which their task keeps them, each as an
    /// error message.
    pub fn residency_violations(&self) -> impl Iterator<Item = String> {
        self.tasks().flat_map(|task| {
            task.candidates.iter().filter_map(move |candidate| {
                let geography = candidate.leaves_to.as_deref()?;
                let first = &task.candidates.first()?.deployment.key;
                let home = residence(&first.model_id, &first.region);
                let Deployment { name, shown_id, key, .. } = &*candidate.deployment;
                Some(format!(
                    "[tasks.{}] {name} ({shown_id} in {}) is processed in \"{geography}\", but the task's first model in \
                     \"{home}\": remove it, or set residency = \"any\"",
                    task.name, key.region
                ))
            })
        })
    }
}

// === impl Builder ===

impl Builder<'_> {
    fn task(&mut self, name: &str, task: &config::Task) -> Task {
        let config = self.config;
        let timeouts = task.deadline.over(config.deadline);
        let names = task.models.get_ref().iter();
        let mut candidates: Vec<_> = names.flat_map(|name| self.model(task, name.get_ref())).collect();
        if task.residency == Residency::Same {
            mark_residency(&mut candidates);
        }
        Task {
            name: name.to_owned(),
            description: task.description.clone(),
            candidates: candidates.into(),
            max_tokens: task.max_tokens,
            call: timeouts.call,
            reader: timeouts.reader,
            may_adjust: task.unsupported == Unsupported::Adjust,
            hedge_after: task.hedge_after,
            after_content: task.after_content,
            max_fallback_share: task.max_fallback_share.unwrap_or(config.routing.max_fallback_share),
            state: self.registry.task(name, config.hedging),
        }
    }

    /// A model and the rungs of its ladder.
    fn model(&mut self, task: &config::Task, name: &str) -> Vec<Candidate> {
        let Some(model) = self.config.models.get(name) else { return Vec::new() }; // checked with the configuration
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
        Candidate {
            deployment: self.deployment(name, model, rung),
            deadline: task.deadline.over(model.deadline.over(self.config.deadline)),
            leaves_to: None,
            max_output_tokens: model.max_output_tokens,
            facts: known.facts,
            priced_as: priced_as.clone(),
            catalogued: known.catalogued,
        }
    }

    fn deployment(&mut self, name: &str, model: &config::Model, rung: &Rung) -> Arc<Deployment> {
        let region = rung.region.as_ref().or(model.region.as_ref());
        let key = Key {
            endpoint: self.config.bedrock.endpoint_url.clone(),
            region: region.map_or(self.default_region, String::as_str).to_owned(),
            model_id: rung.id.as_ref().unwrap_or(&model.id).clone(),
            service_tier: rung.service_tier.clone(),
        };
        let policies = Policies { breaker: self.config.breaker, retry: self.config.retry };
        let deployment = self.deployments.entry((key.clone(), name.to_owned())).or_insert_with(|| {
            let shown_id = shown(&key.model_id).to_owned();
            self.registry.deployment(key, name, &shown_id, model.breaker, policies)
        });
        Arc::clone(deployment)
    }
}

/// Marks the candidates that would leave the geography of the first.
fn mark_residency(candidates: &mut [Candidate]) {
    let Some((first, others)) = candidates.split_first_mut() else { return };
    let first = &first.deployment.key;
    let home = residence(&first.model_id, &first.region);
    for other in others {
        let key = &other.deployment.key;
        let there = residence(&key.model_id, &key.region);
        let leaves_to = (!is_within(there, home)).then(|| there.to_owned());
        other.leaves_to = leaves_to;
    }
}
