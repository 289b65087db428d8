//! Every client sees the same.
//!
//! Scenarios are data (`scenarios/`). For each client the runner starts its driver, a small program in the client's own
//! language, and points it at the true `switchboard` in front of the true `bedrock-sim`, or at a stand-in that sends what
//! only a newer server would send. Each driver runs twice: with the client's layer, and with generated stubs alone, as
//! other teams will use them.
//!
//! A driver is started as `DRIVER --target HOST:PORT --mode layer|plain`. It reads a call per line of JSON and writes what
//! its caller saw of it per line of JSON; when its input ends, it ends. `client/rust/examples/conformance` is the shortest
//! one to read.
//!
//! Calls: `rpc`, `request` (protobuf JSON), `deadline_ms`, `cancel_after_events` (0: as soon as it was sent), `then`
//! (`"history"`: the collected answer and a question "and now?" are appended, and the second answer is reported).
//! Replies: `response` or `events` (protobuf JSON), `text`, `message` (as collected), `tool_uses`, `error` (`code`,
//! `message`, `reason`, `retry_delay_ms`, `fields`, `request_id`, `attempts`); what says nothing is left out.
//!
//! A client whose toolchain is missing is skipped, and said so; where `CI` is set that is a failure. `SWITCHBOARD_CLIENTS`
//! chooses clients, `SWITCHBOARD_SCENARIOS` those scenarios whose file names hold it.
#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

mod clients;
mod driver;
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

/// How long the simulator may take to notice that a caller has left.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

type Scenarios = Vec<(String, Scenario)>;

#[tokio::test]
async fn every_client_passes_every_scenario() {
    let scenarios = scenarios();
    let titles = scenarios.iter().map(|(name, scenario)| (name.clone(), scenario.title.clone()));
    let mut table = Table::new(titles.collect());
    let prepared = PreparedServer::start().await;
    let clients = clients::chosen();
    let mut is_whole =
        clients.len() == clients::all().len() && env::var_os("SWITCHBOARD_SCENARIOS").is_none();
    for client in &clients {
        if let Some(missing) = client.missing() {
            let is_ci = env::var_os("CI").is_some_and(|ci| !["", "0", "false"].map(Into::into).contains(&ci));
            assert!(!is_ci, "the client for {} needs {missing}, which is not on PATH", client.name);
            table.skip(&client.name, missing);
            is_whole = false;
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
    // Not `println!`, which is only shown when a test fails.
    write!(std::io::stdout(), "\n{table}\n").expect("can be written");
    let failures = table.failures();
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    if is_whole {
        table.agree_with_readme().expect("the README shows this table");
    }
}

fn scenarios() -> Scenarios {
    let all = Scenario::all(&programs::root().join("tests/conformance/scenarios"));
    let wanted = env::var_os("SWITCHBOARD_SCENARIOS").unwrap_or_default();
    all.into_iter().filter(|(name, _)| name.contains(wanted.to_string_lossy().as_ref())).collect()
}

/// One client in one mode, with servers of its own: what one client upsets is not told to the next.
async fn run(client: &Client, mode: Mode, scenarios: &Scenarios, stage: &Stage, table: &mut Table) {
    let mut drivers = BTreeMap::new();
    for (name, scenario) in scenarios.iter().filter(|(_, scenario)| scenario.is_for(mode)) {
        let result = play(client, mode, scenario, stage, &mut drivers).await;
        if result.is_err() {
            drivers.remove(&scenario.server); // the next scenario shall not hear of it
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
    stage.simulator.calm().await;
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
    matching::check(&scenario.expected(mode), &reply).map_err(|problem| told(&problem, &reply))?;
    if let Some(expected) = &scenario.received {
        let received = stage.prepared.received();
        matching::check(expected, &received).map_err(|problem| format!("received: {problem}"))?;
    }
    match &scenario.upstream {
        Some(expected) => upstream(stage, expected).await,
        None => Ok(()),
    }
}

/// A driver that has called once already, where the server can be called: deadlines are not about opening connections.
async fn started(client: &Client, mode: Mode, server: Server, target: &str) -> Result<Driver, String> {
    let mut driver = Driver::start(client, mode, target)?;
    if server != Server::Prepared {
        driver.call(&json!({ "rpc": "ListTasks", "request": {} })).await?;
    }
    Ok(driver)
}

/// A stream whose first content has come, and which goes on until it is dropped.
async fn hold_open(target: &str, request: &Value) -> Result<EventStream, String> {
    use prost_reflect::{DescriptorPool, DynamicMessage};
    let contract = DescriptorPool::decode(switchboard_proto::FILE_DESCRIPTOR_SET).expect("is the contract");
    let kind = contract.get_message_by_name("switchboard.v1.ConverseRequest").expect("is there");
    let request = DynamicMessage::deserialize(kind, request.clone()).map_err(|error| error.to_string())?;
    let request = request.transcode_to().map_err(|error| error.to_string())?;
    let switchboard = Switchboard::connect(target).await.map_err(|error| error.to_string())?;
    let mut events = switchboard.stream(request).await.map_err(|error| error.to_string())?;
    events.next().await.ok_or("the call held open ended")?.map_err(|error| error.to_string())?;
    Ok(events)
}

/// The simulator hears of a caller who left a moment later.
async fn upstream(stage: &Stage, expected: &Value) -> Result<(), String> {
    let until = Instant::now() + NOTICED_WITHIN;
    loop {
        let calls = stage.simulator.calls().await;
        match matching::check(expected, &calls) {
            Err(problem) if Instant::now() > until => return Err(format!("upstream: {problem}")),
            Err(_) => sleep(Duration::from_millis(20)).await,
            Ok(()) => return Ok(()),
        }
    }
}

/// The problem, with the error that explains it where the caller saw one.
fn told(problem: &str, reply: &Value) -> String {
    match &reply["error"] {
        Value::Null => problem.to_owned(),
        error => format!("{problem} (error: {error})"),
    }
}
