//! Hedging: the next candidate beside one that has not answered for long.
//!
//! The first with an answer wins; the other is dropped, which ends it at Bedrock too. Both are billed and both take of the
//! account's quota, so only tasks that ask for it are hedged, and all calls of such a task share a budget.
use super::{Attempts, Call, Failed, SoFar, Try, forms::Attempt};
use crate::{bedrock::Models, error::CallError, record::CallRecord, route::Candidate};
use std::{pin::pin, time::Duration};
use tokio::time::sleep;

/// Who else may be asked, and what was learned so far.
pub(super) struct Others<'c, 'q, 's> {
    pub(super) waiting: &'q mut &'s [&'c Candidate],
    pub(super) so_far: &'q mut SoFar<'c>,
    pub(super) failures: &'q mut Vec<Failed<'c>>,
}

impl<M: Models> Attempts<M> {
    /// Asks a candidate and, when it has given nothing after `after`, the next one beside it.
    ///
    /// The outer error ends the call; the inner one is the failure of whichever failed last, the other's is noted.
    pub(super) async fn race<'c, A: Attempt<M>>(
        &self,
        call: &'c Call,
        record: &CallRecord,
        attempt: &A,
        first: Try<'c>,
        after: Duration,
        others: Others<'c, '_, '_>,
    ) -> Result<Result<A::Reply, Failed<'c>>, CallError> {
        let task = call.task();
        let mut first = pin!(self.ask(call, record, attempt, first));
        tokio::select! {
            biased;
            asked = &mut first => {
                if let Ok(Ok(_)) = asked {
                    self.hedges.refill(task.index);
                }
                return asked;
            }
            () = sleep(after) => {}
        }
        if !self.hedges.pay(task.index) {
            return first.await;
        }
        let Some(second) = self.next(call, record, A::FORM, others.waiting, others.so_far) else {
            return first.await;
        };
        let mut second = pin!(self.ask(call, record, attempt, Try { hedge: true, ..second }));
        let (failed, first_is_left) = tokio::select! {
            biased;
            asked = &mut first => match asked? {
                Ok(reply) => return Ok(Ok(reply)),
                Err(failed) => (failed, false),
            },
            asked = &mut second => match asked? {
                Ok(reply) => return Ok(Ok(reply)),
                Err(failed) => (failed, true),
            },
        };
        others.so_far.learn(failed, others.failures)?;
        if first_is_left { first.await } else { second.await }
    }
}
