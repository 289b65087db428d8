//! Metric and span attributes of a deployment, made once. Names come from the configuration and never from
//! callers, so the number of distinct values is bounded.
use super::Key;
use crate::semconv::attribute as a;
use opentelemetry::KeyValue;
use std::sync::Arc;

/// Attributes of one deployment. Clones share their text.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    pub(crate) model: KeyValue,
    pub(crate) region: KeyValue,
    pub(crate) request_model: KeyValue,
    pub(crate) address: KeyValue,
    pub(crate) port: i64,
    /// The model id, without an account.
    pub(crate) model_id: Arc<str>,
}

// === impl Labels ===

impl Labels {
    /// Attributes of the deployment `key`, which the configuration calls `name`.
    pub(super) fn new(key: &Key, name: &str, shown_id: &str) -> Self {
        let (host, port) = address(key);
        let model_id: Arc<str> = Arc::from(shown_id);
        Self {
            model: shared(a::MODEL, name),
            region: shared(a::REGION, &key.region),
            request_model: KeyValue::new(a::REQUEST_MODEL, Arc::clone(&model_id)),
            address: shared(a::SERVER_ADDRESS, &host),
            port: i64::from(port),
            model_id,
        }
    }
}

/// An attribute whose clones share its text.
pub(crate) fn shared(name: &'static str, value: &str) -> KeyValue {
    KeyValue::new(name, Arc::<str>::from(value))
}

/// Host and port of the endpoint: the configured one, or the region's.
fn address(key: &Key) -> (String, u16) {
    let configured = key.endpoint.as_deref().and_then(|url| url.parse::<http::Uri>().ok());
    let configured = configured.as_ref().and_then(|url| {
        let default_port = if url.scheme_str() == Some("http") { 80 } else { 443 };
        Some((url.host()?.to_owned(), url.port_u16().unwrap_or(default_port)))
    });
    let suffix = if key.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    configured.unwrap_or_else(|| (format!("bedrock-runtime.{}.{suffix}", key.region), 443))
}
