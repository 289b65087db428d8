//! How many instructions a call takes, and an event of a stream: what a noisy machine can still tell.
//!
//! The program itself runs within callgrind, with tracing on, and is asked over loopback as ever; what it does for a call
//! is the difference between a run of many calls and one of few. Callgrind's processor is always the same one, without
//! AVX-512 and SHA extensions, so the figures hold for every machine; they do not hold for another compiler, which is
//! written beside them. A library of instruction counts would count functions of ours in a process of its own: neither
//! the SDK's connections nor tonic's, which are most of a call, would be in it.
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

/// How much more than the committed figure is a regression. Runs differ by some in a hundred: how much comes in at once is not always the same.
const MARGIN: f64 = 0.1;

#[derive(Debug, Args)]
pub(crate) struct Instructions {
    /// The program that is measured
    #[arg(long)]
    switchboard: PathBuf,
    /// The committed figures
    #[arg(long)]
    figures: PathBuf,
    /// Writes them anew, in place of comparing
    #[arg(long)]
    update: bool,
    /// Where callgrind leaves its files
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

/// Instructions, and what counted them.
#[derive(Debug, Serialize, Deserialize)]
struct Figures {
    compiler: String,
    instructions: BTreeMap<String, u64>,
}

/// A load, and how often it is made in the short run and in the long one.
struct Counted {
    name: &'static str,
    task: &'static str,
    stream: bool,
    calls: [u64; 2],
}

const UNARY: Counted = Counted { name: "unary call", task: "plain", stream: false, calls: [100, 600] };
const BRIEF: Counted = Counted { name: "stream of 5 events", task: "brief", stream: true, calls: [50, 250] };
const LONG: Counted = Counted { name: "stream of 204 events", task: "plain", stream: true, calls: [20, 80] };
/// Events that a long stream has more than a brief one.
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

    /// All that the program did in a life of so many calls.
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

/// Callgrind's own sum.
fn total(file: &str) -> Option<u64> {
    let line = file.lines().rev().find_map(|line| line.strip_prefix("totals: "))?;
    line.split_whitespace().next()?.parse().ok()
}

async fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output().await?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Prints all, and fails where one is past the margin.
fn compare(found: &Figures, committed: &Figures) -> Result {
    println!("{} ({} committed)", found.compiler, committed.compiler);
    let mut worse = Vec::new();
    for (name, count) in &found.instructions {
        let before =
            committed.instructions.get(name).copied().ok_or_else(|| format!("no figure for {name}"))?;
        #[expect(clippy::cast_precision_loss, reason = "a share of it")]
        let change = *count as f64 / before as f64 - 1.0;
        println!("{count:>10} instructions per {name}, {before} committed: {:+.1} %", change * 100.0);
        if change > MARGIN {
            worse.push(name.as_str());
        }
    }
    match worse.as_slice() {
        [] => Ok(()),
        worse => Err(format!(
            "more than {} % more instructions per {}: mend it, or commit new figures with --update and say why",
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
    fn what_is_past_the_margin_fails_by_its_name() {
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
    fn the_sum_of_a_file_of_callgrind_is_its_last() {
        assert_eq!(total("events: Ir\nfn=(1) main\n1 7\ntotals: 4711\n"), Some(4711));
        assert_eq!(total("events: Ir\n"), None);
    }
}
