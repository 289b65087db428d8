//! `switchboard` as an operator meets it: what it says and how it exits.
#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

use bedrock_sim::Simulator;
use rustix::process::{Pid, Signal, kill_process};
use std::{collections::BTreeMap, fs, net::TcpListener, path::PathBuf, process::Stdio};
use switchboard_client::{Event, Switchboard, ask};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

const VALID: &str =
    "[models.one]\nid = \"us.anthropic.claude-sonnet-4-6\"\n[tasks.default]\nmodels = [\"one\"]\n";

/// The program with an empty environment, so that nobody's AWS account is found by accident.
fn switchboard(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.args(arguments).env_clear().kill_on_drop(true).stdin(Stdio::null());
    command.env("HOME", "/nonexistent").env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// What it says on standard error, or on standard output when all is well, and whether it was content.
async fn said(command: &mut Command) -> (bool, String) {
    let output = command.output().await.expect("runs");
    let text = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(text).expect("is text"))
}

fn written(folder: &TempDir, toml: &str) -> PathBuf {
    let file = folder.path().join("switchboard.toml");
    fs::write(&file, toml).expect("is writable");
    file
}

async fn checked(toml: &str) -> (bool, String) {
    let folder = TempDir::new().expect("is writable");
    let file = written(&folder, toml);
    said(&mut switchboard(&["check", &file.to_string_lossy()])).await
}

/// A list with two prices of Nova Micro and one of something else.
const PRICE_LIST: &str = r#"{
  "offerCode": "AmazonBedrock", "publicationDate": "2026-11-20T19:54:33Z",
  "products": {
    "A": { "attributes": { "regionCode": "us-east-1", "model": "Nova Micro", "usagetype": "USE1-NovaMicro-input-tokens" } },
    "B": { "attributes": { "regionCode": "us-east-1", "model": "Nova Micro", "usagetype": "USE1-NovaMicro-output-tokens" } },
    "C": { "attributes": { "regionCode": "us-east-1", "model": "Nova Canvas", "usagetype": "USE1-NovaCanvas-T2I-1024-Standard" } }
  },
  "terms": { "OnDemand": {
    "A": { "A.J": { "priceDimensions": { "A.J.6": { "unit": "1K tokens", "pricePerUnit": { "USD": "0.0000410000" } } } } },
    "B": { "B.J": { "priceDimensions": { "B.J.6": { "unit": "1K tokens", "pricePerUnit": { "USD": "0.0001640000" } } } } },
    "C": { "C.J": { "priceDimensions": { "C.J.6": { "unit": "image", "pricePerUnit": { "USD": "0.0400000000" } } } } }
  } }
}"#;

#[tokio::test]
async fn imported_prices_are_a_catalogue_file_and_every_other_row_is_named() {
    let folder = TempDir::new().expect("is writable");
    let list = folder.path().join("list.json");
    fs::write(&list, PRICE_LIST).expect("is writable");
    let list = list.to_string_lossy();

    let output = switchboard(&["prices", "import", &list]).output().await.expect("runs");
    let words = String::from_utf8(output.stderr).expect("is text");
    assert!(output.status.success(), "{words}");
    assert_eq!(
        words,
        "skipped: C (USE1-NovaCanvas-T2I-1024-Standard): it is not charged by the token\n\
         imported 2 prices of 1 models in us-east-1; skipped 1 rows, and 0 of other regions\n"
    );
    fs::write(folder.path().join("models.toml"), output.stdout).expect("is writable");
    let config = written(&folder, &(VALID.to_owned() + "[catalogue]\nfile = \"models.toml\"\n"));
    let (valid, words) = said(&mut switchboard(&["check", &config.to_string_lossy()])).await;
    assert!(valid, "{words}");

    for (arguments, expected) in [
        (["prices", "import", "/nonexistent"], "switchboard: cannot read /nonexistent: No such file"),
        (["prices", "import", &config.to_string_lossy()], "is not an AWS price list in JSON"),
    ] {
        let (content, words) = said(&mut switchboard(&arguments)).await;
        assert!(!content && words.contains(expected), "{words}");
    }
    let (content, words) =
        said(&mut switchboard(&["prices", "import", &list, "--region", "eu-west-1"])).await;
    assert!(!content && words.contains("no price was found for region eu-west-1"), "{words}");
}

