//! Hedging: the next candidate in parallel to one that has not answered yet.
//!
//! The first answer wins. The other attempt is dropped, which cancels it at Bedrock too. Both are billed and
//! both draw on the account's quota, so only tasks that ask for it are hedged, and all calls of such a task
//! share a budget.
use super::{Attempted, PlannedAttempt, Session, operation::Operation};
use crate::{error::CallError, model::Models};
use std::{pin::pin, time::Duration};
use tokio::time::sleep;

impl<'a, M: Models, O: Operation<M>> Session<'a, M, O> {
    /// Calls a candidate and, when it has sent nothing after `hedge_after`, the next one in parallel.
    ///
    /// The outer error ends the call. The inner one is the failure of the attempt that failed last; the other
    /// failure is noted.
    pub(super) async fn hedged(
        &mut self,
        first: PlannedAttempt<'a>,
        hedge_after: Duration,
    ) -> Result<Attempted<'a, O::Reply>, CallError> {
        let context = self.context;
        let hedges = &context.call.task().state().hedges;
        let mut first = pin!(context.attempt(first));
        tokio::select! {
            biased;
            attempted = &mut first => {
                if let Ok(Ok(_)) = attempted {
                    hedges.deposit();
                }
                return attempted;
            }
            () = sleep(hedge_after) => {}
        }
        if !hedges.withdraw() {
            return first.await;
        }
        let Some(second) = self.next() else { return first.await };
        let mut second = pin!(context.attempt(PlannedAttempt { hedge: true, ..second }));
        let (failed, is_first_running) = tokio::select! {
            biased;
            attempted = &mut first => match attempted? {
                Ok(answered) => return Ok(Ok(answered)),
                Err(failed) => (failed, false),
            },
            attempted = &mut second => match attempted? {
                Ok(answered) => return Ok(Ok(answered)),
                Err(failed) => (failed, true),
            },
        };
        self.progress.note(failed)?;
        if is_first_running { first.await } else { second.await }
    }
}
