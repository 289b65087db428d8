//! Failures: what can go wrong with one attempt, and what follows from it.
//!
//! [`FailureKind::row`] is the only table. Everything that can end an attempt early has a kind: Bedrock's
//! exceptions by name, whether they arrive as an HTTP status or inside a stream; network errors; our own
//! timeouts; and streams that break the protocol. The exception's name decides, not the HTTP status:
//! `ModelNotReadyException` and throttling share 429, and a stream has no status at all.
use std::{borrow::Cow, time::Duration};
use switchboard_proto::v1::{self as pb, ErrorReason, Outcome, content_block::Block};

/// Why an attempt ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// Bedrock's message, or ours. For the log; it reaches a caller only where [`Row::shows_message`] says
    /// so.
    pub message: String,
    /// Bedrock's id of the request. Empty: Bedrock did not answer.
    pub request_id: String,
    /// Pause that Bedrock asks for. Absent: none.
    pub retry_after: Option<Duration>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// `ThrottlingException`: too many requests or tokens per minute.
    Throttled,
    /// `ThrottlingException` for tokens per day: waiting seconds does not help.
    DailyQuota,
    /// `ServiceQuotaExceededException`.
    ServiceQuota,
    /// `ModelNotReadyException`.
    ModelNotReady,
    /// `ServiceUnavailableException`: no capacity.
    Unavailable,
    /// `InternalServerException`, or an unnamed error with a status above 499.
    Internal,
    /// `ModelTimeoutException`: the model exceeded Bedrock's own time limit.
    ModelTimeout,
    /// `ModelErrorException` or `ModelStreamErrorException`, caused by the model.
    ModelError,
    /// `ModelErrorException` whose original status blames the request.
    ModelRefused,
    /// `AccessDeniedException` and everything else that is wrong with permissions or credentials.
    AccessDenied,
    /// `ExpiredTokenException`: new credentials may help.
    ExpiredCredentials,
    /// `ResourceNotFoundException`, an unknown model id, or a missing use-case form.
    NotFound,
    /// A bare model id where Bedrock wants an inference profile.
    NeedsProfile,
    /// `ValidationException` for too much input.
    ContextTooLong,
    /// Any other `ValidationException`.
    Invalid,
    /// `ConflictException`.
    Conflict,
    /// No connection, or a broken connection.
    Unreachable,
    /// The request could not be built: no endpoint, or no signature.
    Misconfigured,
    /// An HTTP response, JSON text or frame that cannot be parsed.
    Protocol,
    /// A stream that ended without `messageStop` or without `metadata`.
    EndedEarly,
    /// An unknown exception in a stream.
    UnknownException,
    /// Our timeout `headers`: Bedrock did not accept the stream in time.
    HeadersTimeout,
    /// Our timeout `first_content`: no content in time.
    FirstContentTimeout,
    /// A stream that began more slowly than the minimum throughput `floor`; nothing had been sent.
    TooSlow,
    /// Our timeout `idle`: too long a pause between two events.
    IdleTimeout,
    /// Our timeout `attempt`, for the attempt as a whole.
    AttemptTimeout,
    /// The attempt's share of the call's deadline ended before any of its timeouts.
    ShareUsedUp,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Outcome of the attempt in the route.
    pub outcome: Outcome,
    /// Reason for the caller if this was the last attempt.
    pub reason: ErrorReason,
    /// True if the next candidate is tried: always, unless it would refuse the request for the same reason.
    pub try_next: bool,
    /// True if Bedrock's message goes to the caller: it does when the request is at fault.
    pub shows_message: bool,
    /// True if the same model may succeed soon.
    pub retry: bool,
    /// Effect on the deployment's health.
    pub health: HealthEffect,
    /// True if an attempt that failed like this before any content may have to be paid for. Bedrock charges
    /// nothing for what it refused or failed at itself. It charges for what its model did until we gave up,
    /// and for output that we could not read.
    pub charged: bool,
}

