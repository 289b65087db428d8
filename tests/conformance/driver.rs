//! Running driver: a line for each call and each result.
use crate::{clients::Client, scenario::Mode};
use serde_json::Value;
use std::{process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// Timeout for a driver that hangs. No scenario takes that long.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Driver {
    child: Child,
    stdin: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
}

// === impl Driver ===

impl Driver {
    pub(crate) fn start(client: &Client, mode: Mode, target: &str) -> Result<Self, String> {
        let words = client.driver();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["--target", target, "--mode"]);
        command.arg(match mode {
            Mode::Layer => "layer",
            Mode::Plain => "plain",
        });
        command.current_dir(client.folder()).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()); // standard error is inherited
        let mut child = command.spawn().map_err(|error| format!("{words:?}: {error}"))?;
        let stdin = child.stdin.take().expect("is piped");
        let replies = BufReader::new(child.stdout.take().expect("is piped")).lines();
        Ok(Self { child, stdin, replies })
    }

    pub(crate) async fn call(&mut self, call: &Value) -> Result<Value, String> {
        let line = format!("{call}\n");
        let exchange = async {
            self.stdin.write_all(line.as_bytes()).await.map_err(|error| error.to_string())?;
            self.stdin.flush().await.map_err(|error| error.to_string())?;
            let reply = self.replies.next_line().await.map_err(|error| error.to_string())?;
            let reply = reply.ok_or("the driver ended without a reply")?;
            serde_json::from_str(&reply).map_err(|error| format!("the reply is not JSON: {error}: {reply}"))
        };
        timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| Err("the driver does not answer".to_owned()))
    }

    /// Closes the input. The driver must end successfully without further output.
    pub(crate) async fn end(mut self) -> Result<(), String> {
        drop(self.stdin);
        let ending = async {
            if let Some(line) = self.replies.next_line().await.map_err(|error| error.to_string())? {
                return Err(format!("the driver wrote an unexpected line: {line}"));
            }
            let status = self.child.wait().await.map_err(|error| error.to_string())?;
            if status.success() { Ok(()) } else { Err(format!("the driver ended with {status}")) }
        };
        timeout(TIMEOUT, ending).await.unwrap_or_else(|_| Err("the driver does not end".to_owned()))
    }
}
