//! Opens connections ahead of calls and keeps them open, so that no call waits for a handshake.
//!
//! An unauthenticated `GET /ping` opens a connection or uses an idle one. Any response will do: afterwards
//! the connection is idle and available to the next call.
use super::pool::{EndpointPool, Pool};
use crate::{bedrock::failure::root_cause, config};
use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Limited};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};

/// Maximum size in bytes of a response to a ping. A larger one closes the connection.
const MAX_PING_RESPONSE_BYTES: usize = 64 << 10;

/// Opens connections to every endpoint. A failure is only logged, because calls open the connections that
/// they need.
pub(super) async fn open_connections(pool: &Pool, settings: &config::Bedrock) {
    let mut opening = JoinSet::new();
    for pool in pool.all().filter(|_| settings.warm_connections > 0) {
        let keep_warm = KeepWarm::new(pool, settings);
        opening.spawn(async move { keep_warm.report(keep_warm.ping_all().await) });
    }
    while opening.join_next().await.is_some() {}
}

/// Spawns a task for each endpoint that keeps its connections warm until the returned set is dropped.
pub(super) fn spawn(pool: &Pool, settings: &config::Bedrock) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let is_enabled = settings.warm_connections > 0 && !settings.keep_warm.is_zero();
    for pool in pool.all().filter(|_| is_enabled) {
        tasks.spawn(KeepWarm::new(pool, settings).run(settings.keep_warm));
    }
    tasks
}

/// Keeps connections to one endpoint warm.
struct KeepWarm {
    pool: Arc<EndpointPool>,
    /// Number of connections to keep open.
    connections: usize,
    /// Maximum time for a ping, including the connection.
    ping_timeout: Duration,
}

// === impl KeepWarm ===

impl KeepWarm {
    fn new(pool: &Arc<EndpointPool>, settings: &config::Bedrock) -> Self {
        Self {
            pool: Arc::clone(pool),
            connections: settings.warm_connections.into(),
            ping_timeout: settings.connect_timeout * 2, // once for the connection, once for the response
        }
    }

    /// Pings regularly. An interval in which calls used enough connections at the same time is left out,
    /// because those connections are still warm.
    async fn run(self, interval: Duration) {
        let mut ticks = interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_reported = false;
        loop {
            ticks.tick().await;
            self.pool.remove_expired();
            if self.pool.take_peak_in_use() >= self.connections {
                continue;
            }
            let result = self.ping_all().await;
            let failed = result.is_err();
            if !is_reported {
                self.report(result);
            }
            is_reported = failed; // once until the next success
        }
    }

    /// Pings on all connections at the same time, so that each ping uses another connection.
    async fn ping_all(&self) -> Result<(), String> {
        let pings = (0..self.connections).map(|_| self.ping());
        join_all(pings).await.into_iter().collect()
    }

    async fn ping(&self) -> Result<(), String> {
        let pinging = async {
            let request = self.pool.endpoint().ping().map_err(|failure| failure.message)?;
            let response = self.pool.ping(request).await.map_err(|error| root_cause(&*error))?;
            let read = Limited::new(response.into_body(), MAX_PING_RESPONSE_BYTES).collect().await;
            read.map(drop).map_err(|error| root_cause(&*error))
        };
        let elapsed = |_| Err(format!("no response to a ping within {:?}", self.ping_timeout));
        timeout(self.ping_timeout, pinging).await.unwrap_or_else(elapsed)
    }

    /// Logs a failure.
    fn report(&self, result: Result<(), String>) {
        if let Err(problem) = result {
            let region = &self.pool.endpoint().region;
            tracing::warn!(region, problem, "connections could not be opened ahead of calls");
        }
    }
}
