//! The registry: what carries learned state from one snapshot of the configuration to the next.
//!
//! State belongs to an identity, never to a position in a list: a deployment is the same one after a reload
//! if endpoint, region, model id and service tier are the same, and a task if its name is. What no snapshot
//! and no running call holds any more is forgotten.
use super::{Deployment, Key, State, TaskState, labels::Labels};
use crate::config::{self, Force};
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};
use tokio::sync::watch;

/// Learned state by identity. Clones share it.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    known: Mutex<Known>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Known {
    states: HashMap<Key, Weak<State>>,
    tasks: HashMap<String, Weak<TaskState>>,
    /// Series ids by what distinguishes their labels. They are never reused, so that a series keeps its
    /// meaning.
    series: HashMap<(Key, String), u64>,
    task_series: HashMap<String, u64>,
}

/// Settings that apply to all deployments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policies {
    pub(crate) breaker: config::Breaker,
    pub(crate) retry: config::Retry,
}

// === impl Registry ===

impl Default for Registry {
    fn default() -> Self {
        Self(Arc::new(Inner { known: Mutex::default(), changes: watch::Sender::new(()) }))
    }
}

impl Registry {
    /// The deployment `key` under its name in the configuration, with the state that is known of it.
    pub(crate) fn deployment(
        &self,
        key: Key,
        name: &str,
        shown_id: &str,
        force: Force,
        policies: Policies,
    ) -> Arc<Deployment> {
        let mut known = self.known();
        let state = match known.states.get(&key).and_then(Weak::upgrade) {
            Some(state) => {
                state.apply(policies);
                state
            }
            None => {
                let state = Arc::new(State::new(policies, self.0.changes.clone()));
                known.states.retain(|_, state| state.strong_count() > 0);
                known.states.insert(key.clone(), Arc::downgrade(&state));
                state
            }
        };
        let next = known.series.len() as u64;
        let series = *known.series.entry((key.clone(), name.to_owned())).or_insert(next);
        let labels = Labels::new(&key, name, shown_id);
        Arc::new(Deployment {
            name: name.to_owned(),
            shown_id: shown_id.to_owned(),
            key,
            force,
            labels,
            series,
            state,
        })
    }

    /// The state of the task `name`.
    pub(crate) fn task(&self, name: &str, hedging: config::Hedging) -> Arc<TaskState> {
        let mut known = self.known();
        if let Some(state) = known.tasks.get(name).and_then(Weak::upgrade) {
            state.hedges.resize(hedging.budget, hedging.refill);
            return state;
        }
        let next = known.task_series.len() as u64;
        let series = *known.task_series.entry(name.to_owned()).or_insert(next);
        let state = Arc::new(TaskState::new(name, series, hedging));
        known.tasks.retain(|_, state| state.strong_count() > 0);
        known.tasks.insert(name.to_owned(), Arc::downgrade(&state));
        state
    }

    /// Notifies of every change of a breaker's state.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock()
    }
}
