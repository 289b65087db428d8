//! Switchboard: one gRPC contract in front of every model on Amazon Bedrock.
//!
//! # The life of a call
//!
//! ```text
//!         caller ── HTTP/2, grpc-timeout
//!   edge    │   what tonic refuses, in our words          edge.rs
//!           ▼   pb::ConverseRequest
//!   service.rs      decode, plan, attempt, relay          record.rs begins here
//!           ▼
//!   route.rs        task type ─▶ RoutePlan [candidate, candidate]
//!           ▼
//!   validate.rs     what no model would accept
//!           ▼   Call
//!   attempt.rs      for each candidate   shape.rs    what does this model accept of it?
//!           │                            deadline.rs how long may it take?
//!           │                            failure.rs  try the next, or tell the caller?
//!           ▼   Begun: the first content is in hand, so nothing below can fall back
//!   bedrock.rs      the model speaks                      SDK types stop here
//!           ▼   Stream<ModelEvent>
//!   relay.rs        polled by HTTP/2 flow control; dropped means cancelled
//!           ▼   pb::ConverseStreamResponse
//!         caller    and, as the body ends, the record's one log line
//! ```
pub mod attempt;
pub mod bedrock;
pub mod catalogue;
pub mod config;
mod edge;
pub mod error;
pub mod record;
mod relay;
pub mod route;
mod service;
pub mod shape;
mod validate;

use bedrock::Models;
use config::{Config, Server};
use futures_util::Stream;
use route::Routes;
use service::{Routing, Switchboard};
use std::{error::Error, future::Future, sync::Arc, time::Duration};
use switchboard_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{converse_service_server::ConverseServiceServer, routing_service_server::RoutingServiceServer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    time::sleep,
};
use tonic::{
    server::NamedService,
    service::{Routes as Services, RoutesBuilder},
    transport::server::Connected,
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::util::MapResponseLayer;

/// Idle connections are asked for a sign of life, so that callers who vanished do not hold their streams.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How draining ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every call had finished.
    Clean,
    /// Some had not when the time was over.
    Cut,
}

/// Serves `incoming` until `drain` resolves; then health says NOT_SERVING, no new connection is taken, and what runs may
/// finish within the configured time.
///
/// # Errors
/// When the transport fails as a whole.
pub async fn serve<M, I, IO, E>(
    config: &Config,
    routes: Arc<Routes>,
    models: M,
    incoming: I,
    drain: impl Future<Output = ()>,
) -> Result<Drained, Box<dyn Error + Send + Sync>>
where
    M: Models,
    I: Stream<Item = Result<IO, E>>,
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let (health, health_service) = tonic_health::server::health_reporter();
    let max_request_size = config.server.max_request_size;
    let mut services = services(&config.server, routes, models)?;
    services.add_service(health_service);
    set_all(&health, ServingStatus::Serving).await;

    let (told, draining) = oneshot::channel();
    let serving = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .layer(MapResponseLayer::new(move |response| edge::in_our_words(response, max_request_size)))
        .add_routes(services.routes())
        .serve_with_incoming_shutdown(incoming, async {
            drain.await;
            tracing::info!("draining");
            set_all(&health, ServingStatus::NotServing).await;
            sleep(config.server.drain_delay).await;
            let _ = told.send(());
        });
    let time_is_over = async {
        match draining.await {
            Ok(()) => sleep(config.server.drain_timeout).await,
            Err(_) => std::future::pending().await, // the server ended by itself
        }
    };
    tokio::select! {
        served = serving => served.map(|()| Drained::Clean).map_err(Into::into),
        () = time_is_over => Ok(Drained::Cut),
    }
}

/// The contract's services, and reflection.
fn services<M: Models>(
    server: &Server,
    routes: Arc<Routes>,
    models: M,
) -> Result<RoutesBuilder, tonic_reflection::server::Error> {
    let limit = usize::try_from(server.max_request_size.as_u64()).unwrap_or(usize::MAX);
    let calls = Switchboard::new(Arc::clone(&routes), Arc::new(models));
    let mut services = Services::builder();
    services
        .add_service(ConverseServiceServer::new(calls).max_decoding_message_size(limit))
        .add_service(RoutingServiceServer::new(Routing::new(routes)).max_decoding_message_size(limit));
    if server.reflection {
        services.add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?);
    }
    Ok(services)
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET) // for errors' details
}

/// The state of the server as a whole and of each service.
async fn set_all(health: &HealthReporter, status: ServingStatus) {
    type Calls = ConverseServiceServer<()>;
    type Explanations = RoutingServiceServer<()>;
    for service in ["", <Calls as NamedService>::NAME, <Explanations as NamedService>::NAME] {
        health.set_service_status(service, status).await;
    }
}
