//! Settings from OpenTelemetry's environment variables (`OTEL_*`). OpenTelemetry's crates read the variables
//! for headers, compression, timeouts and resource attributes themselves.
use super::StartError;
use crate::config::GenAi;
use opentelemetry_sdk::trace::Sampler;
use std::{net::SocketAddr, time::Duration};

/// Destinations of telemetry.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// OTLP receiver of traces. Absent: no traces are exported.
    pub traces: Option<Otlp>,
    /// OTLP receiver of metrics. Absent: no metrics are pushed.
    pub metrics: Option<Otlp>,
    /// Address of the Prometheus endpoint, if the configuration sets none. Absent: no endpoint.
    pub prometheus: Option<SocketAddr>,
    /// True if metrics are collected for [`super::Telemetry::page`] without a Prometheus endpoint.
    pub keep_page: bool,
    /// Sampler of traces. Absent: the caller's decision, else all calls.
    pub sampler: Option<Sampler>,
    /// True if telemetry is disabled.
    pub disabled: bool,
    /// Version of the GenAI semantic conventions. Absent: the configuration decides.
    pub genai: Option<GenAi>,
    /// True if the environment sets the service name.
    pub is_named: bool,
    /// Maximum number of spans in the export queue. Absent: `OTEL_BSP_MAX_QUEUE_SIZE` is not set.
    pub max_queued: Option<usize>,
    /// Maximum number of spans in a batch. Absent: `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` is not set.
    pub max_batch: Option<usize>,
    /// Maximum time for which a span waits for its batch. Absent: `OTEL_BSP_SCHEDULE_DELAY`, or 5 seconds.
    pub span_delay: Option<Duration>,
}

/// An OTLP receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// URL of the receiver.
    pub endpoint: String,
    /// Protocol of the receiver.
    pub protocol: Protocol,
}

/// OTLP protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP/1.1.
    Http,
}

// === impl Settings ===

impl Settings {
    /// Reads the environment. `lookup` returns the value of a variable.
    ///
    /// # Errors
    /// If the value of a variable is not valid.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, StartError> {
        let value =
            |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let is_disabled = |value: String| value.eq_ignore_ascii_case("true");
        if value("OTEL_SDK_DISABLED").is_some_and(is_disabled) {
            return Ok(Self { disabled: true, ..Self::default() });
        }
        let metrics = exporters(&value, "METRICS", &["otlp", "prometheus", "none"])?;
        let has_prometheus = metrics.iter().any(|exporter| exporter == "prometheus");
        let opted_in = value("OTEL_SEMCONV_STABILITY_OPT_IN").unwrap_or_default();
        let dev = opted_in.split(',').any(|option| option.trim() == "gen_ai_latest_experimental");
        let attributes = value("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let has_name = attributes.split(',').any(|pair| pair.trim().starts_with("service.name="));
        let number = |name: &str| -> Result<Option<usize>, StartError> {
            value(name).map(|text| text.parse().map_err(|_| invalid(name, &text, "a number"))).transpose()
        };
        Ok(Self {
            traces: otlp(&value, "TRACES", &exporters(&value, "TRACES", &["otlp", "none"])?)?,
            metrics: otlp(&value, "METRICS", &metrics)?,
            prometheus: if has_prometheus { Some(prometheus(&value)?) } else { None },
            keep_page: false,
            sampler: value("OTEL_TRACES_SAMPLER").map(|name| sampler(&value, &name)).transpose()?,
            disabled: false,
            genai: dev.then_some(GenAi::Dev),
            is_named: has_name || value("OTEL_SERVICE_NAME").is_some(),
            max_queued: number("OTEL_BSP_MAX_QUEUE_SIZE")?,
            max_batch: number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")?,
            span_delay: None,
        })
    }
}

