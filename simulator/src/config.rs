//! The configuration of a simulator: seed, speed, models of application inference profiles, and initial
//! faults.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::fault::FaultRule;

/// The configuration of a simulator. `sim.toml` in this crate's folder documents every key.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seed of the generated responses: the same seed and request give the same response.
    pub seed: u64,
    /// Speed factor of all delays: 1 is the models' own speed, 2 is twice as fast, 0 does not wait.
    pub speed: f64,
    /// Fault rules that are active at start. More can be injected at run time.
    pub faults: Vec<FaultRule>,
    /// Base model ids by application inference profile ARN. Other ARNs use `default_profile_model`.
    pub profiles: BTreeMap<String, String>,
    /// Base model id of the application inference profiles that `profiles` does not contain.
    pub default_profile_model: String,
    /// True to serve retired models too, in order to replay old recordings.
    pub serve_retired: bool,
    /// Number of calls that `GET /_sim/calls` returns; older calls are removed.
    pub remembered_calls: usize,
}

impl Config {
    /// Parses TOML. The error contains the position.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        let config: Self = toml::from_str(text)?;
        if !config.speed.is_finite() || config.speed < 0.0 {
            return Err(serde::de::Error::custom("speed must be a finite number of at least 0"));
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
