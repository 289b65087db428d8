//! Maps the errors of both engines to [`Failure`].
use super::{error_body::ErrorBody, transport::BoxError};
use crate::failure::{Exception, Failure, FailureKind};
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use http::{HeaderMap, response::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::{
    error::Error,
    num::{IntErrorKind, ParseIntError},
    time::Duration,
};

/// Maximum size of an error's body in bytes. Bedrock's have a few hundred.
const MAX_ERROR_BODY_BYTES: usize = 64 << 10;

/// Maximum pause that a `Retry-After` header can ask for. No quota of Bedrock lasts longer than a day.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

const REQUEST_ID: &str = "x-amzn-requestid";
const RETRY_AFTER: &str = "retry-after";

/// Maps an error of the SDK. A reply of Bedrock is classified by the exception's name, everything else by the
/// step that failed.
pub(super) fn sdk_failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let message = root_cause(error);
    let kind = match error {
        SdkError::ServiceError(service) => return sdk_service_failure(service.err(), service.raw()),
        SdkError::ConstructionFailure(_) => FailureKind::Misconfigured,
        SdkError::TimeoutError(_) => FailureKind::AttemptTimeout,
        SdkError::DispatchFailure(dispatch) if dispatch.is_timeout() || dispatch.is_io() => {
            FailureKind::Unreachable
        }
        SdkError::DispatchFailure(dispatch) if dispatch.is_user() => FailureKind::Misconfigured,
        SdkError::DispatchFailure(_) => FailureKind::Unreachable,
        _ => FailureKind::Protocol,
    };
    let request_id = error.raw_response().map(sdk_request_id).unwrap_or_default();
    Failure::new(kind, message).of_request(&request_id)
}

fn sdk_service_failure(error: &impl ProvideErrorMetadata, raw: &HttpResponse) -> Failure {
    let body = raw.body().bytes().map(ErrorBody::parse).unwrap_or_default();
    let header = |name| raw.headers().get(name);
    ErrorResponse {
        name: error.code().unwrap_or_default(),
        status: raw.status().as_u16(),
        body: &body,
        request_id: header(REQUEST_ID).unwrap_or_default(),
        retry_after: header(RETRY_AFTER),
    }
    .failure()
}

/// Maps an HTTP response whose status is not a success. A body that breaks off makes it a protocol failure. A
/// body that is too long is not read to its end, because the headers are enough to classify the failure.
pub(super) async fn response_failure<B>(head: &Parts, body: B) -> Failure
where
    B: http_body::Body<Error: Into<BoxError>>,
{
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let request_id = header(REQUEST_ID).unwrap_or_default();
    let body = match Limited::new(body, MAX_ERROR_BODY_BYTES).collect().await {
        Ok(body) => ErrorBody::parse(&body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => ErrorBody::default(),
        Err(error) => return Failure::new(FailureKind::Protocol, root_cause(&*error)).of_request(request_id),
    };
    let name = header("x-amzn-errortype").or_else(|| body.name()).map(short_name).unwrap_or_default();
    let retry_after = header(RETRY_AFTER);
    ErrorResponse { name, status: head.status.as_u16(), body: &body, request_id, retry_after }.failure()
}

/// Name of an exception without the namespace and the address of AWS's long form,
/// `namespace#Name:http://documentation`.
fn short_name(name: &str) -> &str {
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    name.split_once('#').map_or(name, |(_, name)| name)
}

/// An HTTP response whose status is not a success.
struct ErrorResponse<'a> {
    /// Short name of the exception. Empty: the response has none.
    name: &'a str,
    status: u16,
    body: &'a ErrorBody,
    request_id: &'a str,
    /// Value of the `Retry-After` header.
    retry_after: Option<&'a str>,
}

// === impl ErrorResponse ===

impl ErrorResponse<'_> {
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
            retry_after: retry_after.and_then(parse_retry_after),
        }
    }
}

/// Parses a number of seconds and limits it to [`MAX_RETRY_AFTER`]: a broken or hostile endpoint must neither
/// disable a model for long nor overflow a deadline. `None`: the value is not a whole number; dates are not
/// supported.
fn parse_retry_after(value: &str) -> Option<Duration> {
    let is_too_large = |error: &ParseIntError| *error.kind() == IntErrorKind::PosOverflow;
    let seconds = value.parse().or_else(|error| if is_too_large(&error) { Ok(u64::MAX) } else { Err(error) });
    seconds.ok().map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// Maps an error that occurred before the head of the response: no connection, a broken connection, or a
/// request that cannot be sent.
pub(super) fn send_failure(error: &(dyn Error + 'static)) -> Failure {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    let is_user = |cause: &(dyn Error + 'static)| cause.downcast_ref().is_some_and(hyper::Error::is_user);
    let kind = if causes.any(is_user) { FailureKind::Misconfigured } else { FailureKind::Unreachable };
    Failure::new(kind, root_cause(error))
}

/// Failure of a call to a region that was not configured at startup.
pub(super) fn unknown_region(region: &str) -> Failure {
    Failure::new(FailureKind::Misconfigured, format!("no client for the region {region}"))
}

/// Failure of a body that broke off.
pub(super) fn broken_body(error: &(dyn Error + 'static)) -> Failure {
    Failure::new(FailureKind::Unreachable, format!("the connection broke: {}", root_cause(error)))
}

/// Message of the innermost error. The outer ones only say that something failed.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Bedrock's id of the request. Empty: Bedrock sent none.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned()
}

/// Bedrock's id of the request, from a response in the SDK's own type. Empty: Bedrock sent none.
pub(super) fn sdk_request_id(response: &HttpResponse) -> String {
    response.headers().get(REQUEST_ID).unwrap_or_default().to_owned()
}
