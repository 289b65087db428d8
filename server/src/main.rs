//! `switchboard`: reads the file and the environment, and serves. The only `std::env`, the only exit.
mod demo;
mod lines;
mod open_files;

use clap::{Args, Parser, Subcommand};
use lines::{JsonLines, Lines, Writing};
use std::{
    convert::Infallible,
    error::Error,
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use switchboard_server::{
    Drained,
    bedrock::{Bedrock, ConnectError},
    catalogue::Catalogue,
    config::{Config, DEFAULT_FALLBACK, DEFAULT_PRIMARY},
    prices,
    route::Routes,
    serve_seen,
    telemetry::{Telemetry, is_for_traces, settings::Settings},
};
use tikv_jemallocator::Jemalloc;
use tokio::{net::TcpListener, runtime};
use tonic::transport::server::TcpIncoming;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    registry,
    util::SubscriberInitExt as _,
};

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// The SDK's own lines double the cost of a call when they are on, so they are asked for by name.
const DEFAULT_LOG: &str = "info,aws_config=warn,aws_runtime=warn,aws_sdk_bedrockruntime=warn,aws_smithy_runtime=warn,\
                           aws_smithy_runtime_api=warn,hyper=warn,h2=warn,opentelemetry=warn,opentelemetry_sdk=warn,opentelemetry-otlp=warn";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One gRPC contract in front of every model on Amazon Bedrock.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve calls on Amazon Bedrock until SIGTERM or Ctrl-C, then drain
    Serve(Serve),
    /// Check a configuration: names the line and the fix of what is wrong
    Check {
        /// The TOML file
        file: PathBuf,
        /// The region of models that name none, where the file says nothing
        #[arg(long, env = "AWS_REGION")]
        region: Option<String>,
    },
    /// Read prices into the catalogue's form
    #[command(subcommand)]
    Prices(Prices),
    /// Show it all without an AWS account: a simulator and a server on loopback
    Demo(demo::Demo),
}

