//! Attempts: one candidate after the other until one answers.
//!
//! The loop is the whole policy: a failure that the next candidate would share stops it, any other lets it go
//! on, and the call's deadline ends it at any point. Each candidate gets the request in the shape that it
//! accepts. One that cannot serve it, or may not be called now, is skipped, with its reason in the route.
//! When all have failed, those whose failure may pass are called again ([`retry`]).
//!
//! A stream counts as answered only when its first *content* is there. One that opens and then fails, or
//! opens and sends nothing, still falls back, and the caller has seen none of it.
//!
//! ```text
//!   for each candidate, those that cool down last    queue.rs      the order, from what was learned of each
//!     may it be called?                               Session::next residency, breaker, fallback cap, shape, time
//!     call it, for so long                            deadline.rs   its timeout, its share of the call's time
//!       no content yet, and the task hedges?          hedge.rs      the next one in parallel
//!     it failed: what follows?                        failure.rs    the only table
//!   all failed, and some in a way that may pass?      retry.rs      once more, after a pause, from a budget
//! ```
pub mod deadline;
mod guard;
mod hedge;
mod min_throughput;
mod operation;
mod progress;
mod queue;
mod retry;

pub(crate) use guard::AttemptGuard;
pub(crate) use queue::order;

use crate::{
    deployment::BreakerPermit,
    error::CallError,
    failure::{Failure, FailureKind},
    model::{Answer, Counted, ModelEvent, ModelRequest, Models},
    record::CallRecord,
    route::{Candidate, RoutePlan, Skip, Task},
    rpc::Method,
    shape::{Repair, ShapeInput, Shaped},
    snapshot::Snapshot,
};
use operation::{AttemptContext, CountTokens, Operation, Stream, Unary};
use progress::Progress;
use queue::{Next, Queue};
use std::{sync::Arc, time::Duration};
use switchboard_proto::v1 as pb;
use tokio::time::{Instant, sleep, timeout_at};

/// A request that has been validated, and what will be tried for it.
#[derive(Debug)]
pub struct Call {
    request: pb::ConverseRequest,
    inference: pb::InferenceConfiguration,
    plan: RoutePlan,
    /// The configuration with which the call started.
    snapshot: Arc<Snapshot>,
    deadline: Instant,
    may_retry: bool,
}

/// A stream whose first content is there: nothing that comes after can fall back.
#[derive(Debug)]
pub struct Begun<E> {
    /// The events up to the first content.
    pub head: Vec<ModelEvent>,
    /// The events after it.
    pub rest: E,
    /// Bedrock's id of the request.
    pub request_id: String,
    /// Longest pause between two events.
    pub idle: Duration,
}

/// A reply and the attempt that gave it, which has not ended yet.
pub(crate) type Answered<R> = (R, AttemptGuard);

/// A failed attempt, and its candidate.
type Failed<'a> = (&'a Candidate, Failure);

/// Result of one attempt.
type Attempted<'a, R> = Result<Answered<R>, Failed<'a>>;

// === impl Call ===

impl Call {
    /// A call that ends at `deadline` at the latest. `may_retry` is false for one that its caller has tried
    /// before: retries of two layers multiply.
    #[must_use]
    pub fn new(
        mut request: pb::ConverseRequest,
        plan: RoutePlan,
        snapshot: Arc<Snapshot>,
        deadline: Instant,
        may_retry: bool,
    ) -> Self {
        let inference = request.inference_config.take().unwrap_or_default();
        Self { request, inference, plan, snapshot, deadline, may_retry }
    }

    /// Latest end of the call.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The task that serves it.
    #[must_use]
    pub fn task(&self) -> &Task {
        &self.plan.task
    }

    fn shape_input(&self, method: Method) -> ShapeInput<'_> {
        ShapeInput { task: self.task(), request: &self.request, inference: &self.inference, method }
    }

    fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.plan.candidates.iter()
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Makes attempts at models.
#[derive(Debug)]
pub struct Attempts<M> {
    models: M,
}

// === impl Attempts ===

impl<M: Models> Attempts<M> {
    /// Attempts at these models.
    #[must_use]
    pub fn new(models: M) -> Self {
        Self { models }
    }

    /// Requests a whole answer.
    ///
    /// # Errors
    /// See [`Session::run`].
    pub(crate) async fn unary(
        &self,
        call: &Call,
        record: &CallRecord,
    ) -> Result<Answered<Answer>, CallError> {
        self.session(call, record, &Unary).run(call.candidates().collect()).await
    }

    /// Requests an answer as it is generated.
    ///
    /// # Errors
    /// See [`Session::run`].
    pub(crate) async fn stream(
        &self,
        call: &Call,
        record: &CallRecord,
    ) -> Result<Answered<Begun<M::Events>>, CallError> {
        self.session(call, record, &Stream).run(call.candidates().collect()).await
    }

