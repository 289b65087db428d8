//! Switchboard: one gRPC contract in front of every model on Amazon Bedrock.
//!
//! # The life of a call
//!
//! ```text
//!         caller ── HTTP/2, grpc-timeout
//!   edge    │   the connection                            joined.rs; an answer leaves in one write
//!           │   does its reader read?                     reader.rs; beside the body, until it ends
//!           │   is there room for it?                     admission.rs; the permit rides the body
//!           │   what tonic refuses, in our words          edge.rs
//!           ▼   pb::ConverseRequest
//!   service.rs      decode, plan, attempt, relay          record.rs begins here
//!           ▼
//!   route.rs        task type ─▶ RoutePlan [candidate, candidate]
//!           ▼
//!   validate.rs     what no model would accept
//!           ▼   Call
//!   attempt.rs      for each candidate   targets.rs  may it be asked? what was learned of it?
//!           │                            shape.rs    what does this model accept of it?
//!           │                            deadline.rs how long may it take?
//!           │                            failure.rs  try the next, or tell the caller?
//!           ▼   Begun: the first content is in hand, so nothing below can fall back
//!   bedrock.rs      the model speaks                      SDK types stop here
//!           ▼   Stream<ModelEvent>
//!   relay.rs        polled by HTTP/2 flow control; dropped means cancelled
//!           ▼   pb::ConverseStreamResponse
//!         caller    and, as the body ends, the record tells of it: span, metrics, one log line      telemetry.rs
//!           │
//!           ▼         later, by request id: how good was it?   feedback.rs
//! ```
mod admission;
pub mod attempt;
pub mod background;
pub mod bedrock;
pub mod catalogue;
pub mod config;
pub mod cost;
mod edge;
pub mod error;
pub mod feedback;
mod health;
mod joined;
pub mod prices;
mod reader;
pub mod record;
mod relay;
pub mod route;
mod service;
pub mod shape;
pub mod telemetry;
pub mod units;
mod validate;

use admission::AdmissionLayer;
use attempt::{Attempts, targets::Targets};
use bedrock::Models;
use bytesize::ByteSize;
use config::Config;
use feedback::Feedback;
use futures_util::{Stream, TryStreamExt as _};
use health::Health;
use joined::Joined;
use route::Routes;
use service::{Routing, Switchboard};
use std::{error::Error, future::Future, sync::Arc, time::Duration};
use switchboard_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        converse_service_server::ConverseServiceServer, feedback_service_server::FeedbackServiceServer,
        routing_service_server::RoutingServiceServer,
    },
};
use telemetry::Telemetry;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;
use tonic::{
    service::{Routes as Services, RoutesBuilder},
    transport::server::Connected,
};
use tonic_health::ServingStatus;
use tower::util::MapResponseLayer;
use uuid::Uuid;

/// How draining ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every call had finished.
    Clean,
    /// Some had not when the time was over.
    Cut,
}

/// How long what is to be remembered may still take once nothing is served any more.
const LAST_WRITES: Duration = Duration::from_secs(2);

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
    serve_seen(config, routes, models, &Telemetry::default(), incoming, drain).await
}

