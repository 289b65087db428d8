//! Errors: why a call ended early, and the gRPC status of each.
//!
//! A status carries `google.rpc` details: an `ErrorInfo` whose reason callers branch on, a `RequestInfo`,
//! and, where they apply, a `BadRequest` with the field's path, a `RetryInfo`, a `QuotaFailure`. Once a task
//! was resolved the [`pb::Route`] with every attempt is there too. A message never holds a secret, an ARN or
//! a prompt: Bedrock's message is passed on only when the request itself is at fault, without anything that
//! looks like an account.
use crate::{
    failure::{Failure, FailureKind},
    reason::{code, reason_name},
    route::{UnknownTask, Unmet},
};
use prost::Message;
use prost_types::Any;
use std::{collections::HashMap, time::Duration};
use switchboard_proto::v1::{self as pb, ErrorReason};
use tokio::time::Instant;
use tonic::{
    Code, Status,
    metadata::{MetadataMap, MetadataValue},
};
use tonic_types::pb as rpc;

/// The domain of every `ErrorInfo`.
const DOMAIN: &str = "switchboard";

/// Shortest pause that helps where Bedrock does not name one, and where this process is at capacity.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Maximum size of the list of task names in the message of an unknown task, in bytes.
const MAX_TASK_LIST_BYTES: usize = 400;

/// Maximum size of a name that a message repeats, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// Why a call ended early.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The request is wrong; Bedrock was not called.
    #[error("{}", .0.iter().map(|violation| format!("{}: {}", violation.field, violation.problem)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Violation>),
    /// The configuration has no such task.
    #[error("{}", unknown_task(.0))]
    UnknownTask(UnknownTask),
    /// The caller's deadline, or the task's, was exceeded.
    #[error("the deadline was exceeded after {}", counted(*attempts, "attempt"))]
    DeadlineExceeded {
        /// Attempts that had started.
        attempts: usize,
    },
    /// The request did not arrive in time.
    #[error(
        "the request did not arrive within {timeout:?}: send it faster, or ask the operator for a longer upload_timeout"
    )]
    UploadTimeout {
        /// Longest time that a request may take to arrive.
        timeout: Duration,
    },
    /// No candidate can serve the request: what each of them lacks.
    #[error("no model of this task can serve the request: {}", unmet(.0))]
    NoEligibleModel(Vec<(String, Unmet)>),
    /// No candidate answered; the failure is the most useful one for the caller.
    #[error("{}", caller_message(.0))]
    Failed(Failure),
    /// The stream broke after content had been sent.
    #[error("the response is incomplete: {}", caller_message(.0))]
    Interrupted(Failure),
    /// The circuit breakers of all candidates are open; none was called.
    #[error("all models of this task are temporarily disabled by their circuit breakers")]
    NoHealthyModel {
        /// When the next attempt is allowed. Absent: the configuration disables them.
        until: Option<Instant>,
    },
    /// The first model fails, and no more calls may go to the others.
    #[error(
        "the task's first model fails, and the limit of calls that may fall back (max_fallback_share) is reached"
    )]
    FallbackCapped,
    /// The response was ready, and the caller did not read it.
    #[error("the caller did not read the ready response for {timeout:?}; the response is incomplete")]
    SlowConsumer {
        /// Longest time that a ready response may stay unread.
        timeout: Duration,
    },
    /// All permits are taken; Bedrock was not called.
    #[error("Switchboard is at capacity")]
    Overloaded,
    /// Feedback on an unknown response.
    #[error(
        "unknown request id: it has expired, or another instance served the call; use the request_id of the response's \
         route"
    )]
    UnknownRequest,
    /// An internal error.
    #[error("internal error of Switchboard; the log has the details under the request id")]
    Internal,
}

/// A field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its path, in the contract's names: `messages[0].role`.
    pub field: String,
    /// What is wrong, and how to fix it.
    pub problem: String,
}