/// Effect of a failure on the health of its deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthEffect {
    /// None: the request or the caller's deadline is at fault.
    None,
    /// The circuit breaker counts a failure, unless the request referred to what was refused, see
    /// [`Failure::blames_request`].
    Failure,
    /// The deployment cools down.
    Throttled,
    /// The deployment cools down for long: a quota of the day is used up.
    QuotaExhausted,
}

impl FailureKind {
    /// All kinds, in the order of the table.
    pub const ALL: [Self; 27] = [
        Self::Throttled,
        Self::DailyQuota,
        Self::ServiceQuota,
        Self::ModelNotReady,
        Self::Unavailable,
        Self::Internal,
        Self::ModelTimeout,
        Self::ModelError,
        Self::ModelRefused,
        Self::AccessDenied,
        Self::ExpiredCredentials,
        Self::NotFound,
        Self::NeedsProfile,
        Self::ContextTooLong,
        Self::Invalid,
        Self::Conflict,
        Self::Unreachable,
        Self::Misconfigured,
        Self::Protocol,
        Self::EndedEarly,
        Self::UnknownException,
        Self::HeadersTimeout,
        Self::FirstContentTimeout,
        Self::TooSlow,
        Self::IdleTimeout,
        Self::AttemptTimeout,
        Self::ShareUsedUp,
    ];

    /// The table.
    #[must_use]
    pub const fn row(self) -> Row {
        use ErrorReason as R;
        use HealthEffect as H;
        use Outcome as O;
        const fn row(outcome: O, reason: R, try_next: bool, retry: bool, health: H, charged: bool) -> Row {
            let shows_message = matches!(outcome, O::Rejected);
            Row { outcome, reason, try_next, shows_message, retry, health, charged }
        }
        match self {
            Self::Throttled => row(O::Throttled, R::BedrockThrottled, true, true, H::Throttled, false),
            Self::DailyQuota => row(O::Throttled, R::BedrockQuota, true, false, H::QuotaExhausted, false),
            Self::ServiceQuota => row(O::Throttled, R::BedrockQuota, true, false, H::Throttled, false),
            Self::ModelNotReady => row(O::Unavailable, R::ModelNotReady, true, true, H::Failure, false),
            Self::Unavailable | Self::Internal => {
                row(O::Unavailable, R::BedrockUnavailable, true, true, H::Failure, false)
            }
            Self::ModelTimeout => row(O::Timeout, R::ModelTimeout, true, false, H::Failure, false),
            Self::ModelError | Self::UnknownException => {
                row(O::ModelError, R::ModelError, true, true, H::Failure, false)
            }
            Self::AccessDenied | Self::ExpiredCredentials | Self::Misconfigured => {
                row(O::Misconfigured, R::ModelAccessDenied, true, false, H::Failure, false)
            }
            Self::NotFound | Self::NeedsProfile => {
                row(O::Misconfigured, R::ModelNotFound, true, false, H::Failure, false)
            }
            Self::ContextTooLong => row(O::Rejected, R::ContextTooLong, false, false, H::None, false),
            Self::ModelRefused | Self::Invalid | Self::Conflict => {
                row(O::Rejected, R::ModelRejected, false, false, H::None, false)
            }
            Self::Unreachable => row(O::Unavailable, R::BedrockUnreachable, true, true, H::Failure, false),
            Self::Protocol | Self::EndedEarly => {
                row(O::ModelError, R::BedrockProtocol, true, true, H::Failure, true)
            }
            Self::HeadersTimeout
            | Self::FirstContentTimeout
            | Self::TooSlow
            | Self::IdleTimeout
            | Self::AttemptTimeout => row(O::Timeout, R::ModelTimeout, true, false, H::Failure, true),
            Self::ShareUsedUp => row(O::Timeout, R::DeadlineExceeded, true, false, H::None, true),
        }
    }

