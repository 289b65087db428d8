//! Error responses: the only table from an error's name to its status, default message and header.
//!
//! The body of a Bedrock error is `{"message": "…"}`. The name is sent only in `x-amzn-errortype`, where
//! modelled errors and authentication errors have different suffixes.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

/// An error response.
#[derive(Clone, Debug)]
pub(crate) struct ServiceError {
    pub(crate) name: String,
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    pub(crate) retry_after: Option<Duration>,
}

/// (name, status, default message).
const KNOWN_ERRORS: [(&str, u16, &str); 19] = [
    ("AccessDeniedException", 403, "You don't have access to the model with the specified model ID."),
    (
        "ResourceNotFoundException",
        404,
        "Could not resolve the foundation model from the model identifier provided.",
    ),
    ("ThrottlingException", 429, "Too many requests, please wait before trying again."),
    ("ModelTimeoutException", 408, "Model has timed out in processing the request. Try your request again."),
    (
        "ModelErrorException",
        424,
        "The system encountered an unexpected error during processing. Try your request again.",
    ),
    (
        "ModelStreamErrorException",
        424,
        "The system encountered an unexpected error during processing. Try your request again.",
    ),
    ("ModelNotReadyException", 429, "Model is not ready for inference. Wait and try your request again."),
    (
        "InternalServerException",
        500,
        "The system encountered an unexpected error during processing. Try your request again.",
    ),
    ("ServiceUnavailableException", 503, "Service capacity limit has been reached. Please try again later."),
    ("ValidationException", 400, "The provided request is not valid."),
    ("ServiceQuotaExceededException", 400, "Your request exceeds the service quota for your account."),
    ("ConflictException", 400, "The request conflicts with the state of the resource."),
    ("ExpiredTokenException", 403, "The security token included in the request is expired"),
    ("UnrecognizedClientException", 403, "The security token included in the request is invalid."),
    (
        "InvalidSignatureException",
        403,
        "The request signature we calculated does not match the signature you provided.",
    ),
    ("MissingAuthenticationTokenException", 403, "Missing Authentication Token"),
    (
        "IncompleteSignatureException",
        403,
        "Authorization header requires existence of a credential scoped to bedrock.",
    ),
    ("SerializationException", 400, "The request body could not be read."),
    ("UnknownOperationException", 404, "Unknown operation."),
];

/// Message of a throttled call when the daily token quota is exhausted.
pub(crate) const DAILY_QUOTA_MESSAGE: &str = "Too many tokens per day, please wait before trying again.";

impl ServiceError {
    /// Returns the error with this name and its default message. Unknown names have status 400.
    pub(crate) fn named(name: &str) -> Self {
        let known = KNOWN_ERRORS.iter().find(|(known, ..)| *known == name);
        let (_, status, message) = known.copied().unwrap_or((name, 400, "The request was refused."));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        Self { name: name.to_owned(), status, body: json!({ "message": message }), retry_after: None }
    }

    /// Returns a `ValidationException`.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::named("ValidationException").with_message(message)
    }

    /// Returns a `ValidationException` raised by the model instead of the service.
    pub(crate) fn from_model(message: impl AsRef<str>) -> Self {
        Self::validation(format!("The model returned the following errors: {}", message.as_ref()))
    }

    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.body["message"] = Value::String(message.into());
        self
    }

    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// Returns the value of `x-amzn-errortype`.
    pub(crate) fn error_type_header(&self) -> String {
        let suffix = match self.name.as_str() {
            "ExpiredTokenException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignatureException"
            | "UnknownOperationException"
            | "SerializationException" => "com.amazon.coral.service",
            _ => "com.amazon.bedrock",
        };
        format!("{}:http://internal.amazon.com/coral/{suffix}/", self.name)
    }
}
