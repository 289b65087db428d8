//! The measurements, their order, and the systems that are measured.
use crate::{
    Result, cpu,
    load::Measured,
    peers, plot,
    program::{MEASURED, OTHERS, Program, free_address, on_cores},
    report,
};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};
use tokio::{process::Command, time::Instant};

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The program to measure
    #[arg(long)]
    pub(crate) switchboard: PathBuf,
    /// Folder for the results
    #[arg(long, default_value = "target/bench")]
    pub(crate) out: PathBuf,
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Duration of each measurement of a round, in seconds, after half as long to warm up
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// Also measure LiteLLM, Portkey and ferrogw, installed into this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) peers: Option<PathBuf>,
    /// Only measurements whose name starts with this
    #[arg(long, default_value = "")]
    pub(crate) only: String,
    /// Continue the run of an existing found.json: measure only what is missing
    #[arg(long)]
    pub(crate) resume: bool,
    /// Write the tables into PERFORMANCE.md
    #[arg(long)]
    pub(crate) write: bool,
    /// Without the measurements of growth
    #[arg(long)]
    pub(crate) table_only: bool,
    /// Core of the measured system, in the notation of taskset
    #[arg(long, default_value = MEASURED)]
    pub(crate) cores: String,
    /// NAME=VALUE for Switchboard's environment
    #[arg(long)]
    pub(crate) env: Vec<String>,
    /// A second Switchboard, measured as `other`
    #[arg(long)]
    pub(crate) other: Option<PathBuf>,
    /// NAME=VALUE for the environment of the second Switchboard
    #[arg(long)]
    pub(crate) other_env: Vec<String>,
}

/// Writes tables and plots of a run again.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Folder of found.json
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// See `run`
    #[arg(long)]
    write: bool,
}

/// One measurement of a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) model: &'static str,
    pub(crate) stream: bool,
    pub(crate) in_flight: usize,
    pub(crate) rate: Option<f64>,
}

/// Path from the root of the checkout, where `cargo xtask` runs.
pub(crate) const CONFIG: &str = "tests/bench/switchboard.toml";

const UNARY: Measure = Measure { name: "unary-1", model: "plain", stream: false, in_flight: 1, rate: None };
const STREAM: Measure = Measure { name: "stream-1", stream: true, ..UNARY };

const UNARY_32: Measure = Measure { name: "unary-32", in_flight: 32, ..UNARY };
const STREAM_16: Measure = Measure { name: "stream-16", in_flight: 16, ..STREAM };
const PACED: Measure = Measure { name: "paced-50", model: "paced", in_flight: 50, ..STREAM };
const OPEN_LOOP: Measure = Measure { name: "open-3000", rate: Some(3000.0), ..UNARY };
const THROTTLED: Measure = Measure { name: "throttled-1", model: "throttled", ..STREAM };

/// All measurements, in the order of a round.
pub(crate) const ALL: [Measure; 7] = [UNARY, UNARY_32, STREAM, STREAM_16, PACED, OPEN_LOOP, THROTTLED];

/// Largest share of steal time; above it, a measurement is repeated, up to `MAX_TRIES` times.
const MAX_STOLEN: f64 = 0.01;
const MAX_TRIES: usize = 5;

/// Results by measurement and system, one for each round.
pub(crate) type Results = BTreeMap<String, BTreeMap<String, Vec<Measured>>>;

/// All results of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) results: Results,
    /// Results by number of open streams: of a first load, and of a second one on the same process.
    pub(crate) open: BTreeMap<usize, Vec<Measured>>,
    /// Results by curve and system: the points of the curve.
    pub(crate) growth: BTreeMap<String, BTreeMap<String, Vec<(f64, Measured)>>>,
}

/// A system that is measured.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) name: String,
    /// Its protocol, as the option `--system` of `load` names it.
    pub(crate) protocol: &'static str,
    /// The program of the system. Absent: the load itself is measured.
    pub(crate) program: Option<Program>,
    pub(crate) url: String,
    pub(crate) model: Option<String>,
    pub(crate) headers: Vec<String>,
}

