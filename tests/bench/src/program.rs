//! The programs of a run: processes that are pinned to a core.
use crate::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Stdio,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{sleep, timeout},
};

/// Cores of the measured system and of everything else.
pub(crate) const MEASURED: &str = "0";
pub(crate) const OTHERS: &str = "1";

/// A running server program, which is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Program {
    /// Starts a program and waits until it listens at `address`.
    pub(crate) async fn start(command: &mut Command, address: SocketAddr, log: &Path) -> Result<Self> {
        let log = File::create(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let mut program = Self { child, address };
        let listening = async {
            while TcpStream::connect(address).await.is_err() {
                if let Some(status) = program.child.try_wait()? {
                    return Err(format!("{command:?} ended: {status}").into());
                }
                sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        };
        match timeout(Duration::from_secs(120), listening).await {
            Ok(Ok(())) => Ok(program),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(format!("{command:?} does not listen").into()),
        }
    }

    /// Starts a part of this program: `upstream` or `sink`.
    pub(crate) async fn part(name: &str, mut command: Command, out: &Path) -> Result<Self> {
        let listen = free_address().await?;
        command.args([name, "--listen", &listen.to_string()]);
        Self::start(&mut command, listen, &out.join(name).with_extension("log")).await
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for the program to end by itself.
    pub(crate) async fn ended(mut self) -> Result {
        let status = self.child.wait().await?;
        if status.success() { Ok(()) } else { Err(format!("the program ended: {status}").into()) }
    }
}

/// A command that runs on `cores`, in the notation of `taskset`.
pub(crate) fn on_cores(cores: &str, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", cores]).arg(program.as_ref());
    command
}

/// A free address on loopback.
pub(crate) async fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(listener.local_addr()?)
}

/// Raises the limit of open files of this process to its maximum.
pub(crate) fn allow_many_files() -> Result {
    let most = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?)
}
