//! Accepts telemetry over OTLP (HTTP or gRPC) and discards it without decoding, which would use the core of
//! the load.
use crate::Result;
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    HeaderMap, Request, Response, Version,
    body::{Frame, Incoming},
    header::HeaderValue,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::net::SocketAddr;
use tokio::{net::TcpListener, task::spawn_local};

#[derive(Debug, Args)]
pub(crate) struct Sink {
    #[arg(long)]
    listen: SocketAddr,
}

/// An empty gRPC message: all members of the response have their defaults.
const EMPTY: &[u8] = &[0; 5];

impl Sink {
    pub(crate) async fn run(self) -> Result {
        let listener = TcpListener::bind(self.listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            spawn_local(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ended = server.serve_connection(TokioIo::new(stream), service_fn(discard)).await;
            });
        }
    }
}

async fn discard(
    request: Request<Incoming>,
) -> std::result::Result<Response<impl hyper::body::Body<Data = Bytes, Error = hyper::Error>>, hyper::Error> {
    let is_grpc = request.version() == Version::HTTP_2;
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = match is_grpc {
        true => vec![Frame::data(Bytes::from_static(EMPTY)), Frame::trailers(trailers)],
        false => vec![],
    };
    let frames = frames.into_iter().map(Ok);
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
    let content_type = if is_grpc { "application/grpc" } else { "application/x-protobuf" };
    response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    Ok(response)
}
