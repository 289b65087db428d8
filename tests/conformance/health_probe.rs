//! `grpc-health-probe`, which containers and load balancers use, reports a server as serving until it drains.
//!
//! The commands are those of `client/GRPCURL.md`.
use crate::programs;
use bedrock_sim::Simulator;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{env, fs, path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

/// Exit codes of the probe.
const SERVING: i32 = 0;
const RPC_FAILED: i32 = 3;
const NOT_SERVING: i32 = 4;

/// Configuration with a drain delay that is longer than the test.
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
async fn the_health_probe_reports_serving_and_draining() {
    let path = env::var_os("PATH").unwrap_or_default();
    if !env::split_paths(&path).any(|folder| folder.join("grpc-health-probe").is_file()) {
        assert!(env::var_os("CI").is_none(), "grpc-health-probe is missing: cargo xtask tools");
        println!("skipped: grpc-health-probe is not installed (cargo xtask tools)");
        return;
    }
    let simulator = Simulator::start(bedrock_sim::Config::default()).await.expect("starts");
    let mut server = Server::start(&simulator.endpoint_url()).await;
    let commands = commands();
    assert_eq!(commands.len(), 3, "{commands:?}");

    for command in &commands {
        assert_eq!(server.probed(command).await, Some(SERVING), "{command}");
    }
    for unknown in ["switchboard.v1.NoSuchService", "task/no-such-task"] {
        let command = format!("{} -service {unknown}", commands[0]);
        assert_eq!(server.probed(&command).await, Some(RPC_FAILED), "{command}");
    }

    server.drain().await;

    for command in &commands {
        assert_eq!(server.probed(command).await, Some(NOT_SERVING), "{command}");
    }
    let still_runs = server.child.try_wait().expect("the process can be polled").is_none();
    assert!(still_runs, "the server ended before load balancers could notice");
}

fn commands() -> Vec<String> {
    let page = fs::read_to_string(programs::root().join("client/GRPCURL.md")).expect("can be read");
    page.lines().filter(|line| line.starts_with("grpc-health-probe ")).map(str::to_owned).collect()
}

/// Running `switchboard serve` and its log.
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
        let serving = server.wait_for("serving").await;
        server.address = serving["address"].as_str().expect("is logged").to_owned();
        server
    }

    /// Starts draining and waits until it is logged.
    async fn drain(&mut self) {
        let id =
            self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("the server is running");
        kill_process(id, Signal::TERM).expect("the signal is sent");
        self.wait_for("draining").await;
    }

    /// Waits for a log line with this message and returns it.
    async fn wait_for(&mut self, message: &str) -> Value {
        loop {
            let line = self.lines.next_line().await.expect("is text");
            let line = line.unwrap_or_else(|| panic!("the server ended before it logged {message}"));
            let entry: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
            if entry["message"] == message {
                return entry;
            }
        }
    }

    /// Runs a command of the probe and returns its exit code.
    async fn probed(&self, command: &str) -> Option<i32> {
        let line = command.replace("127.0.0.1:50051", &self.address);
        let mut words = line.split_whitespace();
        let mut probe = Command::new(words.next().expect("names the program"));
        // Long timeouts, because a busy machine is slow.
        probe.args(words).args(["-connect-timeout", "30s", "-rpc-timeout", "30s"]).stdin(Stdio::null());
        probe.output().await.expect("runs").status.code()
    }
}
