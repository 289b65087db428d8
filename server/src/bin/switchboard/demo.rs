//! `switchboard demo`: all of Switchboard on loopback, with a simulator in place of Bedrock.
//!
//! It is a command of its own, so that no deployment serves simulated answers by accident: no setting leads
//! here.
mod summary;

use crate::{
    result::Result,
    serve::{FINAL_EXPORTS, listen, shutdown_signal, start_logging, start_telemetry},
};
use bedrock_sim::{Fault, FaultRule, Simulator};
use clap::Args;
use std::{io::Write as _, net::SocketAddr, time::Duration};
use summary::{Answered, dollars, duration};
use switchboard_client::{Event, Switchboard, ask, names::reason_name, pb, task};
use switchboard_server::{
    Parts,
    bootstrap::connect,
    catalogue::Catalogue,
    config::{self, Config, DEFAULT_FALLBACK, DEFAULT_PRIMARY, Force, Model, Task},
    deployment::Registry,
    telemetry::settings::Settings,
};
use tokio::sync::oneshot;
use tonic::transport::server::TcpIncoming;

/// One question for each well-known task.
const QUESTIONS: [(&str, &str); 5] = [
    (task::REASONING, "Why is the sky blue, and why is it red in the evening?"),
    (task::CODING, "Write a function that reverses the words of a sentence."),
    (task::ANALYSIS, "Compare unary calls with streams for a chat program."),
    (
        task::SUMMARIZATION,
        "Summarize: Switchboard puts one gRPC contract in front of every model on Bedrock.",
    ),
    (task::CLASSIFICATION, "Is this review positive or negative? \"It just works.\""),
];

/// The task that shows a fallback, and the model that the simulator always throttles.
const FALLBACK: &str = "fallback";
const THROTTLED: &str = "us.anthropic.claude-opus-4-7";

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Exit after the demonstration instead of serving until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Address to listen on
    #[arg(long, env = "SWITCHBOARD_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    listen: SocketAddr,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<()> {
        let listener = listen(self.listen).await?;
        let address = listener.local_addr()?;
        let simulator = Simulator::start(bedrock_sim::Config::default()).await?;
        let config = with_throttled_model(Config {
            bedrock: config::Bedrock::simulated_at(simulator.endpoint_url()),
            ..Config::for_two_models(DEFAULT_PRIMARY, DEFAULT_FALLBACK)
        });
        let (telemetry, settings) = start_telemetry(&config)?;
        let _log = start_logging("warn", &telemetry)?; // the demonstration uses the same terminal
        simulator.handle().inject(FaultRule::on(THROTTLED, Fault::throttle()));
        let registry = Registry::default();
        let (snapshot, models) = connect(&config, &Catalogue::built_in(), &registry).await?;
        println!(
            "Switchboard listens on {address}; a simulator at {} stands in for Bedrock.\n{}\n",
            simulator.endpoint_url(),
            traces(&settings)
        );

        let (stop, stopped) = oneshot::channel();
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let drain = async { drop(stopped.await) };
        let snapshots = snapshot.fixed();
        let parts = Parts { config: &config, snapshots, registry, models, telemetry: &telemetry };
        let serving = switchboard_server::serve(parts, incoming, drain);
        let (served, shown) = tokio::join!(serving, self.show(address, stop));
        telemetry.finish(FINAL_EXPORTS).await;
        served.map_err(|error| format!("the server failed: {error}"))?;
        shown
    }

    /// The demonstration; then the server goes on until Ctrl-C. Dropping `stop` stops the server.
    async fn show(&self, address: SocketAddr, stop: oneshot::Sender<()>) -> Result<()> {
        let switchboard = Switchboard::connect(format!("http://{address}")).await?;
        let mut answers = Vec::new();
        println!("One question for each well-known task:");
        for (task, question) in QUESTIONS {
            answers.extend(stream(&switchboard, task, question).await?);
        }
        println!("\nBedrock throttles the first model of the task \"{FALLBACK}\". Only the route shows it:");
        answers.extend(stream(&switchboard, FALLBACK, "What happens when a model is throttled?").await?);
        println!("\n{}", summary::table(&answers));
        drop(switchboard); // an open connection would delay the drain
        if !self.once {
            let request_id = answers.last().map(|last| last.route.request_id.as_str()).unwrap_or_default();
            println!("{}", commands(address, request_id));
            shutdown_signal().await;
        }
        drop(stop);
        Ok(())
    }
}

