//! Shaping: a request as one certain model accepts it.
//!
//! A fallback is only worth having if the second model accepts what was meant for the first. So every attempt shapes the
//! request anew, from what the catalogue knows of its model: [`shape`] asks first whether the model can serve it at all, and then
//! changes what it would refuse. Every change is an [`pb::Adjustment`] in the attempt; what is not listed there
//! goes out as it came. A model that the catalogue does not know is changed as little as possible.
//!
//! The request is borrowed until something in it has to change: most calls copy nothing.
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

/// A request for one model.
#[derive(Clone, Debug)]
pub struct Shaped<'a> {
    /// The conversation, without its inference configuration.
    pub request: Cow<'a, pb::ConverseRequest>,
    /// The inference configuration.
    pub inference: pb::InferenceConfiguration,
    /// What was changed.
    pub adjustments: Vec<pb::Adjustment>,
}

/// The parts of a call that shaping needs.
#[derive(Clone, Copy, Debug)]
pub struct ShapeInput<'a> {
    /// The task that it is served as.
    pub task: &'a Task,
    /// The conversation, without its inference configuration.
    pub request: &'a pb::ConverseRequest,
    /// The inference configuration as the caller sent it.
    pub inference: &'a pb::InferenceConfiguration,
    /// The RPC that the request serves.
    pub method: Method,
}

/// The request for `candidate`, or what it lacks.
///
/// # Errors
/// When the model cannot serve the request at all; in a task that allows no adjustments also when it would need any.
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

/// The family that a caller has in mind who sends fields which only one family knows.
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

    /// Itself, if nothing was changed but for what every call is given.
    fn unchanged(self) -> Result<Self, Unmet> {
        match self.adjustments.iter().find(|change| change.action() != Action::Added) {
            None => Ok(self),
            Some(change) => Err(Unmet {
                field: change.path.clone(),
                lacks: format!("{}, and the task allows no adjustments", change.why),
            }),
        }
    }
}
