//! `converse`: output, exit codes and arguments.

use crate::{
    errors,
    events::*,
    fake::{Answer, Fake},
};
use std::{path::PathBuf, process::Stdio};
use switchboard_client::{Event, ask, assistant, pb, system, user};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
};
use tonic::Status;

/// Result of a command.
pub(crate) struct Done {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

pub(crate) fn start(address: &str, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_converse"))
        .args(args)
        .env("SWITCHBOARD_ADDRESS", address)
        .env_remove("SWITCHBOARD_TOKEN")
        .env_remove("SWITCHBOARD_JUDGE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

pub(crate) async fn run(address: &str, args: &[&str], stdin: &str) -> Done {
    let mut child = start(address, args);
    // A command that does not read standard input can end before everything is written.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes()).await;
    end(child).await
}

pub(crate) async fn end(child: Child) -> Done {
    let output = child.wait_with_output().await.unwrap();
    Done {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

/// Reads standard output up to this text.
pub(crate) async fn read_until(child: &mut Child, text: &str) {
    let stdout = child.stdout.as_mut().unwrap();
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        read.push(stdout.read_u8().await.unwrap());
    }
}

pub(crate) async fn interrupt(child: &Child) {
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
}

fn complete(text: &str) -> pb::ConverseResponse {
    let output = pb::converse_output::Output::Message(assistant(text));
    pb::ConverseResponse {
        output: Some(pb::ConverseOutput { output: Some(output) }),
        stop_reason: pb::StopReason::MaxTokens.into(),
        raw_stop_reason: "max_tokens".to_owned(),
        usage: Some(usage()),
        ..Default::default()
    }
}

async fn failing_with(status: Status) -> Done {
    let fake = Fake::playing([Answer::Fails(status)]).await;
    run(&fake.address, &["Hi"], "").await
}

#[tokio::test]
async fn prints_the_answer_to_stdout_and_the_closing_line_to_stderr() {
    let fake = Fake::playing([Answer::Events(says(&["Hello", ", you."]))]).await;

    let done = run(&fake.address, &["-t", "coding", "Say", "hello"], "").await;

    assert_eq!((done.stdout.as_str(), done.code), ("Hello, you.\n", Some(0)));
    assert_eq!(done.stderr, "haiku in us-east-1 · 12 in, 34 out · first token 412 ms, total 1.8 s\n");
    assert_eq!(fake.seen()[0].request, ask("coding", "Say hello"));
}

#[tokio::test]
async fn a_pipe_is_the_prompt_or_follows_it() {
    let answers = [Answer::Events(says(&["a\n"])), Answer::Events(says(&["b\n"]))];
    let fake = Fake::playing(answers).await;

    let alone = run(&fake.address, &["-q"], "long\ntext\n").await;
    let combined = run(&fake.address, &["-q", "Shorten."], "long\ntext\n").await;

    assert_eq!((alone.stdout.as_str(), alone.stderr.as_str()), ("a\n", ""));
    assert_eq!((combined.stdout.as_str(), combined.stderr.as_str()), ("b\n", ""));
    let prompts: Vec<_> = fake.seen().into_iter().map(|seen| seen.request.messages).collect();
    assert_eq!(prompts, [[user("long\ntext")], [user("Shorten.\n\nlong\ntext")]]);
}

#[tokio::test]
async fn sets_request_fields_from_options() {
    let fake = Fake::playing([Answer::Events(says(&["ok"]))]).await;
    let args =
        ["--system", "Be brief.", "--max-tokens", "5", "--top-p", "0.5", "--stop", "a", "--stop", "b", "Hi"];

    run(&fake.address, &args, "").await;

    let config = pb::InferenceConfiguration {
        max_tokens: Some(5),
        temperature: None,
        top_p: Some(0.5),
        stop_sequences: vec!["a".to_owned(), "b".to_owned()],
    };
    let request = &fake.seen()[0].request;
    assert_eq!(request.system, [system("Be brief.")]);
    assert_eq!(request.inference_config.as_ref(), Some(&config));
}

#[tokio::test]
async fn accepts_a_bedrock_body() {
    let fake = Fake::playing([Answer::Events(says(&["ok"]))]).await;
    let body = r#"{"taskType":"coding","messages":[{"role":"user","content":[{"text":"Hi"}]}],
        "inferenceConfig":{"maxTokens":7}}"#;

    let done = run(&fake.address, &["--request", "-", "-t", "analysis"], body).await;

    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let request = &fake.seen()[0].request;
    assert_eq!((request.task_type.as_str(), &request.messages[..]), ("analysis", &[user("Hi")][..]));
    assert_eq!(request.inference_config.as_ref().unwrap().max_tokens, Some(7));
}

#[tokio::test]
async fn refuses_a_model_id_with_a_hint() {
    let done = run("localhost:1", &["--request", "-"], r#"{"modelId":"x"}"#).await;

    assert_eq!(done.code, Some(3));
    assert!(done.stderr.contains("  replace modelId with taskType"), "{}", done.stderr);
}

#[tokio::test]
async fn json_prints_a_line_for_each_event() {
    let fake = Fake::playing([Answer::Events(says(&["Hello"]))]).await;

    let done = run(&fake.address, &["--json", "Hi"], "").await;

    let events: Vec<serde_json::Value> =
        done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 5);
    assert_eq!(events[0]["route"]["modelId"], "haiku");
    assert_eq!(events[2]["contentBlockDelta"]["delta"]["text"], "Hello");
    assert_eq!(events[4]["metadata"]["latency"]["total"], "1.800s");
    assert_eq!(done.stderr, "");
}

#[tokio::test]
async fn json_without_streaming_prints_one_object() {
    let fake = Fake::playing([Answer::Complete(Box::new(complete("Hello")))]).await;

    let done = run(&fake.address, &["--json", "--no-stream", "Hi"], "").await;

    let answer: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(answer["output"]["message"]["content"][0]["text"], "Hello");
    assert_eq!(answer["stopReason"], "STOP_REASON_MAX_TOKENS");
}

#[tokio::test]
async fn shows_an_unusual_stop_reason() {
    let fake = Fake::playing([Answer::Complete(Box::new(complete("Hello")))]).await;

    let done = run(&fake.address, &["--no-stream", "Hi"], "").await;

    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        ("Hello\n", "12 in, 34 out · stopped: max_tokens\n")
    );
}

#[tokio::test]
async fn shows_reasoning_only_on_request() {
    use pb::reasoning_content_block_delta::Delta;
    let thinks = || {
        let hm = thought(0, Delta::Text("Hm.".to_owned()));
        Answer::Events(vec![route(), hm, text(1, "Yes."), stop(pb::StopReason::EndTurn), metadata()])
    };
    let fake = Fake::playing([thinks(), thinks()]).await;

    let hidden = run(&fake.address, &["-q", "Hi"], "").await;
    let shown = run(&fake.address, &["-q", "--show-reasoning", "--color", "always", "Hi"], "").await;

    assert_eq!((hidden.stdout.as_str(), hidden.stderr.as_str()), ("Yes.\n", ""));
    assert_eq!(shown.stdout, "Yes.\n");
    assert!(shown.stderr.starts_with("\u{1b}[2mHm.\u{1b}[0m"), "{:?}", shown.stderr);
}

#[tokio::test]
async fn fails_if_a_restart_follows_text_in_a_pipe() {
    let events = [vec![route(), text(0, "Wrong"), restart()], says(&["Right"])].concat();
    let fake = Fake::playing([Answer::Events(events)]).await;

    let done = run(&fake.address, &["Hi"], "").await;

    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("another model started over"), "{}", done.stderr);
}

#[tokio::test]
async fn prints_an_error_with_hints() {
    let done = failing_with(errors::throttled()).await;

    assert_eq!((done.stdout.as_str(), done.code), ("", Some(1)));
    assert_eq!(
        done.stderr,
        "converse: Bedrock throttles every model (BEDROCK_THROTTLED)\n  \
         tried opus in us-east-1: BEDROCK_THROTTLED\n  \
         tried haiku in us-east-1: MODEL_TIMEOUT\n  \
         skipped nova in us-east-1: 16 ms left, needs 947 ms\n  \
         try again in 2s\n  \
         request id call-1\n"
    );
}

#[tokio::test]
async fn an_invalid_request_exits_with_3() {
    let done = failing_with(errors::invalid()).await;

    assert_eq!(done.code, Some(3));
    assert!(done.stderr.contains("\n  messages[0].content: at least one block\n"), "{}", done.stderr);
}

#[tokio::test]
async fn a_deadline_exits_with_5() {
    let server = failing_with(errors::late()).await;
    let fake = Fake::playing([Answer::Hangs(vec![])]).await;
    let client = run(&fake.address, &["--deadline", "20ms", "--no-stream", "Hi"], "").await;

    assert_eq!((server.code, client.code), (Some(5), Some(5)));
    assert!(client.stderr.contains("a longer --deadline may help"), "{}", client.stderr);
}

#[tokio::test]
async fn a_refused_connection_exits_with_4_and_a_hint() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

