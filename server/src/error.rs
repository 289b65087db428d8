//! Errors: why a call ended early, and the one table from it to a gRPC status.
//!
//! A status carries `google.rpc` details: an `ErrorInfo` whose reason callers branch on, a `RequestInfo`, and, where they
//! apply, a `BadRequest` with the field's path, a `RetryInfo`, a `QuotaFailure`. Once a task was resolved the
//! [`pb::Route`] with every attempt is there too. Its message never holds a secret, an ARN or a prompt: Bedrock's own
//! words are passed on only when the request itself is at fault, and without what looks like an account.
use crate::{
    attempt::failure::{Failure, FailureKind},
    shape::Unmet,
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

/// The least that waiting helps, where Bedrock does not say, and where we are full ourselves.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why a call ended early.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The request is wrong; Bedrock was not called.
    #[error("{}", .0.iter().map(|violation| format!("{}: {}", violation.field, violation.problem)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Violation>),
    /// The configuration has no such task.
    #[error("there is no task {task_type:?}: use one of {}", known.join(", "))]
    UnknownTask {
        /// What the caller asked for.
        task_type: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The caller's deadline, or the task's, ran out.
    #[error("the deadline ran out after {attempts} attempts")]
    DeadlineExceeded {
        /// How many attempts had been begun.
        attempts: usize,
    },
    /// No candidate can serve the request: what each of them lacks.
    #[error("no model of this task can serve the request: {}", unmet(.0))]
    NoEligibleModel(Vec<(String, Unmet)>),
    /// No candidate answered; the failure is the one that tells the caller most.
    #[error("{}", told(.0))]
    Failed(Failure),
    /// The stream broke after content had been sent.
    #[error("the answer broke off: {}; what was received is not the whole answer", told(.0))]
    Interrupted(Failure),
    /// Every candidate has failed too often of late, or is shut by the configuration; none was asked.
    #[error("no model of this task is asked just now: each has failed too often of late")]
    NoHealthyModel {
        /// When the next will be asked. Absent: nobody knows.
        until: Option<Instant>,
    },
    /// The first model fails, and no more calls may go to the others.
    #[error("the task's first model fails, and too many calls have gone to the others already")]
    FallbackCapped,
    /// The answer was ready, and the caller did not take it.
    #[error(
        "the answer was ready, and nothing of it was taken for {patience:?}; what was received is not all of it"
    )]
    ReaderStalled {
        /// How long that may take.
        patience: Duration,
    },
    /// All permits are taken; Bedrock was not called.
    #[error("Switchboard is at capacity")]
    Shed,
    /// Feedback to an answer that we do not know.
    #[error(
        "no answer with this request id is remembered: use the request_id of the answer's route, at the instance that \
         gave it, within the time that feedback is taken for"
    )]
    UnknownRequest,
    /// A fault of our own.
    #[error("a fault of Switchboard's own; the log has it under the request id")]
    Internal,
}

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its path, in the contract's names: `messages[0].role`.
    pub field: String,
    /// What is wrong and how to mend it.
    pub problem: String,
}

/// What the status says about its call.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The request id. Empty: the call had none yet.
    pub request_id: String,
    /// Every attempt. Absent: no task had been resolved.
    pub route: Option<pb::Route>,
    /// What of a stream had been sent. Absent: nothing.
    pub received: Option<pb::Received>,
}

// === impl CallError ===

impl CallError {
    /// One wrong field.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation { field: field.into(), problem: problem.into() }])
    }

    /// What callers branch on.
    #[must_use]
    pub fn reason(&self) -> ErrorReason {
        match self {
            Self::Invalid(_) => ErrorReason::InvalidField,
            Self::UnknownTask { .. } => ErrorReason::UnknownTask,
            Self::DeadlineExceeded { .. } => ErrorReason::DeadlineExceeded,
            Self::NoEligibleModel(_) => ErrorReason::NoEligibleModel,
            Self::Failed(failure) => failure.kind.row().reason,
            Self::Interrupted(_) => ErrorReason::StreamInterrupted,
            Self::NoHealthyModel { .. } => ErrorReason::NoHealthyModel,
            Self::FallbackCapped => ErrorReason::FallbackCapped,
            Self::ReaderStalled { .. } => ErrorReason::ReaderStalled,
            Self::Shed => ErrorReason::Shed,
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
            // Whoever retries by gRPC's rules need not: here it was done already.
            metadata.insert("grpc-retry-pushback-ms", MetadataValue::from_static("-1"));
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
                | Self::ReaderStalled { .. }
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
            Self::UnknownTask { .. } => {
                let problem = self.to_string();
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
            Self::Shed | Self::FallbackCapped => details.push(retry_info(RETRY_DELAY)),
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
            metadata.insert("attempts".to_owned(), route.attempts.len().to_string());
        }
        let reason = reason_name(self.reason()).to_owned();
        rpc::ErrorInfo { reason, domain: DOMAIN.to_owned(), metadata }
    }
}

pub use switchboard_proto::names::reason_name;

