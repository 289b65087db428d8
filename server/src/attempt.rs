//! Attempts: one candidate after the other until one answers.
//!
//! The loop is the whole policy: a failure that the next candidate would share stops it, any other lets it go on, and
//! the call's deadline ends it wherever it is. Each candidate gets the request in the shape that it accepts; one that
//! cannot serve it at all is skipped, with its reason in the route. When all have failed, those whose failure may pass
//! are asked again ([`retry`]).
//!
//! A stream counts as answered only when its first *content* is in hand, so one that opens and then fails, or opens and
//! says nothing, still falls back, and the caller has seen none of it.
pub mod deadline;
pub mod failure;
mod forms;
mod retry;

use crate::{
    bedrock::{Answer, Ask, Counted, ModelEvent, Models},
    config,
    error::CallError,
    record::CallRecord,
    route::{Candidate, RoutePlan, Routes, Task},
    shape::{Asked, Form, Repair, Shaped, Unmet, shape},
};
use failure::{Failure, FailureKind};
use forms::{Attempt, Counting, On, Streamed, Whole};
use retry::Retries;
use switchboard_proto::v1 as pb;
use tokio::time::{Instant, sleep, timeout_at};

/// A request that has been checked, and what will be tried for it.
#[derive(Debug)]
pub struct Call {
    request: pb::ConverseRequest,
    inference: pb::InferenceConfiguration,
    plan: RoutePlan,
    deadline: Instant,
    may_retry: bool,
}

/// A stream whose first content is in hand: nothing that comes after can fall back.
#[derive(Debug)]
pub struct Begun<E> {
    /// The events up to the first content.
    pub head: Vec<ModelEvent>,
    /// The events after it.
    pub rest: E,
    /// Bedrock's id of the request.
    pub request_id: String,
}

// === impl Call ===

impl Call {
    /// A call that ends at `deadline` at the latest. `may_retry` is false for one that its caller has tried before:
    /// retries of two layers multiply.
    #[must_use]
    pub fn new(
        mut request: pb::ConverseRequest,
        plan: RoutePlan,
        deadline: Instant,
        may_retry: bool,
    ) -> Self {
        let inference = request.inference_config.take().unwrap_or_default();
        Self { request, inference, plan, deadline, may_retry }
    }

    /// When the call ends at the latest.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The task that it is served as.
    #[must_use]
    pub fn task(&self) -> &Task {
        &self.plan.task
    }

    fn asked(&self, form: Form) -> Asked<'_> {
        Asked { task: self.task(), request: &self.request, inference: &self.inference, form }
    }
}

/// The models, and what the calls before have spent.
#[derive(Debug)]
pub struct Attempts<M> {
    models: M,
    retries: Retries,
}

// === impl Attempts ===

impl<M: Models> Attempts<M> {
    /// Attempts at the candidates of `routes`.
    #[must_use]
    pub fn new(models: M, retry: config::Retry, routes: &Routes) -> Self {
        Self { models, retries: Retries::new(retry, routes) }
    }

    /// Asks for a whole answer.
    ///
    /// # Errors
    /// See [`Attempts::first_answer`].
    pub async fn whole(&self, call: &Call, record: &mut CallRecord) -> Result<Answer, CallError> {
        self.first_answer(call, record, &Whole).await
    }

    /// Asks for an answer as it is generated.
    ///
    /// # Errors
    /// See [`Attempts::first_answer`].
    pub async fn streamed(
        &self,
        call: &Call,
        record: &mut CallRecord,
    ) -> Result<Begun<M::Events>, CallError> {
        self.first_answer(call, record, &Streamed).await
    }

    /// Asks how many tokens `counted` has; the call's request is what it says of a conversation.
    ///
    /// # Errors
    /// See [`Attempts::first_answer`].
    pub async fn count(
        &self,
        call: &Call,
        record: &mut CallRecord,
        counted: &pb::CountTokensRequest,
    ) -> Result<Counted, CallError> {
        self.first_answer(call, record, &Counting(counted)).await
    }

    /// The loop.
    ///
    /// # Errors
    /// [`CallError::DeadlineExceeded`] when the call's deadline passes; [`CallError::NoEligibleModel`] when no candidate
    /// could be asked at all; else [`CallError::Failed`]: with the failure that stopped the plan, or with the one that
    /// tells most when all candidates failed.
    async fn first_answer<A: Attempt<M>>(
        &self,
        call: &Call,
        record: &mut CallRecord,
        attempt: &A,
    ) -> Result<A::Reply, CallError> {
        let mut so_far = SoFar::default();
        let most = if attempt.is_for_first_model() { 1 } else { usize::MAX };
        let mut candidates: Vec<&Candidate> = call.task().candidates.iter().take(most).collect();
        for rounds in 1.. {
            if let Some(reply) = self.round(call, record, attempt, &candidates, &mut so_far).await? {
                return Ok(reply);
            }
            let left = call.deadline.saturating_duration_since(Instant::now());
            let again = call.may_retry.then(|| self.retries.again(rounds, &so_far.failures, left)).flatten();
            let Some((pause, passing)) = again else { break };
            sleep(pause).await;
            so_far.failures.clear();
            candidates = passing;
        }
        Err(so_far.into_error())
    }

