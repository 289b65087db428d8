//! Bedrock is gone in mid-answer, killed or merely silent: nobody waits longer than a clock, and everyone is told.
//!
//! The simulator is a process of its own here: this binary, started again for the one test that is none.
use crate::{harness::*, sockets::OnSockets};
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

/// Set for the child, to a word that nobody has in the environment by chance.
const IS_CHILD: &str = "SWITCHBOARD_TEST_IS_THE_SIMULATOR";

/// How a line of the child's ends that tells its address.
const LISTENS: &str = "listens on ";

/// An answer begins after 3 s and then takes 4, a few words every 200 ms at most.
const SPEED: f64 = 0.15;

const STREAMS: usize = 50;
const CONNECTIONS: usize = 5;

/// Of each kind, streamed and whole: calls that have no content yet.
const WAITING: usize = 5;

/// Whatever a clock of the server's must end ends well before.
const FOR_EVER: Duration = Duration::from_secs(60);

const FIRST: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const SECOND: &str = "us.anthropic.claude-sonnet-4-6";

// === the simulator ===

#[tokio::test]
#[ignore = "not a test: the simulator that the tests of this file start, and kill"]
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

/// The simulator as a process, which dies with this.
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
        let address = timeout(FOR_EVER, address).await.expect("begins to listen");
        Self { child, address }
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("runs");
        kill_process(id, signal).expect("is ours");
    }

    /// Kills it, if that has not been done, and waits until nothing is left.
    async fn end(mut self) {
        self.child.kill().await.expect("is ours");
    }

    /// How many calls it has got.
    async fn calls(&self) -> usize {
        let mut connection = TcpStream::connect(&self.address).await.expect("connects");
        let ask = "GET /_sim/calls HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\n\r\n";
        connection.write_all(ask.as_bytes()).await.expect("is sent");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.expect("answers");
        answer.matches("\"request_id\"").count()
    }
}

// === the callers ===

/// A server on the simulator, and the streams that it speaks.
struct Stage {
    simulator: Process,
    callers: Vec<ConverseServiceClient<Channel>>,
    streams: JoinSet<(Heard, Instant)>,
    _switchboard: OnSockets,
}

impl Stage {
    /// Until each stream has brought some content.
    async fn speaking(idle: &str) -> Self {
        let simulator = Process::start().await;
        let toml = format!(
            "[deadline]\nidle = {idle:?}\n[retry]\nrounds = 0\n[routing]\nunknown_tasks = \"refuse\"\n\
             [models.first]\nid = {FIRST:?}\n[models.second]\nid = {SECOND:?}\n\
             [tasks.patient]\nmodels = [\"first\", \"second\"]\n\
             [tasks.hasty]\nmodels = [\"first\", \"second\"]\n\
             deadline = {{ first_content = \"1s\", attempt = \"1s\" }}\n"
        );
        let config = Config::parse(&toml).expect("is valid");
        let switchboard = OnSockets::serving(config, format!("http://{}", simulator.address)).await;
        let callers: Vec<_> = (0..CONNECTIONS).map(|_| switchboard.caller()).collect();
        let (speaks, mut speaking) = mpsc::unbounded_channel();
        let mut streams = JoinSet::new();
        for number in 0..STREAMS {
            streams.spawn(listen(callers[number % CONNECTIONS].clone(), speaks.clone()));
        }
        drop(speaks);
        for _ in 0..STREAMS {
            let spoken = timeout(FOR_EVER, speaking.recv()).await.expect("goes on");
            spoken.expect("every stream brings content");
        }
        Self { simulator, callers, streams, _switchboard: switchboard }
    }

    /// Calls of this task that wait for their first content.
    fn wait(&self, task: &'static str) -> JoinSet<Status> {
        let mut waiting = JoinSet::new();
        for number in 0..WAITING {
            let mut caller = self.callers[number % CONNECTIONS].clone();
            waiting.spawn(async move { caller.converse(question(task)).await.expect_err("nobody answers") });
            let mut caller = self.callers[number % CONNECTIONS].clone();
            waiting.spawn(async move {
                caller.converse_stream(question(task)).await.expect_err("nobody answers")
            });
        }
        waiting
    }

