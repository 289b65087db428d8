//! Attempts: one candidate after the other until one answers.
//!
//! The loop is the whole policy: a failure that the next candidate would share stops it, any other lets it go on, and
//! the call's deadline ends it wherever it is. Each candidate gets the request in the shape that it accepts; one that
//! cannot serve it, or is not to be asked just now, is skipped, with its reason in the route. When all have failed, those
//! whose failure may pass are asked again ([`retry`]).
//!
//! A stream counts as answered only when its first *content* is in hand, so one that opens and then fails, or opens and
//! says nothing, still falls back, and the caller has seen none of it.
//!
//! ```text
//!   for each candidate, those that cool down last     targets.rs   what was learned of it
//!     may it be asked?                                skip.rs      residency, breaker, share, shape, time
//!     ask it, for so long                             deadline.rs  its clock, its share of the call's time
//!       nothing yet, and the task hedges?             race.rs      the next beside it
//!     it failed: what follows?                        failure.rs   the one table
//!   all failed, and some in a way that passes?        retry.rs     once more, after a pause, from a budget
//! ```
mod breaker;
mod budget;
pub mod deadline;
pub mod failure;
mod forms;
mod pace;
mod race;
mod retry;
mod share;
pub mod skip;
mod so_far;
pub mod targets;
mod window;

use crate::{
    bedrock::{Answer, Ask, Counted, ModelEvent, Models},
    config::Config,
    error::CallError,
    record::CallRecord,
    route::{Candidate, RoutePlan, Routes, Task},
    shape::{Asked, Form, Repair, Shaped},
};
use budget::Budgets;
use failure::{Failure, FailureKind};
use forms::{Attempt, Counting, On, Streamed, Whole};
use retry::Retries;
use share::Shares;
use skip::Skip;
use so_far::SoFar;
use std::sync::Arc;
use switchboard_proto::v1 as pb;
use targets::{Targets, Trial};
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
    /// How long Bedrock may be silent between two events.
    pub idle: std::time::Duration,
    /// To be told what becomes of it. Absent: it has been told.
    pub trial: Option<Trial>,
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

    fn left(&self) -> std::time::Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// The models, and what was learned from the calls before.
#[derive(Debug)]
pub struct Attempts<M> {
    models: M,
    targets: Arc<Targets>,
    retries: Retries,
    /// By [`Task::index`].
    hedges: Budgets,
    shares: Shares,
}

/// A candidate that is about to be asked.
struct Try<'a> {
    candidate: &'a Candidate,
    shaped: Shaped<'a>,
    trial: Trial,
    /// Who would be asked next, and so needs some of the time that is left. Absent: nobody.
    next: Option<&'a Candidate>,
    /// It is asked beside another one.
    hedge: bool,
}

/// An attempt that failed, and whose.
type Failed<'a> = (&'a Candidate, Failure);

// === impl Attempts ===

impl<M: Models> Attempts<M> {
    /// Attempts at the candidates of `routes`.
    #[must_use]
    pub fn new(models: M, config: &Config, routes: &Routes, targets: Arc<Targets>) -> Self {
        let hedges = Budgets::new(routes.tasks().count(), config.hedging.budget, config.hedging.refill);
        let (retries, shares) = (Retries::new(config.retry, routes), Shares::new(routes));
        Self { models, targets, retries, hedges, shares }
    }

    /// Asks for a whole answer.
    ///
    /// # Errors
    /// See [`Attempts::first_answer`].
    pub async fn whole(&self, call: &Call, record: &CallRecord) -> Result<Answer, CallError> {
        self.first_answer(call, record, &Whole, call.task().candidates.iter().collect()).await
    }

    /// Asks for an answer as it is generated.
    ///
    /// # Errors
    /// See [`Attempts::first_answer`].
    pub async fn streamed(&self, call: &Call, record: &CallRecord) -> Result<Begun<M::Events>, CallError> {
        self.first_answer(call, record, &Streamed, call.task().candidates.iter().collect()).await
    }

    /// The same once more, of models that this call has not asked yet.
    ///
    /// # Errors
    /// See [`Attempts::first_answer`].
    pub async fn streamed_anew(
        &self,
        call: &Call,
        record: &CallRecord,
    ) -> Result<Begun<M::Events>, CallError> {
        let asked = record.targets_asked();
        let others = call.task().candidates.iter().filter(|other| !asked.contains(&other.target));
        self.first_answer(call, record, &Streamed, others.collect()).await
    }

