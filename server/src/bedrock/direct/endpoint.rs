//! Endpoint of a region: the facts that all requests to it share.
use crate::{
    bedrock::aws_config::{AwsConfig, ConnectError},
    failure::{Failure, FailureKind},
    rpc::Method,
};
use aws_smithy_types::{Document, endpoint::Endpoint as ResolvedEndpoint};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Uri,
    header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::Full;
use std::fmt::Write as _;

/// Content type of every request. It is part of the signature.
pub(super) const JSON: &str = "application/json";

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");
const SWITCHBOARD: HeaderValue = HeaderValue::from_static(concat!("switchboard/", env!("CARGO_PKG_VERSION")));

/// Name of the service in signatures, unless the endpoint rules say another.
const SIGNING_SERVICE: &str = "bedrock";

/// Where the requests of a region are sent.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Name of the region.
    pub(super) region: String,
    scheme: Scheme,
    authority: Authority,
    /// Path before every request's own, without a slash at its end. Empty unless the endpoint is a proxy with
    /// a path.
    base_path: String,
    host: HeaderValue,
    /// Region and service that requests are signed for.
    pub(super) scope: SigningScope,
}

/// Region and service that requests are signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SigningScope {
    pub(super) region: String,
    pub(super) service: String,
}

// === impl Endpoint ===

impl Endpoint {
    /// Resolves the endpoint of `region` by the SDK's rules.
    pub(super) async fn find(aws_config: &AwsConfig, region: &str) -> Result<Self, ConnectError> {
        let found = aws_config.endpoint(region).await.and_then(|resolved| {
            let endpoint = Self::new(resolved.url(), SigningScope::new(&resolved, region), region);
            endpoint.ok_or_else(|| format!("{} is not a URL", resolved.url()))
        });
        found.map_err(|cause| ConnectError::Unreachable {
            region: region.to_owned(),
            endpoint: String::new(),
            cause,
        })
    }

    /// `None`: `url` is not a URL with a scheme and a host.
    pub(super) fn new(url: &str, scope: SigningScope, region: &str) -> Option<Self> {
        let url = url.parse::<Uri>().ok()?;
        let scheme = url.scheme()?.clone();
        let authority = url.authority()?.clone();
        let default_port = if scheme == Scheme::HTTPS { 443 } else { 80 };
        let host = match url.port_u16() {
            Some(port) if port != default_port => format!("{}:{port}", authority.host()),
            _ => authority.host().to_owned(),
        };
        Some(Self {
            region: region.to_owned(),
            scheme,
            authority,
            base_path: url.path().trim_end_matches('/').to_owned(),
            host: HeaderValue::from_maybe_shared(Bytes::from(host)).ok()?,
            scope,
        })
    }

    /// True if connections use TLS.
    pub(super) fn uses_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Value of the `host` header. It names the port unless it is the scheme's default.
    pub(super) fn host(&self) -> &str {
        self.host.to_str().unwrap_or_default()
    }

    /// Encoded path of a call.
    pub(super) fn path(&self, method: Method, model_id: &str) -> Result<String, Failure> {
        if model_id.is_empty() {
            return Err(Failure::new(FailureKind::Misconfigured, "the model has no id"));
        }
        let mut path = String::with_capacity(self.base_path.len() + model_id.len() + 48);
        path.push_str(&self.base_path);
        path.push_str("/model/");
        push_encoded(&mut path, model_id);
        path.push_str(match method {
            Method::Converse => "/converse",
            Method::ConverseStream => "/converse-stream",
            Method::CountTokens => "/count-tokens",
        });
        Ok(path)
    }

    /// Request of a call. `auth_headers` authenticate it.
    pub(super) fn request(
        &self,
        method: Method,
        path: String,
        auth_headers: HeaderMap,
        body: Full<Bytes>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = origin_form(path)?;
        let mut headers = auth_headers;
        headers.insert(HOST, self.host.clone());
        headers.insert(USER_AGENT, SWITCHBOARD);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        if method == Method::ConverseStream {
            headers.insert(ACCEPT, EVENT_STREAM);
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Unauthenticated `GET /ping`. Its response does not matter; it only uses a connection.
    pub(super) fn ping(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = origin_form(format!("{}/ping", self.base_path))?;
        request.headers_mut().insert(HOST, self.host.clone());
        request.headers_mut().insert(USER_AGENT, SWITCHBOARD);
        Ok(request)
    }

    /// Scheme, host and port to connect to.
    pub(super) fn origin(&self) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        Uri::from_parts(parts).unwrap_or_default() // cannot fail: no part is missing
    }
}

// === impl SigningScope ===

impl SigningScope {
    /// Scope that the endpoint rules name, else `region` and Bedrock.
    pub(super) fn new(resolved: &ResolvedEndpoint, region: &str) -> Self {
        let schemes = resolved.auth_schemes();
        let scheme = schemes.iter().find(|scheme| scheme.name() == "sigv4");
        let property = |name| scheme?.get(name).and_then(Document::as_string);
        Self {
            region: property("signingRegion").unwrap_or(region).to_owned(),
            service: property("signingName").unwrap_or(SIGNING_SERVICE).to_owned(),
        }
    }
}

/// Request target without scheme and authority, as HTTP/1.1 sends it to the origin server.
fn origin_form(path: String) -> Result<Uri, Failure> {
    let path = PathAndQuery::from_maybe_shared(Bytes::from(path)).map_err(|error| {
        Failure::new(FailureKind::Misconfigured, format!("invalid request path: {error}"))
    })?;
    Ok(Uri::from(path))
}

/// Appends `segment` with everything encoded but RFC 3986's unreserved characters, as AWS requires. That
/// includes the colons and slashes of model ids and ARNs.
pub(super) fn push_encoded(path: &mut String, segment: &str) {
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _infallible = write!(path, "%{byte:02X}");
        }
    }
}
