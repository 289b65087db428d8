//! What the SDK reports, as a failure.
use super::ErrorBody;
use crate::attempt::failure::{Exception, Failure, FailureKind};
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
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
    let name = error.code().unwrap_or_default();
    let exception = Exception {
        name,
        status: Some(raw.status().as_u16()),
        message: &body.message,
        original_status: body.original_status_code,
    };
    Failure {
        kind: exception.kind(),
        message: format!("{name}: {}", body.message),
        request_id: request_id_of(raw),
        retry_after: raw.headers().get("retry-after").and_then(|s| s.parse().ok()).map(Duration::from_secs),
    }
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
pub(super) fn request_id_of(response: &HttpResponse) -> String {
    response.headers().get("x-amzn-requestid").unwrap_or_default().to_owned()
}
