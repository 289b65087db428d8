//! Labels: the attributes of data points, made once. Tasks and models come from the configuration and never from callers, so
//! there is a bound to them.
use super::names::attribute as a;
use crate::{
    config::Config,
    route::{Routes, Task},
};
use opentelemetry::KeyValue;
use std::sync::Arc;

/// The attributes of everything that the configuration names.
#[derive(Debug)]
pub(super) struct Labels {
    /// By [`Task::index`].
    tasks: Box<[KeyValue]>,
    /// By [`crate::route::Candidate::target`].
    targets: Box<[TargetLabels]>,
}

/// The attributes of a model in a region.
#[derive(Debug)]
pub(super) struct TargetLabels {
    pub(super) model: KeyValue,
    pub(super) region: KeyValue,
    pub(super) request_model: KeyValue,
    pub(super) address: KeyValue,
    pub(super) port: i64,
    pub(super) model_id: Arc<str>,
}

// === impl Labels ===

impl Labels {
    pub(super) fn new(config: &Config, routes: &Routes) -> Self {
        let own = config.bedrock.endpoint_url.as_deref().and_then(|url| url.parse::<http::Uri>().ok());
        let own = own.as_ref().and_then(|url| {
            let port = if url.scheme_str() == Some("http") { 80 } else { 443 };
            Some((url.host()?.to_owned(), url.port_u16().unwrap_or(port)))
        });
        let address = |region: &str| {
            let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            own.clone().unwrap_or_else(|| (format!("bedrock-runtime.{region}.{suffix}"), 443))
        };
        let targets = routes.targets().iter().map(|target| {
            let (host, port) = address(&target.region);
            let model_id: Arc<str> = Arc::from(target.model_id.as_str());
            TargetLabels {
                model: shared(a::MODEL, &target.name),
                region: shared(a::REGION, &target.region),
                request_model: KeyValue::new(a::REQUEST_MODEL, Arc::clone(&model_id)),
                address: shared(a::SERVER_ADDRESS, &host),
                port: i64::from(port),
                model_id,
            }
        });
        Self {
            tasks: routes.tasks().map(|task| shared(a::TASK, &task.name)).collect(),
            targets: targets.collect(),
        }
    }

    pub(super) fn task(&self, task: &Task) -> Option<&KeyValue> {
        self.tasks.get(task.index)
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = &TargetLabels> {
        self.targets.iter()
    }

    pub(super) fn target(&self, target: usize) -> Option<&TargetLabels> {
        self.targets.get(target)
    }
}

/// A copy of it copies no text.
fn shared(name: &'static str, value: &str) -> KeyValue {
    KeyValue::new(name, Arc::<str>::from(value))
}
