//! The setup: a simulator and a server on sockets, and their open sockets and tasks.
use crate::{
    CONCURRENT_CALLS,
    faults::FaultyModel,
    overrun::OverrunMonitor,
    plan::{self, HEALTHY_MODEL},
};
use aws_sdk_bedrockruntime::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::{ContentBlock, ConversationRole, Message},
};
use bedrock_sim::{Handle, Simulator};
use std::{fmt, fs, net::SocketAddr, time::Duration};
use switchboard_server::{
    Drained, Parts,
    bedrock::Bedrock,
    catalogue::Catalogue,
    config::{self, Config},
    serve,
    telemetry::Telemetry,
};
use tokio::{
    net::TcpListener,
    runtime,
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep},
};
use tonic::transport::server::TcpIncoming;

/// The second model of the first phase.
pub(crate) const HEALTHY: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

/// Base model of the faulty models.
const BASE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

/// Longest time after the last call until its resources are released.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// A server that runs on a simulator.
#[derive(Debug)]
pub(crate) struct Setup {
    simulator: Simulator,
    address: SocketAddr,
    server: JoinSet<Drained>,
    drain: oneshot::Sender<()>,
    /// Open sockets and tasks of the simulator alone.
    before: Open,
    faulty: String,
}

/// Whether breakers, hedges and restarts are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guards {
    /// Only fallback: each call meets the fault of its model.
    Off,
    /// Breakers, hedges and stream restarts.
    On,
}

/// Number of open sockets and tasks of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    sockets: usize,
    tasks: usize,
}

// === impl Stage ===

