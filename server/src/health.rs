//! Health: what load balancers and operators may ask of `grpc.health.v1`.
//!
//! The server as a whole and its services say SERVING until draining begins. An ill model does not change that: every
//! instance would leave its balancer at once, and with them the models that are well. Whoever wants to know of a task asks
//! for the service `task/NAME`, which says NOT_SERVING while none of its models may be asked.
use crate::{
    attempt::targets::Targets,
    route::{Routes, Task},
};
use std::{
    future::{Future, pending},
    sync::Arc,
};
use switchboard_proto::v1::{
    converse_service_server::ConverseServiceServer, feedback_service_server::FeedbackServiceServer,
    routing_service_server::RoutingServiceServer,
};
use tokio::time::sleep;
use tonic::server::NamedService;
use tonic_health::{ServingStatus, server::HealthReporter};

/// What is told of health.
pub(crate) struct Health {
    reporter: HealthReporter,
    routes: Arc<Routes>,
    targets: Arc<Targets>,
}

// === impl Health ===

impl Health {
    pub(crate) fn new(reporter: HealthReporter, routes: Arc<Routes>, targets: Arc<Targets>) -> Self {
        Self { reporter, routes, targets }
    }

    /// The server as a whole and each of its services.
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

    /// Says SERVING, and keeps the tasks' state true, until `drain` resolves; then nothing serves.
    pub(crate) async fn follow(&self, drain: impl Future<Output = ()>) {
        tokio::select! {
            () = drain => {}
            () = self.follow_breakers() => {}
        }
        self.set_services(ServingStatus::NotServing).await;
        for task in self.routes.tasks() {
            self.reporter.set_service_status(name(task), ServingStatus::NotServing).await;
        }
    }

    async fn follow_breakers(&self) {
        let mut changes = self.targets.changes();
        loop {
            for task in self.routes.tasks() {
                self.reporter.set_service_status(name(task), self.of(task)).await;
            }
            let next_opening = async {
                match self.targets.next_opening() {
                    Some(pause) if !pause.is_zero() => sleep(pause).await,
                    _ => pending().await, // open to whoever comes next: that will be a change
                }
            };
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return pending().await; // unreachable while we hold the targets
                    }
                }
                () = next_opening => {}
            }
        }
    }

    fn of(&self, task: &Task) -> ServingStatus {
        let passable = task
            .candidates
            .iter()
            .any(|candidate| candidate.leaves_to.is_none() && self.targets.is_passable(candidate));
        if passable { ServingStatus::Serving } else { ServingStatus::NotServing }
    }
}

fn name(task: &Task) -> String {
    format!("task/{}", task.name)
}
