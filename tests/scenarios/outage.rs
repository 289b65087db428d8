//! An outage of Bedrock in mid-answer, by a kill or by silence: every call ends within its timeouts and with
//! a typed status.
//!
//! The simulator is a separate process: this test binary, started for the ignored test `the_simulator`.
use crate::{harness::*, sockets::SocketServer};
use bedrock_sim::Config as Simulated;
use rustix::process::{Pid, Signal, kill_process};
use std::{env, process::Stdio, time::Duration};
use switchboard_proto::v1::{
    self as pb, converse_service_client::ConverseServiceClient, converse_stream_response::Event,
};
use switchboard_server::config::Config;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, stdin},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tonic::{Code, Status, transport::Channel};

/// Set for the child process alone.
const IS_CHILD: &str = "SWITCHBOARD_TEST_IS_THE_SIMULATOR";

/// Prefix of the line in which the child reports its address.
const LISTENS: &str = "listens on ";

/// An answer starts after 3 s and then takes 4 s, with events at most 200 ms apart.
const SPEED: f64 = 0.15;

const STREAMS: usize = 50;
const CONNECTIONS: usize = 5;

/// Number of calls of each kind, unary and streamed, that have no content yet.
const WAITING: usize = 5;

/// Far longer than any of the server's timeouts.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

const FIRST: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const SECOND: &str = "us.anthropic.claude-sonnet-4-6";

// === the simulator ===

#[tokio::test]
#[ignore = "not a test: the simulator that the tests of this file start and kill"]
async fn the_simulator() {
    if env::var_os(IS_CHILD).is_none() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    println!("\n{LISTENS}{}", listener.local_addr().expect("has an address"));
    let parent_is_gone = async {
        let _end = stdin().read(&mut [0]).await;
    };
    let config = Simulated { speed: SPEED, ..Simulated::default() };
    bedrock_sim::serve(config, listener, parent_is_gone).await.expect("serves");
}

/// The simulator as a child process, which is killed when this is dropped.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    async fn start() -> Self {
        let name = format!("{}::the_simulator", module_path!().split_once("::").expect("is a module").1);
        let mut child = Command::new(env::current_exe().expect("is a file"))
            .args(["--exact", &name, "--ignored", "--nocapture"])
            .env(IS_CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        let address = async {
            while let Some(line) = lines.next_line().await.expect("is text") {
                if let Some(address) = line.strip_prefix(LISTENS) {
                    return address.to_owned();
                }
            }
            panic!("the simulator ended")
        };
        let address = timeout(TEST_TIMEOUT, address).await.expect("listens");
        Self { child, address }
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("runs");
        kill_process(id, signal).expect("is ours");
    }

    /// Kills the process, if it still runs, and waits for its end.
    async fn end(mut self) {
        self.child.kill().await.expect("is ours");
    }

    /// Number of calls that the simulator has received.
    async fn calls(&self) -> usize {
        let mut connection = TcpStream::connect(&self.address).await.expect("connects");
        let request = "GET /_sim/calls HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\n\r\n";
        connection.write_all(request.as_bytes()).await.expect("is sent");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.expect("answers");
        answer.matches("\"request_id\"").count()
    }
}

// === the callers ===

/// A server on the simulator, and streams that are running.
struct Setup {
    simulator: Process,
    callers: Vec<ConverseServiceClient<Channel>>,
    streams: JoinSet<(ReceivedStream, Instant)>,
    _switchboard: SocketServer,
}

impl Setup {
    /// Starts the streams and waits for content on each of them.
    async fn streaming(idle: &str) -> Self {
        let simulator = Process::start().await;
        let toml = format!(
            "[deadline]\nidle = {idle:?}\n[retry]\nrounds = 0\n[routing]\nunknown_tasks = \"refuse\"\n\
             [models.first]\nid = {FIRST:?}\n[models.second]\nid = {SECOND:?}\n\
             [tasks.default_timeouts]\nmodels = [\"first\", \"second\"]\n\
             [tasks.short_timeouts]\nmodels = [\"first\", \"second\"]\n\
             deadline = {{ first_content = \"1s\", attempt = \"1s\" }}\n"
        );
        let config = Config::parse(&toml).expect("is valid");
        let switchboard = SocketServer::serving(config, format!("http://{}", simulator.address)).await;
        let callers: Vec<_> = (0..CONNECTIONS).map(|_| switchboard.caller()).collect();
        let (has_content, mut with_content) = mpsc::unbounded_channel();
        let mut streams = JoinSet::new();
        for number in 0..STREAMS {
            streams.spawn(read_stream(callers[number % CONNECTIONS].clone(), has_content.clone()));
        }
        drop(has_content);
        for _ in 0..STREAMS {
            let content = timeout(TEST_TIMEOUT, with_content.recv()).await.expect("continues");
            content.expect("every stream has content");
        }
        Self { simulator, callers, streams, _switchboard: switchboard }
    }

    /// Starts calls of `task` that wait for their first content.
    fn waiting_calls(&self, task: &'static str) -> JoinSet<Status> {
        let mut waiting = JoinSet::new();
        for number in 0..WAITING {
            let mut caller = self.callers[number % CONNECTIONS].clone();
            waiting
                .spawn(async move { caller.converse(question(task)).await.expect_err("no model answers") });
            let mut caller = self.callers[number % CONNECTIONS].clone();
            waiting.spawn(async move {
                caller.converse_stream(question(task)).await.expect_err("no model answers")
            });
        }
        waiting
    }

