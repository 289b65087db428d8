//! Connections: accept, serve, stop.
//!
//! Every connection is a task of one `JoinSet`. At shutdown connections finish the answer in hand, for a short while;
//! whatever then still runs (a hang, a stall) is aborted.

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
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::admin;
use crate::cache::PromptCache;
use crate::call::{self, Shared};
use crate::call_log::{CallBook, CallLog};
use crate::config::Config;
use crate::fault::{FaultBook, FaultRule};
use crate::response_body::Body;

/// How long answers in hand may take once the simulator is told to stop.
const GRACE: Duration = Duration::from_secs(1);

/// A running simulator on a port of its own. Dropped, it closes its listener and every connection.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Aborts the server when dropped.
    _server: JoinSet<io::Result<()>>,
}

/// Looks into a simulator and upsets it, from any task.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Shared>);

/// Serves on `listener` until `shutdown` is ready.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    serve_shared(Arc::new(Shared::new(config)), listener, shutdown).await
}

async fn serve_shared(
    shared: Arc<Shared>,
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
                    connections.spawn(serve_connection(Arc::clone(&shared), stream, graceful.watcher()));
                }
                // Out of file descriptors, most likely: give some time to be freed.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
            () = &mut shutdown => break,
        }
    }
    drop(listener);
    // What outlives the grace is aborted as `connections` is dropped.
    let _finished = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    Ok(())
}

async fn serve_connection(
    shared: Arc<Shared>,
    stream: TcpStream,
    watcher: hyper_util::server::graceful::Watcher,
) {
    // Events are small and must not wait for each other.
    let _ignored = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Ends with an error whenever a caller hangs up or a fault cuts the socket: both are ordinary here.
    let _ended = watcher.watch(connection).await;
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    // "/ping" is no call: whoever keeps its connections warm with it should not find it among them.
    if request.uri().path().starts_with("/_sim/") || request.uri().path() == "/ping" {
        return Ok(admin::answer(&shared, request).await);
    }
    Ok(call::answer(shared, request).await)
}

// === impl Simulator ===

impl Simulator {
    /// Starts a simulator on a free port of 127.0.0.1.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(config));
        let mut server = JoinSet::new();
        server.spawn(serve_shared(Arc::clone(&shared), listener, std::future::pending()));
        Ok(Self { address, shared, _server: server })
    }

    /// Where an SDK finds it: `http://127.0.0.1:PORT`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A handle to inject faults and read the log.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }
}

// === impl Handle ===

impl Handle {
    /// Puts a fault in force, after those already there.
    pub fn inject(&self, rule: FaultRule) {
        self.0.faults.inject(rule);
    }

    /// Lifts all faults. Calls already under way keep theirs.
    pub fn clear_faults(&self) {
        self.0.faults.clear();
    }

    /// The recent calls, oldest first, including those still running.
    pub fn calls(&self) -> Vec<CallLog> {
        self.0.calls.all()
    }

    /// Forgets the recent calls.
    pub fn clear_calls(&self) {
        self.0.calls.clear();
    }
}

// === impl Shared ===

impl Shared {
    fn new(config: Config) -> Self {
        Self {
            faults: FaultBook::new(config.seed, &config.faults),
            calls: CallBook::new(config.remembered_calls),
            cache: PromptCache::default(),
            config,
        }
    }
}
