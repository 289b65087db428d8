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

pub use needs::Unmet;
pub use parameters::Repair;

use crate::{
    catalogue::{Family, ModelFacts},
    route::{Candidate, Task},
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

/// What a call is, as far as shaping asks.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The task that it is served as.
    pub task: &'a Task,
    /// The conversation, without its inference configuration.
    pub request: &'a pb::ConverseRequest,
    /// The inference configuration as the caller sent it.
    pub inference: &'a pb::InferenceConfiguration,
    /// What is wanted back.
    pub form: Form,
}

/// What a caller wants back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An answer, whole.
    Whole,
    /// An answer as it is generated.
    Streamed,
    /// The number of tokens of the request.
    Counted,
}

/// The request for `candidate`, or what it lacks.
///
/// # Errors
/// When the model cannot serve the request at all; in a task that allows no adjustments also when it would need any.
pub fn shape<'a>(asked: Asked<'a>, candidate: &Candidate) -> Result<Shaped<'a>, Unmet> {
    let facts = &*candidate.facts;
    needs::check(asked, facts)?;
    needs::check_tier(asked.request, candidate)?;
    let mut draft = Draft { facts, shaped: Shaped::new(asked) };
    draft.shape_history(asked.task);
    draft.shape_tools();
    draft.shape_extras(first_family(asked.task));
    if asked.form != Form::Counted {
        draft.shape_parameters(asked, candidate);
        draft.shape_tier(candidate);
    }
    if asked.task.may_adjust { Ok(draft.shaped) } else { draft.shaped.unchanged() }
}

/// The family that a caller has in mind who sends fields which only one family knows.
fn first_family(task: &Task) -> Family {
    task.candidates.first().map_or(Family::Unknown, |first| first.facts.family)
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
    fn new(asked: Asked<'a>) -> Self {
        Self {
            request: Cow::Borrowed(asked.request),
            inference: asked.inference.clone(),
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
