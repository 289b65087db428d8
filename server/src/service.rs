//! The RPCs: decode, plan, attempt, relay.
use crate::{
    attempt::{Attempts, Call, deadline, skip::Skip, targets::Targets},
    bedrock::Models,
    config::{AfterContent, Deadline, UnknownTasks},
    error::{CallError, Context},
    feedback::Feedback,
    reader::{self, Reader},
    record::{Busy, CallRecord},
    relay::{Relay, anew},
    route::{Candidate, Routes, Task},
    shape::{Asked, Form, shape},
    telemetry::{Reached, Signals},
    validate,
};
use std::sync::Arc;
use switchboard_proto::v1::{
    self as pb, converse_service_server::ConverseService, routing_service_server::RoutingService,
};
use tonic::{Request, Response, Status};

/// Answers calls.
#[derive(Debug)]
pub(crate) struct Switchboard<M> {
    routes: Arc<Routes>,
    attempts: Arc<Attempts<M>>,
    feedback: Feedback,
    signals: Arc<Signals>,
}

/// Explains what calls would do.
#[derive(Debug)]
pub(crate) struct Routing {
    routes: Arc<Routes>,
    targets: Arc<Targets>,
}

// === impl Switchboard ===

impl<M: Models> Switchboard<M> {
    /// Answers by `routes` with the models of `attempts`; `feedback` remembers the answers.
    #[must_use]
    pub(crate) fn new(
        routes: Arc<Routes>,
        attempts: Attempts<M>,
        feedback: Feedback,
        signals: Arc<Signals>,
    ) -> Self {
        Self { routes, attempts: Arc::new(attempts), feedback, signals }
    }

    /// A call has reached its RPC.
    fn begin<T>(&self, method: &'static str, request: &Request<T>, busy: &Busy) -> CallRecord {
        if let Some(reached) = request.extensions().get::<Reached>() {
            reached.mark();
        }
        CallRecord::begin(method, &self.routes, &self.signals, request.metadata(), busy.clone())
    }

    /// The way into every RPC: the task, the checks, the deadline.
    fn accept(
        &self,
        form: Form,
        request: Request<pb::ConverseRequest>,
        record: &mut CallRecord,
    ) -> Result<Call, CallError> {
        let callers = deadline::callers(request.metadata());
        let tried_before = request.metadata().contains_key("grpc-previous-rpc-attempts");
        let request = request.into_inner();
        let plan = self.routes.plan(&request.task_type)?;
        record.resolved(&plan);
        validate::check(&request, &plan.task, form)?;
        let deadline = record.arrived() + deadline::of_call(plan.task.call, callers);
        record.read_by(Reader::new(plan.task.reader, deadline));
        Ok(Call::new(request, plan, deadline, !tried_before))
    }

    async fn answer(
        &self,
        request: Request<pb::ConverseRequest>,
        record: &mut CallRecord,
    ) -> Result<pb::ConverseResponse, CallError> {
        let call = self.accept(Form::Whole, without_stream_settings(request), record)?;
        let answer = self.attempts.whole(&call, &*record).await?;
        let response = answer.response;
        record.served();
        record.saw_answer(&response);
        record.saw_usage(
            response.usage.as_ref(),
            response.service_tier.as_ref(),
            response.performance_config.as_ref(),
        );
        Ok(pb::ConverseResponse {
            route: Some(record.route()),
            latency: Some(record.latency()),
            cost: record.cost(),
            ..response
        })
    }

    async fn count(
        &self,
        request: Request<pb::CountTokensRequest>,
        record: &mut CallRecord,
    ) -> Result<pb::CountTokensResponse, CallError> {
        let (metadata, extensions, counted) = request.into_parts();
        let conversation = conversation(&counted)?;
        let request = Request::from_parts(metadata, extensions, conversation);
        let call = self.accept(Form::Counted, request, record)?;
        let counted = self.attempts.count(&call, &*record, &counted).await?;
        Ok(pb::CountTokensResponse { input_tokens: counted.input_tokens, route: Some(record.route()) })
    }

