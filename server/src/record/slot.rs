//! Where a call's record is while no code of ours works on the call.
//!
//! The edge begins the record and puts it into the request's extensions. The RPC claims it and, for a whole
//! answer, returns it, because the record ends only when the response has been read. What no RPC has claimed
//! by the time the response is there (a request that cannot be decoded, a call that was rejected) is ended at
//! the edge. A slot that is dropped with a record in it drops the record, which then says what became of the
//! call.
use super::CallRecord;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

/// The place of one record. Clones share it; extensions of requests and responses have to be `Clone`.
#[derive(Clone, Debug)]
pub(crate) struct RecordSlot(Arc<Mutex<Content>>);

#[derive(Debug)]
enum Content {
    /// No RPC has seen the call yet.
    Unclaimed(Box<CallRecord>),
    /// An RPC has the record, or it has ended.
    Empty,
    /// The RPC has returned it with a whole answer.
    Returned(Box<CallRecord>),
}

// === impl RecordSlot ===

impl RecordSlot {
    pub(crate) fn new(record: CallRecord) -> Self {
        Self(Arc::new(Mutex::new(Content::Unclaimed(Box::new(record)))))
    }

    /// Takes the record for an RPC. `None`: it was taken before.
    pub(crate) fn claim(&self) -> Option<CallRecord> {
        let mut content = self.content();
        match std::mem::replace(&mut *content, Content::Empty) {
            Content::Unclaimed(record) => Some(*record),
            other => {
                *content = other;
                None
            }
        }
    }

    /// Puts the record back until the response has been read.
    pub(crate) fn give_back(&self, record: CallRecord) {
        *self.content() = Content::Returned(Box::new(record));
    }

    /// Works on a returned record. `None`: there is none.
    pub(crate) fn with_returned<T>(&self, work: impl FnOnce(&mut CallRecord) -> T) -> Option<T> {
        match &mut *self.content() {
            Content::Returned(record) => Some(work(record)),
            _ => None,
        }
    }

    /// Drops a returned record, which ends it.
    pub(crate) fn drop_returned(&self) {
        let content = std::mem::replace(&mut *self.content(), Content::Empty);
        drop(content);
    }

    #[cfg(test)]
    pub(crate) fn downgrade(&self) -> std::sync::Weak<impl Sized + use<>> {
        Arc::downgrade(&self.0)
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock()
    }
}
