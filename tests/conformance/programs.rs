//! Runs `switchboard` with `bedrock-sim`.
use crate::{prepared::PreparedServer, scenario::Server, simulator::Simulator};
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command as Build, Stdio},
    sync::OnceLock,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
};

/// Returns the folder of the checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the folder of the programs: `SWITCHBOARD_PROGRAMS`, or else Cargo's target folder after a build.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| match env::var_os("SWITCHBOARD_PROGRAMS") {
        Some(folder) => root().join(folder),
        None => build(),
    })
}

/// Builds the programs, because a test cannot depend on the programs of another package. Together with an
/// example, they are built with the same features as in `cargo test --workspace`, so after that nothing is
/// built again.
fn build() -> PathBuf {
    let mut cargo = Build::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--quiet", "--workspace", "--bins", "--example", "conformance"]).current_dir(root());
    assert!(cargo.status().expect("cargo runs").success(), "the programs do not build");
    let test = env::current_exe().expect("has a path"); // target/debug/deps/conformance-…
    test.ancestors().nth(2).expect("is in target").to_owned()
}

/// Servers for one client.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) prepared: PreparedServer,
    switchboard: String,
    strict: String,
    _programs: [Child; 3],
}

// === impl Stage ===

impl Stage {
    pub(crate) async fn start(prepared: &PreparedServer) -> Self {
        let mut command = Command::new(folder().join("bedrock-sim"));
        command.args(["--listen", "127.0.0.1:0", "--speed", "0"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let (sim, simulator) =
            started(&mut command, |child| Box::new(child.stdout.take().expect("is piped"))).await;
        let (one, switchboard) = serve("switchboard.toml", &simulator).await;
        let (two, strict) = serve("strict.toml", &simulator).await;
        let programs = [sim, one, two];
        let simulator = Simulator::at(&simulator);
        Self { simulator, prepared: prepared.clone(), switchboard, strict, _programs: programs }
    }

    pub(crate) fn address(&self, server: Server) -> String {
        match server {
            Server::Switchboard => self.switchboard.clone(),
            Server::Strict => self.strict.clone(),
            Server::Prepared => self.prepared.address.to_string(),
            Server::Closing => self.prepared.closing_address.to_string(),
        }
    }
}

/// Starts the demo and returns its address. The demo serves calls while it prints its own ones.
pub(crate) async fn demo() -> (Child, String) {
    let mut command = Command::new(folder().join("switchboard"));
    command.args(["demo", "--listen", "127.0.0.1:0"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    started(&mut command, |child| Box::new(child.stdout.take().expect("is piped"))).await
}

async fn serve(config: &str, simulator: &str) -> (Child, String) {
    let mut command = Command::new(folder().join("switchboard"));
    let config = root().join("tests/conformance").join(config);
    command.arg("serve").arg("--config").arg(config).args(["--listen", "127.0.0.1:0"]);
    command.env_clear().env("HOME", "/nonexistent").env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", format!("http://{simulator}"));
    command.envs([("AWS_ACCESS_KEY_ID", "simulated"), ("AWS_SECRET_ACCESS_KEY", "simulated")]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    started(&mut command, |child| Box::new(child.stderr.take().expect("is piped"))).await
}

/// Starts a program and returns the address that it prints. Reads the rest of the output too, so that it
/// never blocks.
async fn started(
    command: &mut Command,
    output: impl FnOnce(&mut Child) -> Box<dyn AsyncRead + Send + Unpin>,
) -> (Child, String) {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut lines = BufReader::new(output(&mut child)).lines();
    let mut output_lines = Vec::new();
    let address = loop {
        let line = lines.next_line().await.expect("is text");
        let line = line.unwrap_or_else(|| panic!("{command:?} ended: {}", output_lines.join("\n")));
        if let Some(address) = address(&line) {
            break address;
        }
        output_lines.push(line);
    };
    #[expect(clippy::disallowed_methods, reason = "ends with the program")]
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, address)
}

/// Returns `127.0.0.1:PORT` if the line reports that the program is listening.
fn address(line: &str) -> Option<String> {
    let at = line.find("127.0.0.1:")?;
    let rest = &line[at + "127.0.0.1:".len()..];
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (line.contains("serving") || line.contains("listens")).then(|| format!("127.0.0.1:{port}"))
}