    async fn stream(
        &self,
        request: Request<pb::ConverseRequest>,
        mut record: CallRecord,
    ) -> Result<Response<Relay<M::Events>>, Status> {
        let begun = async {
            let call = self.accept(Form::Streamed, request, &mut record)?;
            let begun = self.attempts.streamed(&call, &record).await?;
            record.saw_first_content();
            record.served();
            Ok((begun, call))
        };
        match begun.await {
            Ok((begun, call)) => {
                let (deadline, after_content) = (call.deadline(), call.task().after_content);
                let may_restart = after_content == AfterContent::Restart;
                let anew = may_restart.then(|| anew(Arc::clone(&self.attempts), call));
                let reader = record.reader().cloned();
                Ok(reader::streamed(Relay::new(begun, record, deadline, anew), reader))
            }
            Err(error) => Err(record.refused(error)),
        }
    }
}

#[tonic::async_trait]
impl<M: Models> ConverseService for Switchboard<M> {
    async fn converse(
        &self,
        request: Request<pb::ConverseRequest>,
    ) -> Result<Response<pb::ConverseResponse>, Status> {
        let busy = Busy::new();
        let record = self.begin("Converse", &request, &busy);
        let mut record = record.to_be_judged(&self.feedback);
        match busy.track(self.answer(request, &mut record)).await {
            Ok(response) => Ok(reader::whole(response, record)),
            Err(error) => Err(record.refused(error)),
        }
    }

    async fn count_tokens(
        &self,
        request: Request<pb::CountTokensRequest>,
    ) -> Result<Response<pb::CountTokensResponse>, Status> {
        let busy = Busy::new();
        let mut record = self.begin("CountTokens", &request, &busy);
        match busy.track(self.count(request, &mut record)).await {
            Ok(response) => Ok(reader::whole(response, record)),
            Err(error) => Err(record.refused(error)),
        }
    }

    type ConverseStreamStream = Relay<M::Events>;

    async fn converse_stream(
        &self,
        request: Request<pb::ConverseRequest>,
    ) -> Result<Response<Relay<M::Events>>, Status> {
        let busy = Busy::new();
        let record = self.begin("ConverseStream", &request, &busy);
        let record = record.to_be_judged(&self.feedback);
        busy.track(self.stream(request, record)).await
    }
}

/// How a stream is guarded means nothing to a whole answer, and Bedrock's Converse has no such member.
fn without_stream_settings(mut request: Request<pb::ConverseRequest>) -> Request<pb::ConverseRequest> {
    if let Some(guardrail) = &mut request.get_mut().guardrail_config {
        guardrail.stream_processing_mode = None;
    }
    request
}

/// What is counted, as the request that it would be. A body of InvokeModel says nothing that we could read.
fn conversation(counted: &pb::CountTokensRequest) -> Result<pb::ConverseRequest, CallError> {
    use pb::{
        converse_request::AdditionalRequestFields as Sent,
        converse_tokens_request::AdditionalRequestFields as Extra, count_tokens_input::Input,
    };
    let task_type = counted.task_type.clone();
    match counted.input.as_ref().and_then(|input| input.input.as_ref()) {
        None => Err(CallError::invalid("input", "is missing: set converse or invoke_model")),
        Some(Input::InvokeModel(_)) => Ok(pb::ConverseRequest { task_type, ..Default::default() }),
        Some(Input::Converse(conversation)) => Ok(pb::ConverseRequest {
            task_type,
            messages: conversation.messages.clone(),
            system: conversation.system.clone(),
            tool_config: conversation.tool_config.clone(),
            additional_request_fields: conversation.additional_request_fields.clone().map(|fields| {
                match fields {
                    Extra::AdditionalModelRequestFields(fields) => Sent::AdditionalModelRequestFields(fields),
                    Extra::AdditionalModelRequestFieldsJson(json) => {
                        Sent::AdditionalModelRequestFieldsJson(json)
                    }
                }
            }),
            ..Default::default()
        }),
    }
}

// === impl Routing ===

impl Routing {
    /// Explains `routes`, and what is known of their models.
    #[must_use]
    pub(crate) fn new(routes: Arc<Routes>, targets: Arc<Targets>) -> Self {
        Self { routes, targets }
    }

    fn candidates(&self, asked: Asked<'_>) -> Vec<pb::Candidate> {
        let candidates = asked.task.candidates.iter();
        let known = candidates.map(|candidate| pb::Candidate {
            health: self.targets.health(candidate),
            ..candidate_for(asked, candidate)
        });
        known.collect()
    }

