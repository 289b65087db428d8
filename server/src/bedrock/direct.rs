//! The `direct` engine: parts of the SDK that are combined once at startup instead of for every call.
//!
//! Regions, credentials and endpoints are found as the SDK finds them ([`AwsConfig`]). Requests are signed as
//! the SDK signs them, and sent over connections of this engine. All that does not change between calls is
//! prepared at startup. A call adds its path, its signature and its body, which is not copied.
//!
//! Connections use HTTP/1.1 and carry one reply at a time. On the single HTTP/2 connection that the service
//! offers, all replies would share one flow-control window, and a slow consumer would delay the first token
//! of every other call.
mod auth;
mod connection;
mod connector;
mod credentials;
mod endpoint;
mod idle;
mod in_use;
mod keep_warm;
mod pool;
mod response_body;
mod sigv4;
#[cfg(test)]
mod tests;

use super::{
    aws_config::{AwsConfig, ConnectError},
    failure::{request_id, response_failure, send_failure, unknown_region},
    transport::Reply,
};
use crate::{config, failure::Failure, rpc::Method};
use bytes::Bytes;
use credentials::CredentialCache;
use endpoint::Endpoint;
use http_body_util::Full;
use parking_lot::RwLock;
use pool::Pool;
use std::{collections::BTreeSet, sync::Arc, time::SystemTime};
use tokio::task::JoinSet;

/// Connections to the endpoint of each region, and the credentials for all of them.
#[derive(Debug)]
pub(super) struct DirectEngine {
    pool: Pool,
    credentials: RwLock<Arc<CredentialCache>>,
    /// Tasks that keep connections warm. They stop when the engine is dropped.
    _keep_warm: JoinSet<()>,
}

// === impl DirectEngine ===

impl DirectEngine {
    /// Finds the endpoint of each region, loads the credentials and opens `warm_connections` connections to
    /// each endpoint.
    pub(super) async fn connect(
        settings: &config::Bedrock,
        aws_config: &AwsConfig,
        regions: &BTreeSet<String>,
    ) -> Result<Self, ConnectError> {
        let mut endpoints = Vec::new();
        for region in regions {
            endpoints.push(Endpoint::find(aws_config, region).await?);
        }
        let pool = Pool::new(settings.connect_timeout, endpoints)?;
        let credentials = CredentialCache::new(aws_config.provider());
        // Loaded here to save the first call the time. `AwsConfig::check_credentials` has just loaded them
        // too, so an error is unlikely; the first call would report it.
        let _loaded = credentials.get(SystemTime::now()).await;
        keep_warm::open_connections(&pool, settings).await;
        let keep_warm = keep_warm::spawn(&pool, settings);
        Ok(Self { pool, credentials: RwLock::new(Arc::new(credentials)), _keep_warm: keep_warm })
    }

    /// Sends a request and waits for the head of a successful response.
    pub(super) async fn send(
        &self,
        region: &str,
        method: Method,
        model_id: &str,
        body: Bytes,
    ) -> Result<Reply, Failure> {
        let pool = self.pool.for_region(region).ok_or_else(|| unknown_region(region))?;
        let endpoint = pool.endpoint();
        let now = SystemTime::now();
        let auth = self.credentials().get(now).await?;
        let path = endpoint.path(method, model_id)?;
        let auth_headers = auth.headers(endpoint, &path, &body, now)?;
        let request = endpoint.request(method, path, auth_headers, Full::new(body))?;

        let response = pool.call(request).await.map_err(|error| send_failure(&*error))?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            return Err(response_failure(&head, body).await);
        }
        Ok(Reply::new(request_id(&head.headers), body))
    }

    /// Switches to the credentials of a configuration that was loaded again.
    pub(super) fn renew(&self, aws_config: &AwsConfig) {
        let renewed = Arc::new(CredentialCache::new(aws_config.provider()));
        *self.credentials.write() = renewed;
    }

    fn credentials(&self) -> Arc<CredentialCache> {
        Arc::clone(&self.credentials.read())
    }
}
