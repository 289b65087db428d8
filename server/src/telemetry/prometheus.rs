//! A page for Prometheus: all metrics as text, on a port of its own.
//!
//! It says nothing of prompts and answers, but which models are asked and what they cost; so it listens on loopback unless
//! the configuration says otherwise. Whoever connects gets some seconds to ask; there are few places, and none is waited for.
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

/// How many connections may be open at once.
const MAX_CONNECTIONS: usize = 16;
/// How long one connection may take to send its request's head, and to exist at all.
const MAX_HEADER_READ_TIME: Duration = Duration::from_secs(5);
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(300);

/// Serves the page for as long as it is polled.
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
                tracing::warn!(%error, "prometheus could not be accepted");
                sleep(Duration::from_millis(100)).await; // out of open files: it passes, or it does not
            }
        }
    }
}

async fn connection(registry: Registry, stream: TcpStream) {
    let page = service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&registry, &request))));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(MAX_HEADER_READ_TIME)
        .serve_connection(TokioIo::new(stream), page)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "prometheus went away");
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
            tracing::warn!(%error, "metrics could not be written");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n")
        }
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(TEXT_FORMAT));
    response
}
