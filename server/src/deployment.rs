//! Deployments: a model id in a region and a service tier, and what this process has measured of it.
//!
//! A [`Deployment`] is held by the candidates that call it; its [`State`] (circuit breaker, latency
//! estimates, retry budget) is shared by every snapshot of the configuration that names the same identity
//! ([`registry`]).
mod breaker;
mod budget;
mod labels;
mod latency;
mod registry;
mod task_state;
mod window;

pub use registry::Registry;

pub(crate) use labels::Labels;
pub(crate) use registry::Policies;
pub(crate) use task_state::TaskState;

use crate::{
    config::Force,
    failure::{Failure, HealthEffect},
    rpc::Method,
};
use breaker::{Breaker, Permit};
use budget::Budget;
use latency::LatencyEstimate;
use parking_lot::{Mutex, MutexGuard};
use std::{sync::Arc, time::Duration};
use switchboard_proto::v1::{self as pb, BreakerState};
use tokio::{sync::watch, time::Instant};
use window::Counts;

/// Identity of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The configured endpoint. Absent: the region's own.
    pub endpoint: Option<String>,
    /// The region to call.
    pub region: String,
    /// The model id that Bedrock is given. It may be an ARN with an account in it: not for logs, traces and
    /// callers.
    pub model_id: String,
    /// The service tier to request. Absent: the caller's, or Bedrock's default.
    pub service_tier: Option<String>,
}

/// A model id in a region and a service tier.
#[derive(Debug)]
pub struct Deployment {
    /// The model's name in the configuration.
    pub name: String,
    /// The model id without an account.
    pub shown_id: String,
    /// The identity.
    pub key: Key,
    /// The operator's override of the breaker.
    pub force: Force,
    labels: Labels,
    series: u64,
    state: Arc<State>,
}

/// What this process has measured of a deployment.
#[derive(Debug)]
struct State {
    measurements: Mutex<Measurements>,
    retries: Budget,
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct Measurements {
    breaker: Breaker,
    slow_after: Option<Duration>,
    /// By [`Method::index`].
    latency: [LatencyEstimate; Method::ALL.len()],
}

/// The right to make one attempt. Dropped without a result it says nothing of the model, but a probe is
/// returned.
#[derive(Debug)]
pub(crate) struct BreakerPermit {
    deployment: Arc<Deployment>,
    method: Method,
    is_probe: bool,
    is_slow: bool,
}

// === impl Deployment ===

impl Deployment {
    /// Starts an attempt.
    ///
    /// # Errors
    /// When the breaker rejects it: until when. Absent: until the configuration changes.
    pub(crate) fn acquire(self: &Arc<Self>, method: Method) -> Result<BreakerPermit, Option<Instant>> {
        let is_probe =
            match self.update(|measurements| measurements.breaker.acquire(Instant::now(), self.force)) {
                Permit::Allowed => false,
                Permit::Probe => true,
                Permit::Rejected(until) => return Err(until),
            };
        Ok(BreakerPermit { deployment: Arc::clone(self), method, is_probe, is_slow: false })
    }

    /// True if an attempt could start now.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.measurements().breaker.is_available(Instant::now(), self.force)
    }

    /// Remaining cool-down. Absent: none.
    #[must_use]
    pub fn cools_down_for(&self) -> Option<Duration> {
        self.measurements().breaker.cools_down_for(Instant::now(), self.force)
    }

    /// Time until an open breaker lets a probe through. Absent: the breaker is not open by its own state.
    #[must_use]
    pub fn reopens_in(&self) -> Option<Duration> {
        self.measurements().breaker.reopens_in(Instant::now(), self.force)
    }

    /// Time within which most answers come. Absent: there was no answer yet.
    pub(crate) fn typical_latency(&self, method: Method) -> Option<Duration> {
        self.measurements().latency[method.index()].typical()
    }

    /// Time below which no recent answer came. Absent: there was no answer yet.
    pub(crate) fn fastest_latency(&self, method: Method) -> Option<Duration> {
        self.measurements().latency[method.index()].fastest()
    }

