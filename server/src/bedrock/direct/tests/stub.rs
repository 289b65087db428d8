//! A socket that writes down what comes, and answers what it was told to.
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

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// What is sent back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// Whether the connection ends with it.
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
    answer: Answer,
    seen: Mutex<Vec<Seen>>,
    opened: AtomicUsize,
    closed: AtomicUsize,
}

// === impl Answer ===

impl Answer {
    pub(super) fn ok() -> Self {
        Self::of("200 OK", &[("x-amzn-requestid", "id-1")], "{}")
    }

    pub(super) fn of(status: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let bytes = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}");
        Self { bytes: bytes.into(), closes: false }
    }

    /// Without its last `less` bytes, and with nothing after them.
    pub(super) fn cut(mut self, less: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - less);
        Self { closes: true, ..self }
    }

    /// The same, but the rest may still come.
    pub(super) fn stuck(self, less: usize) -> Self {
        Self { closes: false, ..self.cut(less) }
    }
}

// === impl Stub ===

impl Stub {
    pub(super) async fn answering(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let url = format!("http://{}", listener.local_addr().expect("has an address"));
        let counts = (AtomicUsize::new(0), AtomicUsize::new(0));
        let shared = Shared { answer, seen: Mutex::default(), opened: counts.0, closed: counts.1 };
        let shared = Arc::new(shared);
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&shared)));
        Self { url, shared, _serving: serving }
    }

    /// Waits until nobody listens any more.
    pub(super) async fn leave(self) {
        let address = self.url.trim_start_matches("http://").to_owned();
        drop(self);
        while TcpStream::connect(&address).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("is whole").clone()
    }

    pub(super) fn opened(&self) -> usize {
        self.shared.opened.load(SeqCst)
    }

    /// Waits until so many of its callers have hung up.
    pub(super) async fn closed(&self, many: usize) {
        until(|| self.shared.closed.load(SeqCst) == many).await;
    }

    /// Waits until so many requests have come.
    pub(super) async fn asked(&self, many: usize) {
        until(|| self.shared.seen.lock().expect("is whole").len() >= many).await;
    }
}

/// Fails after five seconds.
pub(super) async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came");
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

/// Until either side has enough.
async fn serve(socket: TcpStream, shared: &Shared) {
    let mut socket = BufReader::new(socket);
    while let Some(seen) = read(&mut socket).await {
        shared.seen.lock().expect("is whole").push(seen);
        let written = socket.write_all(&shared.answer.bytes).await;
        if written.is_err() || shared.answer.closes {
            return;
        }
    }
}

async fn read(socket: &mut BufReader<TcpStream>) -> Option<Seen> {
    let line = read_line(socket).await?;
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = read_line(socket).await?.split_once(':') {
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    Some(Seen { line, headers, body })
}

async fn read_line(socket: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = socket.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}
