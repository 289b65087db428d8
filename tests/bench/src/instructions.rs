//! Number of instructions per call and per event of a stream, which a noisy machine can measure too.
//!
//! The program itself runs in callgrind, with tracing on, and is called over loopback. The cost of a call is
//! the difference between a run of many calls and a run of few. Callgrind's processor is always the same,
//! without AVX-512 and SHA extensions, so the figures are comparable between machines. They are not
//! comparable between compilers, so the file names its compiler. A library that counts instructions would run
//! single functions in a separate process, without the connections of the SDK and of tonic, which are most of
//! a call.
use crate::{
    Result,
    load::Measured,
    program::{Program, free_address},
    suite::{CONFIG, tracing_to},
};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, path::PathBuf, process::Stdio};
use tokio::process::Command;

/// Growth over the committed figure that is a regression, as a share. Runs differ by a few percent, because
/// reads return different amounts of data.
const MARGIN: f64 = 0.1;

#[derive(Debug, Args)]
pub(crate) struct Instructions {
    /// The program to measure
    #[arg(long)]
    switchboard: PathBuf,
    /// The committed figures
    #[arg(long)]
    figures: PathBuf,
    /// Write the figures instead of comparing with them
    #[arg(long)]
    update: bool,
    /// Folder for callgrind's files
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

/// Numbers of instructions, and the compiler of the program.
#[derive(Debug, Serialize, Deserialize)]
struct Figures {
    compiler: String,
    instructions: BTreeMap<String, u64>,
}

/// A load, and its number of calls in the short run and in the long one.
struct Counted {
    name: &'static str,
    task: &'static str,
    stream: bool,
    calls: [u64; 2],
}

const UNARY: Counted = Counted { name: "unary call", task: "plain", stream: false, calls: [100, 600] };
const BRIEF: Counted = Counted { name: "stream of 5 events", task: "brief", stream: true, calls: [50, 250] };
const LONG: Counted = Counted { name: "stream of 204 events", task: "plain", stream: true, calls: [20, 80] };
/// Number of events by which the long stream is longer than the brief one.
const MORE_EVENTS: u64 = 199;

impl Instructions {
    pub(crate) async fn run(self) -> Result {
        fs::create_dir_all(&self.out)?;
        let mut instructions = BTreeMap::new();
        for counted in [UNARY, BRIEF, LONG] {
            let [few, many] = counted.calls;
            let base = self.count(&counted, few).await?;
            let count = self.count(&counted, many).await?.saturating_sub(base) / (many - few);
            instructions.insert(counted.name.to_owned(), count);
        }
        let event = instructions[LONG.name].saturating_sub(instructions[BRIEF.name]) / MORE_EVENTS;
        instructions.insert("stream event".to_owned(), event);
        let found = Figures { compiler: compiler().await?, instructions };
        if self.update {
            fs::write(&self.figures, serde_json::to_string_pretty(&found)? + "\n")?;
        }
        compare(&found, &serde_json::from_str(&fs::read_to_string(&self.figures)?)?)
    }

    /// Instructions of the program from start to end, with `calls` calls.
    async fn count(&self, counted: &Counted, calls: u64) -> Result<u64> {
        let this = std::env::current_exe()?;
        let upstream = Program::part("upstream", Command::new(&this), &self.out).await?;
        let sink = Program::part("sink", Command::new(&this), &self.out).await?;
        let listen = free_address().await?;
        let file = self.out.join("callgrind.out");
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", file.display()));
        command.arg(&self.switchboard).args(["serve", "--listen", &listen.to_string(), "--config"]);
        command.arg(CONFIG);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", upstream.url());
        command.envs([("AWS_ACCESS_KEY_ID", "measured"), ("AWS_SECRET_ACCESS_KEY", "measured")]);
        command.envs(tracing_to(&sink.url(), &[]));
        let program = Program::start(&mut command, listen, &self.out.join("callgrind.log")).await?;
        let mut load = Command::new(this);
        load.args(["load", "--system", "grpc", "--url", &program.url(), "--model", counted.task]);
        load.args(["--calls", &calls.to_string()]).args(counted.stream.then_some("--stream"));
        let output = load.stderr(Stdio::inherit()).output().await?;
        let measured: Measured = serde_json::from_slice(&output.stdout)?;
        if measured.calls != calls {
            return Err(format!("{} of {calls} calls", measured.calls).into());
        }
        kill_process(Pid::from_raw(program.id().cast_signed()).ok_or("it has ended")?, Signal::TERM)?;
        program.ended().await?;
        total(&fs::read_to_string(file)?).ok_or_else(|| "callgrind counted nothing".into())
    }
}

/// Callgrind's total.
fn total(file: &str) -> Option<u64> {
    let line = file.lines().rev().find_map(|line| line.strip_prefix("totals: "))?;
    line.split_whitespace().next()?.parse().ok()
}

async fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output().await?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Prints all figures, and fails if one exceeds the margin.
fn compare(found: &Figures, committed: &Figures) -> Result {
    println!("{} ({} committed)", found.compiler, committed.compiler);
    let mut worse = Vec::new();
    for (name, count) in &found.instructions {
        let before =
            committed.instructions.get(name).copied().ok_or_else(|| format!("no figure for {name}"))?;
        #[expect(clippy::cast_precision_loss, reason = "only a percentage")]
        let change = *count as f64 / before as f64 - 1.0;
        println!("{count:>10} instructions per {name}, {before} committed: {:+.1} %", change * 100.0);
        if change > MARGIN {
            worse.push(name.as_str());
        }
    }
    match worse.as_slice() {
        [] => Ok(()),
        worse => Err(format!(
            "more than {} % more instructions per {}: fix it, or commit new figures with --update and give the reason",
            MARGIN * 100.0,
            worse.join(" and per ")
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(count: u64) -> Figures {
        Figures {
            compiler: "rustc".to_owned(),
            instructions: BTreeMap::from([("unary call".to_owned(), count)]),
        }
    }

    #[test]
    fn a_figure_over_the_margin_fails_with_its_name() {
        assert!(compare(&figures(1099), &figures(1000)).is_ok());
        assert!(compare(&figures(1), &figures(1000)).is_ok());
        let error = compare(&figures(1101), &figures(1000)).expect_err("is a regression").to_string();
        assert!(error.starts_with("more than 10 % more instructions per unary call: "), "{error}");
    }

    #[test]
    fn a_load_without_a_committed_figure_fails() {
        let committed = Figures { instructions: BTreeMap::new(), ..figures(0) };
        let error = compare(&figures(1), &committed).expect_err("is unknown").to_string();
        assert_eq!(error, "no figure for unary call");
    }

    #[test]
    fn the_total_is_the_last_line_of_a_callgrind_file() {
        assert_eq!(total("events: Ir\nfn=(1) main\n1 7\ntotals: 4711\n"), Some(4711));
        assert_eq!(total("events: Ir\n"), None);
    }
}
