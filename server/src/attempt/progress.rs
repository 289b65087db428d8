//! Progress of a call over its attempts, and the error for its caller when none of them answered.
use super::{Call, Failed};
use crate::{
    error::CallError,
    failure::{Failure, FailureKind},
    record::CallRecord,
    route::{Candidate, Skip, Unmet},
    rpc::Method,
    shape::{Shaped, shape},
};

/// Failures and skips of a call so far.
#[derive(Debug, Default)]
pub(super) struct Progress<'a> {
    /// Failures of the last round in which a model was called.
    pub(super) failures: Vec<Failed<'a>>,
    /// Failures of the current round.
    current: Vec<Failed<'a>>,
    skips: Vec<(String, Skip)>,
    /// Largest context window, in tokens, that was too small.
    too_small: Option<i64>,
    /// True if a model other than the task's first was called.
    pub(super) fell_back: bool,
}

impl<'a> Progress<'a> {
    /// The request for a candidate. A candidate whose context window is not larger than one that was too
    /// small is skipped.
    pub(super) fn shape(
        &self,
        call: &'a Call,
        method: Method,
        candidate: &Candidate,
    ) -> Result<Shaped<'a>, Unmet> {
        if let Some(too_small) = self.too_small
            && candidate.facts.context_tokens.is_none_or(|context| i64::from(context) <= too_small)
        {
            let lacks = "a larger context than the model that refused".to_owned();
            return Err(Unmet { field: "messages".to_owned(), lacks });
        }
        shape(call.shape_input(method), candidate)
    }

    /// Notes a skipped candidate.
    pub(super) fn skipped(&mut self, candidate: &Candidate, skip: Skip) {
        self.skips.push((candidate.deployment.shown_id.clone(), skip));
    }

    /// Notes a failure.
    ///
    /// # Errors
    /// With the failure, if the other candidates would share it.
    pub(super) fn note(&mut self, failed: Failed<'a>) -> Result<(), CallError> {
        let (candidate, failure) = failed;
        if failure.kind == FailureKind::ContextTooLong {
            let context = candidate.facts.context_tokens.map_or(i64::MAX, i64::from);
            self.too_small = Some(self.too_small.map_or(context, |known| known.max(context)));
        } else if !failure.kind.row().try_next {
            return Err(CallError::Failed(failure));
        }
        self.current.push((candidate, failure));
        Ok(())
    }

    /// Ends a round. If no model was called in it, the failures of the round before are kept.
    pub(super) fn end_round(&mut self) {
        let current = std::mem::take(&mut self.current);
        if !current.is_empty() {
            self.failures = current;
        }
    }

    /// The error for the caller: the most useful failure, or else the skip that waiting may resolve.
    pub(super) fn into_error(self, record: &CallRecord) -> CallError {
        if let Some(failure) = most_useful(self.failures.into_iter().map(|(_, failure)| failure).collect()) {
            return match failure.kind {
                FailureKind::ShareUsedUp => CallError::DeadlineExceeded { attempts: record.attempts() },
                _ => CallError::Failed(failure),
            };
        }
        let skips = || self.skips.iter().map(|(_, skip)| skip);
        let reopening =
            skips().filter_map(|skip| if let Skip::BreakerOpen(until) = skip { Some(*until) } else { None });
        if skips().any(|skip| matches!(skip, Skip::FallbackCapped)) {
            CallError::FallbackCapped
        } else if let Some(until) = reopening.min_by_key(|until| (until.is_none(), *until)) {
            CallError::NoHealthyModel { until }
        } else {
            CallError::NoEligibleModel(self.skips.into_iter().filter_map(unmet).collect())
        }
    }
}

fn unmet((model, skip): (String, Skip)) -> Option<(String, Unmet)> {
    match skip {
        Skip::Lacks(unmet) => Some((model, unmet)),
        Skip::LeavesGeography(_) => {
            Some((model, Unmet { field: "task_type".to_owned(), lacks: skip.explanation() }))
        }
        Skip::BreakerOpen(_) | Skip::CoolingDown(_) | Skip::FallbackCapped | Skip::NoTime { .. } => None,
    }
}

/// The first failure that waiting may resolve, for then the caller can act on it; else the last failure.
fn most_useful(mut failures: Vec<Failure>) -> Option<Failure> {
    match failures.iter().position(|failure| failure.kind.row().retry) {
        Some(position) => Some(failures.swap_remove(position)),
        None => failures.pop(),
    }
}
