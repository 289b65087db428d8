//! A drain under load: callers on real sockets make one call after another while the server drains.
use crate::sockets::SocketServer;
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

/// Number of answers before the drain starts.
const WARM: usize = 3 * CALLERS;

/// State that the callers share with the test.
#[derive(Debug, Default)]
struct Shared {
    answered: AtomicUsize,
    is_draining: AtomicBool,
}

#[derive(Debug, Default)]
struct Tally {
    unary: usize,
    streamed: usize,
    refused: BTreeMap<String, usize>,
    lost: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_load_loses_no_call() {
    // An answer takes about 300 ms, so that dozens of calls run when the drain starts.
    let simulator = Simulator::start(bedrock_sim::Config { speed: 10.0, ..Default::default() });
    let simulator = simulator.await.expect("starts");
    let config = Config::for_two_models("us.anthropic.claude-sonnet-4-6", "us.anthropic.claude-opus-4-8");
    let mut switchboard = SocketServer::serving(config, simulator.endpoint_url()).await;
    let (shared, mut callers) = (Arc::new(Shared::default()), JoinSet::new());
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Switchboard::connect(switchboard.address()).await.expect("connects"));
    }
    for number in 0..CALLERS {
        let shared = Arc::clone(&shared);
        callers.spawn(call_on(connections[number % CONNECTIONS].clone(), number, shared));
    }
    let (began, mut running) = (Instant::now(), 0);
    while shared.answered.load(SeqCst) < WARM || running < CALLERS / 2 {
        assert!(began.elapsed() < Duration::from_secs(60), "no call is answered");
        sleep(Duration::from_millis(1)).await;
        running = simulator.handle().calls().iter().filter(|call| !call.finished).count();
    }

    shared.is_draining.store(true, SeqCst);
    let began = Instant::now();
    let drained = timeout(Duration::from_secs(60), switchboard.drain()).await.expect("ends");
    let took = began.elapsed();

    let tallies = timeout(Duration::from_secs(60), callers.join_all())
        .await
        .expect("every caller is refused in the end");
    let tally = tallies.into_iter().fold(Tally::default(), Tally::and);
    println!("{running} calls ran at Bedrock when the drain started; it took {took:.1?}\n{tally}");
    assert_eq!(drained, Drained::Clean);
    assert!(tally.lost.is_empty(), "lost:\n{}", tally.lost.join("\n"));
    assert_eq!(tally.refused.values().sum::<usize>(), CALLERS, "each caller is refused once and stops");
    let model_calls = simulator.handle().calls();
    assert!(model_calls.iter().all(|call| call.finished), "a call of Bedrock was cut off");
    assert_eq!(
        model_calls.len(),
        tally.unary + tally.streamed,
        "no call was refused after Bedrock had been called"
    );
}

/// Makes one call after another, unary and streamed in turn, until one is not answered.
async fn call_on(switchboard: Switchboard, number: usize, shared: Arc<Shared>) -> Tally {
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
                shared.answered.fetch_add(1, SeqCst);
                *(if is_streamed { &mut tally.streamed } else { &mut tally.unary }) += 1;
            }
            Err(error) if is_refusal(&error) && shared.is_draining.load(SeqCst) => {
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

/// True if the server no longer accepts calls. (While a connection closes, the client repeats the call on a
/// new one, which the kernel may have accepted just before the listener closed.) The simulator's log shows
/// that no call was cut off.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Connect | ErrorKind::Transport) && error.code() == Code::Unavailable
}

// === impl Tally ===

impl Tally {
    fn and(mut self, other: Self) -> Self {
        self.unary += other.unary;
        self.streamed += other.streamed;
        self.lost.extend(other.lost);
        for (message, count) in other.refused {
            *self.refused.entry(message).or_default() += count;
        }
        self
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unary, streamed, refused, lost } = self;
        writeln!(f, "{unary} unary answers, {streamed} complete streams, {} lost", lost.len())?;
        refused.iter().try_for_each(|(message, count)| writeln!(f, "{count:4} refused with {message}"))
    }
}
