//! Connection options: address, TLS, token and timeouts.

use crate::{Error, Result, Switchboard};
use std::{fmt, time::Duration};
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Uri},
};

/// Default address of `switchboard serve` and `switchboard demo`.
pub const DEFAULT_ADDRESS: &str = "http://127.0.0.1:50051";

/// Maximum size of a message, in bytes. gRPC's default of 4 MiB is too small for documents and images.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Default timeout for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Default interval of keep-alive pings during a call. Some proxies close connections that ping more often.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Time without an answer to a ping after which the connection is closed.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Connection options. The `Debug` form shows neither the token nor the client's key.
#[derive(Clone)]
pub struct Options {
    address: String,
    token: Option<String>,
    ca: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    deadline: Option<Duration>,
    connect_timeout: Duration,
    keep_alive: Duration,
}

// === impl Options ===

impl Options {
    /// Makes options for an address: plain HTTP/2 for `http://host:port` and `host:port`, TLS with the
    /// system's root certificates for `https://host:port`.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            token: None,
            ca: None,
            identity: None,
            deadline: None,
            connect_timeout: CONNECT_TIMEOUT,
            keep_alive: KEEP_ALIVE,
        }
    }

    /// Sends `authorization: Bearer …` with every call.
    pub fn bearer_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Trusts only the certificates in this PEM text. Implies TLS.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// Sends this client certificate (PEM, with its chain) to the server. Implies TLS.
    pub fn client_certificate(mut self, pem: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((pem.into(), key.into()));
        self
    }

    /// Sets the deadline of each call, up to the end of its stream. Switchboard and Bedrock stop work at the
    /// deadline too. If not set, the task's own deadline applies.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the timeout for opening a connection. Default: 10 seconds; never longer than the deadline.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the interval of keep-alive pings during a call. Default: 60 seconds.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = interval;
        self
    }

    /// Opens the connection. A broken connection is reopened by the next call.
    pub async fn connect(self) -> Result<Switchboard> {
        let (endpoint, token) = (self.endpoint()?, self.authorization()?);
        let address = endpoint.uri().to_string();
        let channel = endpoint.connect().await.map_err(|error| Error::connect(&address, &error))?;
        Ok(Switchboard::new(channel, address, token, self.deadline))
    }

    /// Opens the connection with the first call, so that a program can start before Switchboard does. Must be
    /// called in a tokio runtime.
    pub fn connect_lazy(self) -> Result<Switchboard> {
        let (endpoint, token) = (self.endpoint()?, self.authorization()?);
        let address = endpoint.uri().to_string();
        Ok(Switchboard::new(endpoint.connect_lazy(), address, token, self.deadline))
    }

    fn endpoint(&self) -> Result<Endpoint> {
        let uri = self.uri()?;
        let secure = uri.scheme_str() == Some("https");
        let timeout = self.deadline.unwrap_or(self.connect_timeout).min(self.connect_timeout);
        let endpoint = Endpoint::from(uri)
            .connect_timeout(timeout)
            .http2_keep_alive_interval(self.keep_alive)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .user_agent(concat!("switchboard-client-rust/", env!("CARGO_PKG_VERSION")))
            .map_err(|error| Error::options(error.to_string()))?;
        if !secure {
            return Ok(endpoint);
        }
        endpoint.tls_config(self.tls()).map_err(|error| Error::options_caused_by("TLS", &error))
    }

    fn uri(&self) -> Result<Uri> {
        let wants_tls = self.ca.is_some() || self.identity.is_some();
        let address = match self.address.trim() {
            full if full.contains("://") => full.to_owned(),
            host if wants_tls => format!("https://{host}"),
            host => format!("http://{host}"),
        };
        let uri: Uri =
            address.parse().map_err(|error| Error::options(format!("address {address:?}: {error}")))?;
        match uri.scheme_str() {
            Some("https") => Ok(uri),
            Some("http") if !wants_tls => Ok(uri),
            Some("http") => Err(Error::options("certificates need an https:// address".to_owned())),
            _ => Err(Error::options(format!("address {address:?}: must begin with http:// or https://"))),
        }
    }

    fn tls(&self) -> ClientTlsConfig {
        let config = match &self.ca {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        match &self.identity {
            Some((pem, key)) => config.identity(Identity::from_pem(pem, key)),
            None => config,
        }
    }

    /// Returns the metadata value, marked as sensitive so that neither logs nor HTTP/2 header compression
    /// store it.
    fn authorization(&self) -> Result<Option<MetadataValue<Ascii>>> {
        let Some(token) = &self.token else { return Ok(None) };
        let mut value = MetadataValue::try_from(format!("Bearer {token}")).map_err(|_| {
            Error::options("the bearer token has characters that a header must not have".to_owned())
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new(DEFAULT_ADDRESS)
    }
}

impl From<&str> for Options {
    fn from(address: &str) -> Self {
        Self::new(address)
    }
}

impl From<String> for Options {
    fn from(address: String) -> Self {
        Self::new(address)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("address", &self.address)
            .field("has_token", &self.token.is_some())
            .field("has_ca", &self.ca.is_some())
            .field("has_client_certificate", &self.identity.is_some())
            .field("deadline", &self.deadline)
            .field("connect_timeout", &self.connect_timeout)
            .field("keep_alive", &self.keep_alive)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_an_address_is_optional() {
        let uri =
            |options: Options| options.uri().map(|uri| uri.to_string()).map_err(|error| error.to_string());

        assert_eq!(uri(Options::default()), Ok("http://127.0.0.1:50051/".to_owned()));
        assert_eq!(uri("gateway:50051".into()), Ok("http://gateway:50051/".to_owned()));
        assert_eq!(uri("https://gateway:443".into()), Ok("https://gateway:443/".to_owned()));
        assert_eq!(uri(Options::new("gateway:1").ca_certificate("pem")), Ok("https://gateway:1/".to_owned()));
        assert!(uri(Options::new("http://gateway:1").ca_certificate("pem")).is_err());
        assert!(uri("ftp://gateway:1".into()).is_err());
        assert!(uri("no host".into()).is_err());
    }

    #[test]
    fn secrets_are_not_printed() {
        let options = Options::default().bearer_token("s3cret").client_certificate("pem", "k3y");

        let shown = format!("{options:?} {:?}", options.authorization());

        assert!(!shown.contains("s3cret") && !shown.contains("k3y"), "{shown}");
    }
}