/// Collects violations, so that one status names every wrong field.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<Violation>);

impl Violations {
    pub(crate) fn add(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Violation { field: field.into(), problem: problem.into() });
    }

    /// # Errors
    /// [`CallError::Invalid`] if there is a violation.
    pub(crate) fn into_result(self) -> Result<(), CallError> {
        if self.0.is_empty() { Ok(()) } else { Err(CallError::Invalid(self.0)) }
    }
}

impl From<UnknownTask> for CallError {
    fn from(error: UnknownTask) -> Self {
        Self::UnknownTask(error)
    }
}

/// Facts about the call that its status carries.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The request id. Empty: the call had none.
    pub request_id: String,
    /// Every attempt. Absent: no task had been resolved.
    pub route: Option<pb::Route>,
    /// The part of a stream that had been sent. Absent: nothing.
    pub received: Option<pb::Received>,
}

// === impl CallError ===

impl CallError {
    /// An error about one field.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation { field: field.into(), problem: problem.into() }])
    }

    /// The reason that callers branch on.
    #[must_use]
    pub fn reason(&self) -> ErrorReason {
        match self {
            Self::Invalid(_) => ErrorReason::InvalidField,
            Self::UnknownTask(_) => ErrorReason::UnknownTask,
            Self::DeadlineExceeded { .. } | Self::UploadTimeout { .. } => ErrorReason::DeadlineExceeded,
            Self::NoEligibleModel(_) => ErrorReason::NoEligibleModel,
            Self::Failed(failure) => failure.kind.row().reason,
            Self::Interrupted(_) => ErrorReason::StreamInterrupted,
            Self::NoHealthyModel { .. } => ErrorReason::NoHealthyModel,
            Self::FallbackCapped => ErrorReason::FallbackCapped,
            Self::SlowConsumer { .. } => ErrorReason::ReaderStalled,
            Self::Overloaded => ErrorReason::Shed,
            Self::UnknownRequest => ErrorReason::UnknownRequest,
            Self::Internal => ErrorReason::Internal,
        }
    }

    /// The status for the caller.
    #[must_use]
    pub fn into_status(self, context: &Context) -> Status {
        let code = code(self.reason());
        let message = self.to_string();
        let status =
            rpc::Status { code: code.into(), message: message.clone(), details: self.details(context) };
        let mut metadata = MetadataMap::new();
        if self.plan_is_exhausted() {
            // Tells gRPC clients not to retry: Switchboard has retried already.
            metadata.insert("grpc-retry-pushback-ms", MetadataValue::from_static("-1"));
        } else if matches!(self, Self::Overloaded) {
            // As RetryInfo says, for the retries of gRPC libraries, which do not read it.
            let delay = u64::try_from(RETRY_DELAY.as_millis()).unwrap_or(u64::MAX);
            metadata.insert("grpc-retry-pushback-ms", delay.into());
        }
        Status::with_details_and_metadata(code, message, status.encode_to_vec().into(), metadata)
    }

    fn plan_is_exhausted(&self) -> bool {
        matches!(
            self,
            Self::Failed(_)
                | Self::Interrupted(_)
                | Self::DeadlineExceeded { .. }
                | Self::NoHealthyModel { .. }
                | Self::FallbackCapped
                | Self::SlowConsumer { .. }
        )
    }

    fn details(&self, context: &Context) -> Vec<Any> {
        let mut details = vec![google("ErrorInfo", &self.info(context))];
        if !context.request_id.is_empty() {
            let id = context.request_id.clone();
            details.push(google(
                "RequestInfo",
                &rpc::RequestInfo { request_id: id, serving_data: String::new() },
            ));
        }
        match self {
            Self::Invalid(violations) => details.push(bad_request(violations)),
            Self::UnknownTask(_) => {
                let problem = "is not a task of the configuration: use one of ListTasks".to_owned();
                details.push(bad_request(&[Violation { field: "task_type".to_owned(), problem }]));
            }
            Self::NoEligibleModel(unmet) => {
                let violation = |(model, unmet): &(String, Unmet)| Violation {
                    field: unmet.field.clone(),
                    problem: format!("{model} lacks {}", unmet.lacks),
                };
                details.push(bad_request(&unmet.iter().map(violation).collect::<Vec<_>>()));
            }
            Self::Failed(failure) => details.extend(failure_details(failure)),
            Self::NoHealthyModel { until } => details.extend(until.map(|until| {
                retry_info(until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)))
            })),
            Self::Overloaded | Self::FallbackCapped => details.push(retry_info(RETRY_DELAY)),
            _ => {}
        }
        if let Some(route) = &context.route {
            details.push(any("type.googleapis.com/switchboard.v1.Route", route));
        }
        if let Some(received) = &context.received {
            details.push(any("type.googleapis.com/switchboard.v1.Received", received));
        }
        details
    }

    fn info(&self, context: &Context) -> rpc::ErrorInfo {
        let mut metadata = HashMap::new();
        if let Some(route) = &context.route {
            metadata.insert("task_type".to_owned(), route.task_type.clone());
            let started = route.attempts.iter().filter(|attempt| attempt.outcome() != pb::Outcome::Skipped);
            metadata.insert("attempts".to_owned(), started.count().to_string());
        }
        let reason = reason_name(self.reason()).to_owned();
        rpc::ErrorInfo { reason, domain: DOMAIN.to_owned(), metadata }
    }
}

