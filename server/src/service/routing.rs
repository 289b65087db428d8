//! `RoutingService`: which models serve which task, without calling any.
use crate::{
    attempt,
    config::{AfterContent, Deadline, UnknownTasks},
    error::{CallError, Context},
    route::{Candidate, Skip, Task},
    rpc::Method,
    shape::{ShapeInput, shape},
    snapshot::{Snapshot, Snapshots},
    validate,
};
use std::sync::Arc;
use switchboard_proto::v1::{self as pb, routing_service_server::RoutingService};
use tonic::{Request, Response, Status};

/// Explains what calls would do.
#[derive(Debug)]
pub(crate) struct Routing {
    snapshots: Snapshots,
}

// === impl Routing ===

impl Routing {
    #[must_use]
    pub(crate) fn new(snapshots: Snapshots) -> Self {
        Self { snapshots }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }
}

#[tonic::async_trait]
impl RoutingService for Routing {
    async fn list_tasks(
        &self,
        _: Request<pb::ListTasksRequest>,
    ) -> Result<Response<pb::ListTasksResponse>, Status> {
        let snapshot = self.snapshot();
        let unknown_tasks = match snapshot.routes.unknown_tasks() {
            UnknownTasks::Default => pb::UnknownTasks::Default,
            UnknownTasks::Refuse => pb::UnknownTasks::Refuse,
        };
        Ok(Response::new(pb::ListTasksResponse {
            tasks: snapshot.routes.tasks().map(task).collect(),
            unknown_tasks: unknown_tasks.into(),
            config_version: snapshot.version.clone(),
        }))
    }

    async fn explain_route(
        &self,
        request: Request<pb::ExplainRouteRequest>,
    ) -> Result<Response<pb::ExplainRouteResponse>, Status> {
        let explained = explain(&self.snapshot(), request.into_inner());
        explained.map(Response::new).map_err(|error| error.into_status(&Context::default()))
    }
}

fn task(task: &Task) -> pb::Task {
    let (request, inference) = Default::default();
    let input = ShapeInput { task, request: &request, inference: &inference, method: Method::Converse };
    pb::Task {
        task_type: task.name.clone(),
        description: task.description.clone(),
        candidates: task.candidates.iter().map(|it| candidate(input, it)).collect(),
        max_tokens: task.max_tokens.get(),
    }
}

fn explain(
    snapshot: &Snapshot,
    explained: pb::ExplainRouteRequest,
) -> Result<pb::ExplainRouteResponse, CallError> {
    let has_request = explained.request.is_some();
    let mut request = explained.request.unwrap_or_default();
    let task_type = if request.task_type.is_empty() { &explained.task_type } else { &request.task_type };
    let plan = snapshot.routes.plan(task_type)?;
    if has_request {
        validate::check(&request, &plan.task, Method::Converse)?;
    }
    let inference = request.inference_config.take().unwrap_or_default();
    let task = &*plan.task;
    let input = ShapeInput { task, request: &request, inference: &inference, method: Method::Converse };
    let after_content = match task.after_content {
        AfterContent::Fail => pb::AfterContent::Fail,
        AfterContent::Restart => pb::AfterContent::Restart,
    };
    Ok(pb::ExplainRouteResponse {
        task_type: task.name.clone(),
        resolution: plan.resolution.into(),
        candidates: attempt::order(&plan.candidates).into_iter().map(|it| candidate(input, it)).collect(),
        deadlines: plan.candidates.first().map(|first| deadlines(&first.deadline, task)),
        hedge_after: task.hedge_after.and_then(|after| after.try_into().ok()),
        after_content: after_content.into(),
        max_fallback_share: task.max_fallback_share,
        config_version: snapshot.version.clone(),
    })
}

fn deadlines(timeouts: &Deadline, task: &Task) -> pb::TaskDeadlines {
    pb::TaskDeadlines {
        headers: timeouts.headers.and_then(|headers| headers.try_into().ok()),
        first_content: timeouts.first_content.try_into().ok(),
        idle: timeouts.idle.try_into().ok(),
        attempt: timeouts.attempt.try_into().ok(),
        call: task.call.try_into().ok(),
        reader: task.reader.try_into().ok(),
        floor_tokens_per_second: timeouts.floor.map(|floor| floor.tokens_per_second),
    }
}

/// What would be sent to a candidate.
fn candidate(input: ShapeInput<'_>, candidate: &Candidate) -> pb::Candidate {
    let deployment = &candidate.deployment;
    let known = pb::Candidate {
        name: deployment.name.clone(),
        model_id: deployment.shown_id.clone(),
        region: deployment.key.region.clone(),
        service_tier: deployment.key.service_tier.clone().unwrap_or_default(),
        deadlines: Some(deadlines(&candidate.deadline, input.task)),
        catalogue_entry: if candidate.catalogued { candidate.facts.id.clone() } else { String::new() },
        health: Some(deployment.health()),
        ..Default::default()
    };
    if let Some(skip) = Skip::for_residency(candidate) {
        return pb::Candidate { unmet_requirement: skip.explanation(), ..known };
    }
    match shape(input, candidate) {
        Ok(shaped) => pb::Candidate {
            max_tokens: shaped.inference.max_tokens.unwrap_or_default(),
            adjustments: shaped.adjustments,
            ..known
        },
        Err(unmet) => pb::Candidate { unmet_requirement: unmet.lacks, ..known },
    }
}