/// Returns the exporters of a signal. By default: OTLP if an endpoint is set, else none.
fn exporters(
    value: &impl Fn(&str) -> Option<String>,
    signal: &str,
    known: &[&str],
) -> Result<Vec<String>, StartError> {
    let name = format!("OTEL_{signal}_EXPORTER");
    let Some(named) = value(&name) else {
        let own = value(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"));
        let endpoint = own.or_else(|| value("OTEL_EXPORTER_OTLP_ENDPOINT"));
        return Ok(endpoint.map(|_| "otlp".to_owned()).into_iter().collect());
    };
    let named: Vec<_> = named.split(',').map(|exporter| exporter.trim().to_owned()).collect();
    match named.iter().find(|exporter| !known.contains(&exporter.as_str())) {
        Some(unknown) => Err(invalid(&name, unknown, &known.join(" or "))),
        None => Ok(named),
    }
}

/// Returns the receiver of a signal, by the rules of OTLP exporters.
fn otlp(
    value: &impl Fn(&str) -> Option<String>,
    signal: &str,
    exporters: &[String],
) -> Result<Option<Otlp>, StartError> {
    if !exporters.iter().any(|exporter| exporter == "otlp") {
        return Ok(None);
    }
    let own = value(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"));
    let base = value("OTEL_EXPORTER_OTLP_ENDPOINT");
    let given = own.as_ref().or(base.as_ref());
    let name = format!("OTEL_EXPORTER_OTLP_{signal}_PROTOCOL");
    let protocol = match value(&name).or_else(|| value("OTEL_EXPORTER_OTLP_PROTOCOL")).as_deref() {
        Some("grpc") => Protocol::Grpc,
        Some("http/protobuf") => Protocol::Http,
        Some(other) => return Err(invalid("OTEL_EXPORTER_OTLP_PROTOCOL", other, "grpc or http/protobuf")),
        // The specification's default is HTTP, but 4317 is every collector's gRPC port.
        None if given.is_some_and(|given| given.trim_end_matches('/').ends_with(":4317")) => Protocol::Grpc,
        None => Protocol::Http,
    };
    let path = format!("v1/{}", signal.to_lowercase());
    let endpoint = match (own, base, protocol) {
        (Some(own), _, _) => own,
        (None, Some(base), Protocol::Grpc) => base,
        (None, Some(base), Protocol::Http) => format!("{}/{path}", base.trim_end_matches('/')),
        (None, None, Protocol::Grpc) => "http://localhost:4317".to_owned(),
        (None, None, Protocol::Http) => format!("http://localhost:4318/{path}"),
    };
    Ok(Some(Otlp { endpoint, protocol }))
}

fn prometheus(value: &impl Fn(&str) -> Option<String>) -> Result<SocketAddr, StartError> {
    let host = value("OTEL_EXPORTER_PROMETHEUS_HOST").filter(|host| host != "localhost");
    let port = value("OTEL_EXPORTER_PROMETHEUS_PORT").unwrap_or_else(|| "9464".to_owned());
    let address = format!("{}:{port}", host.as_deref().unwrap_or("127.0.0.1"));
    address
        .parse()
        .map_err(|_| invalid("OTEL_EXPORTER_PROMETHEUS_HOST and _PORT", &address, "an IP address and a port"))
}

fn sampler(value: &impl Fn(&str) -> Option<String>, name: &str) -> Result<Sampler, StartError> {
    let ratio = || {
        let Some(text) = value("OTEL_TRACES_SAMPLER_ARG") else { return Ok(1.0) };
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or_else(|| invalid("OTEL_TRACES_SAMPLER_ARG", &text, "a number from 0 to 1"))
    };
    let parent_based = |otherwise| Sampler::ParentBased(Box::new(otherwise));
    Ok(match name {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio()?),
        "parentbased_always_on" => parent_based(Sampler::AlwaysOn),
        "parentbased_always_off" => parent_based(Sampler::AlwaysOff),
        "parentbased_traceidratio" => parent_based(Sampler::TraceIdRatioBased(ratio()?)),
        other => {
            let known = "always_on, always_off, traceidratio, or one of them after parentbased_";
            return Err(invalid("OTEL_TRACES_SAMPLER", other, known));
        }
    })
}

fn invalid(name: &str, value: &str, known: &str) -> StartError {
    StartError(format!("{name} is {value:?}: use {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Environment variables, and the expected receivers of traces and metrics.
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, StartError> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Settings::from_env(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    fn endpoint(otlp: Option<Otlp>) -> String {
        otlp.map_or_else(String::new, |otlp| format!("{:?} {}", otlp.protocol, otlp.endpoint))
    }

    #[test]
    fn nothing_is_exported_without_an_endpoint_or_an_exporter() {
        let none = settings(&[]).expect("is right");
        assert!(none.traces.is_none() && none.metrics.is_none() && none.prometheus.is_none());
        let off = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"), ("OTEL_SDK_DISABLED", "TRUE")];
        assert!(settings(&off).expect("is right").traces.is_none());
    }

    #[test]
    fn endpoints_follow_the_rules_of_otlp() {
        let cases: [Case; 5] = [
            (
                &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/")],
                "Http http://c:4318/v1/traces",
                "Http http://c:4318/v1/metrics",
            ),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317")], "Grpc http://c:4317", "Grpc http://c:4317"),
            (
                &[
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c"),
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                    ("OTEL_METRICS_EXPORTER", "none"),
                ],
                "Grpc https://c",
                "",
            ),
            (
                &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://xray.eu-west-1.amazonaws.com/v1/traces")],
                "Http https://xray.eu-west-1.amazonaws.com/v1/traces",
                "",
            ),
            (&[("OTEL_TRACES_EXPORTER", "otlp")], "Http http://localhost:4318/v1/traces", ""),
        ];
        for (variables, traces, metrics) in cases {
            let settings = settings(variables).expect("is right");
            assert_eq!(
                (endpoint(settings.traces), endpoint(settings.metrics)),
                (traces.into(), metrics.into())
            );
        }
    }

    #[test]
    fn errors_name_the_variable_and_the_value() {
        let cases = [
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_METRICS_EXPORTER", "statsd"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1"),
        ];
        for (name, value) in cases {
            let error = settings(&[(name, value)]).expect_err("is wrong").to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
        let ratio = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
        assert!(settings(&ratio).is_err());
    }

    #[test]
    fn reads_the_standard_variables_of_prometheus() {
        let variables =
            [("OTEL_METRICS_EXPORTER", "prometheus,otlp"), ("OTEL_EXPORTER_PROMETHEUS_PORT", "9999")];
        let settings = settings(&variables).expect("is right");
        assert_eq!(settings.prometheus, "127.0.0.1:9999".parse().ok());
        assert_eq!(endpoint(settings.metrics), "Http http://localhost:4318/v1/metrics");
    }
}
