//! The demonstration: all of Switchboard on loopback, with a simulator in the place of Bedrock.
//!
//! It is a command of its own, so that nobody serves simulated answers by accident: no setting leads here.
mod measured;

use super::{LAST_EXPORTS, Result, asked_to_stop, listen, start_logging, start_telemetry};
use bedrock_sim::{Fault, FaultRule, Simulator};
use clap::Args;
use std::{io::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use switchboard_client::{Event, Switchboard, ask, names::reason_name, pb, task};
use switchboard_server::{
    bedrock::Bedrock,
    catalogue::Catalogue,
    config::{self, Config, DEFAULT_FALLBACK, DEFAULT_PRIMARY, Force, Model, Task},
    route::Routes,
    serve_seen,
    telemetry::{Telemetry, settings::Settings},
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
    /// End after the show, in place of serving until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Where to listen
    #[arg(long, env = "SWITCHBOARD_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    listen: SocketAddr,
}

impl Demo {
    pub(crate) async fn show(self) -> Result<()> {
        let listener = listen(self.listen).await?;
        let address = listener.local_addr()?;
        let simulator = Simulator::start(bedrock_sim::Config::default()).await?;
        let config = with_a_throttled_model(Config {
            bedrock: config::Bedrock::simulated_at(simulator.endpoint_url()),
            ..Config::for_two_models(DEFAULT_PRIMARY, DEFAULT_FALLBACK)
        });
        let (telemetry, settings) = start_telemetry(&config, true)?;
        let _last_lines = start_logging("warn", &telemetry)?; // the show is on the same terminal
        simulator.handle().inject(FaultRule::on(THROTTLED, Fault::throttle()));
        let routes = Arc::new(Routes::new(&config, &Catalogue::built_in(), "us-east-1"));
        let bedrock = Bedrock::connect(&config.bedrock, routes.regions()).await?;
        println!(
            "Switchboard listens on {address}; a simulator at {} stands in for Bedrock.\n{}\n",
            simulator.endpoint_url(),
            where_traces_go(&settings)
        );

        let (over, show_is_over) = oneshot::channel();
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let ends = async { drop(show_is_over.await) };
        let serving = serve_seen(&config, routes, bedrock, &telemetry, incoming, ends);
        let (served, shown) = tokio::join!(serving, self.play(address, &telemetry, over));
        telemetry.finish(LAST_EXPORTS).await;
        served.map_err(|error| format!("the server failed: {error}"))?;
        shown
    }

    /// The show, and then whatever callers bring. The server ends when `over` is dropped.
    async fn play(
        &self,
        address: SocketAddr,
        telemetry: &Telemetry,
        over: oneshot::Sender<()>,
    ) -> Result<()> {
        let switchboard = Switchboard::connect(format!("http://{address}")).await?;
        println!("One question for each well-known task:");
        for (task, question) in QUESTIONS {
            tell(&switchboard, task, question).await?;
        }
        println!(
            "\nBedrock throttles the first model of the task \"{FALLBACK}\"; the caller sees it in the route only:"
        );
        tell(&switchboard, FALLBACK, "What happens when a model is throttled?").await?;
        println!("\nWhat was measured:\n\n{}", measured::table(&telemetry.page().gather()));
        drop(switchboard); // its connection must not hold the drain
        if !self.once {
            println!("{}", lines_to_paste(address));
            asked_to_stop().await;
        }
        drop(over);
        Ok(())
    }
}

fn where_traces_go(settings: &Settings) -> String {
    match &settings.traces {
        Some(otlp) => format!("Traces go to {}.", otlp.endpoint),
        None => "Traces go nowhere; set OTEL_EXPORTER_OTLP_ENDPOINT (http://localhost:4317) to see them."
            .to_owned(),
    }
}

fn with_a_throttled_model(mut config: Config) -> Config {
    // "closed": otherwise it would cool down, and the next call would not show what the README promises.
    let throttled = Model { breaker: Force::Closed, ..Model::new(THROTTLED) };
    config.models.insert("throttled".to_owned(), throttled);
    let task = Task::new("its first model is always throttled", ["throttled", "fallback"]);
    config.tasks.insert(FALLBACK.to_owned(), task);
    config
}

/// Asks, and prints the answer as it comes.
async fn tell(switchboard: &Switchboard, task: &str, question: &str) -> Result<()> {
    println!("\n── {task}: {question}");
    let mut stream = switchboard.stream(ask(task, question)).await?;
    let mut route = None;
    while let Some(event) = stream.next().await {
        match event? {
            Event::Route(taken) => route = Some(taken),
            Event::ContentBlockDelta(piece) => {
                if let Some(pb::content_block_delta::Delta::Text(text)) =
                    piece.delta.and_then(|delta| delta.delta)
                {
                    print!("{text}");
                    std::io::stdout().flush()?;
                }
            }
            Event::Metadata(metadata) => println!("\n   {}", closing_line(route.as_ref(), &metadata)),
            _ => {}
        }
    }
    Ok(())
}

fn closing_line(route: Option<&pb::Route>, metadata: &pb::ConverseStreamMetadataEvent) -> String {
    let usage = metadata.usage.clone().unwrap_or_default();
    let latency = metadata.latency.unwrap_or_default();
    let served = route.map(|route| route.model_id.as_str()).unwrap_or_default();
    let failed =
        route.map(|route| &route.attempts[..route.attempts.len().saturating_sub(1)]).unwrap_or_default();
    let after: String = failed
        .iter()
        .map(|attempt| format!(" after {} ({})", attempt.model_id, reason_name(attempt.reason())))
        .collect();
    format!(
        "{served}{after} · {} tokens in, {} out · first token {}, total {}",
        usage.input_tokens,
        usage.output_tokens,
        milliseconds(latency.first_token),
        milliseconds(latency.total),
    )
}

fn milliseconds(duration: Option<prost_types::Duration>) -> String {
    let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
    duration.map_or_else(|| "unknown".to_owned(), |duration| format!("{} ms", duration.as_millis()))
}

fn lines_to_paste(address: SocketAddr) -> String {
    format!(
        r#"
Try it, from another terminal in this folder:

  cargo run --release --bin converse -- --address http://{address} --task coding "Reverse a list in Rust."
  cargo run --release --bin converse -- --address http://{address} chat
  cargo run --release --bin converse -- --address http://{address} tasks

  grpcurl -plaintext {address} list
  grpcurl -plaintext -d '{{"taskType":"summarization","messages":[{{"role":"user","content":[{{"text":"Summarize: all is well."}}]}}]}}' \
    {address} switchboard.v1.ConverseService/ConverseStream

Ctrl-C ends it."#
    )
}
