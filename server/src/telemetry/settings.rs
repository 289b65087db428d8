//! Settings: what the variables of OpenTelemetry (`OTEL_*`) say. Headers, compression, timeouts, the sizes of batches and
//! the attributes of the resource are read by OpenTelemetry's own crates.
use super::StartError;
use crate::config::GenAi;
use opentelemetry_sdk::trace::Sampler;
use std::{net::SocketAddr, time::Duration};

/// Where telemetry goes.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Absent: no traces are exported.
    pub traces: Option<Otlp>,
    /// Absent: no metrics are pushed.
    pub metrics: Option<Otlp>,
    /// Where Prometheus may fetch the metrics, besides what the configuration says. Absent: nowhere.
    pub prometheus: Option<SocketAddr>,
    /// Whether metrics are kept for [`super::Telemetry::page`] though nobody may fetch them.
    pub keep_page: bool,
    /// Which calls are traced. Absent: all, unless their caller says otherwise.
    pub sampler: Option<Sampler>,
    /// Whether anything is told at all.
    pub disabled: bool,
    /// The names that the environment asks for. Absent: it does not.
    pub genai: Option<GenAi>,
    /// The environment names this service.
    pub is_named: bool,
    /// How many spans may wait for the exporter.
    pub max_queued: Option<usize>,
    /// How many spans are sent at once, at most. Absent: `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` is not set.
    pub max_batch: Option<usize>,
    /// How long spans may wait for others. Absent: as `OTEL_BSP_SCHEDULE_DELAY` has it, or 5 seconds.
    pub span_delay: Option<Duration>,
}

/// A receiver of OTLP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// Where it is.
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: Protocol,
}

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Over gRPC.
    Grpc,
    /// Protobuf over HTTP/1.1.
    Http,
}

// === impl Settings ===

impl Settings {
    /// What the environment says; `lookup` gives the value of a variable.
    ///
    /// # Errors
    /// When a variable has a value that nobody understands.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, StartError> {
        let value =
            |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let is_disabled = |value: String| value.eq_ignore_ascii_case("true");
        if value("OTEL_SDK_DISABLED").is_some_and(is_disabled) {
            return Ok(Self { disabled: true, ..Self::default() });
        }
        let metrics = exporters(&value, "METRICS", &["otlp", "prometheus", "none"])?;
        let fetched = metrics.iter().any(|exporter| exporter == "prometheus");
        let stable = value("OTEL_SEMCONV_STABILITY_OPT_IN").unwrap_or_default();
        let dev = stable.split(',').any(|opted| opted.trim() == "gen_ai_latest_experimental");
        let attributes = value("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let named = attributes.split(',').any(|pair| pair.trim().starts_with("service.name="));
        let number = |name: &str| -> Result<Option<usize>, StartError> {
            value(name).map(|text| text.parse().map_err(|_| wrong(name, &text, "a number"))).transpose()
        };
        Ok(Self {
            traces: otlp(&value, "TRACES", &exporters(&value, "TRACES", &["otlp", "none"])?)?,
            metrics: otlp(&value, "METRICS", &metrics)?,
            prometheus: if fetched { Some(prometheus(&value)?) } else { None },
            keep_page: false,
            sampler: value("OTEL_TRACES_SAMPLER").map(|name| sampler(&value, &name)).transpose()?,
            disabled: false,
            genai: dev.then_some(GenAi::Dev),
            is_named: named || value("OTEL_SERVICE_NAME").is_some(),
            max_queued: number("OTEL_BSP_MAX_QUEUE_SIZE")?,
            max_batch: number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")?,
            span_delay: None,
        })
    }
}

/// The exporters of a signal: as named, or OTLP where an endpoint is.
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
        Some(unknown) => Err(wrong(&name, unknown, &known.join(" or "))),
        None => Ok(named),
    }
}

/// The receiver of a signal, by the rules of OTLP's exporters.
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
        Some(other) => return Err(wrong("OTEL_EXPORTER_OTLP_PROTOCOL", other, "grpc or http/protobuf")),
        // The specification's default is HTTP; 4317 is the port on which every collector speaks gRPC.
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
        .map_err(|_| wrong("OTEL_EXPORTER_PROMETHEUS_HOST and _PORT", &address, "an IP address and a port"))
}

fn sampler(value: &impl Fn(&str) -> Option<String>, name: &str) -> Result<Sampler, StartError> {
    let ratio = || {
        let Some(text) = value("OTEL_TRACES_SAMPLER_ARG") else { return Ok(1.0) };
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or_else(|| wrong("OTEL_TRACES_SAMPLER_ARG", &text, "a number from 0 to 1"))
    };
    let by_parent = |otherwise| Sampler::ParentBased(Box::new(otherwise));
    Ok(match name {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio()?),
        "parentbased_always_on" => by_parent(Sampler::AlwaysOn),
        "parentbased_always_off" => by_parent(Sampler::AlwaysOff),
        "parentbased_traceidratio" => by_parent(Sampler::TraceIdRatioBased(ratio()?)),
        other => {
            let known = "always_on, always_off, traceidratio, or one of them after parentbased_";
            return Err(wrong("OTEL_TRACES_SAMPLER", other, known));
        }
    })
}

fn wrong(name: &str, value: &str, known: &str) -> StartError {
    StartError(format!("{name} is {value:?}: use {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variables, and the receivers of traces and of metrics.
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, StartError> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Settings::from_env(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    fn endpoint(otlp: Option<Otlp>) -> String {
        otlp.map_or_else(String::new, |otlp| format!("{:?} {}", otlp.protocol, otlp.endpoint))
    }

    #[test]
    fn nothing_is_exported_unless_somebody_names_an_endpoint_or_an_exporter() {
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
    fn what_nobody_understands_is_named() {
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
    fn prometheus_is_named_by_the_standard_variables() {
        let variables =
            [("OTEL_METRICS_EXPORTER", "prometheus,otlp"), ("OTEL_EXPORTER_PROMETHEUS_PORT", "9999")];
        let settings = settings(&variables).expect("is right");
        assert_eq!(settings.prometheus, "127.0.0.1:9999".parse().ok());
        assert_eq!(endpoint(settings.metrics), "Http http://localhost:4318/v1/metrics");
    }
}
