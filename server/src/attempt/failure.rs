//! Failure: what can go wrong with one attempt, and what follows from it.
//!
//! [`FailureKind::row`] is the one table. Everything that can end an attempt early is a kind: Bedrock's exceptions by
//! name, whether they come as an HTTP status or inside a stream; what the network reports; our own clocks; and streams that
//! break their own rules. The names, not the HTTP statuses, decide: `ModelNotReadyException` and throttling share 429,
//! and a stream has no status at all.
use crate::error::{code, reason_name};
use std::{borrow::Cow, time::Duration};
use switchboard_proto::v1::{self as pb, ErrorReason, Outcome, content_block::Block};

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
    /// `ExpiredTokenException`: the same, but new credentials may cure it.
    ExpiredCredentials,
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
    /// The request could not even be built: no endpoint, no signature.
    Misconfigured,
    /// An HTTP answer, JSON or frame that cannot be read.
    Protocol,
    /// A stream that ended without `messageStop` or without `metadata`.
    EndedEarly,
    /// An exception in a stream that nobody knows.
    UnknownException,
    /// Our clock: Bedrock did not even accept the stream in time.
    HeadersTimeout,
    /// Our clock: no first content in time.
    FirstContentTimeout,
    /// A stream that began slower than the task's floor; nothing had been sent.
    TooSlow,
    /// Our clock: nothing for too long between two events.
    IdleTimeout,
    /// Our clock: the attempt as a whole.
    AttemptTimeout,
    /// The call's deadline, less what the next model needs of it, came before any of the other clocks.
    ShareUsedUp,
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
    /// What it says of the model.
    pub says: Says,
}

/// What a failure says of the model that had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Nothing: the request or the caller's deadline is at fault.
    Nothing,
    /// It is ill: its breaker counts it. Not so where the request itself brought what was refused, see
    /// [`Failure::blames_request`].
    Ill,
    /// It has enough just now: it comes after the others for a while.
    Busy,
    /// It has had enough for the day: it comes after the others for long.
    Spent,
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
        use Outcome as O;
        use Says as S;
        const fn row(outcome: O, reason: R, next: bool, retry: bool, says: Says) -> Row {
            Row { outcome, reason, next, tells: matches!(outcome, O::Rejected), retry, says }
        }
        match self {
            Self::Throttled => row(O::Throttled, R::BedrockThrottled, true, true, S::Busy),
            Self::DailyQuota => row(O::Throttled, R::BedrockQuota, true, false, S::Spent),
            Self::ServiceQuota => row(O::Throttled, R::BedrockQuota, true, false, S::Busy),
            Self::ModelNotReady => row(O::Unavailable, R::ModelNotReady, true, true, S::Ill),
            Self::Unavailable | Self::Internal => {
                row(O::Unavailable, R::BedrockUnavailable, true, true, S::Ill)
            }
            Self::ModelTimeout => row(O::Timeout, R::ModelTimeout, true, false, S::Ill),
            Self::ModelError | Self::UnknownException => {
                row(O::ModelError, R::ModelError, true, true, S::Ill)
            }
            Self::AccessDenied | Self::ExpiredCredentials | Self::Misconfigured => {
                row(O::Misconfigured, R::ModelAccessDenied, true, false, S::Ill)
            }
            Self::NotFound | Self::NeedsProfile => {
                row(O::Misconfigured, R::ModelNotFound, true, false, S::Ill)
            }
            Self::ContextTooLong => row(O::Rejected, R::ContextTooLong, false, false, S::Nothing),
            Self::ModelRefused | Self::Invalid | Self::Conflict => {
                row(O::Rejected, R::ModelRejected, false, false, S::Nothing)
            }
            Self::Unreachable => row(O::Unavailable, R::BedrockUnreachable, true, true, S::Ill),
            Self::Protocol | Self::EndedEarly => row(O::ModelError, R::BedrockProtocol, true, true, S::Ill),
            Self::HeadersTimeout
            | Self::FirstContentTimeout
            | Self::TooSlow
            | Self::IdleTimeout
            | Self::AttemptTimeout => row(O::Timeout, R::ModelTimeout, true, false, S::Ill),
            Self::ShareUsedUp => row(O::Timeout, R::DeadlineExceeded, true, false, S::Nothing),
        }
    }

    /// What happened, for a reader who knows Bedrock and not this code.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::Throttled => "too many requests or tokens a minute",
            Self::DailyQuota => "`ThrottlingException` that speaks of tokens a day",
            Self::ServiceQuota => "a quota of the account",
            Self::ModelNotReady => "the model is being loaded",
            Self::Unavailable => "no capacity just now",
            Self::Internal => "Bedrock failed, or a status from 500 on without a name",
            Self::ModelTimeout => "the model was too slow for Bedrock",
            Self::ModelError => "the model failed: original status 408, 429, 5xx or none",
            Self::ModelRefused => "`ModelErrorException` with any other original status 4xx",
            Self::AccessDenied => "Switchboard's own permissions or credentials",
            Self::ExpiredCredentials => "its credentials have expired; asked once more with new ones",
            Self::NotFound => "an unknown model, or `ValidationException` that says so",
            Self::NeedsProfile => "`ValidationException`: on-demand throughput isn't supported",
            Self::ContextTooLong => "`ValidationException` that speaks of too much input",
            Self::Invalid => "any other refusal of the request",
            Self::Conflict => "a conflict",
            Self::Unreachable => "no connection, or one that broke",
            Self::Misconfigured => "no endpoint or signature: the request could not be built",
            Self::Protocol => "an answer, JSON or frame that cannot be read, a checksum that is wrong",
            Self::EndedEarly => "a stream that ended without `messageStop` or `metadata`",
            Self::UnknownException => "an exception in a stream that nobody knows",
            Self::HeadersTimeout => "clock `headers`: the stream was not accepted in time",
            Self::FirstContentTimeout => "clock `first_content`: no content in time",
            Self::TooSlow => "`floor`: the stream began too slowly",
            Self::IdleTimeout => "clock `idle`: nothing for too long between two events",
            Self::AttemptTimeout => "clock `attempt`: no answer in time",
            Self::ShareUsedUp => "the attempt's share of the call's deadline was used up",
        }
    }
}

