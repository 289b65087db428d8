//! One call, from its headers to its body.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cache::PromptCache;
use crate::call_log::{CallBook, Entry};
use crate::config::Config;
use crate::error::Refusal;
use crate::events::{self, stream_fault};
use crate::fault::{Fault, FaultBook, Verdict};
use crate::models::{self, Model, Quirk};
use crate::response::{self, Ask, Pace, Reply};
use crate::response_body::{Body, Step, play};
use crate::{prompt, restrictions, service_model, validate};

mod routing;

use routing::{Operation, authorize, route};

/// Bedrock's own limit for a request body.
const LARGEST_BODY: usize = 25_000_000;

/// What all calls share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) faults: FaultBook,
    pub(crate) calls: CallBook,
    pub(crate) cache: PromptCache,
}

/// Answers a call of the service.
pub(crate) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let request_id = Uuid::new_v4().to_string();
    let (head, body) = request.into_parts();
    let Some((model, operation)) = route(&head.method, head.uri.path()) else {
        let entry = shared.calls.open(&request_id, "", head.uri.path(), Value::Null);
        return refuse(Refusal::named("UnknownOperationException"), &request_id, entry);
    };
    let bytes = Limited::new(body, LARGEST_BODY).collect().await.map(|body| body.to_bytes());
    let body = bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null);
    let mut entry = shared.calls.open(&request_id, operation.name(), &model, body.clone());
    if let Err(refusal) = authorize(&head.headers) {
        return refuse(refusal, &request_id, entry);
    }
    let verdict = judge(&shared, &model, operation);
    if verdict.hang {
        std::future::pending::<()>().await;
    }
    match &verdict.refusal {
        Some(refusal) => refuse(refusal.clone(), &request_id, entry),
        None => match reply(&shared, operation, &model, &body, verdict).await {
            Ok(played) => {
                entry.answered(200);
                respond(played, &request_id, entry)
            }
            Err(refusal) => refuse(refusal, &request_id, entry),
        },
    }
}

/// An answer ready to be played.
struct Played {
    content_type: &'static str,
    length: Option<usize>,
    steps: Vec<Step>,
}

async fn reply(
    shared: &Shared,
    operation: Operation,
    id: &str,
    body: &Value,
    verdict: Verdict,
) -> Result<Played, Refusal> {
    if operation == Operation::CountTokens {
        let count = count_tokens(shared, id, body)?;
        tokio::time::sleep(verdict.delay).await;
        return Ok(whole(&json!({ "inputTokens": count }), &verdict.bends));
    }
    let (model, mut reply) = converse(shared, operation, id, body)?;
    let pace = Pace::new(model, shared.config.speed);
    if operation == Operation::ConverseStream {
        return Ok(streamed(&mut reply, &pace, &verdict));
    }
    let latency = pace.total(reply.output_tokens);
    tokio::time::sleep(latency + verdict.delay).await;
    Ok(whole(&reply.to_json(latency), &verdict.bends))
}

/// Checks the call the way Bedrock does, from the outside in, and makes the reply.
fn converse(
    shared: &Shared,
    operation: Operation,
    id: &str,
    body: &Value,
) -> Result<(&'static Model, Reply), Refusal> {
    if !body.is_object() {
        return Err(Refusal::named("SerializationException"));
    }
    let model = models::resolve(id, &shared.config)?;
    service_model::check(body, operation.shape())?;
    validate::check(model, body)?;
    restrictions::check(model, body)?;
    let parts = prompt::parts(body);
    let input_tokens = prompt::count(&parts);
    if input_tokens > model.context {
        return Err(Refusal::model("Input is too long for requested model."));
    }
    let cache = shared.cache.pass(model, &parts)?;
    let ask = Ask { seed: shared.config.seed, model, id, body, input_tokens, cache };
    Ok((model, response::compose(ask)))
}

fn count_tokens(shared: &Shared, id: &str, body: &Value) -> Result<usize, Refusal> {
    if !body.is_object() {
        return Err(Refusal::named("SerializationException"));
    }
    let invalid = || Refusal::validation("The provided model identifier is invalid.");
    let model = models::find(id, &shared.config).ok_or_else(invalid)?;
    // Only base ids count; the service refuses profiles of the same models in the same words.
    if !model.is(Quirk::CountsTokens) || model.id != id {
        return Err(Refusal::validation("The provided model doesn't support counting tokens."));
    }
    service_model::check(body, Operation::CountTokens.shape())?;
    let converse = &body["input"]["converse"];
    if converse.is_null() {
        return Ok(crate::tokens::count(&body["input"]["invokeModel"].to_string()));
    }
    validate::check(model, converse)?;
    Ok(prompt::count(&prompt::parts(converse)))
}

fn streamed(reply: &mut Reply, pace: &Pace, verdict: &Verdict) -> Played {
    let mut steps = events::script(reply, pace);
    steps.insert(0, Step::Wait(verdict.delay));
    for fault in &verdict.bends {
        steps = stream_fault::bend(steps, fault, &mut reply.random);
    }
    Played { content_type: "application/vnd.amazon.eventstream", length: None, steps }
}

/// A unary answer; of the faults of an answer only the cut concerns it.
fn whole(body: &Value, bends: &[Fault]) -> Played {
    let bytes = Bytes::from(body.to_string());
    let length = Some(bytes.len());
    let cut = bends.iter().any(|fault| matches!(fault, Fault::Cut { .. }));
    let half = bytes.slice(..bytes.len() / 2);
    let steps = if cut { vec![Step::Bytes(half), Step::Cut] } else { vec![Step::Bytes(bytes)] };
    Played { content_type: "application/json", length, steps }
}

fn respond(played: Played, request_id: &str, entry: Entry) -> Response<Body> {
    let mut response = Response::new(play(played.steps, entry));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(played.content_type));
    if let Some(length) = played.length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    insert(headers, "x-amzn-requestid", request_id);
    response
}

fn refuse(refusal: Refusal, request_id: &str, mut entry: Entry) -> Response<Body> {
    entry.refused(refusal.status.as_u16(), &refusal.name);
    let mut response = respond(whole(&refusal.body, &[]), request_id, entry);
    *response.status_mut() = refusal.status;
    let headers = response.headers_mut();
    insert(headers, "x-amzn-errortype", &refusal.type_header());
    if let Some(wait) = refusal.retry_after {
        headers.insert(RETRY_AFTER, wait.max(Duration::from_secs(1)).as_secs().into());
    }
    response
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The faults for this call, under every name its model has.
fn judge(shared: &Shared, id: &str, operation: Operation) -> Verdict {
    let base = models::find(id, &shared.config).map_or(id, |model| &model.id);
    shared.faults.judge(&[id, base], operation == Operation::ConverseStream)
}
