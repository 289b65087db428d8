//! A drain under load: callers who never pause, over real sockets, and a server that is told to drain in their midst.
use crate::sockets::OnSockets;
use bedrock_sim::Simulator;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use switchboard_client::{Error, ErrorKind, Switchboard, ask};
use switchboard_server::{Drained, config::Config};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tonic::Code;

const CALLERS: usize = 48;
const CONNECTIONS: usize = 12;

/// So many answers are there before the drain begins, and then half of the callers wait for one more.
const WARM: usize = 3 * CALLERS;

/// What callers and test share.
#[derive(Debug, Default)]
struct Stage {
    answered: AtomicUsize,
    is_draining: AtomicBool,
}

#[derive(Debug, Default)]
struct Tally {
    whole: usize,
    streamed: usize,
    refused: BTreeMap<String, usize>,
    lost: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_load_loses_no_call() {
    // An answer takes some 300 ms, so that dozens run when the drain begins.
    let simulator = Simulator::start(bedrock_sim::Config { speed: 10.0, ..Default::default() });
    let simulator = simulator.await.expect("starts");
    let config = Config::for_two_models("us.anthropic.claude-sonnet-4-6", "us.anthropic.claude-opus-4-8");
    let mut switchboard = OnSockets::serving(config, simulator.endpoint_url()).await;
    let (stage, mut callers) = (Arc::new(Stage::default()), JoinSet::new());
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Switchboard::connect(switchboard.address()).await.expect("connects"));
    }
    for number in 0..CALLERS {
        let stage = Arc::clone(&stage);
        callers.spawn(call_on(connections[number % CONNECTIONS].clone(), number, stage));
    }
    let (began, mut running) = (Instant::now(), 0);
    while stage.answered.load(SeqCst) < WARM || running < CALLERS / 2 {
        assert!(began.elapsed() < Duration::from_secs(60), "nobody is answered");
        sleep(Duration::from_millis(1)).await;
        running = simulator.handle().calls().iter().filter(|call| !call.finished).count();
    }

    stage.is_draining.store(true, SeqCst);
    let began = Instant::now();
    let drained = timeout(Duration::from_secs(60), switchboard.drain()).await.expect("ends");
    let took = began.elapsed();

    let tallies =
        timeout(Duration::from_secs(60), callers.join_all()).await.expect("all are refused in the end");
    let tally = tallies.into_iter().fold(Tally::default(), Tally::and);
    println!("{running} calls ran at Bedrock as the drain began; it took {took:.1?}\n{tally}");
    assert_eq!(drained, Drained::Clean);
    assert!(tally.lost.is_empty(), "lost:\n{}", tally.lost.join("\n"));
    assert_eq!(tally.refused.values().sum::<usize>(), CALLERS, "each caller is refused once, and stops");
    let asked = simulator.handle().calls();
    assert!(asked.iter().all(|call| call.finished), "Bedrock was left in the midst of an answer");
    assert_eq!(
        asked.len(),
        tally.whole + tally.streamed,
        "no call was refused that Bedrock had been asked for"
    );
}

/// One call after the other, whole and streamed in turn, until one is not answered.
async fn call_on(switchboard: Switchboard, number: usize, stage: Arc<Stage>) -> Tally {
    let mut tally = Tally::default();
    for round in number.. {
        let is_streamed = round % 2 == 0;
        let request = ask("coding", "What is a monad?");
        let answered = if is_streamed {
            match switchboard.stream(request).await {
                Ok(stream) => stream.collect_message().await.map(drop),
                Err(error) => Err(error),
            }
        } else {
            switchboard.converse(request).await.map(drop)
        };
        match answered {
            Ok(()) => {
                stage.answered.fetch_add(1, SeqCst);
                *(if is_streamed { &mut tally.streamed } else { &mut tally.whole }) += 1;
            }
            Err(error) if is_refusal(&error) && stage.is_draining.load(SeqCst) => {
                tally.refused.insert(error.to_string(), 1);
                return tally;
            }
            Err(error) => {
                tally.lost.push(format!("caller {number}, streamed {is_streamed}: {error:?}"));
                return tally;
            }
        }
    }
    tally
}

/// Nobody listens any more. (Where a connection is closing, the client itself asks over a new one; that may be one that the
/// system had accepted just before the server went.) That no call was cut is seen by what Bedrock was asked.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Connect | ErrorKind::Transport) && error.code() == Code::Unavailable
}

// === impl Tally ===

impl Tally {
    fn and(mut self, other: Self) -> Self {
        self.whole += other.whole;
        self.streamed += other.streamed;
        self.lost.extend(other.lost);
        for (words, count) in other.refused {
            *self.refused.entry(words).or_default() += count;
        }
        self
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whole, streamed, refused, lost } = self;
        writeln!(f, "{whole} whole answers, {streamed} streams to their end, {} lost", lost.len())?;
        refused.iter().try_for_each(|(words, count)| writeln!(f, "{count:4} refused with {words}"))
    }
}
