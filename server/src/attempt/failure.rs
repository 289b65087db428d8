//! Failure: what can go wrong with one attempt, and what follows from it.
//!
//! [`FailureKind::row`] is the one table. Everything that can end an attempt early is a kind: Bedrock's exceptions by
//! name, whether they come as an HTTP status or inside a stream; what the SDK reports; our own clocks; and streams that
//! break their own rules. The names, not the HTTP statuses, decide: `ModelNotReadyException` and throttling share 429,
//! and a stream has no status at all.
use std::{borrow::Cow, time::Duration};
use switchboard_proto::v1::{ErrorReason, Outcome};

/// Why an attempt ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// In Bedrock's words, or ours. For the log; it reaches a caller only where [`Row::tells`] says so.
    pub message: String,
    /// Bedrock's id of the request. Empty: Bedrock did not answer.
    pub request_id: String,
    /// How long Bedrock asks to wait. Absent: it does not say.
    pub retry_after: Option<Duration>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// `ThrottlingException`: too many requests or tokens a minute.
    Throttled,
    /// `ThrottlingException` that speaks of tokens a day: waiting seconds does not help.
    DailyQuota,
    /// `ServiceQuotaExceededException`.
    ServiceQuota,
    /// `ModelNotReadyException`.
    ModelNotReady,
    /// `ServiceUnavailableException`: no capacity just now.
    Unavailable,
    /// `InternalServerException`, or a status above 499 without a name.
    Internal,
    /// `ModelTimeoutException`: the model was too slow for Bedrock.
    ModelTimeout,
    /// `ModelErrorException` or `ModelStreamErrorException` by the model's own fault.
    ModelError,
    /// The same with an original status that blames the request.
    ModelRefused,
    /// `AccessDeniedException` and all that is wrong with credentials.
    AccessDenied,
    /// `ResourceNotFoundException`, an unknown model id, a use-case form not sent in.
    NotFound,
    /// A bare model id where Bedrock wants an inference profile.
    NeedsProfile,
    /// `ValidationException` that speaks of too much input.
    ContextTooLong,
    /// Any other `ValidationException`.
    Invalid,
    /// `ConflictException`.
    Conflict,
    /// No connection, or one that broke.
    Unreachable,
    /// The SDK could not even build the request: no endpoint, no signature.
    Misconfigured,
    /// An HTTP answer, JSON or frame that cannot be read.
    Protocol,
    /// A stream that ended without `messageStop` or without `metadata`.
    EndedEarly,
    /// An exception in a stream that nobody knows.
    UnknownException,
    /// Our clock: no first content in time.
    FirstContentTimeout,
    /// Our clock: nothing for too long between two events.
    IdleTimeout,
    /// Our clock: the attempt as a whole.
    AttemptTimeout,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the route says.
    pub outcome: Outcome,
    /// What the caller is told when this was the last attempt.
    pub reason: ErrorReason,
    /// Whether the next candidate is tried: always, unless it would refuse for the same reason.
    pub next: bool,
    /// Whether Bedrock's own words help the caller: they do when the request is at fault.
    pub tells: bool,
    /// Whether it helps to call again soon.
    pub retry: bool,
}

impl FailureKind {
    /// All kinds, in the order of the table.
    pub const ALL: [Self; 23] = [
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
        Self::FirstContentTimeout,
        Self::IdleTimeout,
        Self::AttemptTimeout,
    ];