/// "1 attempt", "2 attempts".
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

fn unknown_task(UnknownTask { requested, suggestion, known }: &UnknownTask) -> String {
    let requested = shortened(requested);
    let suggestion =
        suggestion.as_ref().map(|task| format!(" Did you mean {:?}?", shortened(task))).unwrap_or_default();
    let mut listed = String::new();
    let mut left_out = known.len();
    for task in known {
        if listed.len() + task.len() > MAX_TASK_LIST_BYTES {
            break;
        }
        listed.push_str(if listed.is_empty() { " The tasks are " } else { ", " });
        listed.push_str(task);
        left_out -= 1;
    }
    let more = match left_out {
        0 => String::new(),
        more => format!(" and {more} more; ListTasks has all"),
    };
    format!("there is no task {requested:?}.{suggestion}{listed}{more}")
}

/// The start of a long name.
fn shortened(name: &str) -> String {
    let end = name.floor_char_boundary(MAX_NAME_BYTES);
    if end == name.len() { name.to_owned() } else { format!("{}…", &name[..end]) }
}

fn unmet(models: &[(String, Unmet)]) -> String {
    let lacks = models.iter().map(|(model, unmet)| format!("{model} lacks {}", unmet.lacks));
    lacks.collect::<Vec<_>>().join("; ")
}

/// The message of a failure for the caller.
fn caller_message(failure: &Failure) -> String {
    use FailureKind as K;
    let ours = match failure.kind {
        K::Throttled => "Bedrock throttles every model of this task",
        K::DailyQuota => "the account's daily quota at Bedrock is used up",
        K::ServiceQuota => "a quota of the account at Bedrock is used up",
        K::ModelNotReady => "the model is not ready yet",
        K::Unavailable => "Bedrock has no capacity for the model at the moment",
        K::Internal => "Bedrock failed",
        K::ModelTimeout => "the model exceeded Bedrock's time limit",
        K::ModelError => "the model failed",
        K::AccessDenied => "Switchboard has no access to the model at Bedrock; its operator must fix this",
        K::ExpiredCredentials => "Switchboard's AWS credentials have expired; its operator must fix this",
        K::NotFound => "the configured model does not exist at Bedrock; the operator must fix this",
        K::NeedsProfile => "the configured model needs an inference profile; the operator must fix this",
        K::Unreachable => "Bedrock could not be reached",
        K::Misconfigured => "Switchboard could not build the request to Bedrock; its operator must fix this",
        K::Protocol => "Bedrock's response could not be parsed",
        K::EndedEarly => "the model's stream ended before it was complete",
        K::UnknownException => "the model's stream ended with an unknown error",
        K::HeadersTimeout => "no model accepted the call in time",
        K::FirstContentTimeout => "no model sent any content in time",
        K::TooSlow => "every model started below the minimum throughput",
        K::ShareUsedUp => "no model answered within its share of the deadline",
        K::IdleTimeout => "the model stopped sending",
        K::AttemptTimeout => "no model answered in time",
        K::ModelRefused | K::ContextTooLong | K::Invalid | K::Conflict => {
            return format!("the model refused the request: {}", without_account(&failure.message));
        }
    };
    ours.to_owned()
}