#[derive(Debug, Subcommand)]
enum Prices {
    /// Print a catalogue file with the prices of AWS's price lists, and on standard error each row that has no place in it
    ///
    /// The lists are public: `https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/OFFER/current/REGION/index.json`, with
    /// AmazonBedrock and AmazonBedrockFoundationModels as OFFER. What is printed belongs into a file that [catalogue] file
    /// of the configuration names.
    Import {
        /// The lists, in JSON
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The region that models are called from
        #[arg(long, default_value = "us-east-1")]
        region: String,
        /// The catalogue whose models get the prices [default: the one compiled in]
        #[arg(long, value_name = "FILE")]
        catalogue: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Serve {
    /// The configuration; without one there are two models, set by the two options below
    #[arg(long, env = "SWITCHBOARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The model of reasoning, coding, analysis and default, where no configuration is given
    #[arg(long, env = "PRIMARY_MODEL_ID", default_value = DEFAULT_PRIMARY, value_name = "ID")]
    primary: String,
    /// The model of summarization and classification, where no configuration is given
    #[arg(long, env = "FALLBACK_MODEL_ID", default_value = DEFAULT_FALLBACK, value_name = "ID")]
    fallback: String,
    /// Where to listen, in place of the configuration's address
    #[arg(long, env = "SWITCHBOARD_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Check { file, region } => check(&file, region),
        Command::Prices(Prices::Import { files, region, catalogue }) => {
            import_prices(&files, &region, catalogue.as_deref())
        }
        Command::Serve(settings) => run(serve_calls(settings)),
        Command::Demo(demo) => run(demo.show()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("switchboard: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The LIFO slot is off: with it each event of a stream becomes a small write of its own, which triples what a dense
/// stream costs.
fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().disable_lifo_slot().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background(); // what was cut must not hold the exit
    done
}

/// The log goes to standard error, by `RUST_LOG`; the spans of calls to whoever collects traces, whatever `RUST_LOG` says.
///
/// A line is written by a thread of its own: whoever reads standard error slowly, or not at all, holds no call back. Lines
/// that it has no room for are lost, which it says. What is returned writes the last ones when it is dropped.
fn start_logging(default: &str, telemetry: &Telemetry) -> Result<Writing> {
    let (writer, last_lines) = Lines::to(std::io::stderr())?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let filter = filter.and(filter_fn(|metadata| !is_for_traces(metadata)));
    // A line that cannot be written is lost; told on standard error, which may be what broke, it would be a panic.
    let lines = fmt::layer().with_writer(writer).log_internal_errors(false);
    let lines = if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        lines.boxed()
    } else {
        lines.json().event_format(JsonLines::default()).boxed()
    };
    registry().with(telemetry.layer()).with(lines.with_filter(filter)).init();
    Ok(last_lines)
}

/// Telemetry as the configuration and the environment have it.
fn start_telemetry(config: &Config, keep_page: bool) -> Result<(Telemetry, Settings)> {
    #[expect(clippy::disallowed_methods, reason = "here the environment is read")]
    let settings = Settings::from_env(|name| std::env::var(name).ok())?;
    let settings = Settings { keep_page, ..settings };
    Ok((Telemetry::start(&settings, config.telemetry)?, settings))
}

fn check(file: &Path, region: Option<String>) -> Result<()> {
    let config = read(file)?;
    let catalogue = catalogue(&config, Some(file))?;
    for stranger in strangers(&config, &catalogue) {
        println!("note: {stranger}");
    }
    match config.bedrock.region.clone().or(region) {
        Some(region) => keep_residency(&Routes::new(&config, &catalogue, &region))?,
        None => println!("note: no region is set here, so where requests are processed was not checked"),
    }
    let (tasks, models) = (config.tasks.len(), config.models.len());
    println!("{}: valid, {tasks} tasks on {models} models", file.display());
    Ok(())
}

fn import_prices(files: &[PathBuf], region: &str, catalogue: Option<&Path>) -> Result<()> {
    let lists =
        files.iter().map(|file| Ok(prices::File { name: file.display().to_string(), json: text(file)? }));
    let lists = lists.collect::<Result<Vec<_>>>()?;
    let catalogue = catalogue.map(text).transpose()?;
    let catalogue = catalogue.as_deref().unwrap_or(Catalogue::built_in_text());
    let imported = prices::import(catalogue, &lists, region)?;
    let prices::Imported { toml, models, placed, left_out, elsewhere } = imported;
    for row in &left_out {
        eprintln!("left out: {row}");
    }
    eprintln!(
        "{placed} prices of {models} models in {region}; {} rows left out, {elsewhere} of other regions",
        left_out.len()
    );
    std::io::stdout().write_all(toml.as_bytes())?;
    Ok(())
}

fn read(file: &Path) -> Result<Config> {
    Ok(Config::parse(&text(file)?).map_err(|error| format!("{}: {error}", file.display()))?)
}

fn text(file: &Path) -> Result<String> {
    Ok(fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?)
}

/// What is known of models: compiled in, and from the configuration's own file.
fn catalogue(config: &Config, beside: Option<&Path>) -> Result<Catalogue> {
    let Some(file) = &config.catalogue.file else { return Ok(Catalogue::built_in()) };
    let file = self::beside(beside, file);
    let own = Catalogue::parse(&text(&file)?).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(if config.catalogue.replace { own } else { Catalogue::built_in().extend(own) })
}

/// Candidates that would leave their task's geography are never asked; whoever lists them should know.
fn keep_residency(routes: &Routes) -> Result<()> {
    match routes.leaving().collect::<Vec<_>>() {
        leaving if leaving.is_empty() => Ok(()),
        leaving => Err(leaving.join("\n").into()),
    }
}

/// A file that the configuration names: beside it, unless its path is absolute.
fn beside(config: Option<&Path>, file: &Path) -> PathBuf {
    config.and_then(Path::parent).unwrap_or(Path::new("")).join(file)
}

/// What the catalogue does not know is treated with care, and said.
fn strangers(config: &Config, catalogue: &Catalogue) -> Vec<String> {
    let unknown = config.models.iter().filter_map(|(name, model)| {
        let id = model.base_model.as_deref().unwrap_or(&model.id);
        (!catalogue.resolve(id).catalogued).then(|| {
            format!(
                "[models.{name}] {id} is not in the catalogue: set base_model, or add it to a catalogue file"
            )
        })
    });
    unknown.collect()
}

/// How long the last traces and metrics may take once nothing is served any more.
const LAST_EXPORTS: Duration = Duration::from_secs(5);

async fn serve_calls(settings: Serve) -> Result<()> {
    let mut config = match &settings.config {
        Some(file) => read(file)?,
        None => Config::for_two_models(&settings.primary, &settings.fallback),
    };
    config.server.listen = settings.listen.unwrap_or(config.server.listen);
    config.feedback.file = config.feedback.file.map(|file| beside(settings.config.as_deref(), &file));
    let (telemetry, environment) = start_telemetry(&config, false)?;
    let _last_lines = start_logging(DEFAULT_LOG, &telemetry)?;
    open_files::raise(&config);
    let listener = listen(config.server.listen).await?;
    let page = match config.telemetry.prometheus.or(environment.prometheus).filter(|_| !environment.disabled)
    {
        Some(address) => Some(listen_for_prometheus(address).await?),
        None => None,
    };
    let catalogue = catalogue(&config, settings.config.as_deref())?;
    for stranger in strangers(&config, &catalogue) {
        tracing::warn!("{stranger}");
    }
    let (routes, bedrock) = connect(&config, &catalogue).await.map_err(|error| both_ways_out(&error))?;
    keep_residency(&routes)?;
    tracing::info!(address = %listener.local_addr()?, config_version = routes.version(), "serving");
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let drained = tokio::select! {
        drained = serve_seen(&config, routes, bedrock, &telemetry, incoming, asked_to_stop()) => drained,
        never = serve_page(&telemetry, page) => match never {},
    };
    telemetry.finish(LAST_EXPORTS).await;
    match drained.map_err(|error| format!("the server failed: {error}"))? {
        Drained::Clean => tracing::info!("drained"),
        Drained::Cut => tracing::warn!("the drain timeout is over: what still ran was cut"),
    }
    Ok(())
}

/// The page for Prometheus, for ever; without a listener there is none.
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

async fn connect(
    config: &Config,
    catalogue: &Catalogue,
) -> std::result::Result<(Arc<Routes>, Bedrock), ConnectError> {
    let default_region = Bedrock::default_region(&config.bedrock).await?;
    let routes = Arc::new(Routes::new(config, catalogue, &default_region));
    let bedrock = Bedrock::connect(&config.bedrock, routes.regions()).await?;
    Ok((routes, bedrock))
}

/// Whoever has no AWS account yet should learn here that none is needed.
fn both_ways_out(error: &ConnectError) -> String {
    let mend = match error {
        ConnectError::NoRegion => "set AWS_REGION, or region under [bedrock] in the configuration",
        ConnectError::NoCredentials(_) => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or AWS_BEARER_TOKEN_BEDROCK, or run where \
             there is a role"
        }
        ConnectError::Unreachable { .. } => {
            "check the region's name, the network and AWS_ENDPOINT_URL_BEDROCK_RUNTIME"
        }
    };
    format!("{error}: {mend}; to try it without an AWS account, run `switchboard demo`")
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    Ok(bound.map_err(|error| {
        format!(
            "cannot listen on {address}: {error}; choose another address with --listen or SWITCHBOARD_LISTEN"
        )
    })?)
}

/// SIGTERM or Ctrl-C.
async fn asked_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => tokio::select! {
            _ = interrupted => {}
            _ = terminated.recv() => {}
        },
        Err(_) => drop(interrupted.await),
    }
}
