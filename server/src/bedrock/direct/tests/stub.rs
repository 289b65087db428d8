//! Local server that records requests and sends a fixed response to each.
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

/// A request that was received.
#[derive(Clone, Debug)]
pub(super) struct RecordedRequest {
    /// Request line.
    pub(super) line: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// The response to every request.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) bytes: Vec<u8>,
    /// True if the server closes the connection after it.
    pub(super) closes: bool,
}

#[derive(Debug)]
pub(super) struct Stub {
    pub(super) url: String,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    response: Response,
    requests: Mutex<Vec<RecordedRequest>>,
    opened: AtomicUsize,
    closed: AtomicUsize,
}

// === impl Response ===

impl Response {
    pub(super) fn ok() -> Self {
        Self::of("200 OK", &[("x-amzn-requestid", "id-1")], "{}")
    }

    pub(super) fn of(status: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let bytes = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}");
        Self { bytes: bytes.into(), closes: false }
    }

    /// Leaves out the last `missing` bytes and closes the connection.
    pub(super) fn cut(mut self, missing: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - missing);
        Self { closes: true, ..self }
    }

    /// Leaves out the last `missing` bytes and keeps the connection open.
    pub(super) fn stuck(self, missing: usize) -> Self {
        Self { closes: false, ..self.cut(missing) }
    }
}

// === impl Stub ===

impl Stub {
    /// Starts a server on loopback.
    pub(super) async fn answering(response: Response) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let url = format!("http://{}", listener.local_addr().expect("has an address"));
        let counts = (AtomicUsize::new(0), AtomicUsize::new(0));
        let shared = Shared { response, requests: Mutex::default(), opened: counts.0, closed: counts.1 };
        let shared = Arc::new(shared);
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&shared)));
        Self { url, shared, _serving: serving }
    }

    /// Stops the server and waits until it accepts no connections.
    pub(super) async fn stop(self) {
        let address = self.url.trim_start_matches("http://").to_owned();
        drop(self);
        while TcpStream::connect(&address).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// All requests so far.
    pub(super) fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.requests.lock().expect("is not poisoned").clone()
    }

    /// Number of connections that were opened.
    pub(super) fn opened(&self) -> usize {
        self.shared.opened.load(SeqCst)
    }

    /// Waits until `count` connections are closed.
    pub(super) async fn wait_for_closed(&self, count: usize) {
        until(|| self.shared.closed.load(SeqCst) == count).await;
    }

    /// Waits until at least `count` requests have arrived.
    pub(super) async fn wait_for_requests(&self, count: usize) {
        until(|| self.shared.requests.lock().expect("is not poisoned").len() >= count).await;
    }
}

/// Waits until the condition is true. Panics after five seconds.
async fn until(is_true: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_true() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("the condition did not become true within five seconds");
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        shared.opened.fetch_add(1, SeqCst);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            serve(socket, &shared).await;
            shared.closed.fetch_add(1, SeqCst);
        });
    }
}

/// Responds to requests until either side closes the connection.
async fn serve(socket: TcpStream, shared: &Shared) {
    let mut socket = BufReader::new(socket);
    while let Some(request) = read(&mut socket).await {
        shared.requests.lock().expect("is not poisoned").push(request);
        let written = socket.write_all(&shared.response.bytes).await;
        if written.is_err() || shared.response.closes {
            return;
        }
    }
}

/// `None`: the connection is closed.
async fn read(socket: &mut BufReader<TcpStream>) -> Option<RecordedRequest> {
    let line = read_line(socket).await?;
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = read_line(socket).await?.split_once(':') {
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    Some(RecordedRequest { line, headers, body })
}

async fn read_line(socket: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = socket.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}
