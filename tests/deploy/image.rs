//! The image can be built from what its build is given. Whether it can be built is for a machine with Docker to say.
use crate::read;
use toml::{Table, Value};

#[test]
fn its_build_is_given_all_that_cargo_asks_for() {
    let manifest = manifest();
    let ignored = read("deploy/Dockerfile.dockerignore");
    let given: Vec<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();

    let members = list(&manifest["workspace"]["members"]);
    let tests = list(&manifest["test"]).into_iter().map(|test| test["path"].clone());
    let library = manifest["lib"]["path"].clone();
    let asked = members.into_iter().chain(tests).chain([library]);
    let asked = asked.map(|path| path.as_str().expect("is a path").to_owned());
    let beside = ["Cargo.toml", "Cargo.lock", "build.rs", ".cargo/config.toml"].map(str::to_owned);

    for path in asked.chain(beside) {
        let under = |folder: &&str| path == **folder || path.starts_with(&format!("{folder}/"));
        assert!(given.iter().any(under), "{path} is kept from it");
    }
}

#[test]
fn its_compiler_is_one_that_the_program_supports() {
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