/// The one table from reason to code; the contract's comments repeat it, and a test compares the two.
#[must_use]
pub fn code(reason: ErrorReason) -> Code {
    use ErrorReason as R;
    match reason {
        R::InvalidField | R::UnknownTask | R::ModelRejected | R::ContextTooLong | R::NoEligibleModel => {
            Code::InvalidArgument
        }
        R::BedrockThrottled | R::BedrockQuota | R::CoolingDown => Code::ResourceExhausted,
        R::BedrockUnavailable
        | R::ModelError
        | R::ModelNotReady
        | R::BedrockUnreachable
        | R::BedrockProtocol
        | R::StreamInterrupted
        | R::NoHealthyModel
        | R::FallbackCapped
        | R::Shed => Code::Unavailable,
        R::ModelTimeout | R::DeadlineExceeded | R::ReaderStalled => Code::DeadlineExceeded,
        R::ModelAccessDenied | R::ModelNotFound => Code::FailedPrecondition,
        R::UnknownRequest => Code::NotFound,
        R::Internal | R::Unspecified => Code::Internal,
    }
}

fn unmet(models: &[(String, Unmet)]) -> String {
    let lacks = models.iter().map(|(model, unmet)| format!("{model} lacks {}", unmet.lacks));
    lacks.collect::<Vec<_>>().join("; ")
}

/// What a caller is told of a failure. Each clock has words of its own.
fn told(failure: &Failure) -> String {
    use FailureKind as K;
    let ours = match failure.kind {
        K::Throttled => "Bedrock throttles every model of this task",
        K::DailyQuota => "the account's daily quota at Bedrock is used up",
        K::ServiceQuota => "a quota of the account at Bedrock is used up",
        K::ModelNotReady => "the model is not ready yet",
        K::Unavailable => "Bedrock has no capacity for the model just now",
        K::Internal => "Bedrock failed",
        K::ModelTimeout => "the model took longer than Bedrock allows",
        K::ModelError => "the model failed",
        K::AccessDenied => {
            "Switchboard is not allowed to use the model at Bedrock; its operator must mend that"
        }
        K::ExpiredCredentials => "Switchboard's credentials at AWS have expired; its operator must mend that",
        K::NotFound => "the configured model does not exist at Bedrock; the operator must mend that",
        K::NeedsProfile => "the configured model needs an inference profile; the operator must mend that",
        K::Unreachable => "Bedrock could not be reached",
        K::Misconfigured => "Switchboard could not build the call to Bedrock; its operator must mend that",
        K::Protocol => "Bedrock's answer could not be read",
        K::EndedEarly => "the model's stream ended before its end",
        K::UnknownException => "the model's stream ended with an unknown error",
        K::HeadersTimeout => "no model accepted the call in time",
        K::FirstContentTimeout => "no model gave any content in time",
        K::TooSlow => "every model began too slowly",
        K::ShareUsedUp => "no model answered within its share of the deadline",
        K::IdleTimeout => "the model fell silent",
        K::AttemptTimeout => "no model answered in time",
        K::ModelRefused | K::ContextTooLong | K::Invalid | K::Conflict => {
            return format!("the model refused the request: {}", without_account(&failure.message));
        }
    };
    ours.to_owned()
}

/// Cuts out ARNs and account numbers.
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
            description: told(failure),
            ..Default::default()
        };
        details.push(google("QuotaFailure", &rpc::QuotaFailure { violations: vec![violation] }));
    }
    if row.tells {
        let problem = without_account(&failure.message);
        details.push(bad_request(&[Violation { field: blamed_field(&failure.message), problem }]));
    }
    details
}

fn retry_info(delay: Duration) -> Any {
    google("RetryInfo", &rpc::RetryInfo { retry_delay: delay.try_into().ok() })
}

/// The field that Bedrock blames, as far as its words tell.
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
    fn the_contract_says_which_code_each_reason_has() {
        let contract = include_str!("../../proto/switchboard/v1/route.proto");
        let reasons = contract.split("enum ErrorReason").nth(1).expect("is in the contract");
        let reasons = reasons.split("\n}").next().expect("has an end");
        let (mut documented, mut compared) = (None, 0);
        for line in reasons.lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix("// [") {
                documented = comment.split(']').next();
            } else if let Some((name, _)) = line.split_once(" = ") {
                let reason = ErrorReason::from_str_name(name).expect("is a reason");
                if let Some(expected) = documented.take() {
                    let found = format!("{:?}", code(reason)).to_lowercase();
                    assert_eq!(found, expected.replace('_', "").to_lowercase(), "{name}");
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, 24);
    }

    #[test]
    fn every_failure_tells_the_caller_something_of_its_own() {
        let mut told: Vec<_> = FailureKind::ALL
            .into_iter()
            .filter(|kind| !kind.row().tells)
            .map(|kind| told(&Failure::new(kind, "arn:aws:iam::123456789012:role/secret")))
            .collect();
        assert!(told.iter().all(|words| !words.contains("arn:") && !words.contains("1234")));
        let all = told.len();
        told.sort();
        told.dedup();
        assert_eq!(told.len(), all);
    }

    #[test]
    fn accounts_are_cut_out_of_bedrocks_words() {
        let words =
            "User: arn:aws:sts::123456789012:assumed-role/x may not; account 123456789012, limit 4096.";
        assert_eq!(without_account(words), "User: [removed] may not; account [removed] limit 4096.");
    }
}
