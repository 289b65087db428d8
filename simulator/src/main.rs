//! `bedrock-sim`: the simulator as a program. Reads its arguments and a file, serves until told to stop.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use bedrock_sim::Config;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A stand-in for Amazon Bedrock Runtime that any AWS SDK can be pointed at.
///
/// It answers Converse, ConverseStream and CountTokens, is as strict as Bedrock,
/// and misbehaves on request. It needs no AWS account; credentials must be
/// present but are not checked.
///
/// While it runs:
///   GET         /_sim/health, /_sim/models
///   GET|DELETE  /_sim/calls
///   GET|DELETE  /_sim/faults, and POST, for example:
///
///   curl http://127.0.0.1:9009/_sim/faults \
///     -d '{"model":"*","fault":{"kind":"throttle"},"times":3}'
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9009", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Seed, speed, profiles and faults; simulator/sim.toml explains every key
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// The same seed and request give the same reply
    #[arg(long)]
    seed: Option<u64>,
    /// 1 is the models' own pace, 2 twice as fast, 0 does not wait
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

/// The file, then the arguments over it.
fn configure(arguments: &Arguments) -> Result<Config, String> {
    let mut config = match &arguments.config {
        Some(path) => read(path)?,
        None => Config::default(),
    };
    config.seed = arguments.seed.unwrap_or(config.seed);
    config.speed = arguments.speed.unwrap_or(config.speed);
    if !config.speed.is_finite() || config.speed < 0.0 {
        return Err("speed must be a number from 0 up".to_owned());
    }
    Ok(config)
}

fn read(path: &PathBuf) -> Result<Config, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Config::from_toml(&text).map_err(|error| one_line(path, &text, &error))
}

/// toml explains over several lines; we keep the line number and the reason.
fn one_line(path: &std::path::Path, text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
    format!("{}:{line}: {}", path.display(), error.message())
}
