//! The admin API, `/_sim/…`: inspects the simulator and injects faults at run time. Needs no authorization.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::call::State;
use crate::fault::FaultRule;
use crate::models;
use crate::response_body::ResponseBody;

/// Handles an admin request.
pub(crate) async fn handle(state: &State, request: Request<Incoming>) -> Response<ResponseBody> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (status, body) = match (&head.method, head.uri.path()) {
        (&Method::GET, "/_sim/health") => (StatusCode::OK, json!({ "status": "ok" })),
        (&Method::GET, "/_sim/models") => (StatusCode::OK, json!({ "models": callable_models(state) })),
        (&Method::GET, "/_sim/faults") => (StatusCode::OK, json!({ "faults": state.faults.rules() })),
        (&Method::POST, "/_sim/faults") => match inject(state, &body) {
            Ok(()) => (StatusCode::OK, json!({})),
            Err(error) => (StatusCode::BAD_REQUEST, json!({ "error": error })),
        },
        (&Method::DELETE, "/_sim/faults") => {
            state.faults.clear();
            (StatusCode::OK, json!({}))
        }
        (&Method::GET, "/_sim/calls") => (StatusCode::OK, json!({ "calls": state.calls.all() })),
        (&Method::DELETE, "/_sim/calls") => {
            state.calls.clear();
            (StatusCode::OK, json!({}))
        }
        _ => (StatusCode::NOT_FOUND, json!({ "error": "no such route" })),
    };
    respond(status, &body)
}

/// Activates the fault rule of the body. The error names the field that is wrong.
fn inject(state: &State, body: &Bytes) -> Result<(), String> {
    let rule = serde_json::from_slice::<FaultRule>(body).map_err(|error| error.to_string())?;
    if !rule.is_for_every_model() && models::find(&rule.model, &state.config).is_none() {
        return Err(format!(
            "model: unknown model id `{}`; use an id of GET /_sim/models, a base model id, or `*` for every model",
            rule.model
        ));
    }
    state.faults.inject(rule);
    Ok(())
}

fn callable_models(state: &State) -> Vec<Value> {
    let served = models::all().iter().filter(|model| !model.retired || state.config.serve_retired);
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

fn respond(status: StatusCode, body: &Value) -> Response<ResponseBody> {
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
