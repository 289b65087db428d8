//! The build of the image gets all files that it needs. The build itself needs Docker and is not tested here.
use crate::read;
use toml::{Table, Value};

#[test]
fn its_build_gets_all_files_that_cargo_needs() {
    let manifest = manifest();
    let ignored = read("deploy/Dockerfile.dockerignore");
    let included: Vec<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();

    let members = list(&manifest["workspace"]["members"]);
    let tests = list(&manifest["test"]);
    assert!(!members.is_empty() && !tests.is_empty(), "Cargo.toml lists no members or no tests");
    let tests = tests.into_iter().map(|test| test["path"].clone());
    let library = manifest["lib"]["path"].clone();
    let needed = members.into_iter().chain(tests).chain([library]);
    let needed = needed.map(|path| path.as_str().expect("is a path").to_owned());
    let others = ["Cargo.toml", "Cargo.lock", "build.rs", ".cargo/config.toml"].map(str::to_owned);

    for path in needed.chain(others) {
        let under = |folder: &&str| path == **folder || path.starts_with(&format!("{folder}/"));
        assert!(included.iter().any(under), "{path} is excluded from the build");
    }
}

#[test]
fn its_compiler_is_the_least_supported_version() {
    let dockerfile = read("deploy/Dockerfile");
    let version = manifest()["workspace"]["package"]["rust-version"].as_str().expect("is set").to_owned();
    assert!(dockerfile.contains(&format!("FROM rust:{version}-")), "not from rust:{version}");
    assert!(dockerfile.contains(&format!("RUSTUP_TOOLCHAIN={version}\n")));
}

#[test]
fn it_does_not_run_as_root() {
    let dockerfile = read("deploy/Dockerfile");
    let (_, last_stage) = dockerfile.rsplit_once("\nFROM ").expect("has stages");
    assert!(last_stage.contains("\nUSER nonroot\n"));
}

fn manifest() -> Table {
    read("Cargo.toml").parse().expect("is TOML")
}
