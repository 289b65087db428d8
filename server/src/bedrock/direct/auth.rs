//! Authentication of requests: a signature or a bearer token.
use super::{endpoint::Endpoint, sigv4::SigV4Signer};
use crate::failure::{Failure, FailureKind};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use std::time::SystemTime;

/// Credentials in the form that requests need.
#[derive(Debug)]
pub(super) enum RequestAuth {
    /// Signs each request with access keys.
    SigV4(SigV4Signer),
    /// Value of the `authorization` header of every request.
    Bearer(HeaderValue),
}

// === impl RequestAuth ===

impl RequestAuth {
    /// `None`: the token has characters that a header cannot hold.
    pub(super) fn bearer(token: &str) -> Option<Self> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(Self::Bearer(value))
    }

    /// Headers that authenticate one request.
    pub(super) fn headers(
        &self,
        endpoint: &Endpoint,
        path: &str,
        body: &[u8],
        now: SystemTime,
    ) -> Result<HeaderMap, Failure> {
        match self {
            Self::SigV4(signer) => signer.sign(endpoint, path, body, now).map_err(|error| {
                Failure::new(FailureKind::Misconfigured, format!("the request cannot be signed: {error}"))
            }),
            Self::Bearer(value) => Ok(HeaderMap::from_iter([(AUTHORIZATION, value.clone())])),
        }
    }
}
