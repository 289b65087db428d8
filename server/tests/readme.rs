//! The examples of README.md and docs/ work as they are written, and all links between Markdown files
//! resolve.
//!
//! Every `sh` block that begins with `grpcurl` runs against the demo. Reflection is tested here too, because
//! `grpcurl` learns the contract from it.
#![expect(clippy::expect_used, reason = "a failed expectation ends the test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};
use switchboard_server::config::Config;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

const README: &str = include_str!("../../README.md");

/// Text that the output of each example must contain, by page, in the order of the examples. Together the
/// pages have at least one example of every service.
const EXPECTED: [(&str, &[&str]); 5] = [
    ("README.md", &[r#""text": "[simulated us.anthropic.claude-opus-4-8]"#]),
    (
        "docs/clients.md",
        &[
            r#""text": "[simulated us.anthropic.claude-opus-4-8]"#,
            r#""stopReason": "STOP_REASON_END_TURN""#,
            r#""modelId": "us.anthropic.claude-haiku-4-5-20251001-v1:0""#,
        ],
    ),
    ("docs/fallback.md", &[r#""reason": "ERROR_REASON_BEDROCK_THROTTLED""#]),
    ("docs/feedback.md", &[r#""taskType": "default""#]),
    ("docs/shaping.md", &[r#""modelId": "us.anthropic.claude-opus-4-8""#]),
];

/// Runs a shell line. Returns whether it succeeded and what it printed; `None`, with the reason on standard
/// output, if `grpcurl` is not installed and this is not CI.
async fn shell(line: &str) -> Option<(bool, String)> {
    let found = Command::new("grpcurl").arg("-version").stderr(Stdio::null()).status().await;
    if found.is_err() {
        assert!(std::env::var_os("CI").is_none(), "grpcurl is missing: run `cargo xtask tools`");
        println!("skipped: grpcurl is not installed (cargo xtask tools)");
        return None;
    }
    let output = Command::new("sh").args(["-c", line]).output().await.expect("sh runs");
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(text).expect("the output is UTF-8")))
}

/// Starts the demo and waits until its show is over. Returns the process and its address.
async fn demo() -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.args(["demo", "--listen", "127.0.0.1:0"]).kill_on_drop(true).stdout(Stdio::piped());
    let mut demo = command.spawn().expect("the demo starts");
    let mut lines = BufReader::new(demo.stdout.take().expect("stdout is piped")).lines();
    let first = lines.next_line().await.expect("the output is UTF-8").expect("the demo prints its address");
    let address = first.split_whitespace().find(|word| word.starts_with("127.")).expect("it has an address");
    let address = address.trim_end_matches(';').to_owned();
    while lines
        .next_line()
        .await
        .expect("the output is UTF-8")
        .is_some_and(|line| !line.starts_with("Ctrl-C"))
    {}
    (demo, address)
}

/// The contents of all fenced blocks of `language`.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    let inside = page.split(begin.as_str()).skip(1).filter_map(|block| block.split("```").next());
    inside.collect()
}

fn examples(page: &str) -> Vec<&str> {
    blocks(page, "sh").into_iter().filter(|block| block.starts_with("grpcurl ")).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page} cannot be read: {error}"))
}

/// All Markdown files of the project, without those of tools and dependencies, relative to the root.
fn pages() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(root().join(&folder)).expect("is a folder").map(|entry| entry.expect("is readable"))
        {
            let name = entry.file_name().into_string().expect("names are UTF-8");
            let path = folder.join(&name);
            let skipped =
                name.starts_with('.') || ["target", "node_modules", "venv"].contains(&name.as_str());
            match entry.file_type().expect("has a type") {
                kind if kind.is_dir() && !skipped => folders.push(path),
                kind if kind.is_file() && name.ends_with(".md") => found.push(path.display().to_string()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_page_with_grpcurl_examples_is_run() {
    let with_examples: BTreeMap<_, _> = pages()
        .into_iter()
        .filter(|page| page == "README.md" || page.starts_with("docs/"))
        .map(|page| (page.clone(), examples(&read(&page)).len()))
        .filter(|(_, count)| *count > 0)
        .collect();
    let expected = EXPECTED.map(|(page, texts)| (page.to_owned(), texts.len()));
    assert_eq!(with_examples, BTreeMap::from(expected), "left: in the pages; right: EXPECTED of this test");
}

#[tokio::test]
async fn the_examples_work_as_written_and_reflection_describes_the_contract() {
    let (_demo, address) = demo().await;
    let mut request_id = String::new();
    for (page, expected) in EXPECTED {
        for (example, expected) in examples(&read(page)).into_iter().zip(expected) {
            let line = example.replace("127.0.0.1:50051", &address).replace("REQUEST_ID", &request_id);
            let Some((succeeded, output)) = shell(&line).await else { return };
            assert!(succeeded && output.contains(expected), "{page}: {line}\n{output}");
            let id = output.split_once(r#""requestId": ""#).and_then(|(_, rest)| rest.split_once('"'));
            if page == "docs/clients.md" && request_id.is_empty() {
                id.expect("an answer has a request id").0.clone_into(&mut request_id);
            }
        }
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
        let (_, output) = shell(&line).await.expect("grpcurl is installed");
        assert!(expected.iter().all(|text| output.contains(text)), "{line}\n{output}");
    }
}

#[test]
fn the_configuration_of_the_readme_is_valid() {
    let [configuration] = blocks(README, "toml")[..] else { panic!("README.md has one block of TOML") };
    let config = Config::parse(configuration).expect("the configuration is valid");
    assert!(config.tasks.contains_key("triage"));
}

/// The programs of the clients' own READMEs are compiled and run by the clients' tests.
#[test]
fn the_first_programs_are_those_of_the_clients() {
    for (language, page) in [("rust", "client/rust/README.md"), ("python", "client/python/README.md")] {
        let [program] = blocks(README, language)[..] else { panic!("README.md has one block of {language}") };
        assert!(read(page).contains(program), "{page} has no such program:\n{program}");
    }
}

#[test]
fn the_readme_is_short() {
    let lines = README.lines().count();
    assert!(lines <= 150, "README.md has {lines} lines: move reference material to docs/");
}

#[test]
fn every_link_between_pages_resolves() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = without_code(&read(&page));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") || link.starts_with("mailto:") || link.contains(' ') {
                continue;
            }
            let file = match path {
                "" => root().join(&page),
                path => root().join(&page).with_file_name("").join(path),
            };
            if !file.exists() || !has_anchor(&file, anchor) {
                broken.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

fn has_anchor(file: &Path, anchor: &str) -> bool {
    if anchor.is_empty() || file.extension().is_none_or(|extension| extension != "md") {
        return true;
    }
    let text = without_code(&fs::read_to_string(file).expect("the page is readable"));
    let headings =
        text.lines().filter(|line| line.starts_with('#')).map(|line| slug(line.trim_start_matches('#')));
    headings.collect::<BTreeSet<_>>().contains(anchor)
}

/// The anchor that GitHub gives a heading.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// The page without its fenced blocks, whose `#` and `](` are no headings and links.
fn without_code(page: &str) -> String {
    page.split("\n```").step_by(2).collect()
}
