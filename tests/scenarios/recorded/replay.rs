//! The recordings, the server that replays them, and a Switchboard that calls this server.
#[path = "../../recordings/folder.rs"]
mod folder;

use super::{MAX_TOKENS, compare};
pub(crate) use folder::{folder, lines};
use prost::Message;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, process::Stdio};
use switchboard_proto::v1::converse_service_client::ConverseServiceClient;
use switchboard_server::{
    Parts,
    bedrock::Bedrock,
    catalogue::Catalogue,
    config::{self, Config, Engine, Model, Task},
    serve,
    telemetry::Telemetry,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    task::JoinHandle,
};
use tonic::transport::{Channel, Endpoint, server::TcpIncoming};

/// One recorded exchange.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) id: String,
    pub(crate) operation: String,
    pub(crate) model_id: String,
    #[serde(rename = "request_json")]
    pub(crate) request: Value,
    #[serde(rename = "response_json")]
    pub(crate) response: Option<Value>,
    pub(crate) status: u16,
    #[serde(default)]
    decoded_events: Vec<Value>,
    #[serde(default)]
    pub(crate) features: Vec<String>,
}

impl Exchange {
    /// The events of a stream, each as a message of the contract's stream has it: under the name of its type.
    pub(crate) fn events(&self) -> Vec<Value> {
        let named = |event: &Value| Some(json!({ event["event_type"].as_str()?: event["payload"] }));
        let events: Vec<_> = self.decoded_events.iter().filter_map(named).collect();
        assert_eq!(events.len() + usize::from(self.exception().is_some()), self.decoded_events.len());
        events
    }

    /// The type of the exception that ends the stream. Absent: it ends without one.
    pub(crate) fn exception(&self) -> Option<&str> {
        self.decoded_events.last()?["exception_type"].as_str()
    }
}

/// A replay server and a Switchboard. Both end when this is dropped.
pub(crate) struct Replay {
    pub(crate) caller: ConverseServiceClient<Channel>,
    /// The address of the replay server.
    control: String,
    /// The task under which each recorded model is called.
    tasks: BTreeMap<String, String>,
    server: JoinHandle<()>,
    _python: Child,
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Replay {
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::with_credentials(engine, "SIMULATED:SIMULATED").await
    }

    /// Starts a replay server that verifies the signature of every request, with code that is not AWS's.
    /// Switchboard signs with the credentials `SIMULATED:SIMULATED`.
    pub(crate) async fn with_credentials(engine: Engine, verified: &str) -> Self {
        let (python, control) = replay_server(&["--verify-sigv4", verified]).await;
        let models = ["converse", "converse_stream", "other_ops", "errors"]
            .iter()
            .flat_map(|file| read(&format!("public/{file}.jsonl")));
        let mut tasks = BTreeMap::new();
        for model in models.map(|exchange| exchange.model_id) {
            let name = format!("task-{}", tasks.len());
            tasks.entry(model).or_insert(name);
        }
        let (server, address) = switchboard(engine, &control, &tasks).await;
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("is an address");
        let channel = endpoint.connect().await.expect("connects");
        let caller = ConverseServiceClient::new(channel).max_decoding_message_size(64 << 20);
        Self { caller, control, tasks, server, _python: python }
    }

    /// Queues the recording, and returns its request, read as protobuf JSON, with the task that calls its
    /// model.
    pub(crate) async fn request<M: Message + Default>(
        &self,
        exchange: &Exchange,
        name: &str,
    ) -> Result<M, String> {
        self.tell("POST", "reset", &json!({})).await;
        self.tell("POST", "next", &json!({ "id": exchange.id })).await;
        let mut request = exchange.request.clone();
        request["taskType"] = json!(self.tasks[&exchange.model_id]);
        compare::from_json(name, &request)
    }

    /// The body of the only request since a recording was queued last.
    pub(crate) async fn body_sent(&self) -> Value {
        let log = self.tell("GET", "log", &json!({})).await;
        assert_eq!(log.as_array().map(Vec::len), Some(1), "one request for one call");
        compare::neutral(log[0]["body"].clone())
    }

    async fn tell(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut socket = TcpStream::connect(&self.control).await.expect("is there");
        let head = format!(
            "{method} /_replay/{path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all((head + &body).as_bytes()).await.expect("listens");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.expect("answers");
        let answer = String::from_utf8(answer).expect("is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("has a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).expect("is JSON")
    }
}

/// The exchanges of a file of the recordings. There is at least one.
pub(crate) fn read(file: &str) -> Vec<Exchange> {
    lines(file)
}

/// Starts the replay server of the recordings. Returns it and its address.
pub(crate) async fn replay_server(flags: &[&str]) -> (Child, String) {
    let mut python = Command::new("python3")
        .arg(folder().join("replay_server.py"))
        .args(["--port", "0"])
        .args(flags)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("python3 is installed");
    let mut lines = BufReader::new(python.stdout.take().expect("is piped")).lines();
    let line = lines.next_line().await.expect("can be read").expect("prints its address");
    let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://")).expect("prints its URL");
    (python, url.to_owned())
}

async fn switchboard(
    engine: Engine,
    control: &str,
    tasks: &BTreeMap<String, String>,
) -> (JoinHandle<()>, std::net::SocketAddr) {
    let bedrock = config::Bedrock::simulated_at(format!("http://{control}"));
    let mut config = Config { bedrock: config::Bedrock { engine, ..bedrock }, ..Config::default() };
    config.retry.rounds = 0; // a recording is queued for one request
    for (model_id, task) in tasks {
        config.models.insert(task.clone(), Model::new(model_id));
        let mut entry = Task::new("", []);
        entry.models.get_mut().push(toml::Spanned::new(0..0, task.clone()));
        entry.max_tokens = MAX_TOKENS.try_into().expect("is a number of tokens");
        config.tasks.insert(task.clone(), entry);
    }
    let bedrock = Bedrock::connect(&config.bedrock, ["us-east-1".to_owned()]).await.expect("connects");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("is bound");
    let server = tokio::task::spawn(async move {
        let telemetry = Telemetry::default();
        let parts = Parts::fixed(&config, &Catalogue::built_in(), "us-east-1", bedrock, &telemetry);
        serve(parts, TcpIncoming::from(listener), std::future::pending()).await.expect("serves");
    });
    (server, address)
}