impl Run {
    pub(crate) async fn run(self) -> Result {
        fs::create_dir_all(&self.out)?;
        let this = std::env::current_exe()?;
        let upstream = Program::part("upstream", on_cores(OTHERS, &this), &self.out).await?;
        let collector = Program::part("sink", on_cores(OTHERS, &this), &self.out).await?;
        let sink = collector.url();
        let mut systems = vec![
            System::direct("direct", "direct", &upstream),
            System::direct("raw", "raw", &upstream),
            self.switchboard("on", &self.switchboard, &upstream, &tracing_to(&sink, &self.env), None).await?,
            self.switchboard("off", &self.switchboard, &upstream, &without_tracing(&sink, &self.env), None)
                .await?,
        ];
        if let Some(other) = &self.other {
            let environment = tracing_to(&sink, &self.other_env);
            systems.push(self.switchboard("other", other, &upstream, &environment, None).await?);
        }
        if let Some(folder) = &self.peers {
            systems.extend(peers::start(folder, &self.out, &upstream).await?);
        }
        let mut found = self.begun()?;
        for round in found.rounds + 1..=self.rounds {
            eprintln!("round {round} of {}", self.rounds);
            // All systems of a measurement in sequence, so that what is compared is close together in time.
            for measure in ALL.iter().filter(|measure| measure.name.starts_with(&self.only)) {
                for system in systems.iter().filter(|system| measure.is_for(system)) {
                    let measured = self.measure(system, measure, &[]).await?;
                    let of_measure = found.results.entry(measure.name.to_owned()).or_default();
                    of_measure.entry(system.name.clone()).or_default().push(measured);
                }
            }
            found.rounds = round;
            self.keep(&found)?;
        }
        if self.only.is_empty() {
            self.open_streams(&upstream, &sink, &mut found).await?;
            if !self.table_only {
                self.growth(&upstream, &sink, &systems, &mut found).await?;
            }
        }
        write_report(&found, &self.out, self.write)
    }

    /// The results so far.
    fn begun(&self) -> Result<Found> {
        if self.resume {
            return Ok(serde_json::from_str(&fs::read_to_string(self.out.join("found.json"))?)?);
        }
        let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Ok(Found { date, machine: cpu::machine(), seconds: self.seconds, ..Found::default() })
    }

    /// Saves the results, so that a later failure does not lose them.
    fn keep(&self, found: &Found) -> Result {
        Ok(fs::write(self.out.join("found.json"), serde_json::to_string_pretty(found)?)?)
    }

    /// Starts Switchboard with the given environment.
    pub(crate) async fn switchboard(
        &self,
        name: &str,
        program: &Path,
        upstream: &Program,
        environment: &[(String, String)],
        config: Option<&Path>,
    ) -> Result<System> {
        let listen = free_address().await?;
        let mut command = on_cores(&self.cores, program);
        command
            .args(["serve", "--listen", &listen.to_string(), "--config"])
            .arg(config.unwrap_or(Path::new(CONFIG)));
        command.env_clear().env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", upstream.url());
        command.envs([("AWS_ACCESS_KEY_ID", "measured"), ("AWS_SECRET_ACCESS_KEY", "measured")]);
        command.envs(environment.iter().cloned());
        // The log goes to /dev/null: writing it counts, storing it does not.
        let program = Program::start(&mut command, listen, Path::new("/dev/null")).await?;
        let url = program.url();
        Ok(System {
            name: name.to_owned(),
            protocol: "grpc",
            program: Some(program),
            url,
            model: None,
            headers: vec![],
        })
    }