    let done = run(&format!("http://{free}"), &["Hi"], "").await;

    assert_eq!(done.code, Some(4));
    assert!(
        done.stderr.starts_with(&format!("converse: could not connect to http://{free}: ")),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("`switchboard demo`"), "{}", done.stderr);
}

#[tokio::test]
async fn invalid_arguments_exit_with_2() {
    let no_prompt = run("localhost:1", &[], "").await;
    let half_a_pair = run("localhost:1", &["--cert", "x.pem", "Hi"], "").await;
    let misplaced = run("localhost:1", &["--no-stream", "chat"], "").await;
    let no_file = run("localhost:1", &["--file", "/does/not/exist"], "").await;

    for done in [no_prompt, half_a_pair, misplaced, no_file] {
        assert_eq!(done.code, Some(2), "{}", done.stderr);
        assert!(done.stderr.starts_with("converse: "), "{}", done.stderr);
    }
}

#[tokio::test]
async fn an_interrupt_exits_with_130() {
    let fake = Fake::playing([Answer::Hangs(vec![route(), text(0, "Hel")])]).await;
    let mut child = start(&fake.address, &["Hi"]);
    drop(child.stdin.take());

    read_until(&mut child, "Hel").await;
    interrupt(&child).await;

    assert_eq!(end(child).await.code, Some(130));
}

