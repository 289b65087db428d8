//! `switchboard serve`, and the parts of it that the demo shares: logging, telemetry, listeners and signals.
use crate::{
    log_writer::{JsonFormat, LogWriter, WriterGuard},
    result::Result,
    rlimit,
};
use clap::Args;
use std::{convert::Infallible, net::SocketAddr, path::PathBuf, time::Duration};
use switchboard_server::{
    Drained, Parts,
    bedrock::ConnectError,
    bootstrap::{catalogue, check_residency, connect, read_config, relative_to, unknown_models},
    config::{Config, DEFAULT_FALLBACK, DEFAULT_PRIMARY},
    deployment::Registry,
    telemetry::{Telemetry, is_for_traces, settings::Settings},
};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    registry,
    util::SubscriberInitExt as _,
};

/// Log levels unless `RUST_LOG` is set. The SDK's own lines double the cost of a call, so they have to be
/// asked for.
const DEFAULT_LOG: &str = "info,aws_config=warn,aws_runtime=warn,aws_sdk_bedrockruntime=warn,aws_smithy_runtime=warn,\
                           aws_smithy_runtime_api=warn,hyper=warn,h2=warn,opentelemetry=warn,opentelemetry_sdk=warn,opentelemetry-otlp=warn";

/// Time for the last traces and metrics once nothing is served any more.
pub(crate) const FINAL_EXPORTS: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration file; without one there are two models, set by the two options below
    #[arg(long, env = "SWITCHBOARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Without a configuration file: the model of reasoning, coding, analysis and default
    #[arg(long, env = "PRIMARY_MODEL_ID", default_value = DEFAULT_PRIMARY, value_name = "ID")]
    primary: String,
    /// Without a configuration file: the model of summarization and classification
    #[arg(long, env = "FALLBACK_MODEL_ID", default_value = DEFAULT_FALLBACK, value_name = "ID")]
    fallback: String,
    /// Address to listen on, instead of the configuration's
    #[arg(long, env = "SWITCHBOARD_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<Served> {
        let file = self.config.as_deref();
        let mut config = match file {
            Some(file) => read_config(file)?,
            None => Config::for_two_models(&self.primary, &self.fallback),
        };
        config.server.listen = self.listen.unwrap_or(config.server.listen);
        config.feedback.file = config.feedback.file.map(|store| relative_to(file, &store));
        let (telemetry, environment) = start_telemetry(&config)?;
        let log = start_logging(DEFAULT_LOG, &telemetry)?;
        rlimit::raise_open_files(&config);
        let listener = listen(config.server.listen).await?;
        let page = match config.telemetry.prometheus.or(environment.prometheus) {
            Some(address) if !environment.disabled => Some(listen_for_prometheus(address).await?),
            _ => None,
        };
        let catalogue = catalogue(&config, file)?;
        for unknown in unknown_models(&config, &catalogue) {
            tracing::warn!("{unknown}");
        }
        let registry = Registry::default();
        let (snapshot, models) =
            connect(&config, &catalogue, &registry).await.map_err(|error| connect_hint(&error))?;
        check_residency(&snapshot)?;
        tracing::info!(address = %listener.local_addr()?, config_version = snapshot.version, "serving");
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let snapshots = snapshot.fixed();
        let parts = Parts { config: &config, snapshots, registry, models, telemetry: &telemetry };
        let drained = tokio::select! {
            drained = switchboard_server::serve(parts, incoming, shutdown_signal()) => drained,
            never = serve_page(&telemetry, page) => match never {},
        };
        let drained = drained.map_err(|error| format!("the server failed: {error}"));
        Ok(Served { drained, telemetry, log })
    }
}

/// What is left of a server once its runtime has ended.
#[derive(Debug)]
pub(crate) struct Served {
    drained: std::result::Result<Drained, String>,
    telemetry: Telemetry,
    log: WriterGuard,
}

impl Served {
    /// Exports what is queued, and writes the last lines of the log. Called when the runtime of the calls has
    /// ended: the records of those that were cut off have ended with it.
    pub(crate) fn finish(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(self.telemetry.finish(FINAL_EXPORTS));
        runtime.shutdown_background(); // an export that takes longer must not delay the exit
        match self.drained? {
            Drained::Clean => tracing::info!("drained"),
            Drained::Cut => tracing::warn!("the drain timeout is over: running calls were cut off"),
        }
        drop(self.log);
        Ok(())
    }
}

/// Starts the log on standard error, filtered by `RUST_LOG`, and the export of calls' spans, whatever
/// `RUST_LOG` says.
///
/// A thread of its own writes the lines: a slow reader of standard error delays no call. Lines that do not
/// fit the buffer are lost, and counted in the log. Dropping the guard writes the last lines.
pub(crate) fn start_logging(default: &str, telemetry: &Telemetry) -> Result<WriterGuard> {
    let (writer, guard) = LogWriter::new(std::io::stderr())?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let filter = filter.and(filter_fn(|metadata| !is_for_traces(metadata)));
    // A line that cannot be written is lost: reporting it on standard error, which may be broken, would
    // panic.
    let lines = fmt::layer().with_writer(writer).log_internal_errors(false);
    let lines = if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        lines.boxed()
    } else {
        lines.json().event_format(JsonFormat::default()).boxed()
    };
    registry().with(telemetry.layer()).with(lines.with_filter(filter)).init();
    Ok(guard)
}

/// Starts telemetry as the configuration and the environment set it.
pub(crate) fn start_telemetry(config: &Config) -> Result<(Telemetry, Settings)> {
    #[expect(clippy::disallowed_methods, reason = "the binary reads the environment")]
    let settings = Settings::from_env(|name| std::env::var(name).ok())?;
    Ok((Telemetry::start(&settings, config.telemetry)?, settings))
}

/// Serves the page for Prometheus; without a listener nothing happens.
async fn serve_page(telemetry: &Telemetry, listener: Option<TcpListener>) -> Infallible {
    if let Some(listener) = listener {
        telemetry.serve_page(listener).await;
    }
    std::future::pending().await
}

async fn listen_for_prometheus(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen for Prometheus on {address}: {error}; set another [telemetry] prometheus")
    })?;
    tracing::info!(address = %listener.local_addr()?, "metrics for prometheus at /metrics");
    Ok(listener)
}

/// The error and how to fix it. A reader without an AWS account learns that the demo needs none.
fn connect_hint(error: &ConnectError) -> String {
    let fix = match error {
        ConnectError::NoRegion => "set AWS_REGION, or region under [bedrock] in the configuration",
        ConnectError::NoCredentials(_) => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or AWS_BEARER_TOKEN_BEDROCK, or run where \
             there is a role"
        }
        ConnectError::Unreachable { .. } => {
            "check the region's name, the network and AWS_ENDPOINT_URL_BEDROCK_RUNTIME"
        }
    };
    format!("{error}: {fix}; to try it without an AWS account, run `switchboard demo`")
}

pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    Ok(bound.map_err(|error| {
        format!(
            "cannot listen on {address}: {error}; choose another address with --listen or SWITCHBOARD_LISTEN"
        )
    })?)
}

/// Resolves at SIGTERM or Ctrl-C.
pub(crate) async fn shutdown_signal() {
    let interrupted = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => tokio::select! {
            _ = interrupted => {}
            _ = terminated.recv() => {}
        },
        Err(_) => drop(interrupted.await),
    }
}
