//! A call: request validation, fault injection, and the response.

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
use crate::call_log::{CallLogEntry, CallLogStore};
use crate::config::Config;
use crate::error::ServiceError;
use crate::events::{self, stream_fault};
use crate::fault::{Fault, FaultDecision, FaultStore};
use crate::models::{self, Behavior, Model};
use crate::response::{self, ModelInput, ModelResponse, Timing};
use crate::response_body::{self, ResponseBody, Step};
use crate::{prompt, restrictions, service_model, validate};

mod routing;

use routing::{Operation, authorize, route};

/// Bedrock's limit for a request body.
const MAX_REQUEST_BYTES: usize = 25_000_000;

/// The state that all calls share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) faults: FaultStore,
    pub(crate) calls: CallLogStore,
    pub(crate) cache: PromptCache,
}

/// Handles a call of Bedrock Runtime.
pub(crate) async fn handle(state: Arc<State>, request: Request<Incoming>) -> Response<ResponseBody> {
    let request_id = Uuid::new_v4().to_string();
    let (head, body) = request.into_parts();
    let Some((model, operation)) = route(&head.method, head.uri.path()) else {
        let entry = state.calls.open(&request_id, "", head.uri.path(), Value::Null);
        return error_response(ServiceError::named("UnknownOperationException"), &request_id, entry);
    };
    let bytes = Limited::new(body, MAX_REQUEST_BYTES).collect().await.map(|body| body.to_bytes());
    let body = bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null);
    let mut entry = state.calls.open(&request_id, operation.name(), &model, body.clone());
    if let Err(error) = authorize(&head.headers) {
        return error_response(error, &request_id, entry);
    }
    let faults = decide_faults(&state, &model, operation);
    if faults.hang {
        std::future::pending::<()>().await;
    }
    match &faults.error {
        Some(error) => error_response(error.clone(), &request_id, entry),
        None => match respond(&state, operation, &model, &body, faults).await {
            Ok(plan) => {
                entry.set_status(200);
                http_response(plan, &request_id, entry)
            }
            Err(error) => error_response(error, &request_id, entry),
        },
    }
}

/// The response of a call before it is sent.
struct ResponsePlan {
    content_type: &'static str,
    /// `Content-Length`. Absent for a stream.
    length: Option<usize>,
    steps: Vec<Step>,
}

async fn respond(
    state: &State,
    operation: Operation,
    id: &str,
    body: &Value,
    faults: FaultDecision,
) -> Result<ResponsePlan, ServiceError> {
    if operation == Operation::CountTokens {
        let count = count_tokens(state, id, body)?;
        tokio::time::sleep(faults.delay).await;
        return Ok(unary_plan(&json!({ "inputTokens": count }), &faults.response_faults));
    }
    let (model, mut response) = converse(state, operation, id, body)?;
    let timing = Timing::new(model, state.config.speed);
    if operation == Operation::ConverseStream {
        return Ok(stream_plan(&mut response, &timing, &faults));
    }
    let latency = timing.total(response.output_tokens);
    tokio::time::sleep(latency + faults.delay).await;
    Ok(unary_plan(&response.to_json(latency), &faults.response_faults))
}

/// Validates the call in Bedrock's order and generates the response.
fn converse(
    state: &State,
    operation: Operation,
    id: &str,
    body: &Value,
) -> Result<(&'static Model, ModelResponse), ServiceError> {
    if !body.is_object() {
        return Err(ServiceError::named("SerializationException"));
    }
    let model = models::resolve(id, &state.config)?;
    service_model::check(body, operation.shape())?;
    validate::check(model, body)?;
    restrictions::check(model, body)?;
    let parts = prompt::parts(body);
    let input_tokens = prompt::count_tokens(&parts);
    if input_tokens > model.context {
        return Err(ServiceError::from_model("Input is too long for requested model."));
    }
    let cache = state.cache.look_up(model, &parts)?;
    let input = ModelInput { seed: state.config.seed, model, id, body, input_tokens, cache };
    Ok((model, response::generate(input)))
}

fn count_tokens(state: &State, id: &str, body: &Value) -> Result<usize, ServiceError> {
    if !body.is_object() {
        return Err(ServiceError::named("SerializationException"));
    }
    let invalid = || ServiceError::validation("The provided model identifier is invalid.");
    let model = models::find(id, &state.config).ok_or_else(invalid)?;
    // Only base ids are supported. The service returns the same error for an inference profile of such a
    // model.
    if !model.has(Behavior::CountsTokens) || model.id != id {
        return Err(ServiceError::validation("The provided model doesn't support counting tokens."));
    }
    service_model::check(body, Operation::CountTokens.shape())?;
    let converse = &body["input"]["converse"];
    if converse.is_null() {
        return Ok(crate::tokens::count(&body["input"]["invokeModel"].to_string()));
    }
    validate::check(model, converse)?;
    Ok(prompt::count_tokens(&prompt::parts(converse)))
}

fn stream_plan(response: &mut ModelResponse, timing: &Timing, faults: &FaultDecision) -> ResponsePlan {
    let mut steps = events::to_steps(response, timing);
    steps.insert(0, Step::Wait(faults.delay));
    for fault in &faults.response_faults {
        steps = stream_fault::apply(steps, fault, &mut response.random);
    }
    ResponsePlan { content_type: "application/vnd.amazon.eventstream", length: None, steps }
}

/// Returns the plan of a unary response. Of the response faults, only `Cut` applies to it.
fn unary_plan(body: &Value, response_faults: &[Fault]) -> ResponsePlan {
    let bytes = Bytes::from(body.to_string());
    let length = Some(bytes.len());
    let is_cut = response_faults.iter().any(|fault| matches!(fault, Fault::Cut { .. }));
    let half = bytes.slice(..bytes.len() / 2);
    let steps =
        if is_cut { vec![Step::Bytes(half), Step::CloseConnection] } else { vec![Step::Bytes(bytes)] };
    ResponsePlan { content_type: "application/json", length, steps }
}

fn http_response(plan: ResponsePlan, request_id: &str, entry: CallLogEntry) -> Response<ResponseBody> {
    let mut response = Response::new(response_body::new(plan.steps, entry));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(plan.content_type));
    if let Some(length) = plan.length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    insert(headers, "x-amzn-requestid", request_id);
    response
}

fn error_response(error: ServiceError, request_id: &str, mut entry: CallLogEntry) -> Response<ResponseBody> {
    entry.fail(error.status.as_u16(), &error.name);
    let mut response = http_response(unary_plan(&error.body, &[]), request_id, entry);
    *response.status_mut() = error.status;
    let headers = response.headers_mut();
    insert(headers, "x-amzn-errortype", &error.error_type_header());
    if let Some(delay) = error.retry_after {
        headers.insert(RETRY_AFTER, delay.max(Duration::from_secs(1)).as_secs().into());
    }
    response
}

/// Inserts a header unless the value is invalid.
fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Evaluates the fault rules for the id of the call and for the base id of its model.
fn decide_faults(state: &State, id: &str, operation: Operation) -> FaultDecision {
    let base = models::find(id, &state.config).map_or(id, |model| &model.id);
    state.faults.decide(&[id, base], operation == Operation::ConverseStream)
}
