//! Idle connections of an endpoint.
use super::connection::Connection;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Maximum time that a connection stays idle before it is closed. The SDK uses the same value.
const MAX_IDLE: Duration = Duration::from_secs(90);

/// Connections that wait for the next call. The one that became idle last is taken first.
#[derive(Debug, Default)]
pub(super) struct IdleConnections(Mutex<Vec<Idle>>);

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

// === impl IdleConnections ===

impl IdleConnections {
    /// Takes a connection that is still open. `None`: there is none.
    pub(super) fn take(&self) -> Option<Box<Connection>> {
        loop {
            let mut idle = self.with(Vec::pop)?;
            if idle.is_usable() {
                return Some(idle.connection);
            }
        }
    }

    /// Keeps a connection for the next call, or closes it if it cannot carry one.
    pub(super) fn put(&self, mut connection: Box<Connection>) {
        if connection.is_ready() {
            let idle = Idle { connection, since: Instant::now() };
            self.with(|all| all.push(idle));
        }
    }

    /// Removes connections that were idle for too long or that the server has closed.
    pub(super) fn remove_expired(&self) {
        let mut kept = self.with(std::mem::take);
        kept.retain_mut(Idle::is_usable);
        self.with(|newer| {
            kept.append(newer); // became idle meanwhile
            *newer = kept;
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Idle>) -> T) -> T {
        work(&mut self.0.lock())
    }
}

// === impl Idle ===

impl Idle {
    fn is_usable(&mut self) -> bool {
        self.since.elapsed() < MAX_IDLE && self.connection.is_ready()
    }
}
