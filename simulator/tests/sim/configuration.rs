//! The configuration file.

use bedrock_sim::Config;

#[test]
fn the_shipped_example_is_valid_and_has_every_kind_of_fault() {
    let text = include_str!("../../sim.toml");
    let config = Config::from_toml(text).expect("sim.toml is valid");
    let kinds = [
        "throttle",
        "error",
        "hang",
        "slow_first_token",
        "stall",
        "cut",
        "exception",
        "error_frame",
        "bad_crc",
        "end_without_message_stop",
        "end_without_metadata",
        "unknown_event",
        "unknown_delta",
    ];
    for kind in kinds {
        let is_shown = config
            .faults
            .iter()
            .any(|rule| serde_json::to_value(&rule.fault).expect("a fault is JSON")["kind"] == kind);
        assert!(is_shown, "{kind} is not in sim.toml");
    }
}

#[test]
fn an_unknown_key_is_rejected_by_name() {
    let error = Config::from_toml("seed = 1\nspede = 2.0\n").expect_err("a typo");
    assert!(error.message().contains("spede"), "{error}");
    assert!(Config::from_toml("speed = -1.0").is_err());
}
