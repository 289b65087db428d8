//! Failures of a command: the error in one line, and hints.

use super::terminal::Terminal;
use std::io;
use switchboard_client::{
    Error, ErrorKind,
    names::{outcome_name, reason_name},
    pb,
};
use tonic::Code;

/// Why a command failed.
pub(crate) enum Failure {
    /// The arguments are invalid.
    Usage(String),
    /// The file of `--request` is not a valid request.
    Request(String),
    /// The call failed.
    Call(Error),
    /// Another model started over after text had been written to a pipe.
    StartedOver,
    /// The answer could not be written.
    Output(io::Error),
    /// The command could not start.
    Runtime(io::Error),
    /// Ctrl-C.
    Interrupted,
}

// === impl Failure ===

impl Failure {
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(super) fn report(&self, terminal: &Terminal) {
        match self {
            Self::Usage(problem) => terminal.error(problem, &["see `converse --help`".to_owned()]),
            Self::Request(problem) if problem.contains("modelId") => {
                terminal.error(
                    problem,
                    &["replace modelId with taskType: callers name a task, never a model".to_owned()],
                );
            }
            Self::Request(problem) => terminal.error(problem, &[]),
            Self::Call(error) => terminal.error(&error.to_string(), &hints(error)),
            Self::StartedOver => {
                let hint = "use --no-stream or --json".to_owned();
                terminal.error("another model started over: disregard the text written so far", &[hint]);
            }
            Self::Output(_) if self.is_broken_pipe() => {}
            Self::Interrupted => {}
            Self::Output(error) => terminal.error(&format!("could not write the answer: {error}"), &[]),
            Self::Runtime(error) => terminal.error(&format!("could not start: {error}"), &[]),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

fn hints(error: &Error) -> Vec<String> {
    let mut hints = Vec::new();
    for violation in error.field_violations() {
        hints.push(format!("{}: {}", violation.field, violation.problem));
    }
    let attempts = error.route().map_or(&[][..], |route| &route.attempts);
    hints.extend(attempts.iter().map(attempt_hint));
    hints.extend(advice(error));
    if let Some(delay) = error.retry_after() {
        hints.push(format!("try again in {}", humantime::format_duration(delay)));
    }
    if let Some(request_id) = error.request_id() {
        hints.push(format!("request id {request_id}"));
    }
    hints
}

fn attempt_hint(attempt: &pb::Attempt) -> String {
    let pb::Attempt { model_id, region, unmet_requirement, .. } = attempt;
    let why = match attempt.reason() {
        pb::ErrorReason::Unspecified => outcome_name(attempt.outcome()),
        reason => reason_name(reason),
    };
    match attempt.outcome() {
        pb::Outcome::Skipped if unmet_requirement.is_empty() => {
            format!("skipped {model_id} in {region}: {why}")
        }
        pb::Outcome::Skipped => format!("skipped {model_id} in {region}: {unmet_requirement}"),
        _ => format!("tried {model_id} in {region}: {why}"),
    }
}

fn advice(error: &Error) -> Option<String> {
    let advice = match (error.kind(), error.code(), error.reason()) {
        (ErrorKind::Connect, ..) => {
            "is Switchboard running at this address? `switchboard demo` starts it without AWS on http://127.0.0.1:50051"
        }
        (_, _, Some(pb::ErrorReason::UnknownTask)) => "`converse tasks` lists the tasks",
        (_, _, Some(pb::ErrorReason::StreamInterrupted)) => "the printed text is not a complete answer",
        (ErrorKind::Deadline, ..) => "a longer --deadline may help",
        (_, Code::Unauthenticated, _) => "give a token with --token or SWITCHBOARD_TOKEN",
        _ => return None,
    };
    Some(advice.to_owned())
}