    /// Asks how many tokens `counted` has; the call's request is what it says of a conversation.
    ///
    /// # Errors
    /// See [`Attempts::first_answer`].
    pub async fn count(
        &self,
        call: &Call,
        record: &CallRecord,
        counted: &pb::CountTokensRequest,
    ) -> Result<Counted, CallError> {
        let counting = Counting(counted);
        let most = if counting.is_conversation() { usize::MAX } else { 1 };
        let candidates = call.task().candidates.iter().take(most).collect();
        self.first_answer(call, record, &counting, candidates).await
    }

    /// The loop.
    ///
    /// # Errors
    /// [`CallError::DeadlineExceeded`] when the call's deadline passes; [`CallError::NoEligibleModel`],
    /// [`CallError::NoHealthyModel`] and [`CallError::FallbackCapped`] when no candidate could be asked at all; else
    /// [`CallError::Failed`]: with the failure that stopped the plan, or with the one that tells most when all failed.
    async fn first_answer<'a, A: Attempt<M>>(
        &self,
        call: &'a Call,
        record: &CallRecord,
        attempt: &A,
        candidates: Vec<&'a Candidate>,
    ) -> Result<A::Reply, CallError> {
        let mut so_far = SoFar::default();
        let answered = self.rounds(call, record, attempt, candidates, &mut so_far).await;
        if !so_far.fell_back {
            self.shares.stayed(call.task());
        }
        answered?.ok_or_else(|| so_far.into_error(record))
    }

    /// Asks all, and those whose failure may pass again. `None`: all failed.
    async fn rounds<'a, A: Attempt<M>>(
        &self,
        call: &'a Call,
        record: &CallRecord,
        attempt: &A,
        candidates: Vec<&'a Candidate>,
        so_far: &mut SoFar<'a>,
    ) -> Result<Option<A::Reply>, CallError> {
        let mut candidates = self.targets.cooling_last(candidates);
        for rounds in 1.. {
            let answered = self.round(call, record, attempt, &candidates, so_far).await?;
            let again = || self.retries.again(rounds, &so_far.failures, call.left());
            let again = (answered.is_none() && call.may_retry).then(again).flatten();
            let Some((pause, passing)) = again else { return Ok(answered) };
            sleep(pause).await;
            candidates = passing;
        }
        Ok(None)
    }

    /// Asks each candidate once. `None`: all failed.
    async fn round<'a, A: Attempt<M>>(
        &self,
        call: &'a Call,
        record: &CallRecord,
        attempt: &A,
        candidates: &[&'a Candidate],
        so_far: &mut SoFar<'a>,
    ) -> Result<Option<A::Reply>, CallError> {
        let mut waiting = candidates;
        let mut failures = Vec::new();
        while let Some(next) = self.next(call, record, A::FORM, &mut waiting, so_far) {
            let hedge_after = call.task().hedge_after.filter(|_| !waiting.is_empty());
            let asked = match hedge_after {
                None => self.ask(call, record, attempt, next).await?,
                Some(after) => {
                    let others = race::Others { waiting: &mut waiting, so_far, failures: &mut failures };
                    // Boxed: a race has room for two attempts, which every call of every task would carry with it.
                    Box::pin(self.race(call, record, attempt, next, after, others)).await?
                }
            };
            match asked {
                Ok(reply) => return Ok(Some(reply)),
                Err(failed) => so_far.learn(failed, &mut failures)?,
            }
        }
        if !failures.is_empty() {
            so_far.failures = failures; // of a round in which nobody was asked, those of the round before stay
        }
        Ok(None)
    }

    /// The next candidate that may be asked; those before it that may not are skipped.
    fn next<'a>(
        &self,
        call: &'a Call,
        record: &CallRecord,
        form: Form,
        waiting: &mut &[&'a Candidate],
        so_far: &mut SoFar<'a>,
    ) -> Option<Try<'a>> {
        while let Some((candidate, others)) = waiting.split_first() {
            *waiting = others;
            match self.may_ask(call, record, form, candidate, so_far) {
                Ok((shaped, trial)) => {
                    let next = others.iter().find(|other| self.targets.is_passable(other)).copied();
                    return Some(Try { candidate, shaped, trial, next, hedge: false });
                }
                Err(skip) => {
                    record.skipped(candidate, &skip);
                    so_far.skips.push((candidate.shown_id.clone(), skip));
                }
            }
        }
        None
    }

    fn may_ask<'a>(
        &self,
        call: &'a Call,
        record: &CallRecord,
        form: Form,
        candidate: &Candidate,
        so_far: &mut SoFar<'a>,
    ) -> Result<(Shaped<'a>, Trial), Skip> {
        if let Some(skip) = Skip::for_residency(candidate) {
            return Err(skip);
        }
        let shaped = so_far.shape(call, form, candidate).map_err(Skip::Lacks)?;
        let left = call.left();
        if record.attempts() > 0
            && let Some(least) = self.targets.least(candidate, form).filter(|least| *least > left)
        {
            return Err(Skip::NoTime { left, least });
        }
        let trial = self.targets.begin(candidate, form).map_err(Skip::Unwell)?;
        let is_fallback = call.task().candidates.first().is_some_and(|first| first.name != candidate.name);
        if is_fallback && !so_far.fell_back {
            if !self.shares.fall_back(call.task()) {
                return Err(Skip::Capped);
            }
            so_far.fell_back = true;
        }
        Ok((shaped, trial))
    }

    /// Asks one candidate; once more without the parameter that it refuses, if that is what it says, and once more with
    /// new credentials, if those in use have expired. The outer error ends the call, the inner one the candidate.
    async fn ask<'a, A: Attempt<M>>(
        &self,
        call: &Call,
        record: &CallRecord,
        attempt: &A,
        asked: Try<'a>,
    ) -> Result<Result<A::Reply, Failed<'a>>, CallError> {
        let Try { candidate, mut shaped, mut trial, next, hedge } = asked;
        let (mut may_repair, mut may_renew) = (call.task().may_adjust, true);
        loop {
            let running = record.attempt(candidate, &shaped, A::FORM, hedge);
            let ask = Ask { request: &shaped.request, inference: &shaped.inference };
            let clock = self.clock(call, A::FORM, candidate, next);
            let on = On { models: &self.models, candidate, ask, clock };
            let began = Instant::now();
            let Ok(tried) = timeout_at(call.deadline, attempt.attempt(on)).await else {
                running.ran_out();
                return Err(CallError::DeadlineExceeded { attempts: record.attempts() });
            };
            let failure = match tried {
                Ok(mut reply) => {
                    running.answered(A::request_id(&reply));
                    trial.began_well(began.elapsed());
                    attempt.hand_over(&mut reply, trial);
                    self.retries.answered(candidate);
                    return Ok(Ok(reply));
                }
                Err(failure) => failure,
            };
            running.failed(&failure);
            if failure.kind == FailureKind::Invalid
                && std::mem::take(&mut may_repair)
                && let Some(repaired) = repaired(&failure, &shaped, candidate)
            {
                shaped = repaired;
                continue;
            }
            if failure.kind == FailureKind::ExpiredCredentials
                && std::mem::take(&mut may_renew)
                // Boxed: it is rare, and larger than all the rest of a call.
                && timeout_at(call.deadline, Box::pin(self.models.renew(candidate))).await == Ok(true)
            {
                continue;
            }
            if !failure.blames_request(&call.request) {
                trial.failed(&failure);
            }
            return Ok(Err((candidate, failure)));
        }
    }

    /// How long an attempt may take until there is something for the caller, and what it is when it takes longer.
    fn clock(
        &self,
        call: &Call,
        form: Form,
        candidate: &Candidate,
        next: Option<&Candidate>,
    ) -> deadline::Clock {
        let clock = match form {
            Form::Streamed => {
                deadline::Clock::new(candidate.deadline.first_content, FailureKind::FirstContentTimeout)
            }
            Form::Whole | Form::Counted => {
                deadline::Clock::new(candidate.deadline.attempt, FailureKind::AttemptTimeout)
            }
        };
        match next {
            None => clock,
            Some(next) => clock.leaving_time_for(self.targets.usual(next, form), call.left()),
        }
    }
}

fn repaired<'a>(failure: &Failure, shaped: &Shaped<'a>, candidate: &Candidate) -> Option<Shaped<'a>> {
    let repair = Repair::named_in(&failure.message)?;
    let repaired = shaped.repaired(repair)?;
    let model = &candidate.shown_id;
    tracing::warn!(model, ?repair, "the catalogue lacks what this model refuses");
    Some(repaired)
}
