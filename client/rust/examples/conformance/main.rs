//! Rust driver of the conformance suite (`tests/conformance`): reads a call per line from standard input and
//! writes its result as a line to standard output.
//!
//! `--mode layer` uses `switchboard_client`; `--mode plain` uses only the generated stubs and tonic.
mod json;
mod layer;
mod plain;
mod protocol;

use clap::{Parser, ValueEnum};
use opentelemetry::{Context, global, trace::FutureExt as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use protocol::{Call, Reply};
use std::{collections::HashMap, error::Error, time::Duration};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// Time for sending a call that is cancelled at once. A call that is not sent proves nothing.
const TIME_TO_SEND: Duration = Duration::from_millis(100);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Parser)]
struct Arguments {
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT")]
    target: String,
    /// Client to use.
    #[arg(long)]
    mode: Mode,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Layer,
    Plain,
}

enum Client {
    Layer(layer::Client),
    Plain(Box<plain::Client>),
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    global::set_text_map_propagator(TraceContextPropagator::new());
    let address = format!("http://{}", arguments.target);
    let client = match arguments.mode {
        Mode::Layer => Client::Layer(layer::Client::new(&address)?),
        Mode::Plain => Client::Plain(Box::new(plain::Client::new(&address)?)),
    };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut stdout = tokio::io::stdout();
    while let Some(line) = lines.next_line().await? {
        let reply = client.answer(Call::parse(&line)?).await?;
        stdout.write_all(reply.to_line().as_bytes()).await?;
        stdout.flush().await?;
    }
    Ok(())
}

// === impl Client ===

impl Client {
    async fn answer(&self, call: Call) -> Result<Reply> {
        let is_cancelled_at_once = call.cancel_after_events == Some(0);
        let context = trace_context(call.traceparent.as_deref());
        let work = Box::pin(async {
            match self {
                Self::Layer(client) => client.call(call).await,
                Self::Plain(client) => client.call(call).await,
            }
        });
        let work = work.with_context(context);
        if !is_cancelled_at_once {
            return work.await;
        }
        // Dropping the future cancels the call.
        tokio::time::timeout(TIME_TO_SEND, work).await.unwrap_or_else(|_| Ok(Reply::cancelled()))
    }
}

/// Returns the context of the caller's span. Without one, the empty context.
fn trace_context(traceparent: Option<&str>) -> Context {
    let carrier = traceparent.map(|value| ("traceparent".to_owned(), value.to_owned()));
    let carrier: HashMap<_, _> = carrier.into_iter().collect();
    global::get_text_map_propagator(|propagator| propagator.extract_with_context(&Context::new(), &carrier))
}