/// Removes ARNs and account numbers.
fn without_account(message: &str) -> String {
    let words = message.split(' ').map(|word| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        if word.contains("arn:")
            || (digits == 12 && word.trim_matches(|c: char| !c.is_ascii_digit()).len() == 12)
        {
            "[removed]"
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn failure_details(failure: &Failure) -> Vec<Any> {
    let row = failure.kind.row();
    let mut details = Vec::new();
    if row.retry {
        details.push(retry_info(failure.retry_after.unwrap_or(RETRY_DELAY)));
    }
    if code(row.reason) == Code::ResourceExhausted {
        let violation = rpc::quota_failure::Violation {
            subject: "bedrock".to_owned(),
            description: caller_message(failure),
            ..Default::default()
        };
        details.push(google("QuotaFailure", &rpc::QuotaFailure { violations: vec![violation] }));
    }
    if row.shows_message {
        let problem = without_account(&failure.message);
        details.push(bad_request(&[Violation { field: blamed_field(&failure.message), problem }]));
    }
    details
}

fn retry_info(delay: Duration) -> Any {
    google("RetryInfo", &rpc::RetryInfo { retry_delay: delay.try_into().ok() })
}

/// The field that Bedrock's message names, as far as it names one.
fn blamed_field(message: &str) -> String {
    let fields = [
        ("temperature", "temperature"),
        ("top_p", "top_p"),
        ("topP", "top_p"),
        ("maximum tokens", "max_tokens"),
    ];
    let inference = fields.into_iter().find(|(word, _)| message.contains(word));
    inference.map_or_else(|| "messages".to_owned(), |(_, field)| format!("inference_config.{field}"))
}

fn bad_request(violations: &[Violation]) -> Any {
    let field_violations = violations
        .iter()
        .map(|Violation { field, problem }| rpc::bad_request::FieldViolation {
            field: field.clone(),
            description: problem.clone(),
            ..Default::default()
        })
        .collect();
    google("BadRequest", &rpc::BadRequest { field_violations })
}

fn google(name: &str, message: &impl Message) -> Any {
    any(&format!("type.googleapis.com/google.rpc.{name}"), message)
}

fn any(type_url: &str, message: &impl Message) -> Any {
    Any { type_url: type_url.to_owned(), value: message.encode_to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_own_message_without_an_account() {
        let mut messages: Vec<_> = FailureKind::ALL
            .into_iter()
            .filter(|kind| !kind.row().shows_message)
            .map(|kind| caller_message(&Failure::new(kind, "arn:aws:iam::123456789012:role/secret")))
            .collect();
        assert!(messages.iter().all(|message| !message.contains("arn:") && !message.contains("1234")));
        let all = messages.len();
        messages.sort();
        messages.dedup();
        assert_eq!(messages.len(), all);
    }

    #[test]
    fn accounts_are_removed_from_bedrocks_message() {
        let words =
            "User: arn:aws:sts::123456789012:assumed-role/x may not; account 123456789012, limit 4096.";
        assert_eq!(without_account(words), "User: [removed] may not; account [removed] limit 4096.");
    }
}
