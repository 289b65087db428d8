//! All clients behave the same.
//!
//! Scenarios are data (`scenarios/`). For each client, the runner starts its driver, a small program in the
//! language of the client, and connects it to the real `switchboard` with the real `bedrock-sim`, or to a
//! server that sends prepared bytes as a newer server might. Each driver runs in two modes: with the client
//! library, and with generated stubs only.
//!
//! A driver is started as `DRIVER --target HOST:PORT --mode layer|plain`. It reads a call per line of JSON
//! and writes its result as a line of JSON. It ends when its input ends. `client/rust/examples/conformance`
//! is the shortest driver.
//!
//! Members of a call: `rpc`, `request` (protobuf JSON), `deadline_ms`, `cancel_after_events` (0: as soon as
//! the request has been sent), `then` (`"history"`: append the collected answer and the question "and now?",
//! and report the second answer), `traceparent` (the span that is current in the driver's OpenTelemetry while
//! it makes the call).
//!
//! Members of a result: `response` or `events` (protobuf JSON), `text`, `message` (as collected),
//! `tool_uses`, `error` (`code`, `message`, `reason`, `retry_delay_ms`, `fields`, `request_id`, `attempts`).
//! Empty members are omitted.
//!
//! A client whose toolchain is missing is skipped and reported; if `CI` is set, the test fails.
//! `SWITCHBOARD_CLIENTS` selects clients. `SWITCHBOARD_SCENARIOS` selects scenarios whose file names contain
//! it. `UPDATE_DOCS=1` writes the table of docs/conformance.md.
#![expect(clippy::expect_used, reason = "a failed assumption ends the test")]

mod clients;
mod driver;
mod goaway;
mod grpcurl;
mod health_probe;
mod matching;
mod prepared;
mod programs;
mod scenario;
mod simulator;
mod table;
mod wire;

use clients::Client;
use driver::Driver;
use prepared::PreparedServer;
use programs::Stage;
use scenario::{Mode, Scenario, Server};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    env,
    io::Write as _,
    time::Duration,
};
use switchboard_client::{EventStream, Switchboard};
use table::Table;
use tokio::time::{Instant, sleep};

/// Time in which the simulator must notice that a call was cancelled.
const CANCELLATION_TIMEOUT: Duration = Duration::from_secs(10);

type Scenarios = Vec<(String, Scenario)>;

#[tokio::test]
async fn every_client_passes_every_scenario() {
    let scenarios = scenarios();
    let titles = scenarios.iter().map(|(name, scenario)| (name.clone(), scenario.title.clone()));
    let mut table = Table::new(titles.collect());
    let prepared = PreparedServer::start().await;
    let clients = clients::chosen();
    assert!(!scenarios.is_empty() && !clients.is_empty(), "no scenario or no client has the chosen name");
    let mut is_complete =
        clients.len() == clients::all().len() && env::var_os("SWITCHBOARD_SCENARIOS").is_none();
    for client in &clients {
        if let Some(missing) = client.missing() {
            let is_ci = env::var_os("CI").is_some();
            assert!(!is_ci, "the client for {} needs {missing}, which is not on PATH", client.name);
            table.skip(&client.name, missing);
            is_complete = false;
            continue;
        }
        if let Err(error) = client.install() {
            table.record(&client.name, "its installation", Mode::Layer, Err(error));
            continue;
        }
        for mode in [Mode::Layer, Mode::Plain] {
            run(client, mode, &scenarios, &Stage::start(&prepared).await, &mut table).await;
        }
    }
    // `println!` is only shown if the test fails.
    write!(std::io::stdout(), "\n{table}\n").expect("can be written");
    let failures = table.failures();
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    if is_complete {
        table.check_docs().expect("docs/conformance.md has this table");
    }
}

fn scenarios() -> Scenarios {
    let all = Scenario::all(&programs::root().join("tests/conformance/scenarios"));
    let wanted = env::var_os("SWITCHBOARD_SCENARIOS").unwrap_or_default();
    all.into_iter().filter(|(name, _)| name.contains(wanted.to_string_lossy().as_ref())).collect()
}

