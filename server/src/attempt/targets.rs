//! What is learned of each model from the calls before: whether it may be asked, and how long it takes.
//!
//! Every attempt is a [`Trial`]. It is told what became of it; a trial that is dropped untold (the caller left, another
//! model was faster) says nothing of the model, but gives back the right to look that it may hold.
use super::{
    breaker::{Breaker, Gate},
    failure::{Failure, Says},
    pace::Pace,
    window::Counts,
};
use crate::{
    config,
    route::{Candidate, Routes, Target},
    shape::Form,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use switchboard_proto::v1::{self as pb, BreakerState};
use tokio::{sync::watch, time::Instant};

/// What is known of every target.
#[derive(Debug)]
pub struct Targets {
    all: Box<[(Target, Mutex<Learned>)]>,
    slow_after: Option<Duration>,
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct Learned {
    breaker: Breaker,
    /// Of [`Form::Whole`], [`Form::Streamed`] and [`Form::Counted`].
    paces: [Pace; 3],
}

/// One attempt, as far as its model's health goes.
#[derive(Debug)]
pub struct Trial {
    targets: Arc<Targets>,
    target: usize,
    form: Form,
    /// It is the one call that looks whether the model is well again.
    probe: bool,
    slow: bool,
}

// === impl Targets ===

impl Targets {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(policy: config::Breaker, routes: &Routes) -> Self {
        let learned = |target: &Target| Learned {
            breaker: Breaker::new(policy, target.force),
            paces: Default::default(),
        };
        let all =
            routes.targets().iter().map(|target| (target.clone(), Mutex::new(learned(target)))).collect();
        Self { all, slow_after: policy.slow_after, changes: watch::Sender::new(()) }
    }

    /// Begins an attempt.
    ///
    /// # Errors
    /// When the model is not to be asked: until when. Absent: nobody knows.
    pub(super) fn begin(
        self: &Arc<Self>,
        candidate: &Candidate,
        form: Form,
    ) -> Result<Trial, Option<Instant>> {
        let gate = self.change(candidate.target, |learned| learned.breaker.ask(Instant::now()));
        let probe = match gate {
            Gate::Pass => false,
            Gate::Probe => true,
            Gate::Shut(until) => return Err(until),
        };
        Ok(Trial { targets: Arc::clone(self), target: candidate.target, form, probe, slow: false })
    }

    /// Whether an attempt could begin.
    #[must_use]
    pub fn is_passable(&self, candidate: &Candidate) -> bool {
        self.learned(candidate.target).is_none_or(|learned| learned.breaker.is_passable(Instant::now()))
    }

    /// The same candidates, those that cool down after all others.
    pub(super) fn cooling_last<'a>(&self, mut candidates: Vec<&'a Candidate>) -> Vec<&'a Candidate> {
        let now = Instant::now();
        let cools = |candidate: &&Candidate| {
            let learned = self.learned(candidate.target);
            learned.is_some_and(|learned| learned.breaker.cools_down_for(now).is_some())
        };
        if candidates.iter().any(cools) {
            candidates.sort_by_cached_key(cools);
        }
        candidates
    }

    /// Within this most answers come. Absent: nothing is known yet.
    pub(super) fn usual(&self, candidate: &Candidate, form: Form) -> Option<Duration> {
        self.learned(candidate.target)?.paces[place(form)].usual()
    }

    /// In less time none has ever come. Absent: nothing is known yet.
    pub(super) fn least(&self, candidate: &Candidate, form: Form) -> Option<Duration> {
        self.learned(candidate.target)?.paces[place(form)].least()
    }

    /// All that is known of a candidate.
    #[must_use]
    pub fn health(&self, candidate: &Candidate) -> Option<pb::CandidateHealth> {
        let now = Instant::now();
        let mut learned = self.learned(candidate.target)?;
        let Counts { all, bad, slow } = learned.breaker.counts(now);
        let pb = |time: Option<Duration>| time.and_then(|time| time.try_into().ok());
        let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        Some(pb::CandidateHealth {
            breaker: learned.breaker.state().into(),
            reopens_in: pb(learned.breaker.reopens_in(now)),
            cools_down_for: pb(learned.breaker.cools_down_for(now)),
            attempts: count(all),
            failed: count(bad),
            slow: count(slow),
            usual_first_content: pb(learned.paces[place(Form::Streamed)].usual()),
            usual_answer: pb(learned.paces[place(Form::Whole)].usual()),
        })
    }

    /// The state of every breaker, with its target.
    pub fn states(&self) -> impl Iterator<Item = (&Target, BreakerState)> {
        self.all.iter().map(|(target, learned)| (target, lock(learned).breaker.state()))
    }

    /// How long until the next open breaker lets one call through. Absent: none is open.
    #[must_use]
    pub fn next_opening(&self) -> Option<Duration> {
        let now = Instant::now();
        self.all.iter().filter_map(|(_, learned)| lock(learned).breaker.reopens_in(now)).min()
    }

    /// Tells of every change of a breaker's state.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn learned(&self, target: usize) -> Option<MutexGuard<'_, Learned>> {
        self.all.get(target).map(|(_, learned)| lock(learned))
    }

    fn change<T: Default>(&self, target: usize, change: impl FnOnce(&mut Learned) -> T) -> T {
        let Some((target, learned)) = self.all.get(target) else { return T::default() };
        let (before, changed, after) = {
            let mut learned = lock(learned);
            let before = learned.breaker.state();
            let changed = change(&mut learned);
            (before, changed, learned.breaker.state())
        };
        if before != after {
            let (before, after) = (state_name(before), state_name(after));
            let Target { name, region, service_tier, .. } = target;
            tracing::warn!(model = name, region, service_tier, before, after, "breaker changed");
            self.changes.send_replace(());
        }
        changed
    }
}