#[tokio::test]
async fn a_closed_pipe_is_not_an_error() {
    let many = vec![text(0, &"x".repeat(1 << 16)); 64];
    let fake = Fake::playing([Answer::Events([vec![route()], many].concat())]).await;
    let mut child = start(&fake.address, &["Hi"]);
    drop(child.stdin.take());
    drop(child.stdout.take());

    let done = end(child).await;

    assert_eq!((done.stderr.as_str(), done.code), ("", Some(0)));
}

#[tokio::test]
async fn reads_the_token_from_the_environment_and_hides_it_in_help() {
    let fake = Fake::playing([Answer::Events(says(&["ok"]))]).await;
    let converse = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_converse"));
        command.args(args).args(["--address", &fake.address]).env("SWITCHBOARD_TOKEN", "s3cret");
        command.stdin(Stdio::null());
        command
    };

    let asked = converse(&["Hi"]).output().await.unwrap();
    let helped = converse(&["--help"]).output().await.unwrap();

    assert!(asked.status.success());
    assert_eq!(fake.seen()[0].metadata.get("authorization").unwrap(), "Bearer s3cret");
    assert!(!String::from_utf8(helped.stdout).unwrap().contains("s3cret"));
}

#[tokio::test]
async fn tasks_prints_a_table() {
    let fake = Fake::playing([]).await;

    let table = run(&fake.address, &["tasks"], "").await;
    let json = run(&fake.address, &["tasks", "--json"], "").await;

    assert_eq!(
        table.stdout,
        "TASK           MAX TOKENS  MODELS IN THE ORDER THEY ARE TRIED\n\
         coding               4096  opus (us.anthropic.opus in us-east-1)\n\
         \x20                          haiku (us.anthropic.haiku in us-east-1)\n\
         summarization        4096  haiku (us.anthropic.haiku in us-east-1)\n\
         \n\
         other tasks are served as default; configuration c0ffee\n"
    );
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["tasks"][0]["taskType"], "coding");
}

#[tokio::test]
async fn feedback_sends_every_option() {
    let fake = Fake::playing([]).await;
    let everything = [
        "feedback",
        "some-id",
        "--by",
        "human:alice",
        "--criterion",
        "tone",
        "--thumb",
        "down",
        "--score",
        "-1",
        "--scale",
        "-2..2.5",
        "--label",
        "rude",
        "--comment",
        "It shouts.",
        "--success",
        "false",
    ];

    let first = run(&fake.address, &everything, "").await;
    let again =
        run(&fake.address, &["feedback", "some-id", "--by", "check:ci", "--success", "true", "--json"], "")
            .await;

    assert_eq!(
        (first.code, first.stdout.as_str()),
        (Some(0), "recorded feedback on us.opus (task coding)\n")
    );
    let json: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(json["replaced"], true);
    let judge = |kind: pb::JudgeKind, id: &str| Some(pb::Judge { kind: kind.into(), id: id.to_owned() });
    let expected = [
        pb::RecordFeedbackRequest {
            request_id: "some-id".to_owned(),
            judge: judge(pb::JudgeKind::Human, "alice"),
            criterion: Some("tone".to_owned()),
            thumb: pb::Thumb::Down.into(),
            score: Some(pb::Score { value: -1.0, min: -2.0, max: 2.5 }),
            label: Some("rude".to_owned()),
            comment: Some("It shouts.".to_owned()),
            task_success: Some(false),
        },
        pb::RecordFeedbackRequest {
            request_id: "some-id".to_owned(),
            judge: judge(pb::JudgeKind::Check, "ci"),
            task_success: Some(true),
            ..Default::default()
        },
    ];
    assert_eq!(fake.feedback(), expected);
}