/// Runs one client in one mode, with servers of its own, so that clients do not affect each other.
async fn run(client: &Client, mode: Mode, scenarios: &Scenarios, stage: &Stage, table: &mut Table) {
    let mut drivers = BTreeMap::new();
    for (name, scenario) in scenarios.iter().filter(|(_, scenario)| scenario.is_for(mode)) {
        let result = play(client, mode, scenario, stage, &mut drivers).await;
        if result.is_err() {
            drivers.remove(&scenario.server); // the next scenario needs a driver in a known state
        }
        table.record(&client.name, name, mode, result);
    }
    for (_, driver) in drivers {
        let ended = driver.end().await;
        if ended.is_err() {
            table.record(&client.name, "the end of its input", mode, ended);
        }
    }
}

async fn play(
    client: &Client,
    mode: Mode,
    scenario: &Scenario,
    stage: &Stage,
    drivers: &mut BTreeMap<Server, Driver>,
) -> Result<(), String> {
    stage.simulator.reset().await;
    stage.prepared.prepare(&scenario.prepared);
    let target = stage.address(scenario.server);
    for fault in &scenario.faults {
        stage.simulator.inject(fault).await;
    }
    let meanwhile = match &scenario.meanwhile {
        Some(request) => Some(hold_open(&target, request).await?),
        None => None,
    };
    let driver = match drivers.entry(scenario.server) {
        Entry::Occupied(running) => running.into_mut(),
        Entry::Vacant(place) => place.insert(started(client, mode, scenario.server, &target).await?),
    };
    let reply = driver.call(&scenario.call).await?;
    drop(meanwhile);
    matching::check(&scenario.expected(mode), &reply).map_err(|problem| with_error(&problem, &reply))?;
    if let Some(expected) = &scenario.received {
        let received = stage.prepared.received();
        matching::check(expected, &received).map_err(|problem| format!("received: {problem}"))?;
    }
    match &scenario.upstream {
        Some(expected) => upstream(stage, expected).await,
        None => Ok(()),
    }
}

/// Starts a driver and makes a first call, so that deadlines of scenarios do not include opening the
/// connection.
async fn started(client: &Client, mode: Mode, server: Server, target: &str) -> Result<Driver, String> {
    let mut driver = Driver::start(client, mode, target)?;
    if !matches!(server, Server::Prepared | Server::Closing) {
        driver.call(&json!({ "rpc": "ListTasks", "request": {} })).await?;
    }
    Ok(driver)
}

/// Returns a stream that has started and stays open until it is dropped.
async fn hold_open(target: &str, request: &Value) -> Result<EventStream, String> {
    use prost_reflect::{DescriptorPool, DynamicMessage};
    let contract = DescriptorPool::decode(switchboard_proto::FILE_DESCRIPTOR_SET).expect("is the contract");
    let kind = contract.get_message_by_name("switchboard.v1.ConverseRequest").expect("is in the contract");
    let request = DynamicMessage::deserialize(kind, request.clone()).map_err(|error| error.to_string())?;
    let request = request.transcode_to().map_err(|error| error.to_string())?;
    let switchboard = Switchboard::connect(target).await.map_err(|error| error.to_string())?;
    let mut events = switchboard.stream(request).await.map_err(|error| error.to_string())?;
    events.next().await.ok_or("the open call ended")?.map_err(|error| error.to_string())?;
    Ok(events)
}

/// Waits until the simulator's calls are as expected. It notices cancelled calls with a delay.
async fn upstream(stage: &Stage, expected: &Value) -> Result<(), String> {
    let until = Instant::now() + CANCELLATION_TIMEOUT;
    loop {
        let calls = stage.simulator.calls().await;
        match matching::check(expected, &calls) {
            Err(problem) if Instant::now() > until => return Err(format!("upstream: {problem}")),
            Err(_) => sleep(Duration::from_millis(20)).await,
            Ok(()) => return Ok(()),
        }
    }
}

/// Returns the problem with the error of the reply, if there is one.
fn with_error(problem: &str, reply: &Value) -> String {
    match &reply["error"] {
        Value::Null => problem.to_owned(),
        error => format!("{problem} (error: {error})"),
    }
}