    /// The table.
    #[must_use]
    pub const fn row(self) -> Row {
        use ErrorReason as R;
        use Outcome as O;
        const fn row(outcome: O, reason: R, next: bool, retry: bool) -> Row {
            Row { outcome, reason, next, tells: matches!(outcome, O::Rejected), retry }
        }
        match self {
            Self::Throttled => row(O::Throttled, R::BedrockThrottled, true, true),
            Self::DailyQuota | Self::ServiceQuota => row(O::Throttled, R::BedrockQuota, true, false),
            Self::ModelNotReady => row(O::Unavailable, R::ModelNotReady, true, true),
            Self::Unavailable | Self::Internal => row(O::Unavailable, R::BedrockUnavailable, true, true),
            Self::ModelTimeout => row(O::Timeout, R::ModelTimeout, true, false),
            Self::ModelError | Self::UnknownException => row(O::ModelError, R::ModelError, true, true),
            Self::AccessDenied | Self::Misconfigured => {
                row(O::Misconfigured, R::ModelAccessDenied, true, false)
            }
            Self::NotFound | Self::NeedsProfile => row(O::Misconfigured, R::ModelNotFound, true, false),
            Self::ContextTooLong => row(O::Rejected, R::ContextTooLong, false, false),
            Self::ModelRefused | Self::Invalid | Self::Conflict => {
                row(O::Rejected, R::ModelRejected, false, false)
            }
            Self::Unreachable => row(O::Unavailable, R::BedrockUnreachable, true, true),
            Self::Protocol | Self::EndedEarly => row(O::ModelError, R::BedrockProtocol, true, true),
            Self::FirstContentTimeout | Self::IdleTimeout | Self::AttemptTimeout => {
                row(O::Timeout, R::ModelTimeout, true, false)
            }
        }
    }
}

/// What Bedrock says when it fails: an HTTP answer's or a stream's exception.
#[derive(Debug, Default)]
pub struct Exception<'a> {
    /// The name, as in the header or in the frame: `ThrottlingException` and `throttlingException` are one.
    pub name: &'a str,
    /// The HTTP status. Absent: it came in a stream.
    pub status: Option<u16>,
    /// The message.
    pub message: &'a str,
    /// The status that the model gave Bedrock. Absent: it gave none.
    pub original_status: Option<u16>,
}

impl Exception<'_> {
    /// Which kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        use FailureKind as K;
        match capitalized(self.name).as_ref() {
            "ThrottlingException" | "TooManyRequestsException" => self.throttling(),
            "ServiceQuotaExceededException" => K::ServiceQuota,
            "ModelNotReadyException" => K::ModelNotReady,
            "ServiceUnavailableException" | "ServiceUnavailable" => K::Unavailable,
            "InternalServerException" | "InternalFailure" => K::Internal,
            "ModelTimeoutException" | "RequestTimeout" | "RequestTimeoutException" => K::ModelTimeout,
            "ModelErrorException" | "ModelStreamErrorException" => self.model_error(),
            "AccessDeniedException"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "IncompleteSignature"
            | "MissingAuthenticationTokenException"
            | "NotAuthorized"
            | "OptInRequired" => K::AccessDenied,
            "ResourceNotFoundException" | "FTUFormNotFilled" | "UnknownOperationException" => K::NotFound,
            "ValidationException" | "SerializationException" => self.validation(),
            "ConflictException" => K::Conflict,
            _ => self.unnamed(),
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

    /// A name that nobody knows: the status decides, and in a stream, where there is none, the name says only that
    /// something went wrong.
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
    /// A failure that Bedrock did not put into words.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), request_id: String::new(), retry_after: None }
    }

    /// The same, of the request that Bedrock calls `request_id`.
    #[must_use]
    pub fn of_request(self, request_id: &str) -> Self {
        Self { request_id: request_id.to_owned(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, status: Option<u16>, message: &str, original_status: Option<u16>) -> FailureKind {
        Exception { name, status, message, original_status }.kind()
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
            ("ExpiredTokenException", 403, K::AccessDenied),
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
    fn a_name_that_nobody_knows_is_judged_by_its_status() {
        use FailureKind as K;
        assert_eq!(kind("BrandNewException", Some(503), "", None), K::Unavailable);
        assert_eq!(kind("BrandNewException", Some(418), "", None), K::Invalid);
        assert_eq!(kind("brandNewException", None, "", None), K::UnknownException);
    }

    #[test]
    fn only_what_the_next_model_would_refuse_too_stops_a_plan() {
        let stops: Vec<_> = FailureKind::ALL.into_iter().filter(|kind| !kind.row().next).collect();
        use FailureKind as K;
        assert_eq!(stops, [K::ModelRefused, K::ContextTooLong, K::Invalid, K::Conflict]);
    }
}
