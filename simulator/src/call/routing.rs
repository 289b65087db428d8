//! Routing and authorization: the operation and the model id of a request path, and the `Authorization`
//! header.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};

use crate::error::ServiceError;

/// A supported operation of Bedrock Runtime.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operation {
    Converse,
    ConverseStream,
    CountTokens,
}

/// Accepts a bearer key, or a SigV4 header with a credential scope of `bedrock`. Does not verify the
/// signature.
pub(super) fn authorize(headers: &HeaderMap) -> Result<(), ServiceError> {
    let Some(value) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return Err(ServiceError::named("MissingAuthenticationTokenException"));
    };
    if value.strip_prefix("Bearer ").is_some_and(|key| !key.trim().is_empty()) {
        return Ok(());
    }
    let has_scope = value.split(['=', ',', ' ']).any(|part| part.ends_with("/bedrock/aws4_request"));
    if value.starts_with("AWS4-HMAC-SHA256 ") && has_scope && value.contains("Signature=") {
        return Ok(());
    }
    Err(ServiceError::named("IncompleteSignatureException"))
}

/// Parses `POST /model/{modelId}/{operation}`. The id may be an ARN, percent-encoded or not. Absent: no such
/// route.
pub(super) fn route(method: &Method, path: &str) -> Option<(String, Operation)> {
    let (id, operation) = path.strip_prefix("/model/")?.rsplit_once('/')?;
    let operation = match operation {
        "converse" => Operation::Converse,
        "converse-stream" => Operation::ConverseStream,
        "count-tokens" => Operation::CountTokens,
        _ => return None,
    };
    (method == Method::POST && !id.is_empty()).then(|| (percent_decode(id), operation))
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

// === impl Operation ===

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Converse => "Converse",
            Self::ConverseStream => "ConverseStream",
            Self::CountTokens => "CountTokens",
        }
    }

    /// Returns the name of the input shape in the service model.
    pub(super) fn shape(self) -> &'static str {
        match self {
            Self::Converse => "ConverseRequest",
            Self::ConverseStream => "ConverseStreamRequest",
            Self::CountTokens => "CountTokensRequest",
        }
    }
}
