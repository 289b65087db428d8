//! JSON body of an error that Bedrock reports, in an HTTP response or in an event stream.

/// The members that are used.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ErrorBody {
    /// Empty: Bedrock sent none.
    #[serde(alias = "Message")]
    pub(super) message: String,
    /// HTTP status that Bedrock got from the model. Absent: the model is not the cause.
    pub(super) original_status_code: Option<u16>,
    /// Name of the exception, if no header holds it.
    code: serde_json::Value,
    #[serde(rename = "__type")]
    kind: serde_json::Value,
}

// === impl ErrorBody ===

impl ErrorBody {
    /// Parses a body. One that cannot be parsed counts as empty, because the name of the exception is usually
    /// in a header.
    pub(super) fn parse(json: &[u8]) -> Self {
        serde_json::from_slice(json).unwrap_or_default()
    }

    /// Name of the exception. `None`: the body does not hold it.
    pub(super) fn name(&self) -> Option<&str> {
        self.code.as_str().or_else(|| self.kind.as_str())
    }
}
