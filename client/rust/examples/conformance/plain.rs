//! Calls through the generated stubs and tonic only.
use crate::{
    Result, json,
    protocol::{Call, Reply},
};
use pb::{
    content_block::Block, content_block_delta::Delta, converse_output::Output,
    converse_service_client::ConverseServiceClient, converse_stream_response::Event,
    feedback_service_client::FeedbackServiceClient, routing_service_client::RoutingServiceClient,
};
use prost::Message as _;
use std::{error::Error as _, time::Duration};
use switchboard_proto::v1 as pb;
use tonic::{
    Code, Request, Response, Status, TimeoutExpired,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

/// Maximum size of a message, in bytes. tonic's default of 4 MiB is too small for the suite.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

type Answered<M> = std::result::Result<Response<M>, Status>;

pub(crate) struct Client {
    calls: ConverseServiceClient<Channel>,
    routes: RoutingServiceClient<Channel>,
    feedback: FeedbackServiceClient<Channel>,
}

// === impl Client ===

impl Client {
    pub(crate) fn new(address: &str) -> Result<Self> {
        let channel = Endpoint::from_shared(address.to_owned())?.connect_lazy();
        let calls = ConverseServiceClient::new(channel.clone());
        let calls =
            calls.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES);
        let feedback = FeedbackServiceClient::new(channel.clone());
        let routes = RoutingServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self { calls, routes, feedback })
    }

    pub(crate) async fn call(&self, call: Call) -> Result<Reply> {
        let (mut calls, mut routes) = (self.calls.clone(), self.routes.clone());
        match call.rpc.as_str() {
            "Converse" => self.converse(call).await,
            "ConverseStream" => self.stream(call).await,
            "CountTokens" => {
                let request = json::read("CountTokensRequest", call.request)?;
                unary("CountTokensResponse", calls.count_tokens(within(call.deadline, request)).await)
            }
            "RecordFeedback" => {
                let request = within(call.deadline, json::read("RecordFeedbackRequest", call.request)?);
                unary("RecordFeedbackResponse", self.feedback.clone().record_feedback(request).await)
            }
            "ListTasks" => {
                let request = json::read("ListTasksRequest", call.request)?;
                unary("ListTasksResponse", routes.list_tasks(within(call.deadline, request)).await)
            }
            "ExplainRoute" => {
                let request = json::read("ExplainRouteRequest", call.request)?;
                unary("ExplainRouteResponse", routes.explain_route(within(call.deadline, request)).await)
            }
            other => Err(format!("the contract has no {other}").into()),
        }
    }

    async fn converse(&self, call: Call) -> Result<Reply> {
        let mut calls = self.calls.clone();
        let mut request: pb::ConverseRequest = json::read("ConverseRequest", call.request)?;
        let mut answered = calls.converse(within(call.deadline, request.clone())).await;
        if call.then_history
            && let Ok(first) = &answered
            && let Some(said) = message(first.get_ref())
        {
            let question = json::read(
                "Message",
                serde_json::json!({"role": "user", "content": [{"text": "and now?"}]}),
            )?;
            request.messages.extend([said.clone(), question]);
            answered = calls.converse(within(call.deadline, request)).await;
        }
        let text = answered.as_ref().ok().map(|response| text_of(response.get_ref()));
        let mut reply = unary("ConverseResponse", answered)?;
        if let Some(text) = text {
            reply.set("text", text);
        }
        Ok(reply)
    }

    async fn stream(&self, call: Call) -> Result<Reply> {
        let mut calls = self.calls.clone();
        let request: pb::ConverseRequest = json::read("ConverseRequest", call.request)?;
        let mut events = match calls.converse_stream(within(call.deadline, request)).await {
            Ok(response) => response.into_inner(),
            Err(status) => return Ok(with_status(Reply::default(), &status)),
        };
        let (mut reply, mut text, mut seen) = (Reply::default(), String::new(), 0);
        loop {
            match events.message().await {
                Ok(Some(event)) => {
                    text.push_str(text_delta(&event));
                    reply.push_event(&event)?;
                }
                Ok(None) => break,
                Err(status) => return Ok(with_status(reply, &status)),
            }
            seen += 1;
            if call.cancel_after_events == Some(seen) {
                drop(events);
                reply.set_error(Code::Cancelled, "cancelled by the driver");
                return Ok(reply);
            }
        }
        reply.set("text", text);
        Ok(reply)
    }
}

fn within<T>(deadline: Option<Duration>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(deadline) = deadline {
        request.set_timeout(deadline);
    }
    request
}

fn unary<M: prost::Message>(name: &str, answered: Answered<M>) -> Result<Reply> {
    match answered {
        Ok(response) => Reply::response(name, response.get_ref()),
        Err(status) => Ok(with_status(Reply::default(), &status)),
    }
}

fn message(response: &pb::ConverseResponse) -> Option<&pb::Message> {
    match response.output.as_ref()?.output.as_ref()? {
        Output::Message(message) => Some(message),
    }
}

fn text_of(response: &pb::ConverseResponse) -> String {
    let blocks = message(response).map_or(&[][..], |message| &message.content);
    let texts = blocks.iter().filter_map(|block| match &block.block {
        Some(Block::Text(text)) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn text_delta(event: &pb::ConverseStreamResponse) -> &str {
    let Some(Event::ContentBlockDelta(event)) = &event.event else { return "" };
    match event.delta.as_ref().and_then(|delta| delta.delta.as_ref()) {
        Some(Delta::Text(text)) => text,
        _ => "",
    }
}

fn with_status(mut reply: Reply, status: &Status) -> Reply {
    // tonic reports CANCELLED if its own timer expires first.
    let has_expired = status.source().is_some_and(|source| source.is::<TimeoutExpired>());
    let code = if has_expired { Code::DeadlineExceeded } else { status.code() };
    reply.set_error(code, status.message());
    let details = status.get_error_details();
    reply.add_to_error("reason", details.error_info().map(|info| info.reason.clone()));
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    let delay = delay.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
    reply.add_to_error("retry_delay_ms", delay);
    let violations = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
    let fields = violations.iter().map(|violation| violation.field.clone());
    reply.add_to_error("fields", fields.collect::<Vec<_>>());
    reply.add_to_error("request_id", details.request_info().map(|info| info.request_id.clone()));
    reply.add_to_error("attempts", route_among(status.details()).map(|route| route.attempts.len()));
    reply
}

fn route_among(details: &[u8]) -> Option<pb::Route> {
    let status = tonic_types::Status::decode(details).ok()?;
    let route = status.details.iter().find(|any| any.type_url.ends_with("/switchboard.v1.Route"))?;
    pb::Route::decode(route.value.as_slice()).ok()
}
