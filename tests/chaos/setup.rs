//! The stage: a simulator and a server on sockets of their own, and what of them is open.
use crate::{
    AT_ONCE,
    faults::Ill,
    overrun::Watch,
    plan::{self, WELL_MODEL},
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
pub(crate) const WELL: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

/// The model behind the ills.
const BASE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

/// How long what the calls have used may stay in use after the last of them.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

/// A server that runs on a simulator.
#[derive(Debug)]
pub(crate) struct Stage {
    simulator: Simulator,
    address: SocketAddr,
    server: JoinSet<Drained>,
    drain: oneshot::Sender<()>,
    /// The simulator alone.
    before: Open,
    ill: String,
}

/// Whether tasks do all that they can for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guards {
    /// One model after the other, whatever they answered before: each call meets its fault.
    Off,
    /// Breakers, hedges, and another model from the beginning where one breaks off.
    On,
}

/// What of this process is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    sockets: usize,
    tasks: usize,
}

// === impl Stage ===

impl Stage {
    pub(crate) async fn start(ills: &[Ill], speed: f64, guards: Guards) -> Self {
        let simulator = Simulator::start(bedrock_sim::Config {
            speed,
            faults: ills.iter().filter_map(Ill::rule).collect(),
            default_profile_model: BASE.to_owned(),
            remembered_calls: 2000,
            ..bedrock_sim::Config::default()
        });
        let simulator = simulator.await.expect("starts");
        sleep(Duration::from_millis(50)).await; // until its tasks run
        let before = Open::now();

        let config = configuration(ills, guards, simulator.endpoint_url());
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
        Self { simulator, address, server, drain, before, ill: ills[0].model_id() }
    }

    pub(crate) fn simulator(&self) -> Handle {
        self.simulator.handle()
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An ill model that has no fault, and so answers as all of them do.
    pub(crate) fn ill(&self) -> &str {
        &self.ill
    }

    /// What is open before the first call, once what was needed to prepare it is closed.
    pub(crate) async fn settled_at_the_start(&self) -> Open {
        sleep(Duration::from_millis(200)).await;
        Open::now()
    }

    /// What the simulator answers, by the AWS SDK and without Switchboard.
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

    /// What calls that are all over still hold, while the server runs on: nothing but connections that wait to be used
    /// again, of which there are `idle` to begin with.
    pub(crate) async fn settled(&self, idle: Open, watch: &Watch) -> Vec<String> {
        let until = Instant::now() + SETTLES_WITHIN;
        loop {
            let running = watch.look();
            let open = Open::now();
            let complaint = match running {
                0 => open.unexplained(idle),
                running => Some(format!("models still work on {running} calls")),
            };
            if complaint.is_none() || Instant::now() > until {
                println!("\nopen while idle: {idle} before, {open} after");
                return complaint.into_iter().collect();
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Drains the server. Then nothing may be left but the simulator.
    pub(crate) async fn leave(mut self) -> Vec<String> {
        drop(self.drain);
        let drained = self.server.join_next().await.expect("ran").expect("ends");
        let until = Instant::now() + SETTLES_WITHIN;
        let is_more = |open: Open| open.sockets > self.before.sockets || open.tasks > self.before.tasks;
        while is_more(Open::now()) && Instant::now() < until {
            sleep(Duration::from_millis(50)).await;
        }
        let open = Open::now();
        println!("open without the server: {} before, {open} after", self.before);
        let mut complaints = Vec::new();
        if drained != Drained::Clean {
            complaints.push(format!("drained: {drained:?}"));
        }
        if is_more(open) {
            complaints.push(format!("{open} open after the server, {} before", self.before));
        }
        complaints
    }
}

/// Each ill before the well model, and pairs of ills. The clocks are short, but long enough for a busy machine.
fn configuration(ills: &[Ill], guards: Guards, endpoint_url: String) -> Config {
    let clocks = r#"deadline = { first_content = "1s", idle = "1s", attempt = "1s", call = "10s" }"#;
    let mut toml = format!("{clocks}\n[models.{WELL_MODEL}]\nid = {WELL:?}\n");
    for ill in ills {
        toml += &format!("[models.{:?}]\nid = {:?}\nbase_model = {BASE:?}\n", ill.name, ill.model_id());
    }
    for (name, models) in plan::tasks(ills) {
        toml += &format!("[tasks.{name:?}]\nmodels = {models:?}\n");
        if guards == Guards::On {
            toml += "after_content = \"restart\"\nhedge_after = \"400ms\"\n";
        }
    }
    // What is remembered for feedback is bounded; a soak must reach that bound while it warms up.
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

    /// A connection between server and simulator has a socket at each end, and a task at the simulator's: the server's has none.
    /// It may wait on the engine's shelf.
    fn unexplained(self, idle: Self) -> Option<String> {
        let (sockets, tasks) = (self.sockets.abs_diff(idle.sockets), self.tasks.abs_diff(idle.tasks));
        let is_pool = self.tasks >= idle.tasks && sockets == 2 * tasks && sockets <= 2 * 2 * AT_ONCE;
        (!is_pool).then(|| format!("{self} open while the server is idle, {idle} before the first call"))
    }
}

/// Where there is no /proc, none are seen and none are missed.
fn sockets() -> usize {
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return 0 };
    let targets = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sockets and {} tasks", self.sockets, self.tasks)
    }
}
