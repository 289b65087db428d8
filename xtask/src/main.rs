//! `cargo xtask …`: what CI and a developer both run. The only `std::env` of xtask, and its only exit.
//!
//! Every command is shown before it runs, and the first that fails ends the run with a status other than 0. The tools
//! they need are in one folder outside the checkout, `SWITCHBOARD_TOOLS`, which `cargo xtask tools` fills.
mod bench;
mod chaos;
mod ci;
mod fuzz;
mod generate;
mod language;
mod lint;
mod measure;
mod modules;
mod shell;
mod source;
mod test;
mod tools;

use clap::{Args, Parser, Subcommand, builder::FalseyValueParser};
use shell::{Result, Shell};
use std::{env, path::PathBuf, process::ExitCode};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "What CI and a developer both run")]
struct Cli {
    #[command(flatten)]
    machine: Machine,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Args)]
struct Machine {
    /// Where the tools of lint and test are; outside the checkout, so that checkouts share them
    /// [default: .cache/switchboard-tools in the home folder]
    #[arg(long, global = true, env = "SWITCHBOARD_TOOLS", hide_env_values = true, value_name = "FOLDER")]
    tools: Option<PathBuf>,
    /// Fail where a toolchain is missing, in place of leaving out what needs it
    #[arg(long, global = true, env = "CI", hide_env_values = true, value_parser = FalseyValueParser::new())]
    ci: bool,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// What Switchboard adds to a call, beside the AWS SDK and beside other gateways
    Bench(bench::Bench),
    /// Thousands of calls while the models misbehave in every way the simulator knows
    Chaos(chaos::Chaos),
    /// Everything, in CI's order: tools, lint, test
    Ci,
    /// Arbitrary bytes for the codec, for a bounded time
    Fuzz(fuzz::Fuzz),
    /// The clients' generated code, from the contract
    Generate(generate::Options),
    /// How many instructions a call and an event take, against the committed figures
    Instructions(bench::Instructions),
    /// Formatting, the contract, the dependencies, clippy and the docs
    Lint,
    /// Report phrases and names that the project no longer uses; fails if there is one
    Language,
    /// Sizes of files and functions, as a table
    Measure(measure::Options),
    /// Print the import graph of a crate floor by floor; fails on a cycle
    Modules(modules::Options),
    /// Calls as fast as they come, while memory is looked at
    Soak(chaos::Soak),
    /// Every test, doc tests included
    Test(test::Options),
    /// Install what lint and test need, unless it is there in the right version
    Tools,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = shell(cli.machine).and_then(|shell| match cli.task {
        Task::Bench(options) => bench::bench(&shell, &options),
        Task::Chaos(options) => chaos::chaos(&shell, &options),
        Task::Ci => ci::ci(&shell),
        Task::Fuzz(options) => fuzz::fuzz(&shell, &options),
        Task::Generate(options) => generate::generate(&shell, &options),
        Task::Instructions(options) => bench::instructions(&shell, &options),
        Task::Lint => lint::lint(&shell),
        Task::Language => language::check(&shell),
        Task::Measure(options) => measure::measure(&shell, &options),
        Task::Modules(options) => modules::modules(&shell, &options),
        Task::Soak(options) => chaos::soak(&shell, &options),
        Task::Test(options) => test::test(&shell, &options),
        Task::Tools => tools::tools(&shell),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The checkout comes from Cargo as the program starts: a path compiled in would be another checkout's where two of
/// them share a target folder.
fn shell(machine: Machine) -> Result<Shell> {
    let package = env::var_os("CARGO_MANIFEST_DIR").ok_or("run it as `cargo xtask`")?;
    let root = PathBuf::from(package).parent().ok_or("xtask has no folder above it")?.to_owned();
    let tools = match (machine.tools, env::home_dir()) {
        (Some(folder), _) => env::current_dir()?.join(folder),
        (None, Some(home)) => home.join(".cache/switchboard-tools"),
        (None, None) => return Err("no home folder: set SWITCHBOARD_TOOLS".into()),
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let path = tools::folders(&tools).chain(env::split_paths(&path)).collect();
    let of_xtask = env::vars_os().map(|(name, _)| name).filter(|name| shell::is_of_xtask(name)).collect();
    Ok(Shell { root, tools, path, of_xtask, ci: machine.ci })
}