    /// Asserts that every stream ended with its partial answer and a status. Returns the shortest and the
    /// longest time since `since`, and the reasons of the attempts.
    async fn assert_interrupted(&mut self, since: Instant) -> (Duration, Duration, Vec<String>) {
        let mut streams = std::mem::take(&mut self.streams);
        let (mut took, mut reasons) = (Vec::new(), Vec::new());
        while let Some(ended) = timeout(TEST_TIMEOUT, streams.join_next()).await.expect("every call ends") {
            let (received, ended) = ended.expect("ends");
            took.push(ended.saturating_duration_since(since));
            assert!(
                received.text().starts_with("[simulated"),
                "the partial answer arrived: {:?}",
                received.text()
            );
            assert!(received.metadata().is_none());
            let status = received.status();
            assert_eq!((status.code(), reason(status).as_str()), (Code::Unavailable, "STREAM_INTERRUPTED"));
            let route = route_of(status).expect("has a route");
            assert_eq!((route.task_type.as_str(), route.model_id.is_empty()), ("default_timeouts", true));
            let [attempt] = &route.attempts[..] else { panic!("there is one attempt: {:?}", route.attempts) };
            assert_eq!(attempt.model_id, FIRST);
            reasons.push(reason_name(attempt.reason()).to_owned());
        }
        assert_eq!(took.len(), STREAMS);
        reasons.sort();
        reasons.dedup();
        (took.iter().copied().min().unwrap_or_default(), took.into_iter().max().unwrap_or_default(), reasons)
    }
}

/// A request whose answer has about eighty tokens.
fn question(task: &str) -> pb::ConverseRequest {
    chat_request(task, "Implement a function that folds the case of a sentence.")
}

/// Reads a stream to its end, and reports its first content.
async fn read_stream(
    mut caller: ConverseServiceClient<Channel>,
    has_content: mpsc::UnboundedSender<()>,
) -> (ReceivedStream, Instant) {
    let mut has_content = Some(has_content);
    let mut stream = caller.converse_stream(question("default_timeouts")).await.expect("begins").into_inner();
    let mut received = ReceivedStream { events: Vec::new(), status: None };
    while received.status.is_none() {
        match stream.message().await {
            Ok(Some(reply)) => {
                let event = reply.event.expect("has an event");
                if matches!(event, Event::ContentBlockDelta(_))
                    && let Some(has_content) = has_content.take()
                {
                    has_content.send(()).expect("is awaited");
                }
                received.events.push(event);
            }
            Ok(None) => break,
            Err(status) => received.status = Some(status),
        }
    }
    (received, Instant::now())
}

/// Asserts that every call got a status of Switchboard's, with both attempts in its route.
async fn assert_failed(mut waiting: JoinSet<Status>, code: Code, reasons: &[&str], outcome: &str) {
    let mut count = 0;
    while let Some(status) = timeout(TEST_TIMEOUT, waiting.join_next()).await.expect("every call ends") {
        let status = status.expect("fails as expected");
        assert_eq!(status.code(), code, "{status:?}");
        assert!(reasons.contains(&reason(&status).as_str()), "{status:?}");
        let route = route_of(&status).expect("has a route");
        assert_eq!(attempts(&route), [format!("{FIRST} {outcome}"), format!("{SECOND} {outcome}")]);
        count += 1;
    }
    assert_eq!(count, 2 * WAITING);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_bedrock_ends_every_call_at_once() {
    let idle = Duration::from_secs(5);
    let mut setup = Setup::streaming("5s").await;
    let waiting = setup.waiting_calls("default_timeouts");
    while setup.simulator.calls().await < STREAMS + 2 * WAITING {
        sleep(Duration::from_millis(10)).await;
    }

    let killed = Instant::now();
    setup.simulator.signal(Signal::KILL);

    let (_, last, reasons) = setup.assert_interrupted(killed).await;
    println!("{STREAMS} streams: the last one ended {last:.1?} after the kill: {reasons:?}");
    assert!(last < idle, "it took {last:?}");
    assert!(!reasons.contains(&"MODEL_TIMEOUT".to_owned()), "no timeout was needed: {reasons:?}");
    assert_failed(waiting, Code::Unavailable, &["BEDROCK_UNREACHABLE", "BEDROCK_PROTOCOL"], "UNAVAILABLE")
        .await;
    setup.simulator.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_bedrock_ends_every_call_after_the_idle_timeout() {
    let idle = Duration::from_secs(1);
    let mut setup = Setup::streaming("1s").await;

    let stopped = Instant::now();
    setup.simulator.signal(Signal::STOP);
    let waiting = setup.waiting_calls("short_timeouts");

    let (first, last, reasons) = setup.assert_interrupted(stopped).await;
    println!("{STREAMS} streams: ended {first:.1?} to {last:.1?} after the stop: {reasons:?}");
    assert_eq!(reasons, ["MODEL_TIMEOUT"], "the idle timeout has passed");
    assert!(first >= idle / 2, "content had arrived shortly before; it took {first:?}");
    assert!(last < 5 * idle, "it took {last:?}");
    assert_failed(waiting, Code::DeadlineExceeded, &["MODEL_TIMEOUT"], "TIMEOUT").await;
    setup.simulator.end().await;
}