#[tokio::test]
async fn check_names_the_line_and_the_fix() {
    let (valid, words) = checked(VALID).await;
    assert!(valid && words.contains("valid, 1 task on 1 model"), "{words}");

    let stranger = VALID.replace("us.anthropic.claude-sonnet-4-6", "us.acme.oracle-1");
    let (valid, words) = checked(&stranger).await;
    assert!(
        valid && words.contains("note: [models.one] us.acme.oracle-1 is not in the catalogue"),
        "{words}"
    );

    let own = VALID.to_owned() + "[catalogue]\nfile = \"models.toml\"\n";
    let (valid, words) = checked(&own).await;
    assert!(!valid && words.contains("models.toml: No such file"), "{words}");

    for (toml, expected) in [
        (VALID.replace("[\"one\"]", "[\"two\"]"), "line 4: [tasks.default] names the model \"two\""),
        (VALID.replace("id =", "di ="), "line 2: unknown field `di`, expected one of `id`"),
        (VALID.replace("= \"us", "= us"), "line 2: "),
        (VALID.to_owned() + "max_tokens = 0\n", "line 5: max_tokens: 0 is not a number of tokens"),
        (VALID.to_owned() + "deadline = { idle = \"soon\" }\n", "line 5: "),
    ] {
        let (valid, words) = checked(&toml).await;
        assert!(!valid && words.contains(expected) && words.lines().count() == 1, "{toml}\n{words}");
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_one_line() {
    for command in [&["check", "/nonexistent.toml"][..], &["serve", "--config", "/nonexistent.toml"]] {
        let (valid, words) = said(&mut switchboard(command)).await;
        assert!(!valid && words.starts_with("switchboard: cannot read /nonexistent.toml: "), "{words}");
        assert_eq!(words.lines().count(), 1, "{words}");
    }
}

#[tokio::test]
async fn serve_without_aws_settings_names_both_ways_out() {
    let (valid, no_region) = said(switchboard(&["serve"]).env("SWITCHBOARD_LISTEN", "127.0.0.1:0")).await;
    assert!(
        !valid && no_region.contains("AWS_REGION") && no_region.contains("switchboard demo"),
        "{no_region}"
    );

    let mut command = switchboard(&["serve", "--listen", "127.0.0.1:0"]);
    let (valid, no_credentials) = said(command.env("AWS_REGION", "us-east-1")).await;
    assert!(!valid && no_credentials.contains("AWS_ACCESS_KEY_ID"), "{no_credentials}");
    assert!(
        no_credentials.contains("switchboard demo") && no_credentials.lines().count() == 1,
        "{no_credentials}"
    );
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_is_told_at_the_start() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("is bound");
    let mut command = on_aws(&["serve", "--listen", "127.0.0.1:0"], &format!("http://{closed}"));
    let (valid, words) = said(&mut command).await;
    assert!(!valid && words.contains(&closed.to_string()) && words.contains("cannot be reached"), "{words}");
    assert_eq!(words.lines().count(), 1, "{words}");
}

#[tokio::test]
async fn a_port_in_use_is_told_with_the_setting_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = taken.local_addr().expect("is bound").to_string();
    for command in [&["serve", "--listen", &address][..], &["demo", "--listen", &address]] {
        let (valid, words) = said(&mut switchboard(command)).await;
        assert!(!valid && words.contains(&address) && words.contains("SWITCHBOARD_LISTEN"), "{words}");
    }
}

/// The program with what a machine on AWS has, but for the endpoint.
fn on_aws(arguments: &[&str], endpoint: &str) -> Command {
    let mut command = switchboard(arguments);
    command
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", endpoint)
        .stderr(Stdio::piped());
    command
}

type Log = Lines<BufReader<ChildStderr>>;

/// Starts a server and closes its log: it must serve without one, too.
async fn started(command: &mut Command) -> (Child, String) {
    let (child, address, _log) = started_with_log(command).await;
    (child, address)
}

/// Starts a server. Returns it with its address and the rest of its log.
async fn started_with_log(command: &mut Command) -> (Child, String, Log) {
    let mut child = command.spawn().expect("runs");
    let mut log = BufReader::new(child.stderr.take().expect("is piped")).lines();
    while let Some(line) = log.next_line().await.expect("is text") {
        let line: serde_json::Value = serde_json::from_str(&line).expect("is a JSON line");
        if line["message"] == "serving" {
            return (child, line["address"].as_str().expect("is told").to_owned(), log);
        }
    }
    panic!("it never listened")
}

async fn simulator(speed: f64) -> Simulator {
    let config = bedrock_sim::Config { speed, ..bedrock_sim::Config::default() };
    Simulator::start(config).await.expect("starts")
}

#[tokio::test]
async fn two_settings_are_enough_to_serve_and_sigterm_drains() {
    let simulator = simulator(1.0).await;
    let mut command = on_aws(&["serve"], &simulator.endpoint_url());
    command.env("SWITCHBOARD_LISTEN", "127.0.0.1:0");
    command
        .env("PRIMARY_MODEL_ID", "us.anthropic.claude-sonnet-4-6")
        .env("FALLBACK_MODEL_ID", "us.amazon.nova-pro-v1:0");
    let (mut child, address) = started(&mut command).await;
    let caller = Switchboard::connect(format!("http://{address}")).await.expect("connects");

    let mut stream = caller.stream(ask("coding", "Write a program.")).await.expect("begins");
    let Some(Ok(Event::Route(route))) = stream.next().await else { panic!("does not begin with the route") };
    assert_eq!(route.model_id, "us.anthropic.claude-sonnet-4-6");
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("runs");
    kill_process(pid, Signal::TERM).expect("is told");

    let collected = stream.collect_message().await.expect("is finished, although the server drains");
    assert!(collected.text().starts_with("[simulated us.anthropic.claude-sonnet-4-6]"));
    drop(caller);
    assert!(child.wait().await.expect("ends").success());
}

#[tokio::test]
async fn calls_that_the_drain_timeout_cuts_off_have_a_line() {
    let simulator = simulator(1.0).await;
    let folder = TempDir::new().expect("is writable");
    let config = written(&folder, &(VALID.to_owned() + "[server]\ndrain_timeout = \"100ms\"\n"));
    let mut command = on_aws(&["serve", "--listen", "127.0.0.1:0"], &simulator.endpoint_url());
    command.env("SWITCHBOARD_CONFIG", &config);
    let (mut child, address, mut log) = started_with_log(&mut command).await;
    let caller = Switchboard::connect(format!("http://{address}")).await.expect("connects");
    let mut stream = caller.stream(ask("", "Write a program.")).await.expect("begins");
    stream.next().await.expect("has a first event").expect("is the route");
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("runs");
    kill_process(pid, Signal::TERM).expect("is told");

    stream.collect_message().await.expect_err("is cut off");
    assert!(child.wait().await.expect("ends").success());
    let mut ends = Vec::new();
    while let Some(line) = log.next_line().await.expect("is text") {
        let line: serde_json::Value = serde_json::from_str(&line).expect("is a JSON line");
        if line["message"] == "call ended" {
            ends.push(format!("{} {} {}", line["method"], line["outcome"], line["fault_domain"]));
        }
    }
    assert_eq!(ends, [r#""ConverseStream" "ERROR" "switchboard""#]);
}

/// More lines than a pipe holds (64 KiB) wait in the server, while every call is answered.
#[tokio::test]
async fn a_log_that_is_not_read_delays_no_call_and_loses_no_line() {
    const CALLS: usize = 300;
    let simulator = simulator(0.0).await;
    let mut command = on_aws(&["serve", "--listen", "127.0.0.1:0"], &simulator.endpoint_url());
    let (_child, address, mut log) = started_with_log(&mut command).await;
    let caller = Switchboard::connect(format!("http://{address}")).await.expect("connects");
    for _ in 0..CALLS {
        caller.text("summarization", "Hello").await.expect("answers");
    }
    let (mut ended, mut bytes) = (0, 0);
    while ended < CALLS {
        let line = log.next_line().await.expect("is text").expect("goes on");
        bytes += line.len();
        ended += usize::from(line.contains("call ended"));
    }
    assert!(bytes > 64 << 10, "{bytes} bytes fit into the pipe");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_threads_that_no_call_waits_for_have_a_lower_priority() {
    let simulator = simulator(0.0).await;
    let mut command = on_aws(&["serve", "--listen", "127.0.0.1:0"], &simulator.endpoint_url());
    let (child, _address) = started(&mut command).await;
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id().expect("runs"))).expect("is readable");
    let threads = tasks.map(|task| {
        let stat = fs::read_to_string(task.expect("is readable").path().join("stat")).expect("is text");
        let (name, fields) =
            stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") ")).expect("has a name");
        // The 19th field of proc_pid_stat(5); the state, after the name, is the third.
        (name.to_owned(), fields.split(' ').nth(16).expect("has a nice value").to_owned())
    });
    let nice: BTreeMap<String, String> = threads.collect();
    for name in ["log", "feedback"] {
        assert_eq!(nice.get(name).map(String::as_str), Some("5"), "{nice:?}");
    }
    assert!(nice.iter().any(|(name, nice)| name == "switchboard" && nice == "0"), "{nice:?}");
}

