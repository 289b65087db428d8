//! Restarting: another model from the beginning, after one broke off in the midst of its answer.
use crate::{
    attempt::{Attempts, Begun, Call, failure::Failure},
    bedrock::{ModelEvent, Models},
    record::CallRecord,
};
use std::{future::Future, pin::Pin, sync::Arc};
use switchboard_proto::v1::RestartEvent;

/// Asks another model; taken by the stream that needs it.
pub(crate) struct Anew<E>(Box<dyn FnOnce(CallRecord) -> Restarting<E> + Send>);

/// What came of it: the record back, and who answers now, with the right to do it once more. Absent: nobody does.
pub(super) type Restarted<E> = Option<(Begun<E>, Anew<E>)>;

/// Another model is being asked.
pub(super) struct Restarting<E>(Pin<Box<dyn Future<Output = (CallRecord, Restarted<E>)> + Send>>);

/// Who may be asked once more: the models of `call` that have not been. It ends, for each is asked only once.
pub(crate) fn anew<M: Models>(attempts: Arc<Attempts<M>>, call: Call) -> Anew<M::Events> {
    Anew(Box::new(move |record| {
        Restarting(Box::pin(async move {
            match attempts.streamed_anew(&call, &record).await {
                Ok(begun) => (record, Some((begun, anew(attempts, call)))),
                Err(error) => {
                    tracing::info!(error = %error, "no other model could begin anew");
                    (record, None)
                }
            }
        }))
    }))
}

/// What the caller is told before the other model's first event.
pub(super) fn told(failure: &Failure) -> ModelEvent {
    ModelEvent::Restart(RestartEvent { reason: failure.kind.row().reason.into() })
}

// === impl Anew ===

impl<E> Anew<E> {
    pub(super) fn begin(self, record: CallRecord) -> Restarting<E> {
        (self.0)(record)
    }
}

impl<E> std::fmt::Debug for Anew<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Anew") // never the prompt
    }
}

// === impl Restarting ===

impl<E> Restarting<E> {
    pub(super) fn as_mut(&mut self) -> Pin<&mut (dyn Future<Output = (CallRecord, Restarted<E>)> + Send)> {
        self.0.as_mut()
    }
}

impl<E> std::fmt::Debug for Restarting<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Restarting")
    }
}
