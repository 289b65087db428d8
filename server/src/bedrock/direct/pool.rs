//! Connection pool: opens connections as calls need them and keeps idle ones for later calls.
use super::{
    connector::Connector,
    endpoint::Endpoint,
    idle::IdleConnections,
    in_use::{InUseGauge, InUseGuard},
    response_body::ResponseBody,
};
use crate::bedrock::{aws_config::ConnectError, transport::BoxError};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Connections to the endpoint of each region, by region.
#[derive(Debug)]
pub(super) struct Pool(HashMap<String, Arc<EndpointPool>>);

/// Connections to one endpoint.
#[derive(Debug)]
pub(super) struct EndpointPool {
    endpoint: Endpoint,
    connector: Connector,
    idle: Arc<IdleConnections>,
    in_use: Arc<InUseGauge>,
}

// === impl Pool ===

impl Pool {
    pub(super) fn new(connect_timeout: Duration, endpoints: Vec<Endpoint>) -> Result<Self, ConnectError> {
        let with_tls = endpoints.iter().find(|endpoint| endpoint.uses_tls());
        let connector = Connector::new(connect_timeout, with_tls.is_some());
        let connector = connector.map_err(|error| ConnectError::Unreachable {
            region: with_tls.map(|endpoint| endpoint.region.clone()).unwrap_or_default(),
            endpoint: with_tls.map(|endpoint| endpoint.host().to_owned()).unwrap_or_default(),
            cause: error.to_string(),
        })?;
        let pools = endpoints.into_iter().map(|endpoint| {
            let (region, connector) = (endpoint.region.clone(), connector.clone());
            let pool = EndpointPool { endpoint, connector, idle: Arc::default(), in_use: Arc::default() };
            (region, Arc::new(pool))
        });
        Ok(Self(pools.collect()))
    }

    /// `None`: the region was not configured at startup.
    pub(super) fn for_region(&self, region: &str) -> Option<&Arc<EndpointPool>> {
        self.0.get(region)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<EndpointPool>> {
        self.0.values()
    }
}

// === impl EndpointPool ===

impl EndpointPool {
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends the request of a call and waits for the head of the response. Until the end of the body, the
    /// connection counts as in use.
    pub(super) async fn call(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<ResponseBody>, BoxError> {
        self.send(request, Some(self.in_use.acquire())).await
    }

    /// Sends a request that is not a call, so that its connection does not count as in use.
    pub(super) async fn ping(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<ResponseBody>, BoxError> {
        self.send(request, None).await
    }

    /// Maximum number of connections that calls used at the same time since the previous call of this
    /// function.
    pub(super) fn take_peak_in_use(&self) -> usize {
        self.in_use.take_peak()
    }

    /// Removes connections that were idle for too long or that the server has closed.
    pub(super) fn remove_expired(&self) {
        self.idle.remove_expired();
    }

    /// Uses an idle connection if there is one, else opens one. Dropping the future closes the connection.
    ///
    /// A request is never sent twice. If the server had closed an idle connection, the request was not sent
    /// on it and moves to the next one.
    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        in_use: Option<InUseGuard>,
    ) -> Result<Response<ResponseBody>, BoxError> {
        loop {
            let idle = self.idle.take();
            let was_idle = idle.is_some();
            let mut connection = match idle {
                Some(connection) => connection,
                // Boxed: most calls find an idle connection and need no space for the state of connecting.
                None => Box::pin(self.connector.connect(self.endpoint.origin())).await?,
            };
            match connection.send(request).await {
                Ok(response) => {
                    let idle = Arc::clone(&self.idle);
                    return Ok(response.map(|body| ResponseBody::new(body, connection, idle, in_use)));
                }
                Err(mut error) => match error.take_message().filter(|_| was_idle) {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
    }
}
