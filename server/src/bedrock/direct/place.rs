//! A region's endpoint: what all requests to it have in common.
use super::{
    super::{ConnectError, engine::Operation, source::Source},
    line::Shelf,
    pool::InUse,
    sign::Scope,
};
use crate::failure::{Failure, FailureKind};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::Full;
use std::{fmt::Write as _, sync::Arc};

/// The content type of every request, which is signed too.
pub(super) const JSON: &str = "application/json";
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");
const OURSELVES: HeaderValue = HeaderValue::from_static(concat!("switchboard/", env!("CARGO_PKG_VERSION")));

/// Where a region's requests go.
#[derive(Debug)]
pub(super) struct Place {
    /// The region.
    pub(super) region: String,
    scheme: Scheme,
    authority: Authority,
    /// What comes before every path: nothing, unless the endpoint is a proxy's.
    base: String,
    host: HeaderValue,
    /// For whom requests are signed.
    pub(super) scope: Scope,
    /// How many connections are busy.
    pub(super) in_use: Arc<InUse>,
    /// Those that wait for calls.
    pub(super) shelf: Arc<Shelf>,
}

// === impl Place ===

impl Place {
    pub(super) async fn find(source: &Source, region: &str) -> Result<Self, ConnectError> {
        let found = source.endpoint(region).await.and_then(|endpoint| {
            let place = Self::at(endpoint.url(), Scope::of(&endpoint, region), region);
            place.ok_or_else(|| format!("{} is not a URL", endpoint.url()))
        });
        found.map_err(|cause| ConnectError::Unreachable {
            region: region.to_owned(),
            endpoint: String::new(),
            cause,
        })
    }

    /// `None` for what is not a URL with a host.
    pub(super) fn at(url: &str, scope: Scope, region: &str) -> Option<Self> {
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
            base: url.path().trim_end_matches('/').to_owned(),
            host: HeaderValue::from_maybe_shared(Bytes::from(host)).ok()?,
            scope,
            in_use: Arc::default(),
            shelf: Arc::default(),
        })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The `host` header.
    pub(super) fn host(&self) -> &str {
        self.host.to_str().unwrap_or_default()
    }

    /// The path of a call, encoded as it goes out.
    pub(super) fn path(&self, operation: Operation, model_id: &str) -> Result<String, Failure> {
        if model_id.is_empty() {
            return Err(Failure::new(FailureKind::Misconfigured, "the model has no id"));
        }
        let mut path = String::with_capacity(self.base.len() + model_id.len() + 48);
        path.push_str(&self.base);
        path.push_str("/model/");
        push_encoded(&mut path, model_id);
        path.push_str(match operation {
            Operation::Converse => "/converse",
            Operation::ConverseStream => "/converse-stream",
            Operation::CountTokens => "/count-tokens",
        });
        Ok(path)
    }

    /// A call, with the headers that say who we are.
    pub(super) fn request(
        &self,
        operation: Operation,
        path: String,
        proof: HeaderMap,
        body: Full<Bytes>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target(path)?;
        let mut headers = proof;
        headers.insert(HOST, self.host.clone());
        headers.insert(USER_AGENT, OURSELVES);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        if operation == Operation::ConverseStream {
            headers.insert(ACCEPT, EVENT_STREAM);
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// A request that asks for nothing: what counts is that a connection has carried it.
    pub(super) fn ping(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = target(format!("{}/ping", self.base))?;
        request.headers_mut().insert(HOST, self.host.clone());
        request.headers_mut().insert(USER_AGENT, OURSELVES);
        Ok(request)
    }

    /// Where connections are opened to.
    pub(super) fn origin(&self) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        Uri::from_parts(parts).unwrap_or_default() // there is all that it takes
    }
}

/// A path, as the first line of a request has it.
fn target(path: String) -> Result<Uri, Failure> {
    let path = PathAndQuery::from_maybe_shared(Bytes::from(path))
        .map_err(|error| Failure::new(FailureKind::Misconfigured, format!("no URI: {error}")))?;
    Ok(Uri::from(path))
}

/// A path as it is signed: without empty and dot segments, and each other one encoded once more.
pub(super) fn canonical(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut canonical = String::with_capacity(path.len() + 8);
    for segment in segments {
        canonical.push('/');
        push_encoded(&mut canonical, segment);
    }
    canonical
}

/// Everything but RFC 3986's unreserved characters, as AWS wants it: the colons and slashes of ids and ARNs too.
fn push_encoded(path: &mut String, label: &str) {
    for byte in label.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _infallible = write!(path, "%{byte:02X}");
        }
    }
}
