//! The README's `grpcurl` lines work against the demo as they stand, and reflection tells `grpcurl` all it wants.
#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

const README: &str = include_str!("../../README.md");

/// What each example must say.
const EXPECTED: [&str; 5] = [
    r#""text": "[simulated us.anthropic.claude-opus-4-8]"#,
    r#""stopReason": "STOP_REASON_END_TURN""#,
    r#""modelId": "us.anthropic.claude-haiku-4-5-20251001-v1:0""#,
    r#""reason": "BEDROCK_THROTTLED""#,
    r#""modelId": "us.anthropic.claude-opus-4-8""#,
];

/// What a shell line says. `None`, with the reason on standard output, where there is no `grpcurl`.
async fn shell(line: &str) -> Option<(bool, String)> {
    let found = Command::new("grpcurl").arg("-version").stderr(Stdio::null()).status().await;
    if found.is_err() {
        assert!(std::env::var_os("CI").is_none(), "grpcurl is missing: cargo xtask tools");
        println!("left out: grpcurl is not installed (cargo xtask tools)");
        return None;
    }
    let output = Command::new("sh").args(["-c", line]).output().await.expect("runs");
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(text).expect("is text")))
}

/// The demo, once its show is over, and its address.
async fn demo() -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.args(["demo", "--listen", "127.0.0.1:0"]).kill_on_drop(true).stdout(Stdio::piped());
    let mut demo = command.spawn().expect("runs");
    let mut lines = BufReader::new(demo.stdout.take().expect("is piped")).lines();
    let first = lines.next_line().await.expect("is text").expect("says where it listens");
    let address = first.split_whitespace().find(|word| word.starts_with("127.")).expect("names its address");
    while lines.next_line().await.expect("is text").is_some_and(|line| !line.starts_with("Ctrl-C")) {}
    (demo, address.trim_end_matches(';').to_owned())
}

fn examples() -> Vec<&'static str> {
    let blocks = README.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    blocks.filter(|block| block.starts_with("grpcurl ")).collect()
}

#[tokio::test]
async fn the_examples_work_as_they_stand_and_reflection_tells_the_rest() {
    let (_demo, address) = demo().await;
    assert_eq!(examples().len(), EXPECTED.len());
    for (example, expected) in examples().into_iter().zip(EXPECTED) {
        let Some((well, said)) = shell(&example.replace("127.0.0.1:50051", &address)).await else { return };
        assert!(well && said.contains(expected), "{example}\n{said}");
    }

    for (line, expected) in [
        (
            format!("grpcurl -plaintext {address} list"),
            ["switchboard.v1.ConverseService", "grpc.health.v1.Health"],
        ),
        (
            format!("grpcurl -plaintext {address} describe switchboard.v1.ConverseRequest"),
            ["task_type", "messages"],
        ),
        (format!("grpcurl -plaintext {address} grpc.health.v1.Health/Check"), ["status", "SERVING"]),
        (
            format!("grpcurl -plaintext -format-error {address} switchboard.v1.ConverseService/Converse"),
            ["INVALID_FIELD", "configVersion"],
        ),
    ] {
        let (_, said) = shell(&line).await.expect("is installed");
        assert!(expected.iter().all(|words| said.contains(words)), "{line}\n{said}");
    }
}
