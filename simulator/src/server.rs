//! The HTTP server: accepts connections, serves requests and shuts down.
//!
//! Every connection is a task of one `JoinSet`. At shutdown, connections have [`SHUTDOWN_TIMEOUT`] to
//! complete the response in progress. Connections that are still open after that (a hang, a stall) are
//! aborted.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::admin;
use crate::cache::PromptCache;
use crate::call::{self, State};
use crate::call_log::{CallLog, CallLogStore};
use crate::config::Config;
use crate::fault::{FaultRule, FaultStore};
use crate::response_body::ResponseBody;

/// Time that responses in progress have to complete at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Delay before the next `accept` after one failed, most likely because no file descriptor was free.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(10);

/// A running simulator on its own port. Dropping it closes its listener and every connection.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    state: Arc<State>,
    /// Aborts the server when dropped.
    _server: JoinSet<io::Result<()>>,
}

/// Inspects a simulator and injects faults, from any task.
#[derive(Clone, Debug)]
pub struct Handle(Arc<State>);

/// Serves on `listener` until `shutdown` completes.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    serve_with_state(Arc::new(State::new(config)), listener, shutdown).await
}

async fn serve_with_state(
    state: Arc<State>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(Arc::clone(&state), stream, graceful.watcher()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_RETRY_DELAY).await,
            },
            Some(_) = connections.join_next() => {}
            () = &mut shutdown => break,
        }
    }
    drop(listener);
    // Dropping `connections` aborts the connections that exceed the timeout.
    let _finished = tokio::time::timeout(SHUTDOWN_TIMEOUT, graceful.shutdown()).await;
    Ok(())
}

async fn serve_connection(state: Arc<State>, stream: TcpStream, watcher: Watcher) {
    // Events are small: Nagle's algorithm would delay them.
    let _ignored = stream.set_nodelay(true);
    let service = service_fn(move |request| handle(Arc::clone(&state), request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Returns an error when a caller disconnects or a fault closes the socket. Both are expected here.
    let _ended = watcher.watch(connection).await;
}

async fn handle(state: Arc<State>, request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
    // Connection keep-warm requests to "/ping" are not calls and must not appear in the call log.
    if request.uri().path().starts_with("/_sim/") || request.uri().path() == "/ping" {
        return Ok(admin::handle(&state, request).await);
    }
    Ok(call::handle(state, request).await)
}

// === impl Simulator ===

impl Simulator {
    /// Starts a simulator on a free port of 127.0.0.1.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(config));
        let mut server = JoinSet::new();
        server.spawn(serve_with_state(Arc::clone(&state), listener, std::future::pending()));
        Ok(Self { address, state, _server: server })
    }

    /// Returns the endpoint URL for an SDK: `http://127.0.0.1:PORT`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns a handle that injects faults and reads the call log.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.state))
    }
}

// === impl Handle ===

impl Handle {
    /// Activates a fault rule, after those that are already active. The model id is not checked.
    pub fn inject(&self, rule: FaultRule) {
        self.0.faults.inject(rule);
    }

    /// Removes all fault rules. Calls in progress keep their faults.
    pub fn clear_faults(&self) {
        self.0.faults.clear();
    }

    /// Returns the recent calls, oldest first, including calls in progress.
    pub fn calls(&self) -> Vec<CallLog> {
        self.0.calls.all()
    }

    /// Empties the call log.
    pub fn clear_calls(&self) {
        self.0.calls.clear();
    }
}

// === impl State ===

impl State {
    fn new(config: Config) -> Self {
        Self {
            faults: FaultStore::new(config.seed, &config.faults),
            calls: CallLogStore::new(config.remembered_calls),
            cache: PromptCache::default(),
            config,
        }
    }
}