/// Bedrock's exceptions, and the errors of the AWS front before it, by name. Some are split further by what else they say.
const NAMED: [(&str, FailureKind); 25] = {
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

/// The table as the README has it: a row for each kind, in Markdown.
#[must_use]
pub fn as_markdown() -> String {
    let yes = |it: bool| if it { "yes" } else { "–" };
    let rows = FailureKind::ALL.into_iter().map(|kind| {
        let row = kind.row();
        let names = NAMED.iter().filter(|(_, named)| *named == kind).map(|(name, _)| format!("`{name}`"));
        let words = match names.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => kind.what().to_owned(),
            names => format!("{names}: {}", kind.what()),
        };
        let health = match row.says {
            Says::Nothing => "–",
            Says::Ill => "breaker",
            Says::Busy => "cool-down",
            Says::Spent => "long cool-down",
        };
        let (code, reason) = (format!("{:?}", code(row.reason)), reason_name(row.reason));
        let code = code.chars().fold(String::new(), |mut name, letter| {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
            name
        });
        let larger = kind == FailureKind::ContextTooLong;
        let [next, again] = [if larger { "a larger one" } else { yes(row.next) }, yes(row.retry)];
        format!("| {words} | {next} | {again} | {health} | {code} | {reason} |\n")
    });
    let head = "| what happened | next model | same model again | health | status if it was the last | reason |\n\
                |---|---|---|---|---|---|\n";
    rows.fold(head.to_owned(), |table, row| table + &row)
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
        let name = capitalized(self.name);
        // "ExpiredToken" and "ExpiredTokenException" are one, and so are others of the AWS front.
        fn bare(name: &str) -> &str {
            name.strip_suffix("Exception").unwrap_or(name)
        }
        let named = NAMED.iter().find(|(known, _)| bare(known) == bare(&name));
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

    /// Whether the model is not to blame although its failure says that it is ill: who may not read what the request
    /// refers to (a guardrail, a file, a prompt) is refused in the same words as who may not use the model.
    #[must_use]
    pub fn blames_request(&self, request: &pb::ConverseRequest) -> bool {
        matches!(self.kind, FailureKind::AccessDenied | FailureKind::NotFound) && refers_elsewhere(request)
    }

    /// The same, of the request that Bedrock calls `request_id`.
    #[must_use]
    pub fn of_request(self, request_id: &str) -> Self {
        Self { request_id: request_id.to_owned(), ..self }
    }
}

/// Whether something of the caller's own at AWS is needed to answer it.
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

    /// `UPDATE_README=1 cargo test failures` writes it.
    #[test]
    fn the_readme_has_the_table_of_failures() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
        let readme = std::fs::read_to_string(path).expect("is there");
        let [before, after] = ["<!-- failures -->", "<!-- /failures -->"];
        let (head, rest) = readme.split_once(before).expect("has the first mark");
        let (table, tail) = rest.split_once(after).expect("has the second mark");
        let expected = format!("\n{}", as_markdown());
        if std::env::var_os("UPDATE_README").is_some() {
            std::fs::write(path, [head, before, &expected, after, tail].concat()).expect("is written");
        } else {
            assert_eq!(table, expected, "run it with UPDATE_README=1");
        }
    }

    #[test]
    fn every_name_is_a_kind_over_http_and_in_a_stream() {
        for (name, expected) in NAMED {
            let in_stream = name[..1].to_lowercase() + &name[1..];
            for spelling in [name, &in_stream, name.trim_end_matches("Exception")] {
                assert_eq!(kind(spelling, None, "", None), expected, "{spelling}");
            }
        }
    }
}
