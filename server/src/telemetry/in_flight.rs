//! Number of calls that run, for each RPC.
use crate::rpc::Rpc;
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

/// The counts: one for each RPC, and one for unknown methods.
#[derive(Debug, Default)]
pub(super) struct InFlightCalls([AtomicI64; Rpc::ALL.len() + 1]);

/// One call, counted until dropped.
#[derive(Debug)]
pub(super) struct InFlight {
    calls: Arc<InFlightCalls>,
    rpc: Rpc,
}

// === impl InFlightCalls ===

impl InFlightCalls {
    pub(super) fn begin(self: &Arc<Self>, rpc: Rpc) -> InFlight {
        self.0[rpc.index()].fetch_add(1, Relaxed);
        InFlight { calls: Arc::clone(self), rpc }
    }

    /// The count of every RPC of the contract.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Rpc, i64)> {
        Rpc::ALL.into_iter().zip(self.0.iter().map(|count| count.load(Relaxed)))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.calls.0[self.rpc.index()].fetch_sub(1, Relaxed);
    }
}
