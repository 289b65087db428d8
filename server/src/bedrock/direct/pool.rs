//! The pool: connections, opened as calls need them and kept while they may be needed again.
use super::{
    super::ConnectError,
    connection::{AnswerBody, Line, Socket},
    endpoint::Place,
};
use bytes::Bytes;
use http::{Request, Response, Uri, uri::Scheme};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use std::{
    error::Error,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::timeout;
use tower::Service as _;

/// The way to all places.
#[derive(Clone, Debug)]
pub(super) struct Pool(Connector);

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
        Ok(Self(Connector { plain, encrypted, within }))
    }

    /// Over a connection that waits, else a new one. Dropped before it is ready, it closes the connection.
    ///
    /// A request is sent once. One that met a connection which had been closed was not sent, and goes to the next.
    pub(super) async fn request(
        &self,
        place: &Place,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<AnswerBody>, Box<dyn Error + Send + Sync>> {
        loop {
            let waiting = place.shelf.take();
            let had_waited = waiting.is_some();
            let mut line = match waiting {
                Some(line) => line,
                // Boxed: most calls find a connection, and would carry the room for opening one.
                None => Box::pin(self.0.line(place.origin())).await?,
            };
            match line.ask(request).await {
                Ok(answer) => {
                    return Ok(answer.map(|body| AnswerBody::new(body, line, Arc::clone(&place.shelf))));
                }
                Err(mut error) => match error.take_message().filter(|_| had_waited) {
                    Some(back) => request = back,
                    None => return Err(error.into_error().into()),
                },
            }
        }
    }
}

/// HTTP/1.1 only: no other protocol is offered, so none is chosen.
fn encrypted(tcp: HttpConnector) -> io::Result<HttpsConnector<HttpConnector>> {
    let builder = HttpsConnectorBuilder::new().with_native_roots()?;
    Ok(builder.https_only().enable_http1().wrap_connector(tcp))
}

// === impl Connector ===

impl Connector {
    async fn line(&self, origin: Uri) -> Result<Box<Line>, Box<dyn Error + Send + Sync>> {
        Ok(Line::over(self.open(origin).await?).await?)
    }

    async fn open(&self, uri: Uri) -> Result<Socket, Box<dyn Error + Send + Sync>> {
        let too_late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
        match &self.encrypted {
            Some(encrypted) if uri.scheme() == Some(&Scheme::HTTPS) => {
                let connecting = encrypted.clone().call(uri);
                timeout(self.within, connecting).await.map_err(too_late)?
            }
            _ => {
                let connecting = self.plain.clone().call(uri);
                Ok(MaybeHttpsStream::Http(timeout(self.within, connecting).await.map_err(too_late)??))
            }
        }
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
