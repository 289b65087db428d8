//! What an engine reports, as a failure: the same whichever it is.
use super::{ErrorBody, direct::AnswerBody};
use crate::failure::{Exception, Failure, FailureKind};
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use http::{HeaderMap, response::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::{error::Error, time::Duration};

/// The kind by the exception's name; what never reached Bedrock by how it failed.
pub(super) fn failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let words = root_cause(error);
    let kind = match error {
        SdkError::ServiceError(service) => return service_failure(service.err(), service.raw()),
        SdkError::ConstructionFailure(_) => FailureKind::Misconfigured,
        SdkError::TimeoutError(_) => FailureKind::AttemptTimeout,
        SdkError::DispatchFailure(dispatch) if dispatch.is_timeout() || dispatch.is_io() => {
            FailureKind::Unreachable
        }
        SdkError::DispatchFailure(dispatch) if dispatch.is_user() => FailureKind::Misconfigured,
        SdkError::DispatchFailure(_) => FailureKind::Unreachable,
        _ => FailureKind::Protocol,
    };
    let request_id = error.raw_response().map(request_id_of).unwrap_or_default();
    Failure::new(kind, words).of_request(&request_id)
}

fn service_failure(error: &impl ProvideErrorMetadata, raw: &HttpResponse) -> Failure {
    let body = raw.body().bytes().map(ErrorBody::read).unwrap_or_default();
    let header = |name| raw.headers().get(name);
    Refusal {
        name: error.code().unwrap_or_default(),
        status: raw.status().as_u16(),
        body: &body,
        request_id: header(REQUEST_ID).unwrap_or_default(),
        retry_after: header("retry-after"),
    }
    .failure()
}

/// The same, of an answer that the SDK has not seen. A body that breaks off is one that cannot be read; one without an end
/// is not read to it: the header says enough.
pub(super) async fn refused(head: &Parts, body: AnswerBody) -> Failure {
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let request_id = header(REQUEST_ID).unwrap_or_default();
    let body = match Limited::new(body, LARGEST_REFUSAL).collect().await {
        Ok(body) => ErrorBody::read(&body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => ErrorBody::default(),
        Err(error) => return Failure::new(FailureKind::Protocol, root_cause(&*error)).of_request(request_id),
    };
    let name = header("x-amzn-errortype").or_else(|| body.name()).map(bare_name).unwrap_or_default();
    let retry_after = header("retry-after");
    Refusal { name, status: head.status.as_u16(), body: &body, request_id, retry_after }.failure()
}

/// Real ones have a few hundred bytes.
const LARGEST_REFUSAL: usize = 64 << 10;

const REQUEST_ID: &str = "x-amzn-requestid";

/// The exception's name, of which AWS also knows long forms: `namespace#Name:http://documentation`.
fn bare_name(name: &str) -> &str {
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    name.split_once('#').map_or(name, |(_, name)| name)
}

/// An answer whose status says no.
struct Refusal<'a> {
    name: &'a str,
    status: u16,
    body: &'a ErrorBody,
    request_id: &'a str,
    retry_after: Option<&'a str>,
}

impl Refusal<'_> {
    fn failure(self) -> Failure {
        let Self { name, status, body, request_id, retry_after } = self;
        let exception = Exception {
            name,
            status: Some(status),
            message: &body.message,
            original_status: body.original_status_code,
        };
        Failure {
            kind: exception.kind(),
            message: format!("{name}: {}", body.message),
            request_id: request_id.to_owned(),
            retry_after: retry_after.and_then(|s| s.parse().ok()).map(Duration::from_secs),
        }
    }
}

/// A request that did not get its answer's head: no connection, or one that broke; unless it is the request that was
/// wrong.
pub(super) fn not_sent(error: &(dyn Error + 'static)) -> Failure {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    let is_user = |cause: &(dyn Error + 'static)| cause.downcast_ref().is_some_and(hyper::Error::is_user);
    let kind = if causes.any(is_user) { FailureKind::Misconfigured } else { FailureKind::Unreachable };
    Failure::new(kind, root_cause(error))
}

/// A region that was not named at the start.
pub(super) fn unknown_region(region: &str) -> Failure {
    Failure::new(FailureKind::Misconfigured, format!("no client for the region {region}"))
}

/// A body that ended before its end.
pub(super) fn broken(error: &(dyn Error + 'static)) -> Failure {
    Failure::new(FailureKind::Unreachable, format!("the connection broke: {}", root_cause(error)))
}

/// The innermost words: the outer ones only say that something failed.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Bedrock's id of the request.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned()
}

/// The same, of the SDK's answer.
pub(super) fn request_id_of(response: &HttpResponse) -> String {
    response.headers().get(REQUEST_ID).unwrap_or_default().to_owned()
}
