//! The pool: connections, opened as calls need them and kept while they may be needed again.
use super::{super::ConnectError, place::Place};
use bytes::Bytes;
use http::{Request, Response, Uri, uri::Scheme};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use std::{
    error::Error as StdError,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};
use tower::Service;

/// How long a connection may wait for its next call. The SDK's figure.
const IDLE: Duration = Duration::from_secs(90);

/// Connections to every region. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Pool(Client<Connector, Full<Bytes>>);

/// The body of an answer; it holds its connection until its end. Dropped before, it closes the connection.
#[derive(Debug)]
pub(in super::super) struct AnswerBody {
    body: Incoming,
    _in_use: OneMore,
}

/// How many of a region's connections are busy.
#[derive(Debug, Default)]
pub(super) struct InUse {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One busy connection.
#[derive(Debug)]
pub(super) struct OneMore(Arc<InUse>);

/// Opens connections, within a time that covers all of it: name, TCP and TLS.
#[derive(Clone, Debug)]
struct Connector {
    plain: HttpConnector,
    /// Absent: no endpoint needs it, so the system's certificates were not read.
    encrypted: Option<HttpsConnector<HttpConnector>>,
    within: Duration,
}

// === impl Pool ===

impl Pool {
    pub(super) fn new<'a>(
        within: Duration,
        mut places: impl Iterator<Item = &'a Place>,
    ) -> Result<Self, ConnectError> {
        let mut plain = HttpConnector::new();
        plain.set_nodelay(true);
        plain.enforce_http(false);
        let encrypted = match places.find(|place| place.is_encrypted()) {
            Some(place) => Some(encrypted(plain.clone()).map_err(|error| ConnectError::Unreachable {
                region: place.region.clone(),
                endpoint: place.host().to_owned(),
                cause: error.to_string(),
            })?),
            None => None,
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(Connector { plain, encrypted, within });
        Ok(Self(client))
    }

    /// Over a connection that waits, else a new one. Dropped before it is ready, it closes the connection.
    pub(super) fn request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<Incoming>, Error>> + Send + 'static {
        self.0.request(request)
    }
}

/// HTTP/1.1 only: no other protocol is offered, so none is chosen.
fn encrypted(tcp: HttpConnector) -> io::Result<HttpsConnector<HttpConnector>> {
    let builder = HttpsConnectorBuilder::new().with_native_roots()?;
    Ok(builder.https_only().enable_http1().wrap_connector(tcp))
}

// === impl Connector ===

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(())) // both always are
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let within = self.within;
        let too_late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
        match &mut self.encrypted {
            Some(encrypted) if uri.scheme() == Some(&Scheme::HTTPS) => {
                let connecting = encrypted.call(uri);
                Box::pin(async move { timeout(within, connecting).await.map_err(too_late)? })
            }
            _ => {
                let connecting = self.plain.call(uri);
                Box::pin(async move {
                    let connected = timeout(within, connecting).await.map_err(too_late)?;
                    Ok(MaybeHttpsStream::Http(connected?))
                })
            }
        }
    }
}

// === impl AnswerBody ===

impl AnswerBody {
    pub(super) fn new(body: Incoming, in_use: OneMore) -> Self {
        Self { body, _in_use: in_use }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl InUse ===

impl InUse {
    pub(super) fn one_more(self: &Arc<Self>) -> OneMore {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(now, Relaxed);
        OneMore(Arc::clone(self))
    }

    /// The most that were busy at once since this was last asked.
    pub(super) fn most(&self) -> usize {
        self.most.swap(self.now.load(Relaxed), Relaxed)
    }
}

impl Drop for OneMore {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Relaxed);
    }
}