#[tokio::test]
async fn invalid_feedback_is_a_usage_error() {
    let fake = Fake::playing([]).await;
    for args in [
        &["feedback", "some-id", "--thumb", "up"][..],
        &["feedback", "some-id", "--by", "alice", "--thumb", "up"],
        &["feedback", "some-id", "--by", "robot:alice", "--thumb", "up"],
        &["feedback", "some-id", "--by", "human:alice", "--thumb", "sideways"],
        &["feedback", "some-id", "--by", "human:alice", "--score", "4"],
        &["feedback", "some-id", "--by", "human:alice", "--scale", "1..5"],
        &["feedback", "some-id", "--by", "human:alice", "--score", "4", "--scale", "5"],
        &["feedback", "--by", "human:alice", "--thumb", "up"],
    ] {
        let done = run(&fake.address, args, "").await;
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{args:?}: {}", done.stderr);
    }
    assert_eq!(fake.feedback(), []);
}

#[tokio::test]
async fn explain_prints_models_and_timeouts() {
    let fake = Fake::playing([]).await;

    let done = run(&fake.address, &["explain", "coding"], "").await;

    assert_eq!(
        done.stdout,
        "task           coding\n\
         model 1        opus (us.anthropic.opus in us-east-1), at most 4096 tokens\n\
         first content  4.0 s\n\
         idle           no limit\n\
         attempt        no limit\n\
         call           no limit\n\
         reader         no limit\n\
         configuration  c0ffee\n"
    );
}

#[tokio::test]
async fn warns_of_an_unknown_task() {
    let mut events = says(&["Hello"]);
    events[0] = Event::Route(pb::Route {
        task_type: "default".to_owned(),
        requested_task_type: "traige".to_owned(),
        resolution: pb::Resolution::Unknown.into(),
        ..Default::default()
    });
    let fake = Fake::playing([Answer::Events(events.clone()), Answer::Events(events)]).await;

    let answered = run(&fake.address, &["-q", "-t", "traige", "Hi"], "").await;
    let json = run(&fake.address, &["--json", "-t", "traige", "Hi"], "").await;
    let explained = run(&fake.address, &["explain", "traige"], "").await;

    let warning =
        "converse: warning: no task \"traige\": served as \"default\" (`converse tasks` lists the tasks)\n";
    assert_eq!((answered.stdout.as_str(), answered.code), ("Hello\n", Some(0)));
    for done in [answered, json, explained] {
        assert_eq!(done.stderr, warning);
    }
}

#[tokio::test]
async fn a_prompt_can_begin_with_the_name_of_a_subcommand() {
    let prompts: [&[&str]; 5] = [
        &["tasks of a manager"],
        &["write", "tasks"],
        &["--", "tasks"],
        &["help", "me"],
        &["-q", "--", "chat"],
    ];
    let fake = Fake::playing(prompts.map(|_| Answer::Events(says(&["ok"])))).await;

    for prompt in prompts {
        assert_eq!(run(&fake.address, prompt, "").await.code, Some(0));
    }

    let asked: Vec<_> = fake.seen().into_iter().map(|seen| seen.request.messages).collect();
    assert_eq!(asked, ["tasks of a manager", "write tasks", "tasks", "help me", "chat"].map(|it| [user(it)]));
}

#[tokio::test]
async fn a_file_follows_the_prompt() {
    let fake = Fake::playing([Answer::Events(says(&["ok"]))]).await;
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/task.rs");

    run(&fake.address, &["Explain.", "--file", file.to_str().unwrap()], "not read").await;

    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(fake.seen()[0].request.messages, [user(format!("Explain.\n\n{}", text.trim_end()))]);
}