    /// Makes one load on one system.
    pub(crate) async fn measure(
        &self,
        system: &System,
        measure: &Measure,
        more: &[String],
    ) -> Result<Measured> {
        let of_itself = system.program.is_none();
        let mut command = on_cores(if of_itself { &self.cores } else { OTHERS }, std::env::current_exe()?);
        command.args(["load", "--system", system.protocol, "--url", &system.url]);
        let own_name = format!("bench.{}", measure.model);
        let model = system.model.as_deref().unwrap_or(if of_itself { &own_name } else { measure.model });
        command.args(["--model", model, "--in-flight", &measure.in_flight.to_string()]);
        command.args(["--connections", &measure.in_flight.clamp(1, 4).to_string()]);
        command.args([
            "--seconds",
            &self.seconds.to_string(),
            "--warm-up",
            &(self.seconds / 2.0).to_string(),
        ]);
        command.args(measure.stream.then_some("--stream"));
        command.args(measure.rate.map(|rate| format!("--rate={rate}")));
        command.args(system.program.iter().map(|program| format!("--process={}", program.id())));
        command.args(system.headers.iter().flat_map(|header| ["--header", header]));
        command.args(more);
        let mut measured = self.once(system, measure, &mut command).await?;
        for _ in 1..MAX_TRIES {
            if measured.stolen <= MAX_STOLEN {
                break;
            }
            eprintln!("  again: {:.1} % of the machine were somebody else's", measured.stolen * 100.0);
            let again = self.once(system, measure, &mut command).await?;
            if again.stolen < measured.stolen {
                measured = again;
            }
        }
        Ok(measured)
    }

    async fn once(&self, system: &System, measure: &Measure, command: &mut Command) -> Result<Measured> {
        let (began, before) = (Instant::now(), cpu::stolen()?);
        let output = command.kill_on_drop(true).stderr(std::process::Stdio::inherit()).output().await?;
        let mut measured: Measured = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("{} of {}: {error}", measure.name, system.name))?;
        let cores = std::thread::available_parallelism()?.get() as f64;
        let stolen = cpu::stolen()?.saturating_sub(before);
        measured.stolen = stolen.as_secs_f64() / (began.elapsed().as_secs_f64() * cores);
        eprintln!("  {:12} {:10} {}", measure.name, system.name, report::line(&measured));
        if measured.failed > 0 {
            return Err(
                format!("{} of {}: {} calls failed", measure.name, system.name, measured.failed).into()
            );
        }
        Ok(measured)
    }

    /// Measures open streams, on a new process for each number of streams.
    async fn open_streams(&self, upstream: &Program, sink: &str, found: &mut Found) -> Result {
        for streams in [1000, 5000, 10_000] {
            if found.open.contains_key(&streams) {
                continue;
            }
            let environment = tracing_to(sink, &self.env);
            let system = self.switchboard("on", &self.switchboard, upstream, &environment, None).await?;
            self.measure(&system, &Measure { name: "warm", in_flight: 32, ..STREAM }, &[]).await?;
            let idle = Measure { name: "open", model: "idle", ..STREAM };
            let more = [format!("--open={streams}"), format!("--connections={}", streams / 100)];
            let first = self.measure(&system, &idle, &more).await?;
            // Memory that is kept after the first load must not grow with the second.
            let second = self.measure(&system, &idle, &more).await?;
            found.open.insert(streams, vec![first, second]);
            self.keep(found)?;
        }
        Ok(())
    }

    /// Measures how the cost grows with the request and with the configuration.
    async fn growth(&self, upstream: &Program, sink: &str, systems: &[System], found: &mut Found) -> Result {
        let curves: [(&str, &[usize]); 4] = [
            ("in flight", &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]),
            ("bytes", &[1024, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4_000_000]),
            ("messages", &[1, 11, 101, 1001]),
            ("tools", &[0, 10, 100]),
        ];
        for (curve, points) in curves {
            if found.growth.contains_key(curve) {
                continue;
            }
            for system in systems.iter().filter(|system| ["direct", "on"].contains(&system.name.as_str())) {
                for &point in points {
                    let in_flight = if curve == "in flight" { point } else { 8 };
                    // An unknown model accepts a request of any length.
                    let model = if curve == "bytes" { "large" } else { "plain" };
                    let measure = Measure { name: curve, model, in_flight, ..UNARY };
                    let more = match curve {
                        "in flight" => vec![],
                        curve => vec![format!("--{curve}={point}")],
                    };
                    let measured = self.measure(system, &measure, &more).await?;
                    found.grown(curve, &system.name, point, measured);
                }
            }
        }
        self.keep(found)?;
        for (curve, config) in [("tasks", with_tasks as fn(usize) -> String), ("candidates", with_candidates)]
        {
            for point in [1, 10, 100, 1000] {
                let point = if curve == "candidates" { point.min(16) } else { point };
                let file = self.out.join("grown.toml");
                fs::write(&file, config(point))?;
                let environment = tracing_to(sink, &self.env);
                let system =
                    self.switchboard("on", &self.switchboard, upstream, &environment, Some(&file)).await?;
                let measure = Measure { name: curve, in_flight: 32, ..UNARY };
                let measured = self.measure(&system, &measure, &[]).await?;
                found.grown(curve, "on", point, measured);
            }
        }
        self.keep(found)
    }
}

