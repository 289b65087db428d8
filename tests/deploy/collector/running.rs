//! A running collector.
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};

/// Timeout of each step. Far longer than any step takes, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The path of the collector's program. Absent: it is not installed, which is an error in CI.
pub(super) fn otelcol() -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&folders).map(|folder| folder.join("otelcol")).find(|file| file.is_file());
    if found.is_none() {
        let reason = "otelcol is not on PATH: `cargo xtask tools` builds it, `cargo xtask test` finds it";
        assert!(env::var_os("CI").is_none(), "{reason}");
        eprintln!("skipped: {reason}");
    }
    found
}

/// A folder for the files that collectors read and write.
pub(super) struct Folder(pub(super) PathBuf, #[expect(dead_code, reason = "removed when dropped")] TempDir);

pub(super) struct Collector {
    process: Child,
    port: u16,
}

// === impl Folder ===

impl Folder {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("can be made");
        Self(folder.path().to_owned(), folder)
    }

    pub(super) fn write(&self, configuration: &str) -> PathBuf {
        let file = self.0.join("collector.yaml");
        fs::write(&file, configuration).expect("can be written");
        file
    }
}

// === impl Collector ===

impl Collector {
    /// Starts a collector and waits until it accepts connections.
    pub(super) async fn start(otelcol: &Path, configuration: &Path, variables: &[(&str, String)]) -> Self {
        let port = free_port();
        let mut command = Command::new(otelcol);
        command.arg("--config").arg(configuration).kill_on_drop(true).stdin(Stdio::null());
        command.env_clear().env("AWS_REGION", "us-east-1").env("COLLECTOR_HTTP", format!("127.0.0.1:{port}"));
        command.env("COLLECTOR_GRPC", "127.0.0.1:0").env("COLLECTOR_HEALTH", "127.0.0.1:0");
        command.env("AWS_ACCESS_KEY_ID", "example").env("AWS_SECRET_ACCESS_KEY", "example");
        command
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(variables.iter().map(|(name, value)| (name, value)));
        let process = command.spawn().expect("starts");
        let mut collector = Self { process, port };
        timeout(TIMEOUT, collector.listens()).await.expect("listens in time");
        collector
    }

    async fn listens(&mut self) {
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            let ended = self.process.try_wait().expect("has a status");
            assert!(ended.is_none(), "the collector ended: {ended:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends a signal. The collector must accept all of it.
    pub(super) async fn send(&self, signal: &str, body: &Value) {
        let client: Client<_, Full<Bytes>> =
            Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let request = http::Request::post(format!("{}/v1/{signal}", self.address()))
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))
            .expect("is a request");
        let response = client.request(request).await.expect("is answered");
        let status = response.status();
        let answer = response.into_body().collect().await.expect("arrives").to_bytes();
        assert!(status.is_success(), "{status}: {answer:?}");
        assert_eq!(answer, r#"{"partialSuccess":{}}"#);
    }

    /// Stops the collector, which first writes the data that it holds.
    pub(super) async fn stop(mut self) {
        let id = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("still runs");
        kill_process(id, Signal::TERM).expect("can be signalled");
        let ended = timeout(TIMEOUT, self.process.wait()).await.expect("ends in time").expect("ends");
        assert!(ended.success(), "{ended}");
    }
}

/// A port that is free at this moment. The collector cannot report a port that it chose itself.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("has an address").port()
}
