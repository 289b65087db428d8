//! The `bedrock-sim` program: reads arguments and a configuration file, and serves until it receives a
//! signal.

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bedrock_sim::Config;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A simulator of Amazon Bedrock Runtime for any AWS SDK.
///
/// Serves Converse, ConverseStream and CountTokens, validates requests as
/// Bedrock does, and injects faults on request. Needs no AWS account: requests
/// must carry credentials, but the credentials are not verified.
///
/// Admin API:
///   GET         /_sim/health, /_sim/models
///   GET|DELETE  /_sim/calls
///   GET|DELETE  /_sim/faults, and POST, for example:
///
///   curl http://127.0.0.1:9009/_sim/faults \
///     -d '{"model":"*","fault":{"kind":"throttle"},"times":3}'
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// Address to listen on; port 0 selects a free port
    #[arg(long, default_value = "127.0.0.1:9009", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Configuration file; simulator/sim.toml documents every key
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Seed of the generated responses; the same seed and request give the same response
    #[arg(long)]
    seed: Option<u64>,
    /// Speed factor: 1 is the models' own speed, 2 is twice as fast, 0 does not wait
    #[arg(long)]
    speed: Option<f64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bedrock-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let config = configure(&arguments)?;
    let listen = arguments.listen;
    let listener =
        TcpListener::bind(listen).await.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let address = listener.local_addr()?;
    let mut terminate = signal(SignalKind::terminate())?;
    println!("bedrock-sim listens on http://{address}; use it with");
    println!("export AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://{address}");
    println!("export AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=simulated AWS_SECRET_ACCESS_KEY=simulated");
    let shutdown = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    Ok(bedrock_sim::serve(config, listener, shutdown).await?)
}

/// Returns the configuration of the file, overridden by the arguments.
fn configure(arguments: &Arguments) -> Result<Config, String> {
    let mut config = match &arguments.config {
        Some(path) => read_config(path)?,
        None => Config::default(),
    };
    config.seed = arguments.seed.unwrap_or(config.seed);
    config.speed = arguments.speed.unwrap_or(config.speed);
    if !config.speed.is_finite() || config.speed < 0.0 {
        return Err("--speed must be a finite number of at least 0".to_owned());
    }
    Ok(config)
}

fn read_config(path: &Path) -> Result<Config, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Config::from_toml(&text).map_err(|error| one_line(path, &text, &error))
}

/// Formats a TOML error, which the library prints over several lines, as `file:line: reason`.
fn one_line(path: &Path, text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
    format!("{}:{line}: {}", path.display(), error.message())
}