    /// What happened, in words for a reader who knows Bedrock and not this code.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Throttled => "too many requests or tokens per minute",
            Self::DailyQuota => "`ThrottlingException` for tokens per day",
            Self::ServiceQuota => "a quota of the account is used up",
            Self::ModelNotReady => "the model is being loaded",
            Self::Unavailable => "no capacity",
            Self::Internal => "Bedrock failed, or an unnamed error with a status above 499",
            Self::ModelTimeout => "the model exceeded Bedrock's own time limit",
            Self::ModelError => "the model failed: original status 408, 429, 5xx or none",
            Self::ModelRefused => "`ModelErrorException` with any other original status 4xx",
            Self::AccessDenied => "Switchboard's permissions or credentials are wrong",
            Self::ExpiredCredentials => {
                "the credentials have expired; the call is repeated once with new ones"
            }
            Self::NotFound => "an unknown model, also when a `ValidationException` says so",
            Self::NeedsProfile => "`ValidationException`: on-demand throughput isn't supported",
            Self::ContextTooLong => "`ValidationException` for too much input",
            Self::Invalid => "any other refusal of the request",
            Self::Conflict => "a conflict",
            Self::Unreachable => "no connection, or a broken connection",
            Self::Misconfigured => "the request could not be built: no endpoint, or no signature",
            Self::Protocol => "a response, JSON text or frame that cannot be parsed, or a wrong checksum",
            Self::EndedEarly => "a stream that ended without `messageStop` or `metadata`",
            Self::UnknownException => "an unknown exception in a stream",
            Self::HeadersTimeout => "timeout `headers`: Bedrock did not accept the stream in time",
            Self::FirstContentTimeout => "timeout `first_content`: no content in time",
            Self::TooSlow => "`floor`: the stream began below the minimum throughput",
            Self::IdleTimeout => "timeout `idle`: too long a pause between two events",
            Self::AttemptTimeout => "timeout `attempt`: no answer in time",
            Self::ShareUsedUp => "the attempt's share of the call's deadline was used up",
        }
    }
}

/// Bedrock's exceptions, and the errors of the AWS front end before it, by name. Some kinds are split further
/// by the message or the original status.
pub const EXCEPTIONS: [(&str, FailureKind); 25] = {
    use FailureKind as K;
    [
        ("ThrottlingException", K::Throttled),
        ("TooManyRequestsException", K::Throttled),
        ("ServiceQuotaExceededException", K::ServiceQuota),
        ("ModelNotReadyException", K::ModelNotReady),
        ("ServiceUnavailableException", K::Unavailable),
        ("InternalServerException", K::Internal),
        ("InternalFailure", K::Internal),
        ("ModelTimeoutException", K::ModelTimeout),
        ("RequestTimeoutException", K::ModelTimeout),
        ("ModelErrorException", K::ModelError),
        ("ModelStreamErrorException", K::ModelError),
        ("AccessDeniedException", K::AccessDenied),
        ("UnrecognizedClientException", K::AccessDenied),
        ("InvalidSignatureException", K::AccessDenied),
        ("IncompleteSignature", K::AccessDenied),
        ("MissingAuthenticationTokenException", K::AccessDenied),
        ("NotAuthorized", K::AccessDenied),
        ("OptInRequired", K::AccessDenied),
        ("ExpiredTokenException", K::ExpiredCredentials),
        ("ResourceNotFoundException", K::NotFound),
        ("FTUFormNotFilled", K::NotFound),
        ("UnknownOperationException", K::NotFound),
        ("ValidationException", K::Invalid),
        ("SerializationException", K::Invalid),
        ("ConflictException", K::Conflict),
    ]
};

/// An exception of Bedrock: of an HTTP response, or inside a stream.
#[derive(Debug, Default)]
pub struct Exception<'a> {
    /// The name, as in the header or in the frame: `ThrottlingException` and `throttlingException` are equal.
    pub name: &'a str,
    /// The HTTP status. Absent: the exception came inside a stream.
    pub status: Option<u16>,
    /// The message.
    pub message: &'a str,
    /// The status that the model returned to Bedrock. Absent: none.
    pub original_status: Option<u16>,
}