impl Report {
    pub(crate) fn run(&self) -> Result {
        let found = serde_json::from_str(&fs::read_to_string(self.out.join("found.json"))?)?;
        write_report(&found, &self.out, self.write)
    }
}

fn write_report(found: &Found, out: &Path, write: bool) -> Result {
    let tables = report::markdown(found);
    fs::write(out.join("report.md"), &tables)?;
    plot::write(found, out)?;
    if write {
        report::put(Path::new("PERFORMANCE.md"), &tables)?;
    }
    println!("{tables}");
    Ok(())
}

/// Environment for traces and metrics to the sink.
pub(crate) fn tracing_to(sink: &str, more: &[String]) -> Vec<(String, String)> {
    let own = [("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), sink.to_owned())];
    let more = more.iter().filter_map(|more| more.split_once('='));
    own.into_iter().chain(more.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

/// Environment for metrics to the sink, without traces.
fn without_tracing(sink: &str, more: &[String]) -> Vec<(String, String)> {
    let mut all = tracing_to(sink, more);
    all.push(("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned()));
    all
}

const MODEL: &str = "base_model = \"us.anthropic.claude-haiku-4-5-20251001-v1:0\"\n";

fn with_tasks(tasks: usize) -> String {
    let tasks: String = (0..tasks).map(|n| format!("[tasks.task-{n}]\nmodels = [\"plain\"]\n")).collect();
    let model = format!("[models.plain]\nid = \"bench.plain\"\n{MODEL}");
    format!(
        "[bedrock]\nregion = \"us-east-1\"\n{model}[tasks.plain]\nmodels = [\"plain\"]\n[tasks.default]\nmodels = [\"plain\"]\n{tasks}"
    )
}

fn with_candidates(candidates: usize) -> String {
    let models = (0..candidates).map(|n| format!("[models.plain-{n}]\nid = \"bench.plain-{n}\"\n{MODEL}"));
    let names = (0..candidates).map(|n| format!("\"plain-{n}\"")).collect::<Vec<_>>().join(", ");
    let tasks = format!("[tasks.plain]\nmodels = [{names}]\n[tasks.default]\nmodels = [{names}]\n");
    format!("[bedrock]\nregion = \"us-east-1\"\n{}{tasks}", models.collect::<String>())
}

// === impl Measure ===

impl Measure {
    /// True if the measurement applies to the system: not all can select the model or fall back.
    fn is_for(&self, system: &System) -> bool {
        match self.name {
            "paced-50" | "open-3000" => ["grpc", "direct"].contains(&system.protocol),
            "throttled-1" => system.protocol == "grpc",
            _ => true,
        }
    }
}

// === impl System ===

impl System {
    fn direct(name: &str, protocol: &'static str, upstream: &Program) -> Self {
        let url = upstream.url();
        Self { name: name.to_owned(), protocol, program: None, url, model: None, headers: vec![] }
    }
}

// === impl Found ===

impl Found {
    #[expect(clippy::cast_precision_loss, reason = "points are small numbers")]
    fn grown(&mut self, curve: &str, system: &str, point: usize, measured: Measured) {
        let of_curve = self.growth.entry(curve.to_owned()).or_default();
        of_curve.entry(system.to_owned()).or_default().push((point as f64, measured));
    }
}
