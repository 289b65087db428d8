//! Chaos: thousands of calls over real sockets, while models have every fault of the simulator and callers
//! cancel at random. No call may hang, get lost, get the answer of another one, or leave anything open.
//!
//! ```text
//! faults   every fault, one model for each
//! plan     behaviour of the callers, from a seed: equal seeds give equal plans
//! caller   one call, compared with the simulator's answer
//! overrun  finds models that still work for calls that have ended
//! setup    simulator and server, and their open sockets and tasks
//! tally    results of the calls, by the fault of the first model
//! ```
//!
//! A failed run reports its seed and the numbers of its calls. `cargo xtask chaos` runs the long form, `cargo
//! xtask soak` the memory test.
#![expect(clippy::expect_used, reason = "a test that cannot continue reports the reason")]

mod caller;
mod faults;
mod overrun;
mod plan;
mod setup;
mod soak;
mod tally;

use caller::{CallResult, Callers};
use futures_util::{StreamExt as _, stream};
use overrun::OverrunMonitor;
use plan::{Phase, Plan};
use setup::{Guards, Setup};
use std::str::FromStr;
use tally::Tally;
use tokio::{sync::Mutex, time::Instant};

/// Number of calls that run at the same time.
const CONCURRENT_CALLS: usize = 32;

/// Number of calls, out of ten, for which the second model is healthy. For the others it has a fault too.
const HEALTHY_OF_TEN: u32 = 7;

/// Speed of the simulator, relative to real models: an answer takes about 100 ms.
const SPEED: f64 = 20.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_completes_or_fails_with_a_typed_status() {
    let (calls, seed): (u32, u64) =
        (number_from_env("SWITCHBOARD_CHAOS_CALLS", 2000), number_from_env("SWITCHBOARD_CHAOS_SEED", 1));
    let _turn = TURN.lock().await;
    println!("{calls} calls, {CONCURRENT_CALLS} at once, seed {seed}");
    let (began, faulty_models) = (Instant::now(), faults::all());
    let setup = Setup::start(&faulty_models, SPEED, Guards::Off).await;
    let monitor = OverrunMonitor::new(setup.simulator());
    let callers = Callers::of(&setup).await;
    let idle = setup.idle_at_start().await;
    let mut errors = Vec::new();

    let first_both_faulty = calls / 10 * HEALTHY_OF_TEN;
    for (phase, numbers) in
        [(Phase::SecondIsHealthy, 0..first_both_faulty), (Phase::BothAreFaulty, first_both_faulty..calls)]
    {
        let plans = numbers.map(|number| Plan::new(seed, number, phase, &faulty_models));
        let mut tally = Tally::default();
        let calls = run(&callers, plans, |result| {
            monitor.call_ended(result.plan.number);
            tally.add(result);
        });
        tokio::select! {
            () = calls => {}
            never = monitor.watch() => match never {},
        }
        println!("\n{phase}, after {:.1?}\n{tally}", began.elapsed());
        errors.extend(tally.errors(phase, &faulty_models));
    }

    errors.extend(setup.settled(idle, &monitor).await);
    errors.extend(monitor.errors());
    drop(callers);
    errors.extend(setup.shut_down().await);
    println!("took {:.1?}", began.elapsed());
    assert!(errors.is_empty(), "with seed {seed}:\n{}", errors.join("\n"));
}

/// With few faulty models, so that each is called often enough to open its breaker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn breakers_hedges_and_restarts_lose_no_call_and_mix_no_answers() {
    let (calls, seed): (u32, u64) =
        (number_from_env("SWITCHBOARD_CHAOS_CALLS", 2000) / 2, number_from_env("SWITCHBOARD_CHAOS_SEED", 1));
    let _turn = TURN.lock().await;
    println!("{calls} calls, {CONCURRENT_CALLS} at once, seed {seed}, with breakers, hedges and restarts");
    let (began, faulty_models) = (Instant::now(), faults::few());
    let setup = Setup::start(&faulty_models, SPEED, Guards::On).await;
    let monitor = OverrunMonitor::new(setup.simulator());
    let callers = Callers::of(&setup).await;
    let idle = setup.idle_at_start().await;
    let mut tally = Tally::default();
    let plans = (0..calls).map(|number| Plan::new(seed, number, Phase::SecondIsHealthy, &faulty_models));
    let calls = run(&callers, plans, |result| {
        monitor.call_ended(result.plan.number);
        tally.add(result);
    });
    tokio::select! {
        () = calls => {}
        never = monitor.watch() => match never {},
    }
    println!("\nafter {:.1?}\n{tally}", began.elapsed());
    let mut errors = tally.errors_with_guards();
    errors.extend(setup.settled(idle, &monitor).await);
    errors.extend(monitor.errors());
    drop(callers);
    errors.extend(setup.shut_down().await);
    assert!(errors.is_empty(), "with seed {seed}:\n{}", errors.join("\n"));
}

/// Open sockets and tasks are counted for the whole process, so its tests run one at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// Makes the calls, [`CONCURRENT_CALLS`] at a time.
async fn run(callers: &Callers, plans: impl Iterator<Item = Plan>, mut ended: impl FnMut(CallResult)) {
    let mut calls = stream::iter(plans.map(|plan| callers.call(plan))).buffer_unordered(CONCURRENT_CALLS);
    while let Some(result) = calls.next().await {
        ended(result);
    }
}

/// A number from an environment variable, which `cargo xtask` may set.
fn number_from_env<T: FromStr>(variable: &str, default: T) -> T {
    let value = std::env::var_os(variable).and_then(|value| value.into_string().ok());
    value.map_or(default, |value| value.parse().ok().expect("is a number"))
}
