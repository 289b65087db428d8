//! Overruns: no model may work, or be called, for a call that ended more than a second ago.
use bedrock_sim::{CallLog, Handle};
use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::{Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Longest time that a model may work for a call after its end.
const GRACE: Duration = Duration::from_secs(1);

const INTERVAL: Duration = Duration::from_millis(200);

/// Checks the simulator's log of calls, in which each has the number of our call as a label.
#[derive(Debug)]
pub(crate) struct OverrunMonitor {
    simulator: Handle,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When each call ended.
    ended: HashMap<u32, Instant>,
    last_check: Instant,
    /// The simulator's ids of the calls that were in the log at the last check.
    known: HashSet<String>,
    /// The ids of calls that have been reported, so that each is reported once.
    reported: HashSet<String>,
    errors: Vec<String>,
}

// === impl Watch ===

impl OverrunMonitor {
    pub(crate) fn new(simulator: Handle) -> Self {
        let state = State {
            ended: HashMap::new(),
            last_check: Instant::now(),
            known: HashSet::new(),
            reported: HashSet::new(),
            errors: Vec::new(),
        };
        Self { simulator, state: Mutex::new(state) }
    }

    /// Notes that the call has ended, or that its caller has cancelled.
    pub(crate) fn call_ended(&self, number: u32) {
        self.state().ended.insert(number, Instant::now());
    }

    pub(crate) async fn watch(&self) -> Infallible {
        loop {
            sleep(INTERVAL).await;
            self.check();
        }
    }

    /// Checks once. Returns the number of calls that models work for.
    pub(crate) fn check(&self) -> usize {
        let now = Instant::now();
        let calls = self.simulator.calls();
        let state = &mut *self.state();
        for call in &calls {
            state.check(call, now);
        }
        state.last_check = now;
        calls.iter().filter(|call| is_running(call)).count()
    }

    pub(crate) fn errors(self) -> Vec<String> {
        self.state.into_inner().expect("is not poisoned").errors
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("is not poisoned")
    }
}

fn is_running(call: &CallLog) -> bool {
    !call.finished && !call.hung_up
}

// === impl State ===

impl State {
    fn check(&mut self, call: &CallLog, now: Instant) {
        let label = call.body["requestMetadata"]["call"].as_str();
        let Some(number) = label.and_then(|label| label.parse().ok()) else { return };
        let is_new = self.known.insert(call.request_id.clone());
        let Some(ended) = self.ended.get(&number).copied() else { return };
        let since = now.saturating_duration_since(ended);
        let error = if is_running(call) && ended + GRACE < now {
            format!("{} still works for call {number}, which ended {since:.1?} ago", call.model)
        } else if is_new && ended + GRACE < self.last_check {
            format!("{} was called for call {number}, which ended {since:.1?} ago", call.model)
        } else {
            return;
        };
        if self.reported.insert(call.request_id.clone()) {
            self.errors.push(error);
        }
    }
}
