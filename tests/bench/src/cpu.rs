//! CPU time and memory of a process, and facts of the machine, from /proc.
use crate::Result;
use std::{fs, time::Duration};

/// CPU time of a process since its start, on all of its threads and those of its children. A thread that has
/// ended no longer counts, so the difference of two readings must be taken over a short time.
pub(crate) fn computed(process: u32) -> Result<Duration> {
    let mut nanos = 0;
    for process in with_children(process)? {
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default(); // it may have ended
            nanos += text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.ok_or("no VmRSS")? * 1024)
}

/// CPU time that the host of this virtual machine has given to others so far (steal time).
pub(crate) fn stolen() -> Result<Duration> {
    const TICK: Duration = Duration::from_millis(10); // USER_HZ, which is 100 wherever Linux runs
    let stat = fs::read_to_string("/proc/stat")?;
    let cores = stat.lines().next().ok_or("an empty /proc/stat")?;
    let ticks = cores.split_whitespace().nth(8).and_then(|ticks| ticks.parse().ok());
    Ok(TICK * ticks.unwrap_or(0))
}

fn with_children(process: u32) -> Result<Vec<u32>> {
    let mut all = vec![process];
    let mut next = 0;
    while let Some(&parent) = all.get(next) {
        let children =
            fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        next += 1;
    }
    Ok(all)
}

/// Describes this machine.
pub(crate) fn machine() -> String {
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores of {}, Linux {}", model.map_or("an unknown processor", |it| it.1), kernel.trim())
}
