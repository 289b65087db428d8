//! Shaping: adapts a request to the model of an attempt.
//!
//! A fallback is useful only if the second model accepts a request that was written for the first. Every
//! attempt therefore shapes the caller's request for its model: [`shape`] first checks that the model can
//! serve the request at all, and then changes what the model would refuse, according to the catalogue. Every
//! change is an [`pb::Adjustment`] of the attempt; everything else is sent as it was received. For a model
//! that is not in the catalogue, as little as possible is changed.
//!
//! The request is borrowed until something has to change: most calls copy nothing.
mod extras;
mod history;
mod needs;
mod parameters;
#[cfg(test)]
mod tests;
mod tools;

pub use parameters::Repair;

use crate::{
    catalogue::{ModelFacts, ModelFamily},
    route::{Candidate, Task, Unmet},
    rpc::Method,
};
use std::borrow::Cow;
use switchboard_proto::v1::{self as pb, AdjustmentAction as Action};

/// A request that is adapted to one model.
#[derive(Clone, Debug)]
pub struct Shaped<'a> {
    /// The conversation, without its inference configuration.
    pub request: Cow<'a, pb::ConverseRequest>,
    /// The inference configuration.
    pub inference: pb::InferenceConfiguration,
    /// The changes.
    pub adjustments: Vec<pb::Adjustment>,
}

/// The parts of a call that shaping needs.
#[derive(Clone, Copy, Debug)]
pub struct ShapeInput<'a> {
    /// The task of the call.
    pub task: &'a Task,
    /// The conversation, without its inference configuration.
    pub request: &'a pb::ConverseRequest,
    /// The inference configuration as the caller sent it.
    pub inference: &'a pb::InferenceConfiguration,
    /// The RPC that the request serves.
    pub method: Method,
}

/// Adapts a request to `candidate`.
///
/// # Errors
/// If the model cannot serve the request at all, or if the task allows no adjustments and one is necessary.
pub fn shape<'a>(input: ShapeInput<'a>, candidate: &Candidate) -> Result<Shaped<'a>, Unmet> {
    let facts = &*candidate.facts;
    needs::check(input, facts)?;
    needs::check_tier(input.request, candidate)?;
    let mut draft = Draft { facts, shaped: Shaped::new(input) };
    draft.shape_history(input.task);
    draft.shape_tools();
    draft.shape_extras(first_family(input.task));
    if input.method != Method::CountTokens {
        draft.shape_parameters(input, candidate);
        draft.shape_tier(candidate);
    }
    if input.task.may_adjust { Ok(draft.shaped) } else { draft.shaped.unchanged() }
}

/// Family of the task's first model. Fields that only one family accepts are assumed to be meant for it.
fn first_family(task: &Task) -> ModelFamily {
    task.candidates.first().map_or(ModelFamily::Unknown, |first| first.facts.family)
}

/// A request that is being shaped.
struct Draft<'a, 'f> {
    facts: &'f ModelFacts,
    shaped: Shaped<'a>,
}

// === impl Draft ===

impl Draft<'_, '_> {
    fn request(&self) -> &pb::ConverseRequest {
        &self.shaped.request
    }

    fn note(&mut self, path: impl Into<String>, action: Action, why: impl Into<String>) {
        self.shaped.note(path, action, why);
    }
}

// === impl Shaped ===

impl<'a> Shaped<'a> {
    fn new(input: ShapeInput<'a>) -> Self {
        Self {
            request: Cow::Borrowed(input.request),
            inference: input.inference.clone(),
            adjustments: Vec::new(),
        }
    }

    fn note(&mut self, path: impl Into<String>, action: Action, why: impl Into<String>) {
        let (path, action, why) = (path.into(), action.into(), why.into());
        self.adjustments.push(pb::Adjustment { path, action, why, learned: false });
    }

    /// Returns the request if nothing was changed except for additions, which every call gets.
    fn unchanged(self) -> Result<Self, Unmet> {
        match self.adjustments.iter().find(|change| change.action() != Action::Added) {
            None => Ok(self),
            Some(change) => Err(Unmet {
                field: change.path.clone(),
                lacks: format!(
                    "support for {} as sent ({}), and the task allows no adjustments",
                    change.path, change.why
                ),
            }),
        }
    }
}
