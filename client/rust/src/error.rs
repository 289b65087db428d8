//! Why a call failed.
//!
//! Branch on [`Error::kind`], [`Error::code`] and [`Error::reason`], never on a message.

use crate::{
    names::{code_name, reason_name},
    pb,
};
use prost::Message as _;
use std::{error::Error as StdError, fmt, iter, time::Duration};
use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::StatusExt as _;

/// Type name of [`pb::Route`] in the details of a status.
const ROUTE_TYPE: &str = "switchboard.v1.Route";

/// Why a call failed. `Display` is one line: the message and, in parentheses, the reason.
#[derive(Debug)]
pub struct Error(Box<Facts>);

/// Origin of a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The options are invalid, for example the address or a certificate.
    Options,
    /// No connection to Switchboard could be opened. The call was not sent.
    Connect,
    /// The connection broke during the call. The server may have processed the call.
    Transport,
    /// Switchboard returned an error: see the reason.
    Status,
    /// The deadline passed on the client before Switchboard answered.
    Deadline,
    /// The stream ended without metadata: the answer is incomplete.
    Incomplete,
    /// Another model started over, and the text that was already returned cannot be taken back.
    Restarted,
}

/// Invalid field of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldViolation {
    /// Path of the field, such as `messages[0].content`.
    pub field: String,
    /// What is wrong, and how to fix it.
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
    /// Returns the origin of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the gRPC code. For a failure on the client, the code that fits best.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the error message, for people to read.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns Switchboard's reason as text, such as `BEDROCK_THROTTLED`. Empty: the error has no reason.
    pub fn reason_text(&self) -> &str {
        &self.0.reason
    }

    /// Returns Switchboard's reason. `None`: the error has no reason, or one that is newer than this client;
    /// see [`reason_text`](Self::reason_text).
    pub fn reason(&self) -> Option<pb::ErrorReason> {
        pb::ErrorReason::from_str_name(&format!("ERROR_REASON_{}", self.0.reason))
    }

    /// Returns the minimum time to wait before a retry can succeed. `None`: waiting does not help.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the invalid fields of the request.
    pub fn field_violations(&self) -> &[FieldViolation] {
        &self.0.field_violations
    }

    /// Returns the request id, which identifies the call in logs and for support.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns the route with every attempt. `None`: the call failed before its task was resolved.
    pub fn route(&self) -> Option<&pb::Route> {
        self.0.route.as_ref()
    }

    /// Returns the original status, for details that have no method here. `None`: the failure is on the
    /// client.
    pub fn status(&self) -> Option<&Status> {
        self.0.status.as_ref()
    }

    /// True if no server has processed the call, so that sending it again is safe.
    pub(crate) fn was_not_processed(&self) -> bool {
        self.source().is_some_and(|source| source_chain(source).any(is_unprocessed))
    }
}

// === constructors ===

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
        let message = "the stream ended without metadata: the answer is incomplete";
        Self::here(ErrorKind::Incomplete, Code::Internal, message.to_owned())
    }

    pub(crate) fn restarted(reason: pb::ErrorReason) -> Self {
        let message = "another model started over after text had been returned";
        let mut error = Self::here(ErrorKind::Restarted, Code::Aborted, message.to_owned());
        error.0.reason = reason_name(reason).to_owned();
        error
    }

    /// Converts the status of a failed call. A status that tonic itself created for a failure on the client
    /// has a source.
    pub(crate) fn from_status(address: &str, status: Status) -> Self {
        let error = match status.source() {
            None => Self::from_server(&status),
            Some(source) if has::<TimeoutExpired>(source) => return Self::deadline(),
            Some(source) if has::<ConnectError>(source) => Self::connect(address, source),
            Some(source) => {
                // tonic reports a call that a closing connection did not send as cancelled.
                let unprocessed = source_chain(source).any(is_unprocessed);
                let code = if unprocessed { Code::Unavailable } else { status.code() };
                let message = format!("the connection broke: {}", root_cause(source));
                Self::here(ErrorKind::Transport, code, message)
            }
        };
        Self(Box::new(Facts { status: Some(status), ..*error.0 }))
    }

    /// Converts a status that the server sent.
    fn from_server(status: &Status) -> Self {
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

/// Finds the route in the details, an encoded `google.rpc.Status`. The type name of a detail follows a `/`.
fn route_among(details: &[u8]) -> Option<pb::Route> {
    let status = tonic_types::Status::decode(details).ok()?;
    let route = status.details.iter().find(|any| any.type_url.rsplit('/').next() == Some(ROUTE_TYPE))?;
    pb::Route::decode(route.value.as_slice()).ok()
}

/// True if a closing connection did not send the call or returned it unprocessed. Every connection closes at
/// some point if the server limits their age.
fn is_unprocessed(error: &(dyn StdError + 'static)) -> bool {
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

/// Returns the innermost error, which is the most specific: "Connection refused" instead of "transport
/// error".
fn root_cause<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    source_chain(error).last().unwrap_or(error)
}
