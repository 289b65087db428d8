//! `cargo xtask …`: the tasks that CI and developers run. Only this file reads the environment and exits.
//!
//! Every command is shown before it runs, and the first that fails ends the run with a status other than 0.
//! The tools that they need are in one folder outside the checkout, `SWITCHBOARD_TOOLS`, which `cargo xtask
//! tools` fills.
mod bench;
mod chaos;
mod ci;
mod contract;
mod fuzz;
mod generate;
mod language;
mod lint;
mod measure;
mod modules;
mod pins;
mod shell;
mod source;
mod test;
mod tools;

use clap::{Args, Parser, Subcommand, builder::FalseyValueParser};
use shell::{Result, Shell};
use std::{env, path::PathBuf, process::ExitCode};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The tasks that CI and developers run")]
struct Cli {
    #[command(flatten)]
    machine: Machine,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Args)]
struct Machine {
    /// Folder of the tools that lint and test need, outside the checkout so that checkouts share it
    /// [default: .cache/switchboard-tools in the home folder]
    #[arg(long, global = true, env = "SWITCHBOARD_TOOLS", hide_env_values = true, value_name = "FOLDER")]
    tools: Option<PathBuf>,
    /// Fail if a toolchain is missing, instead of skipping what needs it
    #[arg(long, global = true, env = "CI", hide_env_values = true, value_parser = FalseyValueParser::new())]
    ci: bool,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure the overhead of Switchboard against the AWS SDK and other gateways
    Bench(bench::Bench),
    /// Make thousands of calls while the models fail in every way that the simulator supports
    Chaos(chaos::Chaos),
    /// Run every check of CI in its order
    Ci,
    /// Write the baseline that the contract must stay compatible with
    ContractBaseline(contract::Options),
    /// Feed arbitrary bytes to the codec for a bounded time
    Fuzz(fuzz::Fuzz),
    /// Generate the code of the clients from the contract, and tables of the documentation from the program
    Generate(generate::Options),
    /// Count the instructions of a call and of a stream event, and compare them with the committed figures
    Instructions(bench::Instructions),
    /// Report phrases and names that the project has replaced; fails if there is one
    Language,
    /// Check formatting, modules, contract, dependencies, clippy and documentation
    Lint,
    /// Print sizes of files and functions as a table
    Measure(measure::Options),
    /// Print the import graph of a crate floor by floor; fails if it has a cycle
    Modules(modules::Options),
    /// Make calls as fast as possible and check that memory does not grow
    Soak(chaos::Soak),
    /// Run every test, doc tests included
    Test(test::Options),
    /// Install the tools that lint and test need, unless they are installed in the right version
    Tools,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = open_shell(cli.machine).and_then(|shell| run(&shell, cli.task));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(shell: &Shell, task: Task) -> Result {
    match task {
        Task::Bench(options) => bench::bench(shell, &options),
        Task::Chaos(options) => chaos::chaos(shell, &options),
        Task::Ci => ci::ci(shell),
        Task::ContractBaseline(options) => contract::write_baseline(shell, &options),
        Task::Fuzz(options) => fuzz::fuzz(shell, &options),
        Task::Generate(options) => generate::generate(shell, &options),
        Task::Instructions(options) => bench::instructions(shell, &options),
        Task::Language => language::check(shell),
        Task::Lint => lint::lint(shell),
        Task::Measure(options) => measure::measure(shell, &options),
        Task::Modules(options) => modules::modules(shell, &options),
        Task::Soak(options) => chaos::soak(shell, &options),
        Task::Test(options) => test::test(shell, &options),
        Task::Tools => tools::tools(shell),
    }
}

/// Reads the facts about the machine. The root of the checkout comes from the environment that Cargo sets at
/// the start: a path compiled in would be another checkout's if two of them share a target folder.
fn open_shell(machine: Machine) -> Result<Shell> {
    let package = env::var_os("CARGO_MANIFEST_DIR").ok_or("run it as `cargo xtask`")?;
    let root = PathBuf::from(package).parent().ok_or("xtask has no folder above it")?.to_owned();
    let tools = match (machine.tools, env::home_dir()) {
        (Some(folder), _) => env::current_dir()?.join(folder),
        (None, Some(home)) => home.join(".cache/switchboard-tools"),
        (None, None) => return Err("there is no home folder: set SWITCHBOARD_TOOLS".into()),
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let path = pins::program_folders(&tools).chain(env::split_paths(&path)).collect();
    let names = env::vars_os().map(|(name, _)| name);
    let hidden_variables = names.filter(|name| shell::describes_xtask(name)).collect();
    Ok(Shell { root, tools, path, hidden_variables, ci: machine.ci })
}
