//! `/_sim/…`: looking into the simulator and upsetting it while it runs. Needs no signature.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::call::Shared;
use crate::fault::FaultRule;
use crate::models;
use crate::response_body::Body;

/// Answers an admin request.
pub(crate) async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (status, answer) = match (&head.method, head.uri.path()) {
        (&Method::GET, "/_sim/health") => (StatusCode::OK, json!({ "status": "ok" })),
        (&Method::GET, "/_sim/models") => (StatusCode::OK, json!({ "models": callable(shared) })),
        (&Method::GET, "/_sim/faults") => (StatusCode::OK, json!({ "faults": shared.faults.rules() })),
        (&Method::POST, "/_sim/faults") => inject(shared, &body),
        (&Method::DELETE, "/_sim/faults") => {
            shared.faults.clear();
            (StatusCode::OK, json!({}))
        }
        (&Method::GET, "/_sim/calls") => (StatusCode::OK, json!({ "calls": shared.calls.all() })),
        (&Method::DELETE, "/_sim/calls") => {
            shared.calls.clear();
            (StatusCode::OK, json!({}))
        }
        _ => (StatusCode::NOT_FOUND, json!({ "error": "no such route" })),
    };
    respond(status, &answer)
}

fn inject(shared: &Shared, body: &Bytes) -> (StatusCode, Value) {
    match serde_json::from_slice::<FaultRule>(body) {
        Ok(rule) => {
            shared.faults.inject(rule);
            (StatusCode::OK, json!({}))
        }
        Err(error) => (StatusCode::BAD_REQUEST, json!({ "error": error.to_string() })),
    }
}

fn callable(shared: &Shared) -> Vec<Value> {
    let served = models::all().iter().filter(|model| !model.retired || shared.config.serve_retired);
    let models = served.map(|model| {
        json!({
            "id": model.id,
            "callable_ids": model.callable_ids(),
            "context_tokens": model.context,
            "max_output_tokens": model.max_output,
        })
    });
    models.collect()
}

fn respond(status: StatusCode, answer: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(answer.to_string())).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