    /// Every stream has broken off, with what it had brought and a status that says so. How long that took at most and at
    /// least, and what the attempt died of.
    async fn broken_off(&mut self, since: Instant) -> (Duration, Duration, Vec<String>) {
        let mut streams = std::mem::take(&mut self.streams);
        let (mut took, mut reasons) = (Vec::new(), Vec::new());
        while let Some(ended) = timeout(FOR_EVER, streams.join_next()).await.expect("nobody waits for ever") {
            let (heard, ended) = ended.expect("ends");
            took.push(ended.saturating_duration_since(since));
            assert!(heard.text().starts_with("[simulated"), "what was said arrived: {:?}", heard.text());
            assert!(heard.metadata().is_none());
            let status = heard.status();
            assert_eq!((status.code(), reason(status).as_str()), (Code::Unavailable, "STREAM_INTERRUPTED"));
            let route = route_of(status).expect("has a route");
            assert_eq!((route.task_type.as_str(), route.model_id.is_empty()), ("patient", true));
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

/// The answer has some eighty tokens.
fn question(task: &str) -> pb::ConverseRequest {
    asking(task, "Implement a function that folds the case of a sentence.")
}

/// Hears a stream to its end, and tells of its first content.
async fn listen(
    mut caller: ConverseServiceClient<Channel>,
    speaks: mpsc::UnboundedSender<()>,
) -> (Heard, Instant) {
    let mut speaks = Some(speaks);
    let mut stream = caller.converse_stream(question("patient")).await.expect("begins").into_inner();
    let mut heard = Heard { events: Vec::new(), status: None };
    while heard.status.is_none() {
        match stream.message().await {
            Ok(Some(reply)) => {
                let event = reply.event.expect("has an event");
                if matches!(event, Event::ContentBlockDelta(_))
                    && let Some(speaks) = speaks.take()
                {
                    speaks.send(()).expect("is awaited");
                }
                heard.events.push(event);
            }
            Ok(None) => break,
            Err(status) => heard.status = Some(status),
        }
    }
    (heard, Instant::now())
}

/// Every one of them got a status of ours, with both attempts in its route.
async fn assert_told(mut waiting: JoinSet<Status>, code: Code, reasons: &[&str], outcome: &str) {
    let mut count = 0;
    while let Some(status) = timeout(FOR_EVER, waiting.join_next()).await.expect("nobody waits for ever") {
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
async fn when_bedrock_is_killed_every_caller_is_told_at_once() {
    let idle = Duration::from_secs(5);
    let mut stage = Stage::speaking("5s").await;
    let waiting = stage.wait("patient");
    while stage.simulator.calls().await < STREAMS + 2 * WAITING {
        sleep(Duration::from_millis(10)).await;
    }

    let killed = Instant::now();
    stage.simulator.signal(Signal::KILL);

    let (_, last, reasons) = stage.broken_off(killed).await;
    println!("{STREAMS} streams: the last one was told {last:.1?} after the kill: {reasons:?}");
    assert!(last < idle, "it took {last:?}");
    assert!(!reasons.contains(&"MODEL_TIMEOUT".to_owned()), "no clock was needed: {reasons:?}");
    assert_told(waiting, Code::Unavailable, &["BEDROCK_UNREACHABLE", "BEDROCK_PROTOCOL"], "UNAVAILABLE")
        .await;
    stage.simulator.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_bedrock_falls_silent_every_caller_is_told_after_the_idle_clock() {
    let idle = Duration::from_secs(1);
    let mut stage = Stage::speaking("1s").await;

    let stopped = Instant::now();
    stage.simulator.signal(Signal::STOP);
    let waiting = stage.wait("hasty");

    let (first, last, reasons) = stage.broken_off(stopped).await;
    println!("{STREAMS} streams: told {first:.1?} to {last:.1?} after the stop: {reasons:?}");
    assert_eq!(reasons, ["MODEL_TIMEOUT"], "the idle clock rang");
    assert!(first >= idle / 2, "a word was there a moment before; it took {first:?}");
    assert!(last < 5 * idle, "it took {last:?}");
    assert_told(waiting, Code::DeadlineExceeded, &["MODEL_TIMEOUT"], "TIMEOUT").await;
    stage.simulator.end().await;
}