    /// Requests another stream, from models that this call has not called yet.
    ///
    /// # Errors
    /// See [`Session::run`].
    pub(crate) async fn restart(
        &self,
        call: &Call,
        record: &CallRecord,
    ) -> Result<Answered<Begun<M::Events>>, CallError> {
        let others = call.candidates().filter(|other| !record.has_called(other)).collect();
        self.session(call, record, &Stream).run(others).await
    }

    /// Counts the tokens of `counted`; the call's request is its conversation.
    ///
    /// # Errors
    /// See [`Session::run`].
    pub(crate) async fn count(
        &self,
        call: &Call,
        record: &CallRecord,
        counted: &pb::CountTokensRequest,
    ) -> Result<Answered<Counted>, CallError> {
        let count = CountTokens(counted);
        let most = if count.is_conversation() { usize::MAX } else { 1 };
        self.session(call, record, &count).run(call.candidates().take(most).collect()).await
    }

    fn session<'a, O: Operation<M>>(
        &'a self,
        call: &'a Call,
        record: &'a CallRecord,
        operation: &'a O,
    ) -> Session<'a, M, O> {
        let context = Context { models: &self.models, call, record, operation };
        Session { context, progress: Progress::default(), queue: Queue::new(Vec::new()) }
    }
}

/// The attempts of one call.
struct Session<'a, M, O> {
    context: Context<'a, M, O>,
    progress: Progress<'a>,
    queue: Queue<'a>,
}

/// What all attempts of a call share.
struct Context<'a, M, O> {
    models: &'a M,
    call: &'a Call,
    record: &'a CallRecord,
    operation: &'a O,
}

/// A candidate that is about to be called.
struct PlannedAttempt<'a> {
    candidate: &'a Candidate,
    shaped: Shaped<'a>,
    permit: BreakerPermit,
    /// The candidate that would be called next, and so needs some of the time that is left. Absent: none.
    next: Option<&'a Candidate>,
    /// True if it runs in parallel to another attempt.
    hedge: bool,
}

// === impl Session ===

impl<'a, M: Models, O: Operation<M>> Session<'a, M, O> {
    /// The loop.
    ///
    /// # Errors
    /// [`CallError::DeadlineExceeded`] when the call's deadline passes; [`CallError::NoEligibleModel`],
    /// [`CallError::NoHealthyModel`] and [`CallError::FallbackCapped`] when no candidate could be called at
    /// all; else [`CallError::Failed`]: with the failure that stopped the plan, or with the most useful one
    /// when all failed.
    async fn run(mut self, candidates: Vec<&'a Candidate>) -> Result<Answered<O::Reply>, CallError> {
        let answered = self.rounds(candidates).await;
        let task = self.context.call.task();
        if !self.progress.fell_back {
            task.state().stayed(task.max_fallback_share);
        }
        answered?.ok_or_else(|| self.progress.into_error(self.context.record))
    }

    /// Calls all candidates, and those with a transient failure again. `None`: all failed.
    async fn rounds(
        &mut self,
        mut candidates: Vec<&'a Candidate>,
    ) -> Result<Option<Answered<O::Reply>>, CallError> {
        let Context { call, .. } = self.context;
        for rounds in 1.. {
            self.queue = Queue::new(candidates);
            let answered = self.round().await?;
            self.progress.end_round();
            if answered.is_some() || !call.may_retry {
                return Ok(answered);
            }
            let again = retry::next_round(&call.snapshot.retry, rounds, &self.progress.failures, call.left());
            let Some((pause, transient)) = again else { return Ok(None) };
            sleep(pause).await;
            candidates = transient;
        }
        Ok(None)
    }

    /// Calls each candidate of the queue once. `None`: all failed.
    async fn round(&mut self) -> Result<Option<Answered<O::Reply>>, CallError> {
        while let Some(next) = self.next() {
            let hedge_after = self.context.call.task().hedge_after.filter(|_| !self.queue.is_empty());
            let attempted = match hedge_after {
                None => self.context.attempt(next).await?,
                // Boxed: a hedge has room for two attempts, which every call of every task would carry with
                // it.
                Some(hedge_after) => Box::pin(self.hedged(next, hedge_after)).await?,
            };
            match attempted {
                Ok(answered) => return Ok(Some(answered)),
                Err(failed) => self.progress.note(failed)?,
            }
        }
        Ok(None)
    }

