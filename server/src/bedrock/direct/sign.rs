//! The proof that a request is ours: a signature by AWS's own signer, or a bearer key.
use super::place::{JSON, Place};
use crate::attempt::failure::{Failure, FailureKind};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_types::{Document, endpoint::Endpoint};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use std::{error::Error, time::SystemTime};

/// The name that Bedrock's signatures are for.
const SERVICE: &str = "bedrock";

/// For which region and service requests are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    region: String,
    service: String,
}

/// Who we are.
#[derive(Debug)]
pub(super) enum Proof {
    /// Access keys, to sign with.
    Keys(Identity),
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
            Self::Keys(keys) => signed(keys, place, path, body, now).map_err(|error| {
                Failure::new(FailureKind::Misconfigured, format!("the request cannot be signed: {error}"))
            }),
            Self::Bearer(value) => Ok(HeaderMap::from_iter([(AUTHORIZATION, value.clone())])),
        }
    }
}

/// What a proxy may change is not signed; AWS asks for the host alone.
fn signed(
    keys: &Identity,
    place: &Place,
    path: &str,
    body: &[u8],
    now: SystemTime,
) -> Result<HeaderMap, Box<dyn Error + Send + Sync>> {
    let mut settings = SigningSettings::default();
    settings.excluded_headers = None; // none of them is among those that we sign
    let Scope { region, service } = &place.scope;
    let params = v4::SigningParams::builder().identity(keys).region(region).name(service);
    let params = SigningParams::V4(params.time(now).settings(settings).build()?);
    let headers = [("content-type", JSON), ("host", place.host())].into_iter();
    let request = SignableRequest::new("POST", path, headers, SignableBody::Bytes(body))?;
    let (signature, _) = sign(request, &params)?.into_parts();
    let (signature, _) = signature.into_parts();
    let mut headers = HeaderMap::with_capacity(8);
    for header in signature {
        let mut value = HeaderValue::from_str(header.value())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(header.name()), value);
    }
    Ok(headers)
}
