//! The Rust driver of the conformance suite (`tests/conformance`): a call per line on standard input, what the caller saw
//! of it per line on standard output.
//!
//! `--mode layer` uses `switchboard_client`; `--mode plain` only the generated stubs and tonic, as those do who bring
//! their own layer.
mod json;
mod layer;
mod plain;
mod protocol;

use clap::{Parser, ValueEnum};
use protocol::{Call, Reply};
use std::{error::Error, time::Duration};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// How long a call that is to be cancelled at once is given to leave: a call that was never sent proves nothing.
const TIME_TO_LEAVE: Duration = Duration::from_millis(100);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Parser)]
struct Arguments {
    /// Where the server listens.
    #[arg(long, value_name = "HOST:PORT")]
    target: String,
    /// Which of the two clients calls.
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
        let work = Box::pin(async {
            match self {
                Self::Layer(client) => client.call(call).await,
                Self::Plain(client) => client.call(call).await,
            }
        });
        if !is_cancelled_at_once {
            return work.await;
        }
        // A future that is dropped cancels its call.
        tokio::time::timeout(TIME_TO_LEAVE, work).await.unwrap_or_else(|_| Ok(Reply::cancelled()))
    }
}