impl Exception<'_> {
    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        use FailureKind as K;
        let name = capitalized(self.name);
        // The AWS front end also sends names without the suffix: "ExpiredToken".
        fn bare(name: &str) -> &str {
            name.strip_suffix("Exception").unwrap_or(name)
        }
        let named = EXCEPTIONS.iter().find(|(known, _)| bare(known) == bare(&name));
        match named.map(|(_, kind)| *kind) {
            Some(K::Throttled) => self.throttling(),
            Some(K::ModelError) => self.model_error(),
            Some(K::Invalid) => self.validation(),
            Some(kind) => kind,
            None => self.unnamed(),
        }
    }

    fn throttling(&self) -> FailureKind {
        if self.message.to_ascii_lowercase().contains("per day") {
            FailureKind::DailyQuota
        } else {
            FailureKind::Throttled
        }
    }

    fn model_error(&self) -> FailureKind {
        match self.original_status {
            Some(408 | 429) | None => FailureKind::ModelError,
            Some(status) if (400..500).contains(&status) => FailureKind::ModelRefused,
            Some(_) => FailureKind::ModelError,
        }
    }

    fn validation(&self) -> FailureKind {
        let message = self.message.to_ascii_lowercase();
        let says = |any: &[&str]| any.iter().any(|words| message.contains(words));
        if says(&["on-demand throughput isn"]) {
            FailureKind::NeedsProfile
        } else if says(&[
            "model identifier is invalid",
            "model is not supported in this region",
            "end of its life",
        ]) {
            FailureKind::NotFound
        } else if says(&[
            "input is too long",
            "input tokens exceeded",
            "too many total text bytes",
            "prompt is too long",
        ]) {
            FailureKind::ContextTooLong
        } else {
            FailureKind::Invalid
        }
    }

    /// An unknown name: the status decides. In a stream, which has no status, the kind stays unknown.
    fn unnamed(&self) -> FailureKind {
        match self.status {
            None => FailureKind::UnknownException,
            Some(401 | 403) => FailureKind::AccessDenied,
            Some(404) => FailureKind::NotFound,
            Some(408) => FailureKind::ModelTimeout,
            Some(424) => self.model_error(),
            Some(429) => self.throttling(),
            Some(503) => FailureKind::Unavailable,
            Some(status) if status >= 500 => FailureKind::Internal,
            Some(status) if status >= 400 => self.validation(),
            Some(_) => FailureKind::Protocol,
        }
    }
}

fn capitalized(name: &str) -> Cow<'_, str> {
    match name.as_bytes() {
        [first, ..] if first.is_ascii_lowercase() => {
            Cow::Owned(char::from(first.to_ascii_uppercase()).to_string() + &name[1..])
        }
        _ => Cow::Borrowed(name),
    }
}

impl Failure {
    /// A failure without a request id.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), request_id: String::new(), retry_after: None }
    }

    /// True if the request, not the model, may have caused the failure: Bedrock refuses access to a
    /// guardrail, file or prompt that the request refers to in the same words as access to the model.
    #[must_use]
    pub fn blames_request(&self, request: &pb::ConverseRequest) -> bool {
        matches!(self.kind, FailureKind::AccessDenied | FailureKind::NotFound) && refers_elsewhere(request)
    }

    /// Sets Bedrock's id of the request.
    #[must_use]
    pub fn of_request(self, request_id: &str) -> Self {
        Self { request_id: request_id.to_owned(), ..self }
    }
}