#[tokio::test]
async fn a_bearer_key_is_enough_to_call() {
    let simulator = simulator(0.0).await;
    let mut command = on_aws(&["serve", "--listen", "127.0.0.1:0"], &simulator.endpoint_url());
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.env("AWS_BEARER_TOKEN_BEDROCK", "a-key");
    let (_child, address) = started(&mut command).await;
    let caller = Switchboard::connect(format!("http://{address}")).await.expect("connects");
    assert!(caller.text("summarization", "Hello").await.expect("answers").starts_with("[simulated"));
}

#[tokio::test]
async fn a_profile_of_the_configuration_has_its_region_and_its_keys() {
    let simulator = simulator(0.0).await;
    let folder = TempDir::new().expect("is writable");
    let aws = folder.path().join("aws");
    let profile = "[profile work]\nregion = eu-west-1\naws_access_key_id = a\naws_secret_access_key = b\n";
    fs::write(&aws, profile).expect("is writable");
    let config = written(&folder, &(VALID.to_owned() + "[bedrock]\nprofile = \"work\"\n"));
    let mut command = switchboard(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("SWITCHBOARD_CONFIG", &config).env("AWS_CONFIG_FILE", &aws);
    command.env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", simulator.endpoint_url()).stderr(Stdio::piped());
    let (_child, address) = started(&mut command).await;
    let caller = Switchboard::connect(format!("http://{address}")).await.expect("connects");
    let reply = caller.converse(ask("", "Hello")).await.expect("answers");
    assert_eq!(reply.route.map(|route| route.region), Some("eu-west-1".to_owned()));
}

/// Answers every AssumeRole as AWS does, and passes on what it was asked.
async fn token_service() -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    const ANSWER: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
        <Credentials><AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
        <SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
        </AssumeRoleResult></AssumeRoleResponse>"#;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("is bound"));
    let (asked, questions) = tokio::sync::mpsc::unbounded_channel();
    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !String::from_utf8_lossy(&request).contains("Action=AssumeRole") {
                assert!(socket.read_buf(&mut request).await.expect("is readable") > 0, "no AssumeRole came");
            }
            let length = ANSWER.len();
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
            socket.write_all((head + ANSWER).as_bytes()).await.expect("is writable");
            drop(asked.send(String::from_utf8_lossy(&request).into_owned()));
        }
    });
    (url, questions)
}

