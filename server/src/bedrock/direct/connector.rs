//! Opens connections: name resolution, TCP and TLS.
use super::connection::{Connection, Socket};
use crate::bedrock::transport::BoxError;
use http::{Uri, uri::Scheme};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use std::{io, time::Duration};
use tokio::time::timeout;
use tower::Service as _;

/// Opens connections to any origin.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    tcp: HttpConnector,
    /// Absent: no endpoint uses TLS, so the system's certificates are not loaded.
    tls: Option<HttpsConnector<HttpConnector>>,
    /// Maximum time for name resolution, TCP and TLS together.
    connect_timeout: Duration,
}

// === impl Connector ===

impl Connector {
    /// Fails if `uses_tls` and the system's certificates cannot be loaded.
    pub(super) fn new(connect_timeout: Duration, uses_tls: bool) -> io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let tls = uses_tls.then(|| with_tls(tcp.clone())).transpose()?;
        Ok(Self { tcp, tls, connect_timeout })
    }

    /// Opens a connection to the scheme, host and port of `origin`.
    pub(super) async fn connect(&self, origin: Uri) -> Result<Box<Connection>, BoxError> {
        Ok(Connection::new(self.open(origin).await?).await?)
    }

    async fn open(&self, origin: Uri) -> Result<Socket, BoxError> {
        let too_late =
            |_| io::Error::new(io::ErrorKind::TimedOut, "no connection within the connect timeout");
        match &self.tls {
            Some(tls) if origin.scheme() == Some(&Scheme::HTTPS) => {
                let connecting = tls.clone().call(origin);
                timeout(self.connect_timeout, connecting).await.map_err(too_late)?
            }
            _ => {
                let connecting = self.tcp.clone().call(origin);
                let socket = timeout(self.connect_timeout, connecting).await.map_err(too_late)??;
                Ok(MaybeHttpsStream::Http(socket))
            }
        }
    }
}

/// Offers HTTP/1.1 only, so that the server cannot choose HTTP/2.
fn with_tls(tcp: HttpConnector) -> io::Result<HttpsConnector<HttpConnector>> {
    let builder = HttpsConnectorBuilder::new().with_native_roots()?;
    Ok(builder.https_only().enable_http1().wrap_connector(tcp))
}
