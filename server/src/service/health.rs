//! Health: the answers of `grpc.health.v1` for load balancers and operators.
//!
//! The server as a whole and its services are SERVING until draining begins. An unhealthy model does not
//! change that: every instance would leave its load balancer at once, and with them the models that are
//! healthy. The service `task/NAME` is NOT_SERVING while none of the task's models may be called.
use crate::{
    deployment::Registry,
    route::{Routes, Task},
    snapshot::Snapshots,
};
use std::{
    collections::BTreeSet,
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};
use switchboard_proto::v1::{
    converse_service_server::ConverseServiceServer, feedback_service_server::FeedbackServiceServer,
    routing_service_server::RoutingServiceServer,
};
use tokio::time::sleep;
use tonic::server::NamedService;
use tonic_health::{ServingStatus, server::HealthReporter};

/// Keeps the reported health up to date.
pub(crate) struct Health {
    reporter: HealthReporter,
    snapshots: Snapshots,
    registry: Registry,
}

// === impl Health ===

impl Health {
    pub(crate) fn new(reporter: HealthReporter, snapshots: Snapshots, registry: Registry) -> Self {
        Self { reporter, snapshots, registry }
    }

    /// Sets the status of the server as a whole and of each service.
    pub(crate) async fn set_services(&self, status: ServingStatus) {
        type Calls = ConverseServiceServer<()>;
        type Explanations = RoutingServiceServer<()>;
        type Judgements = FeedbackServiceServer<()>;
        let services = [
            "",
            <Calls as NamedService>::NAME,
            <Explanations as NamedService>::NAME,
            <Judgements as NamedService>::NAME,
        ];
        for service in services {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// Reports SERVING, and the status of every task, until `drain` resolves. Then nothing is SERVING.
    pub(crate) async fn follow(&self, drain: impl Future<Output = ()>) {
        let mut reported = BTreeSet::new();
        tokio::select! {
            () = drain => {}
            () = self.follow_tasks(&mut reported) => {}
        }
        self.set_services(ServingStatus::NotServing).await;
        for service in reported {
            self.reporter.set_service_status(service, ServingStatus::NotServing).await;
        }
    }

    /// Follows the breakers and the configuration. Tasks that the configuration no longer names are cleared.
    async fn follow_tasks(&self, reported: &mut BTreeSet<String>) {
        let mut breakers = self.registry.changes();
        let mut snapshots = self.snapshots.clone();
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            let current: BTreeSet<_> = snapshot.routes.tasks().map(service_name).collect();
            for removed in reported.difference(&current) {
                self.reporter.clone().clear_service_status(removed).await;
            }
            for task in snapshot.routes.tasks() {
                self.reporter.set_service_status(service_name(task), status(task)).await;
            }
            *reported = current;
            let next_probe = async {
                match next_probe(&snapshot.routes) {
                    Some(pause) if !pause.is_zero() => sleep(pause).await,
                    _ => pending().await, // the next call may probe: that will be a change
                }
            };
            tokio::select! {
                changed = breakers.changed() => {
                    if changed.is_err() {
                        return pending().await; // unreachable while we hold the registry
                    }
                }
                () = changed(&mut snapshots) => {}
                () = next_probe => {}
            }
        }
    }
}

/// Resolves when there is another snapshot; never, when there cannot be one.
async fn changed(snapshots: &mut Snapshots) {
    if snapshots.changed().await.is_err() {
        pending().await
    }
}

/// Time until an open breaker lets a probe through. `None`: no breaker is open.
fn next_probe(routes: &Routes) -> Option<Duration> {
    routes.deployments().filter_map(|deployment| deployment.reopens_in()).min()
}

fn status(task: &Task) -> ServingStatus {
    let is_available = task
        .candidates
        .iter()
        .any(|candidate| candidate.leaves_to.is_none() && candidate.deployment.is_available());
    if is_available { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn service_name(task: &Task) -> String {
    format!("task/{}", task.name)
}
