//! The configuration that we ship is valid, and explains every key.
use switchboard_server::config::Config;

const SHIPPED: &str = include_str!("../../deploy/switchboard.toml");

#[test]
fn it_is_valid_as_it_is() {
    let config = Config::parse(SHIPPED).expect("is valid");
    assert!(config.tasks.contains_key("default"));
}

#[test]
fn it_is_valid_with_every_key_that_it_only_mentions() {
    let all: String =
        SHIPPED.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
    let config = Config::parse(&all).expect("is valid");
    assert!(config.bedrock.assume_role_arn.is_some() && config.bedrock.endpoint_url.is_some());
}

#[test]
fn every_key_of_the_program_is_in_it() {
    // The names of all fields, as the derived Debug writes them; values and list entries have no `name: `.
    let fields = format!("{:#?}", Config::parse(SHIPPED).expect("is valid"));
    for field in fields.lines().filter_map(|line| line.trim().split_once(": ")).map(|(name, _)| name) {
        let is_name =
            !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let known = ["simulated", "span", "value", "start", "end", "secs", "nanos"].contains(&field);
        assert!(
            !is_name || known || SHIPPED.contains(field),
            "deploy/switchboard.toml does not mention {field}"
        );
    }
}