fn traces(settings: &Settings) -> String {
    match &settings.traces {
        Some(otlp) => format!("Traces are sent to {}.", otlp.endpoint),
        None => {
            "Traces are off; set OTEL_EXPORTER_OTLP_ENDPOINT (http://localhost:4317) to send them.".to_owned()
        }
    }
}

fn with_throttled_model(mut config: Config) -> Config {
    // "closed": otherwise the model would cool down, and the next call would not show the fallback.
    let throttled = Model { breaker: Force::Closed, ..Model::new(THROTTLED) };
    config.models.insert("throttled".to_owned(), throttled);
    let task = Task::new("its first model is always throttled", ["throttled", "fallback"]);
    config.tasks.insert(FALLBACK.to_owned(), task);
    config
}

/// Streams one answer to the terminal. `None`: the stream had no metadata, which the client reports as an
/// error before.
async fn stream(switchboard: &Switchboard, task: &str, question: &str) -> Result<Option<Answered>> {
    println!("\n── {task}: {question}");
    let mut stream = switchboard.stream(ask(task, question)).await?;
    let mut answered = None;
    while let Some(event) = stream.next().await {
        match event? {
            Event::ContentBlockDelta(event) => {
                if let Some(pb::content_block_delta::Delta::Text(text)) =
                    event.delta.and_then(|delta| delta.delta)
                {
                    print!("{text}");
                    std::io::stdout().flush()?;
                }
            }
            Event::Metadata(metadata) => {
                let route = metadata.route.clone().unwrap_or_default();
                println!("\n   {}", closing_line(&route, &metadata));
                answered = Some(Answered { route, metadata });
            }
            _ => {}
        }
    }
    Ok(answered)
}

fn closing_line(route: &pb::Route, metadata: &pb::ConverseStreamMetadataEvent) -> String {
    let usage = metadata.usage.clone().unwrap_or_default();
    let latency = metadata.latency.unwrap_or_default();
    let served = &route.model_id;
    let failed = route.attempts.split_last().map_or(&[][..], |(_, failed)| failed).iter();
    let after: String = failed
        .map(|attempt| format!(" after {} ({})", attempt.model_id, reason_name(attempt.reason())))
        .collect();
    format!(
        "{served}{after} · {} tokens in, {} out · first token {}, total {} · {}",
        usage.input_tokens,
        usage.output_tokens,
        milliseconds(duration(latency.first_token)),
        milliseconds(duration(latency.total)),
        metadata.cost.map_or_else(|| "cost unknown".to_owned(), |cost| dollars(cost.pico_usd)),
    )
}

fn milliseconds(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "unknown".to_owned(), |duration| format!("{} ms", duration.as_millis()))
}

fn commands(address: SocketAddr, request_id: &str) -> String {
    // The same profile as this program's, so that nothing is compiled twice.
    let cargo = if cfg!(debug_assertions) { "cargo run" } else { "cargo run --release" };
    format!(
        r#"Try it from another terminal in this folder:

  {cargo} --bin converse -- --address http://{address} --task coding "Reverse a list in Rust."
  {cargo} --bin converse -- --address http://{address} --task {FALLBACK} "Who answers?"
  {cargo} --bin converse -- --address http://{address} chat
  {cargo} --bin converse -- --address http://{address} tasks
  {cargo} --bin converse -- --address http://{address} explain reasoning
  {cargo} --bin converse -- --address http://{address} feedback {request_id} --thumb up --by human:me

  grpcurl -plaintext {address} list
  grpcurl -plaintext -d '{{"taskType":"summarization","messages":[{{"role":"user","content":[{{"text":"Summarize: all is well."}}]}}]}}'     {address} switchboard.v1.ConverseService/ConverseStream

Ctrl-C stops it."#
    )
}