    fn task(&self, task: &Task) -> pb::Task {
        let (request, inference) = Default::default();
        let asked = Asked { task, request: &request, inference: &inference, form: Form::Whole };
        pb::Task {
            task_type: task.name.clone(),
            description: task.description.clone(),
            candidates: self.candidates(asked),
            max_tokens: task.max_tokens.get(),
        }
    }

    fn explain(&self, asked: pb::ExplainRouteRequest) -> Result<pb::ExplainRouteResponse, CallError> {
        let whole = asked.request.is_some();
        let mut request = asked.request.unwrap_or_default();
        let task_type = if request.task_type.is_empty() { &asked.task_type } else { &request.task_type };
        let plan = self.routes.plan(task_type)?;
        if whole {
            validate::check(&request, &plan.task, Form::Whole)?;
        }
        let inference = request.inference_config.take().unwrap_or_default();
        let asked = Asked { task: &plan.task, request: &request, inference: &inference, form: Form::Whole };
        let task = &plan.task;
        Ok(pb::ExplainRouteResponse {
            task_type: task.name.clone(),
            resolution: plan.resolution.into(),
            candidates: self.candidates(asked),
            deadlines: task.candidates.first().map(|first| clocks(&first.deadline, task)),
            hedge_after: task.hedge_after.and_then(|after| after.try_into().ok()),
            after_content: match task.after_content {
                AfterContent::Fail => pb::AfterContent::Fail,
                AfterContent::Restart => pb::AfterContent::Restart,
            }
            .into(),
            max_fallback_share: task.max_fallback_share,
            config_version: self.routes.version().to_owned(),
        })
    }
}

#[tonic::async_trait]
impl RoutingService for Routing {
    async fn list_tasks(
        &self,
        _: Request<pb::ListTasksRequest>,
    ) -> Result<Response<pb::ListTasksResponse>, Status> {
        let unknown_tasks = match self.routes.unknown_tasks() {
            UnknownTasks::Default => pb::UnknownTasks::Default,
            UnknownTasks::Refuse => pb::UnknownTasks::Refuse,
        };
        Ok(Response::new(pb::ListTasksResponse {
            tasks: self.routes.tasks().map(|task| self.task(task)).collect(),
            unknown_tasks: unknown_tasks.into(),
            config_version: self.routes.version().to_owned(),
        }))
    }

    async fn explain_route(
        &self,
        request: Request<pb::ExplainRouteRequest>,
    ) -> Result<Response<pb::ExplainRouteResponse>, Status> {
        let explained = self.explain(request.into_inner());
        explained.map(Response::new).map_err(|error| error.into_status(&Context::default()))
    }
}

fn clocks(clocks: &Deadline, task: &Task) -> pb::TaskDeadlines {
    pb::TaskDeadlines {
        headers: clocks.headers.and_then(|headers| headers.try_into().ok()),
        first_content: clocks.first_content.try_into().ok(),
        idle: clocks.idle.try_into().ok(),
        attempt: clocks.attempt.try_into().ok(),
        call: task.call.try_into().ok(),
        reader: task.reader.try_into().ok(),
        floor_tokens_per_second: clocks.floor.map(|floor| floor.tokens_per_second),
    }
}

/// What a candidate would be sent of a request.
fn candidate_for(asked: Asked<'_>, candidate: &Candidate) -> pb::Candidate {
    let known = pb::Candidate {
        name: candidate.name.clone(),
        model_id: candidate.shown_id.clone(),
        region: candidate.region.clone(),
        service_tier: candidate.service_tier.clone().unwrap_or_default(),
        deadlines: Some(clocks(&candidate.deadline, asked.task)),
        catalogue_entry: if candidate.catalogued { candidate.facts.id.clone() } else { String::new() },
        ..Default::default()
    };
    if let Some(skip) = Skip::for_residency(candidate) {
        return pb::Candidate { unmet_requirement: skip.words(), ..known };
    }
    match shape(asked, candidate) {
        Ok(shaped) => pb::Candidate {
            max_tokens: shaped.inference.max_tokens.unwrap_or_default(),
            adjustments: shaped.adjustments,
            ..known
        },
        Err(unmet) => pb::Candidate { unmet_requirement: unmet.lacks, ..known },
    }
}
