//! The server: the layers in order, and the drain.
use crate::{
    attempt::Attempts,
    catalogue::Catalogue,
    config::Config,
    deployment::Registry,
    edge::{
        admission::AdmissionLayer, decode_errors::RequestLimits, record::RecordLayer, slow_consumer,
        write_coalescing::CoalescingIo,
    },
    feedback::Feedback,
    model::Models,
    service::{converse::Converse, feedback::Judgements, health::Health, routing::Routing},
    snapshot::{Snapshot, Snapshots},
    telemetry::Telemetry,
};
use bytesize::ByteSize;
use futures_util::{Stream, TryStreamExt as _};
use std::{error::Error, future::Future, sync::Arc, time::Duration};
use switchboard_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        converse_service_server::ConverseServiceServer, feedback_service_server::FeedbackServiceServer,
        routing_service_server::RoutingServiceServer,
    },
};
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
    /// Some calls were cut off when the drain timeout was over.
    Cut,
}

/// Time for the last records and for the feedback store once nothing is served any more.
const FINAL_WRITES: Duration = Duration::from_secs(2);

/// What a server consists of.
#[derive(Debug)]
pub struct Parts<'a, M> {
    /// Settings of the process, which do not change while it runs.
    pub config: &'a Config,
    /// What calls are served by.
    pub snapshots: Snapshots,
    /// What carries learned state between snapshots.
    pub registry: Registry,
    /// What answers.
    pub models: M,
    /// Where traces and metrics go.
    pub telemetry: &'a Telemetry,
}

impl<'a, M> Parts<'a, M> {
    /// The parts of a server whose configuration does not change. Models without a region are called in
    /// `default_region`.
    #[must_use]
    pub fn fixed(
        config: &'a Config,
        catalogue: &Catalogue,
        default_region: &str,
        models: M,
        telemetry: &'a Telemetry,
    ) -> Self {
        let registry = Registry::default();
        let snapshots = Snapshot::build(config, catalogue, default_region, &registry).fixed();
        Self { config, snapshots, registry, models, telemetry }
    }
}

/// Serves `incoming` until `drain` resolves. Then health says NOT_SERVING, no new connection is accepted, and
/// running calls may finish within the configured time.
///
/// # Errors
/// When the transport fails as a whole.
pub async fn serve<M, I, IO, E>(
    parts: Parts<'_, M>,
    incoming: I,
    drain: impl Future<Output = ()>,
) -> Result<Drained, Box<dyn Error + Send + Sync>>
where
    M: Models,
    I: Stream<Item = Result<IO, E>>,
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let Parts { config, snapshots, registry, models, telemetry } = parts;
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let (feedback, writer) = Feedback::open(&config.feedback, telemetry.judgement_sink(&snapshots))?;
    let observability = Arc::new(telemetry.observability(&snapshots, models.unknown_members()));
    let calls = Converse::new(Attempts::new(models), feedback.clone());
    let mut services = services(config, calls, Routing::new(snapshots.clone()), Judgements(feedback))?;
    services.add_service(health_service);
    let health = Health::new(reporter, snapshots.clone(), registry);
    health.set_services(ServingStatus::Serving).await;

    let (started, draining) = oneshot::channel();
    let monitors = TaskTracker::new();
    let guard = {
        let monitors = monitors.clone();
        move |response| slow_consumer::guard(response, &monitors)
    };
    let limits = RequestLimits {
        max_size: config.server.max_request_size,
        upload_timeout: config.server.upload_timeout,
    };
    let serving = connections(config, &snapshots)
        .layer(RecordLayer::new(snapshots, Arc::clone(&observability), limits))
        .layer(MapResponseLayer::new(guard))
        .layer(AdmissionLayer::new(&config.admission))
        .add_routes(services.routes())
        .serve_with_incoming_shutdown(incoming.map_ok(CoalescingIo::new), async {
            health.follow(drain).await;
            tracing::info!("draining");
            sleep(config.server.drain_delay).await;
            let _ = started.send(());
        });
    let drain_timeout = async {
        match draining.await {
            Ok(()) => sleep(config.server.drain_timeout).await,
            Err(_) => std::future::pending().await, // the server ended by itself
        }
    };
    let drained = tokio::select! {
        served = serving => served.map(|()| Drained::Clean).map_err(Into::into),
        () = drain_timeout => Ok(Drained::Cut),
    };
    if matches!(drained, Ok(Drained::Clean)) {
        monitors.close();
        let _records_ended = timeout(FINAL_WRITES, monitors.wait()).await;
    } else {
        observability.cut_off(); // the calls end when the runtime drops them
    }
    writer.finish(FINAL_WRITES).await;
    drained
}

/// Settings of connections.
///
/// # What tonic does not offer
///
/// - A timeout for slow headers, and for the first bytes of a connection: hyper has them for HTTP/1 only. The
///   keepalive covers the first case, because a ping cannot be answered in the middle of a header block.
///   Nothing here ends a connection that never finishes its HTTP/2 handshake: a load balancer or `incoming`
///   must.
/// - A limit on connections. What accepts them, and the process's open files, limit them.
/// - Jitter of the connection age. Ours is drawn once for each process, so that instances that started
///   together do not close their connections together.
/// - A usable grace period after the age. With `max_connection_age_grace` tonic 0.14.9 sends no GOAWAY and
///   cuts off running calls when the grace period is over. Without it the GOAWAY is sent and calls run to
///   their own end.
fn connections(config: &Config, snapshots: &Snapshots) -> tonic::transport::Server {
    let server = &config.server;
    let some = |time: Duration| (!time.is_zero()).then_some(time);
    let bytes = |size: ByteSize| u32::try_from(size.as_u64()).unwrap_or(u32::MAX); // the configuration has smaller bounds
    let longest_call = snapshots.borrow().routes.longest_call().unwrap_or(config.deadline.call);
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

/// `age` plus or minus up to a tenth, by the random number `draw`.
fn jittered(age: Duration, draw: u128) -> Duration {
    let thousandths = 900 + u32::try_from(draw % 201).unwrap_or(100);
    (age / 1000).saturating_mul(thousandths)
}

/// The contract's services, and reflection.
fn services<M: Models>(
    config: &Config,
    calls: Converse<M>,
    routing: Routing,
    feedback: Judgements,
) -> Result<RoutesBuilder, tonic_reflection::server::Error> {
    let limit = usize::try_from(config.server.max_request_size.as_u64()).unwrap_or(usize::MAX);
    let mut services = Services::builder();
    services
        .add_service(ConverseServiceServer::new(calls).max_decoding_message_size(limit))
        .add_service(RoutingServiceServer::new(routing).max_decoding_message_size(limit))
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
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET) // for the details of errors
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
