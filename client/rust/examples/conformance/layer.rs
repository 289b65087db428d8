//! Calls through `switchboard_client`.
use crate::{
    Result, json,
    protocol::{Call, Reply},
};
use serde_json::{Value, json};
use switchboard_client::{Collected, Collector, Error, Switchboard, pb, user};

pub(crate) struct Client(Switchboard);

// === impl Client ===

impl Client {
    pub(crate) fn new(address: &str) -> Result<Self> {
        Ok(Self(Switchboard::builder(address).connect_lazy()?))
    }

    pub(crate) async fn call(&self, call: Call) -> Result<Reply> {
        let switchboard = match call.deadline {
            Some(deadline) => self.0.clone().with_deadline(deadline),
            None => self.0.clone(),
        };
        match call.rpc.as_str() {
            "Converse" => Box::pin(converse(&switchboard, call)).await,
            "ConverseStream" => Box::pin(stream(&switchboard, call)).await,
            "CountTokens" => {
                let request = json::read("CountTokensRequest", call.request)?;
                unary("CountTokensResponse", switchboard.count_tokens(request).await)
            }
            "RecordFeedback" => {
                let feedback = json::read("RecordFeedbackRequest", call.request)?;
                unary("RecordFeedbackResponse", switchboard.record_feedback(feedback).await)
            }
            "ListTasks" => unary("ListTasksResponse", switchboard.tasks().await),
            "ExplainRoute" => {
                let request: pb::ExplainRouteRequest = json::read("ExplainRouteRequest", call.request)?;
                unary("ExplainRouteResponse", switchboard.explain(&request.task_type).await)
            }
            other => Err(format!("the layer has no {other}").into()),
        }
    }
}

fn unary<M: prost::Message>(name: &str, answered: switchboard_client::Result<M>) -> Result<Reply> {
    match answered {
        Ok(response) => Reply::response(name, &response),
        Err(error) => Ok(with_error(Reply::default(), &error)),
    }
}

async fn converse(switchboard: &Switchboard, call: Call) -> Result<Reply> {
    let mut request: pb::ConverseRequest = json::read("ConverseRequest", call.request)?;
    let mut response = switchboard.converse(request.clone()).await;
    if call.then_history
        && let Ok(first) = response
    {
        request.messages.extend([Collected::from(first).message, user("and now?")]);
        response = switchboard.converse(request).await;
    }
    match response {
        Ok(response) => {
            let reply = Reply::response("ConverseResponse", &response)?;
            with_collected(reply, &Collected::from(response))
        }
        Err(error) => Ok(with_error(Reply::default(), &error)),
    }
}

async fn stream(switchboard: &Switchboard, call: Call) -> Result<Reply> {
    let mut request: pb::ConverseRequest = json::read("ConverseRequest", call.request)?;
    let mut reply = Reply::default();
    match read(switchboard, request.clone(), call.cancel_after_events, &mut reply).await? {
        Ok(None) => {
            reply.set_error(tonic::Code::Cancelled, "given up by the driver");
            Ok(reply)
        }
        Ok(Some(collected)) if call.then_history => {
            request.messages.extend([collected.message, user("and now?")]);
            unary("ConverseResponse", switchboard.converse(request).await)
        }
        Ok(Some(collected)) => with_collected(reply, &collected),
        Err(error) => Ok(with_error(reply, &error)),
    }
}

/// Reads a stream. Returns `None` if the stream was dropped, and thereby cancelled, after `limit` events.
async fn read(
    switchboard: &Switchboard,
    request: pb::ConverseRequest,
    limit: Option<usize>,
    reply: &mut Reply,
) -> Result<std::result::Result<Option<Collected>, Error>> {
    let mut events = match switchboard.stream(request).await {
        Ok(events) => events,
        Err(error) => return Ok(Err(error)),
    };
    let (mut collector, mut seen) = (Collector::default(), 0);
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => return Ok(Err(error)),
        };
        reply.push_event(&pb::ConverseStreamResponse { event: Some(event.clone()) })?;
        collector.push(event);
        seen += 1;
        if limit == Some(seen) {
            return Ok(Ok(None));
        }
    }
    Ok(collector.finish().map(Some))
}

fn with_collected(mut reply: Reply, collected: &Collected) -> Result<Reply> {
    reply.set("text", collected.text());
    reply.set("message", json::write("Message", &collected.message)?);
    let tool_uses = collected.tool_uses().map(|tool_use| {
        let input = match &tool_use.arguments {
            Some(pb::tool_use_block::Arguments::InputJson(text)) => Some(text.as_str()),
            _ => None,
        };
        json!({ "tool_use_id": tool_use.tool_use_id, "name": tool_use.name, "input_json": input })
    });
    let tool_uses: Vec<Value> = tool_uses.collect();
    if !tool_uses.is_empty() {
        reply.set("tool_uses", tool_uses);
    }
    Ok(reply)
}

fn with_error(mut reply: Reply, error: &Error) -> Reply {
    reply.set_error(error.code(), error.message());
    reply.add_to_error("reason", error.reason_text());
    let delay = error.retry_after().map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
    reply.add_to_error("retry_delay_ms", delay);
    let fields = error.field_violations().iter().map(|violation| violation.field.clone());
    reply.add_to_error("fields", fields.collect::<Vec<_>>());
    reply.add_to_error("request_id", error.request_id());
    reply.add_to_error("attempts", error.route().map(|route| route.attempts.len()));
    reply
}
