//! `[telemetry]`: content of traces, metrics and logs. Their destination is set by OpenTelemetry's variables,
//! `OTEL_*`.
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// `[telemetry]`: traces and metrics.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Address of the Prometheus endpoint. Absent: none, unless `OTEL_METRICS_EXPORTER` names `prometheus`.
    pub prometheus: Option<SocketAddr>,
    /// True if traces of calls that failed or fell back are exported even if the sampler drops them.
    pub keep_errors: bool,
    /// True if spans contain prompts and answers.
    pub capture_content: bool,
    /// Version of the GenAI semantic conventions.
    pub genai_semconv: GenAi,
}

/// `[telemetry] genai_semconv`: version of the GenAI semantic conventions of OpenTelemetry.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub enum GenAi {
    /// The last released version.
    #[default]
    #[serde(rename = "1.41")]
    Released,
    /// The version that is not released yet.
    #[serde(rename = "dev")]
    Dev,
    /// Both versions.
    #[serde(rename = "both")]
    Both,
}

// === impl Telemetry ===

impl Default for Telemetry {
    fn default() -> Self {
        Self { prometheus: None, keep_errors: true, capture_content: false, genai_semconv: GenAi::default() }
    }
}

// === impl GenAi ===

impl GenAi {
    /// True if the released names are emitted.
    #[must_use]
    pub fn is_released(self) -> bool {
        self != Self::Dev
    }

    /// True if the unreleased names are emitted.
    #[must_use]
    pub fn is_dev(self) -> bool {
        self != Self::Released
    }
}