    /// Asks each candidate once. `None`: all failed.
    async fn round<'a, A: Attempt<M>>(
        &self,
        call: &'a Call,
        record: &mut CallRecord,
        attempt: &A,
        candidates: &[&'a Candidate],
        so_far: &mut SoFar<'a>,
    ) -> Result<Option<A::Reply>, CallError> {
        for candidate in candidates.iter().copied() {
            let shaped = match so_far.shape(call, A::FORM, candidate) {
                Ok(shaped) => shaped,
                Err(unmet) => {
                    record.skipped(candidate, &unmet);
                    so_far.unmet.push((candidate.model_id.clone(), unmet));
                    continue;
                }
            };
            match self.ask(call, record, attempt, candidate, shaped).await? {
                Ok(reply) => {
                    self.retries.answered(candidate);
                    return Ok(Some(reply));
                }
                Err(failure) if failure.kind.row().next => so_far.failures.push((candidate, failure)),
                Err(failure) if failure.kind == FailureKind::ContextTooLong => {
                    so_far.too_long(candidate, failure)
                }
                Err(failure) => return Err(CallError::Failed(failure)),
            }
        }
        Ok(None)
    }

    /// Asks one candidate, and once more without the parameter that it refuses, if that is what it says. The outer error
    /// ends the call, the inner one the candidate.
    async fn ask<A: Attempt<M>>(
        &self,
        call: &Call,
        record: &mut CallRecord,
        attempt: &A,
        candidate: &Candidate,
        shaped: Shaped<'_>,
    ) -> Result<Result<A::Reply, Failure>, CallError> {
        let failure = match self.once(call, record, attempt, candidate, &shaped).await? {
            Err(failure) if failure.kind == FailureKind::Invalid && call.task().may_adjust => failure,
            ended => return Ok(ended),
        };
        match Repair::named_in(&failure.message).and_then(|repair| Some((repair, shaped.repaired(repair)?))) {
            Some((repair, repaired)) => {
                tracing::warn!(
                    model = candidate.model_id,
                    ?repair,
                    "the catalogue lacks what this model refuses"
                );
                self.once(call, record, attempt, candidate, &repaired).await
            }
            None => Ok(Err(failure)),
        }
    }

    async fn once<A: Attempt<M>>(
        &self,
        call: &Call,
        record: &mut CallRecord,
        attempt: &A,
        candidate: &Candidate,
        shaped: &Shaped<'_>,
    ) -> Result<Result<A::Reply, Failure>, CallError> {
        let began = Instant::now();
        let ask = Ask { request: &shaped.request, inference: &shaped.inference };
        let on = On { models: &self.models, task: call.task(), candidate, ask };
        let Ok(tried) = timeout_at(call.deadline, attempt.attempt(on)).await else {
            record.ran_out(candidate, began, shaped);
            return Err(CallError::DeadlineExceeded { attempts: record.attempts() });
        };
        match &tried {
            Ok(reply) => record.answered(candidate, began, shaped, A::request_id(reply)),
            Err(failure) => record.failed(candidate, began, shaped, failure),
        }
        Ok(tried)
    }
}

/// What the loop has learned.
#[derive(Debug, Default)]
struct SoFar<'a> {
    /// Of the last round.
    failures: Vec<(&'a Candidate, Failure)>,
    unmet: Vec<(String, Unmet)>,
    /// The largest context that was too small.
    too_small: Option<i64>,
}

impl<'a> SoFar<'a> {
    /// The request for a candidate. One whose context is not larger than one that was too small need not be asked.
    fn shape(&self, call: &'a Call, form: Form, candidate: &Candidate) -> Result<Shaped<'a>, Unmet> {
        if let Some(too_small) = self.too_small
            && candidate.facts.context_tokens.is_none_or(|context| i64::from(context) <= too_small)
        {
            let lacks = "a larger context than the model that refused".to_owned();
            return Err(Unmet { field: "messages".to_owned(), lacks });
        }
        shape(call.asked(form), candidate)
    }

    fn too_long(&mut self, candidate: &'a Candidate, failure: Failure) {
        let context = candidate.facts.context_tokens.map_or(i64::MAX, i64::from);
        self.too_small = Some(self.too_small.map_or(context, |known| known.max(context)));
        self.failures.push((candidate, failure));
    }

    fn into_error(self) -> CallError {
        match most_telling(self.failures.into_iter().map(|(_, failure)| failure).collect()) {
            Some(failure) => CallError::Failed(failure),
            None => CallError::NoEligibleModel(self.unmet),
        }
    }
}

/// One that waiting can cure, for then the caller can do something; else the last.
fn most_telling(mut failures: Vec<Failure>) -> Option<Failure> {
    match failures.iter().position(|failure| failure.kind.row().retry) {
        Some(position) => Some(failures.swap_remove(position)),
        None => failures.pop(),
    }
}
