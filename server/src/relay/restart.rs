//! Stream restart: another model from the beginning, after one failed during its answer.
use crate::{
    attempt::{Answered, Attempts, Begun, Call},
    failure::Failure,
    model::{ModelEvent, Models},
    record::CallRecord,
};
use std::{fmt, future::Future, pin::Pin, sync::Arc};
use switchboard_proto::v1::RestartEvent;

/// Starts another model; taken by the stream that needs it.
pub(crate) struct Restart<E>(Box<dyn FnOnce(CallRecord) -> Restarting<E> + Send>);

/// Result of a restart, with the right to restart once more. `None`: no other model answered.
pub(super) type Restarted<E> = Option<(Answered<Begun<E>>, Restart<E>)>;

/// A restart that is running. It gives the record back.
pub(super) struct Restarting<E>(Pin<Box<dyn Future<Output = (CallRecord, Restarted<E>)> + Send>>);

/// Restarts `call` at the models that it has not called yet. The chain of restarts ends, for each model is
/// called only once.
pub(crate) fn restart<M: Models>(attempts: Arc<Attempts<M>>, call: Call) -> Restart<M::Events> {
    Restart(Box::new(move |record| {
        Restarting(Box::pin(async move {
            match attempts.restart(&call, &record).await {
                Ok(answered) => (record, Some((answered, restart(attempts, call)))),
                Err(error) => {
                    tracing::info!(error = %error, "no other model could restart the stream");
                    (record, None)
                }
            }
        }))
    }))
}

/// The event that tells the caller to discard what it has received.
pub(super) fn event(failure: &Failure) -> ModelEvent {
    ModelEvent::Restart(RestartEvent { reason: failure.kind.row().reason.into() })
}

// === impl Restart ===

impl<E> Restart<E> {
    pub(super) fn begin(self, record: CallRecord) -> Restarting<E> {
        (self.0)(record)
    }
}

impl<E> fmt::Debug for Restart<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Restart") // never the prompt
    }
}

// === impl Restarting ===

impl<E> Restarting<E> {
    pub(super) fn as_mut(&mut self) -> Pin<&mut (dyn Future<Output = (CallRecord, Restarted<E>)> + Send)> {
        self.0.as_mut()
    }
}

impl<E> fmt::Debug for Restarting<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Restarting")
    }
}
