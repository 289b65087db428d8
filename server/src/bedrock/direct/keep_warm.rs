//! Warmth: connections that are open before a call needs them, so that none waits for a handshake.
//!
//! A connection is opened, and kept, by a request that asks for nothing and proves nothing. Whatever the service answers,
//! the connection has carried it and waits for the next.
use super::{super::failure::root_cause, endpoint::Place, pool::Pool};
use crate::config;
use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Limited};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};

/// What a service that has nothing to say may say; more closes the connection.
const LARGEST_ANSWER: usize = 64 << 10;

/// Opens connections to every place. One that fails is told and nothing more: calls open what they need.
pub(super) async fn open<'a>(
    pool: &Pool,
    places: impl Iterator<Item = &'a Arc<Place>>,
    settings: &config::Bedrock,
) {
    let mut opening = JoinSet::new();
    for place in places.filter(|_| settings.warm_connections > 0) {
        let warming = Warming::new(pool, place, settings);
        opening.spawn(async move { warming.tell(warming.round().await) });
    }
    while opening.join_next().await.is_some() {}
}

/// Goes on with it for as long as what is returned lives.
pub(super) fn keep<'a>(
    pool: &Pool,
    places: impl Iterator<Item = &'a Arc<Place>>,
    settings: &config::Bedrock,
) -> JoinSet<()> {
    let mut keeping = JoinSet::new();
    let is_on = settings.warm_connections > 0 && !settings.keep_warm.is_zero();
    for place in places.filter(|_| is_on) {
        keeping.spawn(Warming::new(pool, place, settings).keep(settings.keep_warm));
    }
    keeping
}

/// One place's.
struct Warming {
    pool: Pool,
    place: Arc<Place>,
    connections: usize,
    patience: Duration,
}

// === impl Warming ===

impl Warming {
    fn new(pool: &Pool, place: &Arc<Place>, settings: &config::Bedrock) -> Self {
        Self {
            pool: pool.clone(),
            place: Arc::clone(place),
            connections: settings.warm_connections.into(),
            patience: settings.connect_timeout * 2, // for the connection and for the answer
        }
    }

    /// Calls keep the connections that they use: where as many as are wanted were busy at once, there is nothing to do.
    async fn keep(self, every: Duration) {
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = false;
        loop {
            ticks.tick().await;
            self.place.shelf.tidy();
            if self.place.in_use.most() >= self.connections {
                continue;
            }
            let done = self.round().await;
            let failed = done.is_err();
            if !told {
                self.tell(done);
            }
            told = failed; // once, until it works again
        }
    }

    /// All at once, so that each has a connection of its own: all have taken theirs before the first gives it back.
    async fn round(&self) -> Result<(), String> {
        let pings = (0..self.connections).map(|_| self.ping());
        join_all(pings).await.into_iter().collect()
    }

    async fn ping(&self) -> Result<(), String> {
        let pinging = async {
            let request = self.place.ping().map_err(|failure| failure.message)?;
            let answer =
                self.pool.request(&self.place, request).await.map_err(|error| root_cause(&*error))?;
            let read = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
            read.map(drop).map_err(|error| root_cause(&*error))
        };
        timeout(self.patience, pinging).await.unwrap_or_else(|_elapsed| Err("no answer in time".to_owned()))
    }

    fn tell(&self, done: Result<(), String>) {
        if let Err(problem) = done {
            let region = &self.place.region;
            tracing::warn!(region, problem, "connections could not be opened ahead of calls");
        }
    }
}
