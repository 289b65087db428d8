//! The soak: calls as fast as they come, for long, while memory is looked at.
//!
//! Simulator and callers are in the same process, so what they keep would show too; they keep nothing but counts.
use crate::{
    AT_ONCE,
    caller::Callers,
    faults,
    plan::Plan,
    run, set,
    setup::{Guards, Stage},
    tally::Tally,
};
use std::fs;
use tokio::time::Instant;

/// The first of so many parts warms up; what is in use after it is what the others are compared with.
const PARTS: u32 = 10;

/// Growth that says nothing: allocators keep what they may need again.
const MAX_GROWTH_MIB: f64 = 20.0;
const MAX_GROWTH: f64 = 0.1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask soak"]
async fn memory_does_not_grow_with_the_calls() {
    let (calls, seed): (u32, u64) = (set("SWITCHBOARD_SOAK_CALLS", 100_000), 1);
    println!("{calls} calls, {AT_ONCE} at once");
    let (began, ills) = (Instant::now(), faults::all());
    let stage = Stage::start(&ills, 0.0, Guards::Off).await;
    let callers = Callers::of(&stage).await;
    let (mut tally, mut used) = (Tally::default(), Vec::new());

    for part in 0..PARTS {
        let plans = (calls / PARTS * part..calls / PARTS * (part + 1)).map(|it| Plan::quick(seed, it, &ills));
        run(&callers, plans, |called| tally.add(called)).await;
        used.extend(resident_mib());
        let (done, took) = (calls / PARTS * (part + 1), began.elapsed().as_secs_f64());
        let (rate, mib) = (f64::from(done) / took, used.last().copied().unwrap_or_default());
        println!("{done:8} calls, {took:4.0} s, {rate:5.0} calls/s, {mib:.1} MiB");
    }

    println!("\n{tally}");
    let mut complaints = tally.into_complaints();
    drop(callers);
    complaints.extend(stage.leave().await);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    let (Some(warm), Some(last)) = (used.first(), used.last()) else { return };
    println!("grew by {:.1} MiB since the first {}", last - warm, calls / PARTS);
    assert!(last - warm < MAX_GROWTH_MIB || last / warm < 1.0 + MAX_GROWTH, "memory grows: {used:.1?} MiB");
}

/// Memory in use, as the kernel counts it. Where there is no /proc, nobody knows.
fn resident_mib() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