impl Setup {
    pub(crate) async fn start(faulty_models: &[FaultyModel], speed: f64, guards: Guards) -> Self {
        let simulator = Simulator::start(bedrock_sim::Config {
            speed,
            faults: faulty_models.iter().filter_map(FaultyModel::rule).collect(),
            default_profile_model: BASE.to_owned(),
            remembered_calls: 2000,
            ..bedrock_sim::Config::default()
        });
        let simulator = simulator.await.expect("starts");
        sleep(Duration::from_millis(50)).await; // until its tasks run
        let before = Open::now();

        let config = configuration(faulty_models, guards, simulator.endpoint_url());
        let bedrock = Bedrock::connect(&config.bedrock, ["us-east-1".to_owned()]).await.expect("connects");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("has an address");
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let (drain, drained) = oneshot::channel::<()>();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let drained = async { drop(drained.await) };
            let telemetry = Telemetry::default();
            let parts = Parts::fixed(&config, &Catalogue::built_in(), "us-east-1", bedrock, &telemetry);
            serve(parts, incoming, drained).await.expect("serves")
        });
        Self { simulator, address, server, drain, before, faulty: faulty_models[0].model_id() }
    }

    pub(crate) fn simulator(&self) -> Handle {
        self.simulator.handle()
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The id of a profile without a fault, which answers like all faulty models.
    pub(crate) fn faulty(&self) -> &str {
        &self.faulty
    }

    /// Open sockets and tasks before the first call, after the connections of the preparation are closed.
    pub(crate) async fn idle_at_start(&self) -> Open {
        sleep(Duration::from_millis(200)).await;
        Open::now()
    }

    /// The simulator's answer, requested with the AWS SDK and without Switchboard.
    pub(crate) async fn answer(&self, model: &str, question: &str) -> String {
        let sdk = aws_sdk_bedrockruntime::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("SIMULATED", "SIMULATED", None, None, "chaos"))
            .endpoint_url(self.simulator.endpoint_url())
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        let message = Message::builder()
            .role(ConversationRole::User)
            .content(ContentBlock::Text(question.to_owned()))
            .build()
            .expect("is whole");
        let sent = Client::from_conf(sdk.build()).converse().model_id(model).messages(message).send();
        let answer = sent.await.expect("answers").output.expect("is an answer");
        let message = answer.as_message().expect("is a message");
        message.content[0].as_text().expect("is text").clone()
    }

    /// Waits until ended calls hold nothing but idle connections, compared with `idle` before the first call.
    /// Returns an error if that takes too long.
    pub(crate) async fn settled(&self, idle: Open, monitor: &OverrunMonitor) -> Vec<String> {
        let until = Instant::now() + SETTLE_TIME;
        loop {
            let running = monitor.check();
            let open = Open::now();
            let error = match running {
                0 => open.unexplained(idle),
                running => Some(format!("models still work for {running} calls")),
            };
            if error.is_none() || Instant::now() > until {
                println!("\nopen while idle: {idle} before, {open} after");
                return error.into_iter().collect();
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Drains the server. Afterwards only the sockets and tasks of the simulator may be open.
    pub(crate) async fn shut_down(mut self) -> Vec<String> {
        drop(self.drain);
        let drained = self.server.join_next().await.expect("ran").expect("ends");
        let until = Instant::now() + SETTLE_TIME;
        let is_more = |open: Open| open.sockets > self.before.sockets || open.tasks > self.before.tasks;
        while is_more(Open::now()) && Instant::now() < until {
            sleep(Duration::from_millis(50)).await;
        }
        let open = Open::now();
        println!("open without the server: {} before, {open} after", self.before);
        let mut errors = Vec::new();
        if drained != Drained::Clean {
            errors.push(format!("drained: {drained:?}"));
        }
        if is_more(open) {
            errors.push(format!("{open} open after the server, {} before", self.before));
        }
        errors
    }
}

/// The configuration of all tasks. The timeouts are short, but long enough for a busy machine.
fn configuration(faulty_models: &[FaultyModel], guards: Guards, endpoint_url: String) -> Config {
    let timeouts = r#"deadline = { first_content = "1s", idle = "1s", attempt = "1s", call = "10s" }"#;
    let mut toml = format!("{timeouts}\n[models.{HEALTHY_MODEL}]\nid = {HEALTHY:?}\n");
    for faulty in faulty_models {
        toml += &format!("[models.{:?}]\nid = {:?}\nbase_model = {BASE:?}\n", faulty.name, faulty.model_id());
    }
    for (name, models) in plan::tasks(faulty_models) {
        toml += &format!("[tasks.{name:?}]\nmodels = {models:?}\n");
        if guards == Guards::On {
            toml += "after_content = \"restart\"\nhedge_after = \"400ms\"\n";
        }
    }
    // The number of remembered answers is bounded; a soak must reach the bound while it warms up.
    toml += "[feedback]\nmax_answers = 5000\n";
    toml += "[routing]\nunknown_tasks = \"refuse\"\n";
    toml += match guards {
        Guards::Off => "[breaker]\nenabled = false\n",
        Guards::On => {
            "[breaker]\nmin_attempts = 10\nwindow = \"5s\"\nopen = \"200ms\"\nmax_open = \"1s\"\ncool_down = \"100ms\"\n\
             [hedging]\nbudget = 100\nrefill = 0.1\n"
        }
    };
    toml += "[retry]\nbase_delay = \"50ms\"\nmax_delay = \"200ms\"\n";
    let config = Config::parse(&toml).expect("is valid");
    Config { bedrock: config::Bedrock::simulated_at(endpoint_url), ..config }
}

// === impl Open ===

impl Open {
    fn now() -> Self {
        let tasks = runtime::Handle::current().metrics().num_alive_tasks();
        Self { sockets: sockets(), tasks }
    }

    /// Explains open sockets by idle connections: each has a socket at both ends, and a task at the
    /// simulator's end only.
    fn unexplained(self, idle: Self) -> Option<String> {
        let (sockets, tasks) = (self.sockets.abs_diff(idle.sockets), self.tasks.abs_diff(idle.tasks));
        let is_pool = self.tasks >= idle.tasks && sockets == 2 * tasks && sockets <= 2 * 2 * CONCURRENT_CALLS;
        (!is_pool).then(|| format!("{self} open while the server is idle, {idle} before the first call"))
    }
}

/// Number of open sockets of this process.
fn sockets() -> usize {
    let open = fs::read_dir("/proc/self/fd").expect("this test needs /proc");
    let targets = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sockets and {} tasks", self.sockets, self.tasks)
    }
}
