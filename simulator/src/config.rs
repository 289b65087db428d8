//! What one run of the simulator is told: seed, speed, who hides behind an ARN, and the faults it starts with.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::fault::FaultRule;

/// The configuration of a simulator. `sim.toml` beside this crate explains every key.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The same seed and request give the same reply.
    pub seed: u64,
    /// Scales all waiting: 1 is the models' own pace, 2 twice as fast, 0 does not wait at all.
    pub speed: f64,
    /// Faults in force from the start; more can be injected while it runs.
    pub faults: Vec<FaultRule>,
    /// Application-inference-profile ARN → base model id. An ARN not named here means `default_profile_model`.
    pub profiles: BTreeMap<String, String>,
    /// The base model behind application inference profiles that `profiles` does not name.
    pub default_profile_model: String,
    /// Serve retired models too, for replaying old recordings.
    pub serve_retired: bool,
    /// How many finished calls `GET /_sim/calls` remembers; the oldest go first.
    pub remembered_calls: usize,
}

impl Config {
    /// Reads TOML; the error names the line.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        let config: Self = toml::from_str(text)?;
        if !config.speed.is_finite() || config.speed < 0.0 {
            return Err(serde::de::Error::custom("speed must be a number from 0 up"));
        }
        Ok(config)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            speed: 1.0,
            faults: Vec::new(),
            profiles: BTreeMap::new(),
            default_profile_model: "anthropic.claude-sonnet-4-5-20250929-v1:0".to_owned(),
            serve_retired: false,
            remembered_calls: 1000,
        }
    }
}
