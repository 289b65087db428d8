//! The soak test: a long run of calls as fast as possible, while memory is measured.
//!
//! Simulator and callers are in the same process, so their memory counts too; they keep nothing but counters.
use crate::{
    CONCURRENT_CALLS,
    caller::Callers,
    faults, number_from_env,
    plan::Plan,
    run,
    setup::{Guards, Setup},
    tally::Tally,
};
use std::fs;
use tokio::time::Instant;

/// Number of parts of the run. The first warms up; the memory after it is the reference for the others.
const PARTS: u32 = 10;

/// Growth that is allowed, because allocators keep freed memory.
const MAX_GROWTH_MIB: f64 = 20.0;
const MAX_GROWTH: f64 = 0.1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask soak"]
async fn memory_does_not_grow_with_the_calls() {
    let (calls, seed): (u32, u64) = (number_from_env("SWITCHBOARD_SOAK_CALLS", 100_000), 1);
    println!("{calls} calls, {CONCURRENT_CALLS} at once");
    let (began, faulty_models) = (Instant::now(), faults::all());
    let setup = Setup::start(&faulty_models, 0.0, Guards::Off).await;
    let callers = Callers::of(&setup).await;
    let (mut tally, mut memory) = (Tally::default(), Vec::new());

    for part in 0..PARTS {
        let plans = (calls / PARTS * part..calls / PARTS * (part + 1))
            .map(|it| Plan::quick(seed, it, &faulty_models));
        run(&callers, plans, |result| tally.add(result)).await;
        memory.push(resident_mib());
        let (done, took) = (calls / PARTS * (part + 1), began.elapsed().as_secs_f64());
        let (rate, mib) = (f64::from(done) / took, memory[memory.len() - 1]);
        println!("{done:8} calls, {took:4.0} s, {rate:5.0} calls/s, {mib:.1} MiB");
    }

    println!("\n{tally}");
    let mut errors = tally.into_errors();
    drop(callers);
    errors.extend(setup.shut_down().await);
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    let (warm, last) = (memory[0], memory[memory.len() - 1]);
    println!("grew by {:.1} MiB since the first {}", last - warm, calls / PARTS);
    assert!(last - warm < MAX_GROWTH_MIB || last / warm < 1.0 + MAX_GROWTH, "memory grows: {memory:.1?} MiB");
}

/// Resident memory of this process, in MiB.
fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("this test needs /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("has a VmRSS");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("is a number");
    kib / 1024.0
}
