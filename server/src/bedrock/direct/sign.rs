//! The proof that a request is ours: a signature, or a bearer key.
use super::{keys::Keys, place::Place};
use crate::failure::{Failure, FailureKind};
use aws_smithy_types::{Document, endpoint::Endpoint};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use std::time::SystemTime;

/// The name that Bedrock's signatures are for.
const SERVICE: &str = "bedrock";

/// For which region and service requests are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) region: String,
    pub(super) service: String,
}

/// Who we are.
#[derive(Debug)]
pub(super) enum Proof {
    /// Access keys, to sign with.
    Keys(Keys),
    /// What stands in the header as it is.
    Bearer(HeaderValue),
}

// === impl Scope ===

impl Scope {
    /// As the endpoint says, else the region itself.
    pub(super) fn of(endpoint: &Endpoint, region: &str) -> Self {
        let schemes = endpoint.auth_schemes();
        let scheme = schemes.iter().find(|scheme| scheme.name() == "sigv4");
        let said = |name| scheme?.get(name).and_then(Document::as_string);
        Self {
            region: said("signingRegion").unwrap_or(region).to_owned(),
            service: said("signingName").unwrap_or(SERVICE).to_owned(),
        }
    }
}

// === impl Proof ===

impl Proof {
    pub(super) fn bearer(key: &str) -> Option<Self> {
        let mut value = HeaderValue::try_from(format!("Bearer {key}")).ok()?;
        value.set_sensitive(true);
        Some(Self::Bearer(value))
    }

    /// The headers that prove it of one request.
    pub(super) fn for_request(
        &self,
        place: &Place,
        path: &str,
        body: &[u8],
        now: SystemTime,
    ) -> Result<HeaderMap, Failure> {
        match self {
            Self::Keys(keys) => keys.sign(place, path, body, now).map_err(|error| {
                Failure::new(FailureKind::Misconfigured, format!("the request cannot be signed: {error}"))
            }),
            Self::Bearer(value) => Ok(HeaderMap::from_iter([(AUTHORIZATION, value.clone())])),
        }
    }
}
