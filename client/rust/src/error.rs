//! Why a call failed.
//!
//! Callers branch on [`Error::kind`], [`Error::code`] and [`Error::reason`], never on messages.

use crate::{names::code_name, pb};
use prost::Message as _;
use std::{error::Error as StdError, fmt, iter, time::Duration};
use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::StatusExt as _;

/// The type of the [`pb::Route`] among a status's details.
const ROUTE_TYPE: &str = "switchboard.v1.Route";

/// Why a call failed. `Display` is one line for people: what went wrong and, in brackets, the reason.
#[derive(Debug)]
pub struct Error(Box<Facts>);

/// Where a failure comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The options are wrong: an address or a certificate that cannot be read.
    Options,
    /// Switchboard could not be reached; nothing was asked.
    Connect,
    /// The connection broke during the call; what was asked may have been done.
    Transport,
    /// Switchboard said no: see the reason.
    Status,
    /// The deadline passed here before Switchboard answered.
    Deadline,
    /// A stream ended without its metadata: the answer is not whole.
    Incomplete,
    /// A stream started over, and its reader could not.
    Restarted,
}

/// A field of the request that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldViolation {
    /// Its path, such as `messages[0].content`.
    pub field: String,
    /// What is wrong with it, and how to mend it.
    pub problem: String,
}

#[derive(Debug)]
struct Facts {
    kind: ErrorKind,
    code: Code,
    message: String,
    reason: String,
    retry_after: Option<Duration>,
    field_violations: Vec<FieldViolation>,
    request_id: Option<String>,
    route: Option<pb::Route>,
    status: Option<Status>,
}

// === impl Error ===

impl Error {
    /// Where the failure comes from.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The gRPC code; for failures on this side, the one that fits best.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What went wrong, in words.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Switchboard's reason, such as `BEDROCK_THROTTLED`; empty where it gave none.
    pub fn reason_text(&self) -> &str {
        &self.0.reason
    }

    /// Switchboard's reason. `None`: it gave none, or one newer than this client; see [`reason_text`](Self::reason_text).
    pub fn reason(&self) -> Option<pb::ErrorReason> {
        pb::ErrorReason::from_str_name(&format!("ERROR_REASON_{}", self.0.reason))
    }

    /// How long to wait at least before the same call may work. `None`: waiting does not help.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The fields of the request that are wrong.
    pub fn field_violations(&self) -> &[FieldViolation] {
        &self.0.field_violations
    }

    /// Names the call, in logs and to support.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Every attempt that was made. `None`: the call failed before its task was resolved.
    pub fn route(&self) -> Option<&pb::Route> {
        self.0.route.as_ref()
    }

    /// The status as it came, for what is not taken out of it here. `None`: the failure is on this side.
    pub fn status(&self) -> Option<&Status> {
        self.0.status.as_ref()
    }

    /// Whether the call may be sent once more for nothing: its server did not begin with it.
    pub(crate) fn was_never_begun(&self) -> bool {
        self.source().is_some_and(|source| source_chain(source).any(is_refusal))
    }
}

// === how errors begin ===

impl Error {
    pub(crate) fn options(message: String) -> Self {
        Self::here(ErrorKind::Options, Code::InvalidArgument, message)
    }

    pub(crate) fn options_caused_by(what: &str, error: &(dyn StdError + 'static)) -> Self {
        Self::options(format!("{what}: {}", root_cause(error)))
    }

    pub(crate) fn connect(address: &str, error: &(dyn StdError + 'static)) -> Self {
        let address = address.trim_end_matches('/');
        let message = format!("could not connect to {address}: {}", root_cause(error));
        Self::here(ErrorKind::Connect, Code::Unavailable, message)
    }

    pub(crate) fn deadline() -> Self {
        Self::here(ErrorKind::Deadline, Code::DeadlineExceeded, "the deadline passed".to_owned())
    }

    pub(crate) fn incomplete() -> Self {
        let message = "the stream ended without its metadata: the answer is not whole";
        Self::here(ErrorKind::Incomplete, Code::Internal, message.to_owned())
    }

    pub(crate) fn restarted(reason: &str) -> Self {
        let message = "another model started over after words had been given out";
        let mut error = Self::here(ErrorKind::Restarted, Code::Aborted, message.to_owned());
        error.0.reason = reason.to_owned();
        error
    }

    /// What a call ended with. tonic makes statuses of its own for failures on this side; their source tells them apart.
    pub(crate) fn ended(address: &str, status: Status) -> Self {
        let error = match status.source() {
            None => Self::told(&status),
            Some(source) if has::<TimeoutExpired>(source) => return Self::deadline(),
            Some(source) if has::<ConnectError>(source) => Self::connect(address, source),
            Some(source) => {
                // tonic says "cancelled" of a call that its closing connection never sent; nobody has cancelled it.
                let was_refused = source_chain(source).any(is_refusal);
                let code = if was_refused { Code::Unavailable } else { status.code() };
                let message = format!("the connection broke: {}", root_cause(source));
                Self::here(ErrorKind::Transport, code, message)
            }
        };
        Self(Box::new(Facts { status: Some(status), ..*error.0 }))
    }

    /// What Switchboard itself said.
    fn told(status: &Status) -> Self {
        let mut error = Self::here(ErrorKind::Status, status.code(), status.message().to_owned());
        let details = status.get_error_details();
        error.0.reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
        error.0.retry_after = details.retry_info().and_then(|info| info.retry_delay);
        error.0.request_id = details.request_info().map(|info| info.request_id.clone());
        error.0.field_violations = details.bad_request().map_or_else(Vec::new, |bad| {
            let violations = bad.field_violations.iter();
            violations
                .map(|it| FieldViolation { field: it.field.clone(), problem: it.description.clone() })
                .collect()
        });
        error.0.route = route_among(status.details());
        error
    }

    fn here(kind: ErrorKind, code: Code, message: String) -> Self {
        Self(Box::new(Facts {
            kind,
            code,
            message,
            reason: String::new(),
            retry_after: None,
            field_violations: Vec::new(),
            request_id: None,
            route: None,
            status: None,
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { kind, code, message, reason, .. } = &*self.0;
        let message = if message.is_empty() { code.description() } else { message };
        match kind {
            ErrorKind::Options | ErrorKind::Connect => f.write_str(message),
            _ if reason.is_empty() => write!(f, "{message} ({})", code_name(*code)),
            _ => write!(f, "{message} ({reason})"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.status.as_ref().and_then(StdError::source)
    }
}

/// The details are a `google.rpc.Status`; its entries name their type after a `/`.
fn route_among(details: &[u8]) -> Option<pb::Route> {
    let status = tonic_types::Status::decode(details).ok()?;
    let route = status.details.iter().find(|any| any.type_url.rsplit('/').next() == Some(ROUTE_TYPE))?;
    pb::Route::decode(route.value.as_slice()).ok()
}

/// A connection that was closing (every one does, where the server limits their age) never took the call, or gave it
/// back untouched.
fn is_refusal(error: &(dyn StdError + 'static)) -> bool {
    let cancelled = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
    let refused = error.downcast_ref::<h2::Error>().is_some_and(|error| {
        error.reason() == Some(h2::Reason::REFUSED_STREAM)
            || (error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR))
    });
    cancelled || refused
}

fn has<E: StdError + 'static>(error: &(dyn StdError + 'static)) -> bool {
    source_chain(error).any(|error| error.is::<E>())
}

fn source_chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

/// The innermost error says most: "Connection refused", where the outer ones say "transport error".
fn root_cause<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    source_chain(error).last().unwrap_or(error)
}
