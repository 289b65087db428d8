//! `grpc-health-probe`, with which containers and load balancers ask: it must find a server well until it drains.
//!
//! Its questions are those of `client/GRPCURL.md`, as they are written there.
use crate::programs;
use bedrock_sim::Simulator;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{env, fs, path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

/// The probe's exit codes.
const SERVES: i32 = 0;
const RPC_FAILED: i32 = 3;
const DOES_NOT_SERVE: i32 = 4;

/// Drains for longer than the test can take; it ends with the test.
const CONFIG: &str = r#"
[server]
drain_delay = "10min"

[bedrock]
region = "us-east-1"

[models.haiku]
id = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

[tasks.reasoning]
models = ["haiku"]

[tasks.default]
models = ["haiku"]
"#;

#[tokio::test]
async fn the_health_probe_sees_a_server_serve_and_drain() {
    let path = env::var_os("PATH").unwrap_or_default();
    if !env::split_paths(&path).any(|folder| folder.join("grpc-health-probe").is_file()) {
        assert!(env::var_os("CI").is_none(), "grpc-health-probe is missing: cargo xtask tools");
        println!("left out: grpc-health-probe is not installed (cargo xtask tools)");
        return;
    }
    let simulator = Simulator::start(bedrock_sim::Config::default()).await.expect("starts");
    let mut server = Server::start(&simulator.endpoint_url()).await;
    let questions = questions();
    assert_eq!(questions.len(), 3, "{questions:?}");

    for question in &questions {
        assert_eq!(server.probed(question).await, Some(SERVES), "{question}");
    }
    for nobody in ["switchboard.v1.NoSuchService", "task/no-such-task"] {
        let question = format!("{} -service {nobody}", questions[0]);
        assert_eq!(server.probed(&question).await, Some(RPC_FAILED), "{question}");
    }

    server.drain().await;

    for question in &questions {
        assert_eq!(server.probed(question).await, Some(DOES_NOT_SERVE), "{question}");
    }
    let still_runs = server.child.try_wait().expect("can be asked").is_none();
    assert!(still_runs, "balancers were given no time to notice");
}

fn questions() -> Vec<String> {
    let page = fs::read_to_string(programs::root().join("client/GRPCURL.md")).expect("can be read");
    page.lines().filter(|line| line.starts_with("grpc-health-probe ")).map(str::to_owned).collect()
}

/// `switchboard serve`, and what it says of itself.
struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    address: String,
}

// === impl Server ===

impl Server {
    async fn start(simulator: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance");
        fs::create_dir_all(&folder).expect("is writable");
        let config = folder.join("draining.toml");
        fs::write(&config, CONFIG).expect("is writable");
        let mut command = Command::new(programs::folder().join("switchboard"));
        command.arg("serve").arg("--config").arg(config).args(["--listen", "127.0.0.1:0"]);
        command.env_clear().env("HOME", "/nonexistent").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", simulator);
        command.envs([("AWS_ACCESS_KEY_ID", "simulated"), ("AWS_SECRET_ACCESS_KEY", "simulated")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("starts");
        let lines = BufReader::new(child.stderr.take().expect("is piped")).lines();
        let mut server = Self { child, lines, address: String::new() };
        let serving = server.says("serving").await;
        server.address = serving["address"].as_str().expect("is told").to_owned();
        server
    }

    /// Until draining has begun.
    async fn drain(&mut self) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("it runs");
        kill_process(id, Signal::TERM).expect("can be told");
        self.says("draining").await;
    }

    /// The line with this message, for which it waits.
    async fn says(&mut self, message: &str) -> Value {
        loop {
            let line = self.lines.next_line().await.expect("is text");
            let line = line.unwrap_or_else(|| panic!("it ended before it said {message}"));
            let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
            if said["message"] == message {
                return said;
            }
        }
    }

    /// The exit code of the probe that asks this.
    async fn probed(&self, question: &str) -> Option<i32> {
        let line = question.replace("127.0.0.1:50051", &self.address);
        let mut words = line.split_whitespace();
        let mut probe = Command::new(words.next().expect("names the program"));
        // A busy machine is no ill server.
        probe.args(words).args(["-connect-timeout", "30s", "-rpc-timeout", "30s"]).stdin(Stdio::null());
        probe.output().await.expect("runs").status.code()
    }
}
