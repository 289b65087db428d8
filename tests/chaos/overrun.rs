//! The watch: a model may not work, nor be asked, for a call that has been over for more than a second.
use bedrock_sim::{CallLog, Handle};
use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::{Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long a model may still work for a call that is over.
const GRACE: Duration = Duration::from_secs(1);

const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Looks into the simulator's log of calls, which names ours by their labels.
#[derive(Debug)]
pub(crate) struct Watch {
    simulator: Handle,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When each call was over.
    over: HashMap<u32, Instant>,
    looked_last: Instant,
    /// The simulator's ids of the calls that were there at the last look or before.
    seen: HashSet<String>,
    /// Those of them that were complained of: once is enough.
    told: HashSet<String>,
    complaints: Vec<String>,
}

// === impl Watch ===

impl Watch {
    pub(crate) fn new(simulator: Handle) -> Self {
        let state = State {
            over: HashMap::new(),
            looked_last: Instant::now(),
            seen: HashSet::new(),
            told: HashSet::new(),
            complaints: Vec::new(),
        };
        Self { simulator, state: Mutex::new(state) }
    }

    /// The call has ended, or its caller has left.
    pub(crate) fn is_over(&self, number: u32) {
        self.state().over.insert(number, Instant::now());
    }

    pub(crate) async fn look_on(&self) -> Infallible {
        loop {
            sleep(BETWEEN_LOOKS).await;
            self.look();
        }
    }

    /// Looks once. Returns how many calls a model works on.
    pub(crate) fn look(&self) -> usize {
        let now = Instant::now();
        let calls = self.simulator.calls();
        let state = &mut *self.state();
        for call in &calls {
            state.judge(call, now);
        }
        state.looked_last = now;
        calls.iter().filter(|call| is_running(call)).count()
    }

    pub(crate) fn complaints(self) -> Vec<String> {
        self.state.into_inner().expect("is not poisoned").complaints
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
    fn judge(&mut self, call: &CallLog, now: Instant) {
        let label = call.body["requestMetadata"]["call"].as_str();
        let Some(number) = label.and_then(|label| label.parse().ok()) else { return };
        let is_new = self.seen.insert(call.request_id.clone());
        let Some(over) = self.over.get(&number).copied() else { return };
        let since = now.saturating_duration_since(over);
        let complaint = if is_running(call) && over + GRACE < now {
            format!("{} still works for call {number}, over since {since:.1?}", call.model)
        } else if is_new && over + GRACE < self.looked_last {
            format!("{} was asked for call {number}, over since {since:.1?}", call.model)
        } else {
            return;
        };
        if self.told.insert(call.request_id.clone()) {
            self.complaints.push(complaint);
        }
    }
}