    /// The next candidate that may be called. Those before it that may not are skipped.
    fn next(&mut self) -> Option<PlannedAttempt<'a>> {
        loop {
            let (candidate, skip) = match self.queue.next()? {
                Next::Defer(candidate, skip) => (candidate, skip),
                Next::Try(candidate) => match self.plan(candidate) {
                    Ok((shaped, permit)) => {
                        let next = self.queue.peek_available();
                        return Some(PlannedAttempt { candidate, shaped, permit, next, hedge: false });
                    }
                    Err(skip) => (candidate, skip),
                },
            };
            self.context.record.skipped(candidate, &skip);
            self.progress.skipped(candidate, skip);
        }
    }

    /// The shaped request and the permit for a candidate, or why it is skipped.
    fn plan(&mut self, candidate: &'a Candidate) -> Result<(Shaped<'a>, BreakerPermit), Skip> {
        let Context { call, record, .. } = self.context;
        if let Some(skip) = Skip::for_residency(candidate) {
            return Err(skip);
        }
        let shaped = self.progress.shape(call, O::METHOD, candidate).map_err(Skip::Lacks)?;
        let left = call.left();
        if record.attempts() > 0
            && let Some(fastest) =
                candidate.deployment.fastest_latency(O::METHOD).filter(|fastest| *fastest > left)
        {
            return Err(Skip::NoTime { left, fastest });
        }
        let permit = candidate.deployment.acquire(O::METHOD).map_err(Skip::BreakerOpen)?;
        if call.plan.is_fallback(candidate) && !self.progress.fell_back {
            if !call.task().state().may_fall_back(call.task().max_fallback_share) {
                return Err(Skip::FallbackCapped);
            }
            self.progress.fell_back = true;
        }
        Ok((shaped, permit))
    }
}

// === impl Context ===

impl<M, O> Clone for Context<'_, M, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M, O> Copy for Context<'_, M, O> {}

impl<'a, M: Models, O: Operation<M>> Context<'a, M, O> {
    /// Calls one candidate; once more without the parameter that it refuses, and once more with new
    /// credentials if those in use have expired. The outer error ends the call, the inner one the candidate.
    async fn attempt(self, planned: PlannedAttempt<'a>) -> Result<Attempted<'a, O::Reply>, CallError> {
        let PlannedAttempt { candidate, mut shaped, mut permit, next, hedge } = planned;
        let (mut may_repair, mut may_renew) = (self.call.task().may_adjust, true);
        loop {
            let mut guard =
                AttemptGuard::new(self.record.attempt(candidate, &shaped, O::METHOD, hedge), permit);
            let failure = match self.call_model(candidate, &shaped, next).await {
                None => {
                    guard.deadline_exceeded();
                    return Err(CallError::DeadlineExceeded { attempts: self.record.attempts() });
                }
                Some(Ok(reply)) => {
                    guard.answered(O::request_id(&reply));
                    candidate.deployment.retries().deposit();
                    return Ok(Ok((reply, guard)));
                }
                Some(Err(failure)) => failure,
            };
            permit = guard.end(&failure);
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
                && timeout_at(self.call.deadline, Box::pin(self.models.renew(candidate))).await == Ok(true)
            {
                continue;
            }
            if !failure.blames_request(&self.call.request) {
                permit.failed(&failure);
            }
            return Ok(Err((candidate, failure)));
        }
    }

    /// One request to one model. `None`: the call's deadline passed.
    async fn call_model(
        self,
        candidate: &Candidate,
        shaped: &Shaped<'_>,
        next: Option<&Candidate>,
    ) -> Option<Result<O::Reply, Failure>> {
        let context = AttemptContext {
            models: self.models,
            candidate,
            request: ModelRequest { request: &shaped.request, inference: &shaped.inference },
            timeout: self.timeout(candidate, next),
        };
        timeout_at(self.call.deadline, self.operation.run(context)).await.ok()
    }

    /// Time for an attempt until there is something for the caller.
    fn timeout(self, candidate: &Candidate, next: Option<&Candidate>) -> deadline::Timeout {
        let timeouts = &candidate.deadline;
        let timeout = match O::METHOD {
            Method::ConverseStream => {
                deadline::Timeout::new(timeouts.first_content, FailureKind::FirstContentTimeout)
            }
            Method::Converse | Method::CountTokens => {
                deadline::Timeout::new(timeouts.attempt, FailureKind::AttemptTimeout)
            }
        };
        match next {
            None => timeout,
            Some(next) => {
                timeout.leaving_time_for(next.deployment.typical_latency(O::METHOD), self.call.left())
            }
        }
    }
}

fn repaired<'a>(failure: &Failure, shaped: &Shaped<'a>, candidate: &Candidate) -> Option<Shaped<'a>> {
    let repair = Repair::named_in(&failure.message)?;
    let repaired = shaped.repaired(repair)?;
    let model = &candidate.deployment.shown_id;
    tracing::warn!(model, ?repair, "the model refused a parameter that the catalogue allows");
    Some(repaired)
}