    /// State of the breaker.
    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        self.measurements().breaker.state(self.force)
    }

    /// Everything that `ExplainRoute` shows.
    #[must_use]
    pub fn health(&self) -> pb::CandidateHealth {
        let now = Instant::now();
        let mut measurements = self.measurements();
        let Counts { all, bad, slow } = measurements.breaker.counts(now);
        let pb = |time: Option<Duration>| time.and_then(|time| time.try_into().ok());
        let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        let typical = |method: Method| measurements.latency[method.index()].typical();
        pb::CandidateHealth {
            breaker: measurements.breaker.state(self.force).into(),
            reopens_in: pb(measurements.breaker.reopens_in(now, self.force)),
            cools_down_for: pb(measurements.breaker.cools_down_for(now, self.force)),
            attempts: count(all),
            failed: count(bad),
            slow: count(slow),
            usual_first_content: pb(typical(Method::ConverseStream)),
            usual_answer: pb(typical(Method::Converse)),
        }
    }

    /// Budget for retries of this deployment.
    pub(crate) fn retries(&self) -> &Budget {
        &self.state.retries
    }

    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Identifies the deployment's metric series: equal for deployments with equal labels, in every snapshot.
    pub(crate) fn series(&self) -> u64 {
        self.series
    }

    fn measurements(&self) -> MutexGuard<'_, Measurements> {
        self.state.measurements.lock()
    }

    fn update<T>(&self, update: impl FnOnce(&mut Measurements) -> T) -> T {
        let (before, updated, after) = {
            let mut measurements = self.measurements();
            let before = measurements.breaker.state(self.force);
            let updated = update(&mut measurements);
            (before, updated, measurements.breaker.state(self.force))
        };
        if before != after {
            let (before, after) = (state_name(before), state_name(after));
            let Key { region, service_tier, .. } = &self.key;
            tracing::warn!(model = self.name, region, service_tier, before, after, "breaker changed");
            self.state.changes.send_replace(());
        }
        updated
    }
}

/// The state's name without its prefix.
#[must_use]
pub fn state_name(state: BreakerState) -> &'static str {
    state.as_str_name().trim_start_matches("BREAKER_STATE_")
}

// === impl State ===

impl State {
    fn new(policies: Policies, changes: watch::Sender<()>) -> Self {
        let Policies { breaker, retry } = policies;
        let measurements = Measurements {
            breaker: Breaker::new(breaker),
            slow_after: breaker.slow_after,
            latency: Default::default(),
        };
        Self {
            measurements: Mutex::new(measurements),
            retries: Budget::new(retry.budget, retry.refill),
            changes,
        }
    }

    /// Applies changed settings and keeps the measurements.
    fn apply(&self, policies: Policies) {
        let Policies { breaker, retry } = policies;
        let mut measurements = self.measurements.lock();
        measurements.breaker.set_policy(breaker);
        measurements.slow_after = breaker.slow_after;
        self.retries.resize(retry.budget, retry.refill);
    }
}

// === impl BreakerPermit ===

impl BreakerPermit {
    /// Records how long the whole answer, or the first content of a stream, took. Closes a half-open breaker.
    pub(crate) fn answered(&mut self, took: Duration) {
        let was_probe = std::mem::take(&mut self.is_probe);
        let index = self.method.index();
        self.is_slow = self.deployment.update(|measurements| {
            measurements.latency[index].record(took);
            if was_probe {
                measurements.breaker.probe_succeeded();
            }
            measurements.slow_after.is_some_and(|limit| took >= limit)
        });
    }

    /// Records that the answer was complete.
    pub(crate) fn completed(self) {
        let is_slow = self.is_slow;
        self.deployment.update(|measurements| measurements.breaker.succeeded(Instant::now(), is_slow));
    }

    /// Records a failure, as far as it says something about the model's health.
    pub(crate) fn failed(mut self, failure: &Failure) {
        let effect = failure.kind.row().health;
        if effect == HealthEffect::None {
            return;
        }
        let (now, was_probe) = (Instant::now(), std::mem::take(&mut self.is_probe));
        self.deployment.update(|measurements| {
            let breaker = &mut measurements.breaker;
            match effect {
                HealthEffect::None => {}
                HealthEffect::Failure if was_probe => breaker.probe_failed(now),
                HealthEffect::Failure => breaker.failed(now),
                HealthEffect::Throttled => breaker.throttled(now, failure.retry_after),
                HealthEffect::QuotaExhausted => breaker.quota_exhausted(now),
            }
            if was_probe && matches!(effect, HealthEffect::Throttled | HealthEffect::QuotaExhausted) {
                breaker.probe_succeeded(); // a throttled model is reachable
            }
        });
    }
}

impl Drop for BreakerPermit {
    fn drop(&mut self) {
        if self.is_probe {
            self.deployment
                .update(|measurements| measurements.breaker.probe_was_inconclusive(Instant::now()));
        }
    }
}
