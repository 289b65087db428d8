//! What a call has learned from its attempts so far, and what its caller is told when none has answered.
use super::{
    Call, Failed,
    failure::{Failure, FailureKind},
    skip::Skip,
};
use crate::{
    error::CallError,
    record::CallRecord,
    route::Candidate,
    shape::{Form, Shaped, Unmet, shape},
};

/// What the loop has learned.
#[derive(Debug, Default)]
pub(super) struct SoFar<'a> {
    /// Of the last round in which somebody was asked.
    pub(super) failures: Vec<Failed<'a>>,
    pub(super) skips: Vec<(String, Skip)>,
    /// The largest context that was too small.
    too_small: Option<i64>,
    /// A model other than the task's first has been asked.
    pub(super) fell_back: bool,
}

impl<'a> SoFar<'a> {
    /// The request for a candidate. One whose context is not larger than one that was too small need not be asked.
    pub(super) fn shape(
        &self,
        call: &'a Call,
        form: Form,
        candidate: &Candidate,
    ) -> Result<Shaped<'a>, Unmet> {
        if let Some(too_small) = self.too_small
            && candidate.facts.context_tokens.is_none_or(|context| i64::from(context) <= too_small)
        {
            let lacks = "a larger context than the model that refused".to_owned();
            return Err(Unmet { field: "messages".to_owned(), lacks });
        }
        shape(call.asked(form), candidate)
    }

    /// Notes a failure, if another candidate may do better.
    pub(super) fn learn(
        &mut self,
        failed: Failed<'a>,
        failures: &mut Vec<Failed<'a>>,
    ) -> Result<(), CallError> {
        let (candidate, failure) = failed;
        if failure.kind == FailureKind::ContextTooLong {
            let context = candidate.facts.context_tokens.map_or(i64::MAX, i64::from);
            self.too_small = Some(self.too_small.map_or(context, |known| known.max(context)));
        } else if !failure.kind.row().next {
            return Err(CallError::Failed(failure));
        }
        failures.push((candidate, failure));
        Ok(())
    }

    /// What the caller is told: of failures the one that tells most; of skips first what waiting cures.
    pub(super) fn into_error(self, record: &CallRecord) -> CallError {
        if let Some(failure) = most_telling(self.failures.into_iter().map(|(_, failure)| failure).collect()) {
            return match failure.kind {
                FailureKind::ShareUsedUp => CallError::DeadlineExceeded { attempts: record.attempts() },
                _ => CallError::Failed(failure),
            };
        }
        let skips = || self.skips.iter().map(|(_, skip)| skip);
        let opening =
            skips().filter_map(|skip| if let Skip::Unwell(until) = skip { Some(*until) } else { None });
        if skips().any(|skip| matches!(skip, Skip::Capped)) {
            CallError::FallbackCapped
        } else if let Some(opening) = opening.min_by_key(|until| (until.is_none(), *until)) {
            CallError::NoHealthyModel { until: opening }
        } else {
            CallError::NoEligibleModel(self.skips.into_iter().filter_map(unmet).collect())
        }
    }
}

fn unmet((model, skip): (String, Skip)) -> Option<(String, Unmet)> {
    match skip {
        Skip::Lacks(unmet) => Some((model, unmet)),
        Skip::Leaves(_) => Some((model, Unmet { field: "task_type".to_owned(), lacks: skip.words() })),
        Skip::Unwell(_) | Skip::Capped | Skip::NoTime { .. } => None,
    }
}

/// One that waiting can cure, for then the caller can do something; else the last.
fn most_telling(mut failures: Vec<Failure>) -> Option<Failure> {
    match failures.iter().position(|failure| failure.kind.row().retry) {
        Some(position) => Some(failures.swap_remove(position)),
        None => failures.pop(),
    }
}
