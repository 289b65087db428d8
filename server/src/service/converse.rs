//! `ConverseService`: decode, plan, attempt, relay.
use crate::{
    attempt::{Attempts, Call, deadline},
    config::AfterContent,
    edge::slow_consumer::{stream_response, unary_response},
    error::{CallError, Context},
    feedback::Feedback,
    model::Models,
    record::{CallRecord, Consumer, RecordSlot, Report},
    relay::{Relay, restart},
    rpc::Method,
    validate,
};
use std::sync::Arc;
use switchboard_proto::v1::{self as pb, converse_service_server::ConverseService};
use tonic::{Request, Response, Status};

/// Answers calls.
#[derive(Debug)]
pub(crate) struct Converse<M> {
    attempts: Arc<Attempts<M>>,
    feedback: Feedback,
}

// === impl Converse ===

impl<M: Models> Converse<M> {
    /// Answers with the models of `attempts`; `feedback` is accepted on the answers.
    #[must_use]
    pub(crate) fn new(attempts: Attempts<M>, feedback: Feedback) -> Self {
        Self { attempts: Arc::new(attempts), feedback }
    }

    /// The way into every RPC: the task, the checks, the deadline.
    fn accept(
        method: Method,
        request: Request<pb::ConverseRequest>,
        record: &mut CallRecord,
    ) -> Result<Call, CallError> {
        let caller_timeout = deadline::callers(request.metadata());
        let tried_before = request.metadata().contains_key("grpc-previous-rpc-attempts");
        let request = request.into_inner();
        let snapshot = Arc::clone(record.snapshot());
        let plan = snapshot.routes.plan(&request.task_type)?;
        record.resolved(&plan);
        validate::check(&request, &plan.task, method)?;
        let deadline = record.arrived() + deadline::of_call(plan.task.call, caller_timeout);
        record.set_consumer(Consumer::new(plan.task.reader, deadline));
        Ok(Call::new(request, plan, snapshot, deadline, !tried_before))
    }

    async fn answer(
        &self,
        request: Request<pb::ConverseRequest>,
        record: &mut CallRecord,
    ) -> Result<pb::ConverseResponse, CallError> {
        let call = Self::accept(Method::Converse, without_stream_settings(request), record)?;
        let (answer, mut attempt) = self.attempts.unary(&call, record).await?;
        let response = answer.response;
        record.accept_feedback();
        record.saw_stop_reason(response.stop_reason());
        attempt.record.saw_stop(&response.raw_stop_reason);
        attempt.record.saw_answer(&response);
        attempt.completed(Report {
            usage: response.usage.as_ref(),
            tier: response.service_tier.as_ref(),
            performance: response.performance_config.as_ref(),
        });
        record.saw_usage(response.usage.as_ref());
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
        let call = Self::accept(Method::CountTokens, request, record)?;
        let (counted, attempt) = self.attempts.count(&call, record, &counted).await?;
        attempt.completed(Report::default());
        Ok(pb::CountTokensResponse { input_tokens: counted.input_tokens, route: Some(record.route()) })
    }

    async fn stream(
        &self,
        request: Request<pb::ConverseRequest>,
        mut record: CallRecord,
    ) -> Result<Response<Relay<M::Events>>, Status> {
        let answered = async {
            let call = Self::accept(Method::ConverseStream, request, &mut record)?;
            let answered = self.attempts.stream(&call, &record).await?;
            record.saw_first_content();
            record.accept_feedback();
            Ok((answered, call))
        };
        match answered.await {
            Ok((answered, call)) => {
                let (deadline, after_content) = (call.deadline(), call.task().after_content);
                let may_restart = after_content == AfterContent::Restart;
                let restart = may_restart.then(|| restart(Arc::clone(&self.attempts), call));
                let consumer = record.consumer().cloned();
                Ok(stream_response(Relay::new(answered, record, deadline, restart), consumer))
            }
            Err(error) => Err(record.failed(error)),
        }
    }
}

#[tonic::async_trait]
impl<M: Models> ConverseService for Converse<M> {
    async fn converse(
        &self,
        request: Request<pb::ConverseRequest>,
    ) -> Result<Response<pb::ConverseResponse>, Status> {
        let (slot, mut record) = claim(&request)?;
        record.set_feedback(&self.feedback);
        let timer = record.timer().clone();
        match timer.track(self.answer(request, &mut record)).await {
            Ok(response) => Ok(unary_response(response, record, slot)),
            Err(error) => Err(record.failed(error)),
        }
    }

    async fn count_tokens(
        &self,
        request: Request<pb::CountTokensRequest>,
    ) -> Result<Response<pb::CountTokensResponse>, Status> {
        let (slot, mut record) = claim(&request)?;
        let timer = record.timer().clone();
        match timer.track(self.count(request, &mut record)).await {
            Ok(response) => Ok(unary_response(response, record, slot)),
            Err(error) => Err(record.failed(error)),
        }
    }

    type ConverseStreamStream = Relay<M::Events>;

    async fn converse_stream(
        &self,
        request: Request<pb::ConverseRequest>,
    ) -> Result<Response<Relay<M::Events>>, Status> {
        let (_, mut record) = claim(&request)?;
        record.set_feedback(&self.feedback);
        let timer = record.timer().clone();
        timer.track(self.stream(request, record)).await
    }
}

/// The record that the edge has begun, and the slot to return it to.
fn claim<T>(request: &Request<T>) -> Result<(RecordSlot, CallRecord), Status> {
    let slot = request.extensions().get::<RecordSlot>().cloned();
    let claimed = slot.and_then(|slot| slot.claim().map(|record| (slot, record)));
    claimed.ok_or_else(|| CallError::Internal.into_status(&Context::default()))
}

/// Removes the setting of how a stream is guarded: Bedrock's Converse has no such member.
fn without_stream_settings(mut request: Request<pb::ConverseRequest>) -> Request<pb::ConverseRequest> {
    if let Some(guardrail) = &mut request.get_mut().guardrail_config {
        guardrail.stream_processing_mode = None;
    }
    request
}

/// The conversation whose tokens are counted. A body of InvokeModel is opaque to us.
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
