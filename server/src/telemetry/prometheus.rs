//! The Prometheus endpoint: all metrics as text, on a port of its own.
//!
//! The metrics contain no prompts and answers, but they reveal which models are called and what they cost, so
//! the endpoint listens on loopback unless the configuration names another address. Connections have a few
//! seconds to send a request. Connections above the maximum are closed at once; they do not wait.
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Encoder as _, Registry, TEXT_FORMAT, TextEncoder};
use std::{convert::Infallible, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Maximum number of concurrent connections.
const MAX_CONNECTIONS: usize = 16;
/// Maximum time for a connection to send the head of a request.
const MAX_HEAD_TIME: Duration = Duration::from_secs(5);
/// Maximum age of a connection.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(300);
/// Pause after a failure to accept a connection, for example when all file descriptors are in use.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Serves the metrics until the future is dropped.
pub(super) async fn serve(registry: &Registry, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                while connections.try_join_next().is_some() {}
                if connections.len() < MAX_CONNECTIONS {
                    connections.spawn(timeout(MAX_CONNECTION_AGE, connection(registry.clone(), stream)));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection of prometheus");
                sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

async fn connection(registry: Registry, stream: TcpStream) {
    let page = service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&registry, &request))));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(MAX_HEAD_TIME)
        .serve_connection(TokioIo::new(stream), page)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection of prometheus failed");
    }
}

fn answer(registry: &Registry, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => page(registry),
        (_, "/metrics") => text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n"),
        _ => text(StatusCode::NOT_FOUND, "the metrics are at /metrics\n"),
    }
}

fn page(registry: &Registry) -> Response<Full<Bytes>> {
    let mut page = Vec::new();
    match TextEncoder::new().encode(&registry.gather(), &mut page) {
        Ok(()) => text(StatusCode::OK, page),
        Err(error) => {
            tracing::warn!(%error, "cannot encode the metrics");
            text(StatusCode::INTERNAL_SERVER_ERROR, "cannot encode the metrics\n")
        }
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(TEXT_FORMAT));
    response
}
