//! Chaos: thousands of calls over real sockets while the models misbehave in every way that the simulator knows and
//! callers leave when they like. Nothing may hang, be lost, be mixed up or be left behind.
//!
//! ```text
//! faults   the ills: one model each
//! plan     what the callers do, from a seed: the same seed, the same plans
//! caller   one call, held against what the simulator is bound to answer
//! overrun  does a model still work for a call that is over?
//! setup    simulator and server, and what of them is open
//! tally    what became of the calls, by ill
//! ```
//!
//! A run that fails tells its seed and the numbers of its calls. `cargo xtask chaos` runs the long form, `cargo xtask soak`
//! the test that looks at memory.
#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

mod caller;
mod faults;
mod overrun;
mod plan;
mod setup;
mod soak;
mod tally;

use caller::{Called, Callers};
use futures_util::{StreamExt as _, stream};
use overrun::Watch;
use plan::{Phase, Plan};
use setup::{Guards, Stage};
use std::str::FromStr;
use tally::Tally;
use tokio::{sync::Mutex, time::Instant};

/// Calls that run at the same time.
const AT_ONCE: usize = 32;

/// Of ten calls, so many find the second model well; for the others it is ill too.
const WELL_OF_TEN: u32 = 7;

/// How much faster than the models themselves the simulator speaks: an answer takes about 100 ms.
const SPEED: f64 = 20.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_ends_well_or_says_why_whatever_the_models_do() {
    let (calls, seed): (u32, u64) = (set("SWITCHBOARD_CHAOS_CALLS", 2000), set("SWITCHBOARD_CHAOS_SEED", 1));
    let _turn = TURN.lock().await;
    println!("{calls} calls, {AT_ONCE} at once, seed {seed}");
    let (began, ills) = (Instant::now(), faults::all());
    let stage = Stage::start(&ills, SPEED, Guards::Off).await;
    let watch = Watch::new(stage.simulator());
    let callers = Callers::of(&stage).await;
    let idle = stage.settled_at_the_start().await;
    let mut complaints = Vec::new();

    let first_ill = calls / 10 * WELL_OF_TEN;
    for (phase, numbers) in [(Phase::SecondIsWell, 0..first_ill), (Phase::BothAreIll, first_ill..calls)] {
        let plans = numbers.map(|number| Plan::new(seed, number, phase, &ills));
        let mut tally = Tally::default();
        let calls = run(&callers, plans, |called| {
            watch.is_over(called.plan.number);
            tally.add(called);
        });
        tokio::select! {
            () = calls => {}
            never = watch.look_on() => match never {},
        }
        println!("\n{phase}, after {:.1?}\n{tally}", began.elapsed());
        complaints.extend(tally.complaints(phase, &ills));
    }

    complaints.extend(stage.settled(idle, &watch).await);
    complaints.extend(watch.complaints());
    drop(callers);
    complaints.extend(stage.leave().await);
    println!("took {:.1?}", began.elapsed());
    assert!(complaints.is_empty(), "with seed {seed}:\n{}", complaints.join("\n"));
}

/// With few ills, so that each model is asked often enough to be judged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn breakers_hedges_and_restarts_lose_and_mix_nothing_either() {
    let (calls, seed): (u32, u64) =
        (set("SWITCHBOARD_CHAOS_CALLS", 2000) / 2, set("SWITCHBOARD_CHAOS_SEED", 1));
    let _turn = TURN.lock().await;
    println!("{calls} calls, {AT_ONCE} at once, seed {seed}, with breakers, hedges and restarts");
    let (began, ills) = (Instant::now(), faults::few());
    let stage = Stage::start(&ills, SPEED, Guards::On).await;
    let watch = Watch::new(stage.simulator());
    let callers = Callers::of(&stage).await;
    let idle = stage.settled_at_the_start().await;
    let mut tally = Tally::default();
    let plans = (0..calls).map(|number| Plan::new(seed, number, Phase::SecondIsWell, &ills));
    let calls = run(&callers, plans, |called| {
        watch.is_over(called.plan.number);
        tally.add(called);
    });
    tokio::select! {
        () = calls => {}
        never = watch.look_on() => match never {},
    }
    println!("\nafter {:.1?}\n{tally}", began.elapsed());
    let mut complaints = tally.complaints_of_guarded();
    complaints.extend(stage.settled(idle, &watch).await);
    complaints.extend(watch.complaints());
    drop(callers);
    complaints.extend(stage.leave().await);
    assert!(complaints.is_empty(), "with seed {seed}:\n{}", complaints.join("\n"));
}

/// What is open is counted for the whole process, so its tests take turns.
static TURN: Mutex<()> = Mutex::const_new(());

/// Makes the calls, some at a time.
async fn run(callers: &Callers, plans: impl Iterator<Item = Plan>, mut ended: impl FnMut(Called)) {
    let mut calls = stream::iter(plans.map(|plan| callers.call(plan))).buffer_unordered(AT_ONCE);
    while let Some(called) = calls.next().await {
        ended(called);
    }
}

/// A number of the environment's, where `cargo xtask` put one.
fn set<T: FromStr>(variable: &str, default: T) -> T {
    let told = std::env::var_os(variable).and_then(|told| told.into_string().ok());
    told.map_or(default, |told| told.parse().ok().expect("is a number"))
}