/// True if Bedrock may have to read resources of the caller at AWS to answer the request.
fn refers_elsewhere(request: &pb::ConverseRequest) -> bool {
    let mut blocks = request.messages.iter().flat_map(|message| &message.content);
    request.guardrail_config.is_some()
        || !request.prompt_variables.is_empty()
        || blocks.any(|block| match &block.block {
            Some(Block::Image(_) | Block::Document(_) | Block::Video(_) | Block::Audio(_)) => true,
            Some(Block::ToolResult(result)) => !result.content.is_empty(),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchboard_proto::names::{outcome_name, reason_name};

    fn kind(name: &str, status: Option<u16>, message: &str, original_status: Option<u16>) -> FailureKind {
        Exception { name, status, message, original_status }.kind()
    }

    /// A copy of the table by hand. Change a row here only together with the table and with the reason for
    /// the change.
    #[test]
    fn the_table_is_as_it_was_agreed() {
        use FailureKind as K;
        // outcome, reason, next candidate, message to the caller, retry, health, charged
        let rows = [
            (K::Throttled, "THROTTLED BEDROCK_THROTTLED next - retry Throttled -"),
            (K::DailyQuota, "THROTTLED BEDROCK_QUOTA next - - QuotaExhausted -"),
            (K::ServiceQuota, "THROTTLED BEDROCK_QUOTA next - - Throttled -"),
            (K::ModelNotReady, "UNAVAILABLE MODEL_NOT_READY next - retry Failure -"),
            (K::Unavailable, "UNAVAILABLE BEDROCK_UNAVAILABLE next - retry Failure -"),
            (K::Internal, "UNAVAILABLE BEDROCK_UNAVAILABLE next - retry Failure -"),
            (K::ModelTimeout, "TIMEOUT MODEL_TIMEOUT next - - Failure -"),
            (K::ModelError, "MODEL_ERROR MODEL_ERROR next - retry Failure -"),
            (K::ModelRefused, "REJECTED MODEL_REJECTED - message - None -"),
            (K::AccessDenied, "MISCONFIGURED MODEL_ACCESS_DENIED next - - Failure -"),
            (K::ExpiredCredentials, "MISCONFIGURED MODEL_ACCESS_DENIED next - - Failure -"),
            (K::NotFound, "MISCONFIGURED MODEL_NOT_FOUND next - - Failure -"),
            (K::NeedsProfile, "MISCONFIGURED MODEL_NOT_FOUND next - - Failure -"),
            (K::ContextTooLong, "REJECTED CONTEXT_TOO_LONG - message - None -"),
            (K::Invalid, "REJECTED MODEL_REJECTED - message - None -"),
            (K::Conflict, "REJECTED MODEL_REJECTED - message - None -"),
            (K::Unreachable, "UNAVAILABLE BEDROCK_UNREACHABLE next - retry Failure -"),
            (K::Misconfigured, "MISCONFIGURED MODEL_ACCESS_DENIED next - - Failure -"),
            (K::Protocol, "MODEL_ERROR BEDROCK_PROTOCOL next - retry Failure charged"),
            (K::EndedEarly, "MODEL_ERROR BEDROCK_PROTOCOL next - retry Failure charged"),
            (K::UnknownException, "MODEL_ERROR MODEL_ERROR next - retry Failure -"),
            (K::HeadersTimeout, "TIMEOUT MODEL_TIMEOUT next - - Failure charged"),
            (K::FirstContentTimeout, "TIMEOUT MODEL_TIMEOUT next - - Failure charged"),
            (K::TooSlow, "TIMEOUT MODEL_TIMEOUT next - - Failure charged"),
            (K::IdleTimeout, "TIMEOUT MODEL_TIMEOUT next - - Failure charged"),
            (K::AttemptTimeout, "TIMEOUT MODEL_TIMEOUT next - - Failure charged"),
            (K::ShareUsedUp, "TIMEOUT DEADLINE_EXCEEDED next - - None charged"),
        ];
        assert_eq!(rows.map(|(kind, _)| kind), K::ALL);
        for (kind, expected) in rows {
            let row = kind.row();
            let column = |value: bool, name: &'static str| if value { name } else { "-" };
            let found = format!(
                "{} {} {} {} {} {:?} {}",
                outcome_name(row.outcome),
                reason_name(row.reason),
                column(row.try_next, "next"),
                column(row.shows_message, "message"),
                column(row.retry, "retry"),
                row.health,
                column(row.charged, "charged"),
            );
            assert_eq!(found, expected, "{kind:?}");
        }
    }

    #[test]
    fn every_exception_has_its_kind_over_http_and_in_a_stream() {
        use FailureKind as K;
        for (name, status, expected) in [
            ("AccessDeniedException", 403, K::AccessDenied),
            ("ThrottlingException", 429, K::Throttled),
            ("ResourceNotFoundException", 404, K::NotFound),
            ("ModelTimeoutException", 408, K::ModelTimeout),
            ("InternalServerException", 500, K::Internal),
            ("ServiceUnavailableException", 503, K::Unavailable),
            ("ValidationException", 400, K::Invalid),
            ("ModelNotReadyException", 429, K::ModelNotReady),
            ("ModelErrorException", 424, K::ModelError),
            ("ModelStreamErrorException", 424, K::ModelError),
            ("ServiceQuotaExceededException", 400, K::ServiceQuota),
            ("ConflictException", 400, K::Conflict),
            ("ExpiredTokenException", 403, K::ExpiredCredentials),
            ("FTUFormNotFilled", 404, K::NotFound),
        ] {
            assert_eq!(kind(name, Some(status), "", None), expected, "{name}");
            let in_stream = name[..1].to_lowercase() + &name[1..];
            if name != "FTUFormNotFilled" {
                assert_eq!(kind(&in_stream, None, "", None), expected, "{in_stream}");
            }
        }
    }

    #[test]
    fn messages_and_original_statuses_split_a_name() {
        use FailureKind as K;
        let throttled = |message| kind("ThrottlingException", Some(429), message, None);
        assert_eq!(throttled("Too many tokens per day, please wait before trying again."), K::DailyQuota);
        assert_eq!(throttled("Too many requests, please wait before trying again."), K::Throttled);

        let refused = |message| kind("ValidationException", Some(400), message, None);
        assert_eq!(refused("The provided model identifier is invalid."), K::NotFound);
        assert_eq!(
            refused(
                "Invocation of model ID x with on-demand throughput isn’t supported. Retry your request with …"
            ),
            K::NeedsProfile
        );
        for too_long in [
            "The model returned the following errors: Input is too long for requested model.",
            "The model returned the following errors: Input Tokens Exceeded: Number of input tokens exceeds …",
            "The model returned the following errors: too many total text bytes: 10000002 > 9000000",
        ] {
            assert_eq!(refused(too_long), K::ContextTooLong, "{too_long}");
        }

        let model = |original| kind("ModelErrorException", Some(424), "", original);
        assert_eq!(model(Some(400)), K::ModelRefused);
        assert_eq!([model(Some(408)), model(Some(429)), model(Some(500)), model(None)], [K::ModelError; 4]);
    }

    #[test]
    fn an_unknown_name_is_judged_by_its_status() {
        use FailureKind as K;
        assert_eq!(kind("BrandNewException", Some(503), "", None), K::Unavailable);
        assert_eq!(kind("BrandNewException", Some(418), "", None), K::Invalid);
        assert_eq!(kind("brandNewException", None, "", None), K::UnknownException);
    }

    #[test]
    fn only_failures_that_the_next_model_would_share_stop_the_plan() {
        let stops: Vec<_> = FailureKind::ALL.into_iter().filter(|kind| !kind.row().try_next).collect();
        use FailureKind as K;
        assert_eq!(stops, [K::ModelRefused, K::ContextTooLong, K::Invalid, K::Conflict]);
    }

    #[test]
    fn every_exception_name_has_the_same_kind_over_http_and_in_a_stream() {
        for (name, expected) in EXCEPTIONS {
            let in_stream = name[..1].to_lowercase() + &name[1..];
            for spelling in [name, &in_stream, name.trim_end_matches("Exception")] {
                assert_eq!(kind(spelling, None, "", None), expected, "{spelling}");
            }
        }
    }
}
