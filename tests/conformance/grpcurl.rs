//! Runs every command of `client/GRPCURL.md` with the demo, and compares the output with the page.
use crate::programs;
use std::{env, fs, path::Path, process::Stdio};
use tokio::process::Command;

/// Shell command and its expected output, in which `…` matches any text.
struct Example {
    command: String,
    expected: String,
}

#[tokio::test]
async fn every_grpcurl_command_works_as_written() {
    let path = env::var_os("PATH").unwrap_or_default();
    if !env::split_paths(&path).any(|folder| folder.join("grpcurl").is_file()) {
        assert!(env::var_os("CI").is_none(), "grpcurl is missing: cargo xtask tools");
        println!("skipped: grpcurl is not installed (cargo xtask tools)");
        return;
    }
    let page = fs::read_to_string(programs::root().join("client/GRPCURL.md")).expect("can be read");
    let examples = examples(&page);
    assert_eq!(examples.len(), page.matches("```sh\n").count(), "every command is followed by its output");
    let (_demo, address) = programs::demo().await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance");
    fs::create_dir_all(&folder).expect("is writable");
    for Example { command, expected } in examples {
        let command = command.replace("127.0.0.1:50051", &address);
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(&folder).stdin(Stdio::null());
        let output = shell.output().await.expect("there is a shell");
        let output = String::from_utf8([output.stdout, output.stderr].concat()).expect("is text");
        assert!(matches(&output, &expected), "{command}\nprints\n{output}\ninstead of\n{expected}");
    }
}

fn examples(page: &str) -> Vec<Example> {
    let examples = page.split("```sh\n").skip(1).filter_map(|rest| {
        let (command, rest) = rest.split_once("```\n")?;
        let expected = rest.trim_start().strip_prefix("```")?;
        let (_language, expected) = expected.split_once('\n')?;
        let (expected, _) = expected.split_once("```")?;
        Some(Example { command: command.to_owned(), expected: expected.to_owned() })
    });
    examples.collect()
}

/// True if the output starts and ends as expected and contains the parts between the ellipses in order. White
/// space next to an ellipsis is ignored.
fn matches(output: &str, expected: &str) -> bool {
    let parts: Vec<_> = expected.split('…').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    let begins = output.trim().starts_with(first.trim_end());
    let ends = output.trim().ends_with(last.trim());
    let mut rest = output;
    let in_order =
        parts.iter().map(|part| part.trim_matches('\n').trim_end()).all(|part| match rest.find(part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        });
    begins && ends && in_order
}

#[test]
fn an_ellipsis_matches_any_text() {
    let output = "{\n  \"a\": 1,\n  \"b\": 2\n}\n";
    for expected in
        ["{\n  \"a\": 1,\n  \"b\": 2\n}\n", "{\n  \"a\": …,\n…\n}\n", "{\n…\n  \"b\": 2\n…\n", "…\n"]
    {
        assert!(matches(output, expected), "{expected}");
    }
    for expected in
        ["{\n  \"a\": 2,\n…\n", "{\n…\n  \"b\": 2\n…\n  \"a\": 1\n…\n", "{\n  \"a\": 1,\n", "\"b\": 2\n}\n"]
    {
        assert!(!matches(output, expected), "{expected}");
    }
}