#[tokio::test]
async fn a_role_is_assumed_before_bedrock_is_called() {
    let (simulator, (tokens, mut asked)) = tokio::join!(simulator(0.0), token_service());
    let folder = TempDir::new().expect("is writable");
    let role = "[bedrock]\nassume_role_arn = \"arn:aws:iam::000000000000:role/caller\"\nassume_role_external_id = \"x\"\n";
    let config = written(&folder, &(VALID.to_owned() + role));
    let mut command = on_aws(&["serve", "--listen", "127.0.0.1:0"], &simulator.endpoint_url());
    command.env("SWITCHBOARD_CONFIG", &config).env("AWS_ENDPOINT_URL_STS", tokens);
    let (_child, address) = started(&mut command).await;
    let caller = Switchboard::connect(format!("http://{address}")).await.expect("connects");
    caller.text("", "Hello").await.expect("answers");
    let asked = asked.recv().await.expect("was asked");
    assert!(asked.contains("role%2Fcaller") && asked.contains("ExternalId=x"), "{asked}");
}

#[tokio::test]
async fn the_demo_shows_every_task_and_a_fallback_and_ends() {
    let (valid, words) = said(&mut switchboard(&["demo", "--once", "--listen", "127.0.0.1:0"])).await;
    assert!(valid, "{words}");
    for task in ["reasoning", "coding", "analysis", "summarization", "classification"] {
        assert!(words.contains(&format!("── {task}: ")), "{words}");
    }
    assert_eq!(words.matches("[simulated us.").count(), 6, "{words}");
    assert!(words.contains("after us.anthropic.claude-opus-4-7 (BEDROCK_THROTTLED)"), "{words}");
}
