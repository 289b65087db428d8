//! Every recipe of `client/GRPCURL.md` is run against the demo as it stands, and says what the page shows.
use crate::programs;
use std::{env, fs, path::Path, process::Stdio};
use tokio::process::Command;

/// A shell line and what it shows; `…` there stands for anything.
struct Recipe {
    line: String,
    shown: String,
}

#[tokio::test]
async fn every_recipe_for_grpcurl_works_as_written() {
    let path = env::var_os("PATH").unwrap_or_default();
    if !env::split_paths(&path).any(|folder| folder.join("grpcurl").is_file()) {
        assert!(env::var_os("CI").is_none(), "grpcurl is missing: cargo xtask tools");
        println!("left out: grpcurl is not installed (cargo xtask tools)");
        return;
    }
    let page = fs::read_to_string(programs::root().join("client/GRPCURL.md")).expect("can be read");
    let recipes = recipes(&page);
    assert_eq!(recipes.len(), page.matches("```sh\n").count(), "each recipe is followed by what it shows");
    let (_demo, address) = programs::demo().await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance");
    fs::create_dir_all(&folder).expect("is writable");
    for Recipe { line, shown } in recipes {
        let line = line.replace("127.0.0.1:50051", &address);
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]).current_dir(&folder).stdin(Stdio::null());
        let output = shell.output().await.expect("there is a shell");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("is text");
        assert!(is_shown_as(&said, &shown), "{line}\nsays\n{said}\nand not\n{shown}");
    }
}

fn recipes(page: &str) -> Vec<Recipe> {
    let recipes = page.split("```sh\n").skip(1).filter_map(|rest| {
        let (line, rest) = rest.split_once("```\n")?;
        let shown = rest.trim_start().strip_prefix("```")?;
        let (_language, shown) = shown.split_once('\n')?;
        let (shown, _) = shown.split_once("```")?;
        Some(Recipe { line: line.to_owned(), shown: shown.to_owned() })
    });
    recipes.collect()
}

/// Begins and ends with it, and holds the parts between the ellipses in order. The white space beside one does not count.
fn is_shown_as(said: &str, shown: &str) -> bool {
    let parts: Vec<_> = shown.split('…').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    let begins = said.trim().starts_with(first.trim_end());
    let ends = said.trim().ends_with(last.trim());
    let mut rest = said;
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
fn an_ellipsis_stands_for_anything() {
    let said = "{\n  \"a\": 1,\n  \"b\": 2\n}\n";
    for shown in ["{\n  \"a\": 1,\n  \"b\": 2\n}\n", "{\n  \"a\": …,\n…\n}\n", "{\n…\n  \"b\": 2\n…\n", "…\n"]
    {
        assert!(is_shown_as(said, shown), "{shown}");
    }
    for shown in
        ["{\n  \"a\": 2,\n…\n", "{\n…\n  \"b\": 2\n…\n  \"a\": 1\n…\n", "{\n  \"a\": 1,\n", "\"b\": 2\n}\n"]
    {
        assert!(!is_shown_as(said, shown), "{shown}");
    }
}