/// The same, and tells `telemetry` of it.
///
/// # Errors
/// See [`serve`].
pub async fn serve_seen<M, I, IO, E>(
    config: &Config,
    routes: Arc<Routes>,
    models: M,
    telemetry: &Telemetry,
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
    let (feedback, writer) = Feedback::open(&config.feedback, telemetry.judgements(&routes))?;
    let targets = Arc::new(Targets::new(config.breaker, &routes));
    let signals = Arc::new(telemetry.signals(config, &routes, &targets, models.gaps()));
    let attempts = Attempts::new(models, config, &routes, Arc::clone(&targets));
    let calls = Switchboard::new(Arc::clone(&routes), attempts, feedback.clone(), Arc::clone(&signals));
    let explanations = Routing::new(Arc::clone(&routes), Arc::clone(&targets));
    let mut services = services(config, calls, explanations, feedback)?;
    services.add_service(health_service);
    let health = Health::new(health, routes, targets);
    health.set_services(ServingStatus::Serving).await;

    let (told, draining) = oneshot::channel();
    let admission = AdmissionLayer::new(&config.admission, signals);
    let calls = admission.running();
    let readers = TaskTracker::new();
    let watched = {
        let readers = readers.clone();
        move |response| reader::watched(response, &readers)
    };
    let serving = connections(config)
        .layer(MapResponseLayer::new(watched))
        .layer(admission)
        .layer(MapResponseLayer::new(move |response| edge::in_our_words(response, max_request_size)))
        .add_routes(services.routes())
        .serve_with_incoming_shutdown(incoming.map_ok(move |io| Joined::new(io, calls.clone())), async {
            health.follow(drain).await;
            tracing::info!("draining");
            sleep(config.server.drain_delay).await;
            let _ = told.send(());
        });
    let time_is_over = async {
        match draining.await {
            Ok(()) => sleep(config.server.drain_timeout).await,
            Err(_) => std::future::pending().await, // the server ended by itself
        }
    };
    let drained = tokio::select! {
        served = serving => served.map(|()| Drained::Clean).map_err(Into::into),
        () = time_is_over => Ok(Drained::Cut),
    };
    if matches!(drained, Ok(Drained::Clean)) {
        readers.close();
        let _all_told = timeout(LAST_WRITES, readers.wait()).await; // of the last calls
    }
    writer.finish(LAST_WRITES).await;
    drained
}

/// How connections are treated.
///
/// # What tonic does not offer
///
/// - A clock for slow headers, and for a connection's first bytes: hyper has them for HTTP/1 only. The keepalive stands in
///   for the first, for a ping cannot be answered in the midst of a header block. Nothing here ends a connection that
///   never finishes its handshake: what accepts connections must, a load balancer or `incoming`.
/// - A bound on connections. What accepts them, and the process's open files, bound them.
/// - Jitter of the age. Ours is drawn once for each process, so that a fleet which started together does not send its
///   callers away together.
/// - A grace after the age that can be used. With `max_connection_age_grace` tonic 0.14.9 leaves out the GOAWAY and cuts
///   whatever runs when the grace is over. Without it the GOAWAY is sent and calls run to their own end.
fn connections(config: &Config) -> tonic::transport::Server {
    let server = &config.server;
    let some = |time: Duration| (!time.is_zero()).then_some(time);
    let bytes = |size: ByteSize| u32::try_from(size.as_u64()).unwrap_or(u32::MAX); // config.rs has smaller bounds
    let calls = config.tasks.values().map(|task| task.deadline.over(config.deadline).call); // models' have no such clock
    let longest_call = calls.max().unwrap_or(config.deadline.call);
    let builder = tonic::transport::Server::builder()
        .timeout(longest_call.saturating_add(server.upload_timeout))
        .max_concurrent_streams(server.max_calls_per_connection.get())
        .http2_max_header_list_size(bytes(server.max_header_size))
        .initial_stream_window_size(bytes(server.call_window))
        .initial_connection_window_size(bytes(server.connection_window))
        .http2_keepalive_interval(some(server.keepalive_interval))
        .http2_keepalive_timeout(Some(server.keepalive_timeout));
    match some(server.max_connection_age) {
        Some(age) => builder.max_connection_age(jittered(age, Uuid::new_v4().as_u128())),
        None => builder,
    }
}

/// `age`, give or take up to a tenth, as `draw` has it.
fn jittered(age: Duration, draw: u128) -> Duration {
    let thousandths = 900 + u32::try_from(draw % 201).unwrap_or(100);
    (age / 1000).saturating_mul(thousandths)
}

/// The contract's services, and reflection.
fn services<M: Models>(
    config: &Config,
    calls: Switchboard<M>,
    explanations: Routing,
    feedback: Feedback,
) -> Result<RoutesBuilder, tonic_reflection::server::Error> {
    let limit = usize::try_from(config.server.max_request_size.as_u64()).unwrap_or(usize::MAX);
    let mut services = Services::builder();
    services
        .add_service(ConverseServiceServer::new(calls).max_decoding_message_size(limit))
        .add_service(RoutingServiceServer::new(explanations).max_decoding_message_size(limit))
        .add_service(FeedbackServiceServer::new(feedback));
    if config.server.reflection {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_connections_varies_by_a_tenth_at_most() {
        let age = |draw| jittered(Duration::from_secs(1000), draw).as_secs();
        assert_eq!([age(0), age(100), age(200), age(201)], [900, 1000, 1100, 900]);
    }
}