fn lock(learned: &Mutex<Learned>) -> MutexGuard<'_, Learned> {
    learned.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place(form: Form) -> usize {
    match form {
        Form::Whole => 0,
        Form::Streamed => 1,
        Form::Counted => 2,
    }
}

/// The state's name without its prefix.
#[must_use]
pub fn state_name(state: BreakerState) -> &'static str {
    state.as_str_name().trim_start_matches("BREAKER_STATE_")
}

// === impl Trial ===

impl Trial {
    /// The first content of a stream is there.
    pub(super) fn began_well(&mut self, took: Duration) {
        let probe = std::mem::take(&mut self.probe);
        self.slow = self.targets.slow_after.is_some_and(|limit| took >= limit);
        self.targets.change(self.target, |learned| {
            learned.paces[place(self.form)].learn(took);
            if probe {
                learned.breaker.probe_answered();
            }
        });
    }

    /// It is over, and all was well.
    pub(crate) fn ended_well(self) {
        self.targets.change(self.target, |learned| learned.breaker.answered(Instant::now(), self.slow));
    }

    /// It failed.
    pub(crate) fn failed(mut self, failure: &Failure) {
        let says = failure.kind.row().says;
        if says == Says::Nothing {
            return;
        }
        let (now, probe) = (Instant::now(), std::mem::take(&mut self.probe));
        self.targets.change(self.target, |learned| {
            let breaker = &mut learned.breaker;
            match says {
                Says::Nothing => {}
                Says::Ill if probe => breaker.probe_failed(now),
                Says::Ill => breaker.failed(now),
                Says::Busy => breaker.throttled(now, failure.retry_after),
                Says::Spent => breaker.spent(now),
            }
            if probe && matches!(says, Says::Busy | Says::Spent) {
                breaker.probe_answered(); // it is there, if busy
            }
        });
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.probe {
            self.targets.change(self.target, |learned| learned.breaker.probe_told_nothing(Instant::now()));
        }
    }
}
