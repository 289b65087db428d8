//! `[telemetry]`: what is told of calls. Where it goes is set by the variables of OpenTelemetry, `OTEL_*`.
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// `[telemetry]`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Where Prometheus may fetch the metrics. Absent: nowhere, unless `OTEL_METRICS_EXPORTER` names `prometheus`.
    pub prometheus: Option<SocketAddr>,
    /// Whether calls that failed or fell back are traced even when the sampler leaves them out.
    pub keep_errors: bool,
    /// Whether spans carry what was asked and answered.
    pub capture_content: bool,
    /// Whose names the GenAI attributes and metrics have.
    pub genai_semconv: GenAi,
}

/// `[telemetry] genai_semconv`: the two sets of names that OpenTelemetry has for calls of models.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub enum GenAi {
    /// The last that was released, which backends read today.
    #[default]
    #[serde(rename = "1.41")]
    Released,
    /// The newer one, which has no release yet.
    #[serde(rename = "dev")]
    Dev,
    /// Both at once.
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
    /// Whether the released names are used.
    #[must_use]
    pub fn is_released(self) -> bool {
        self != Self::Dev
    }

    /// Whether the newer ones are.
    #[must_use]
    pub fn is_dev(self) -> bool {
        self != Self::Released
    }
}
