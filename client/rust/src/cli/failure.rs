//! What went wrong, in one line, and what may help.

use super::terminal::Terminal;
use std::io;
use switchboard_client::{
    Error, ErrorKind,
    names::{outcome_name, reason_name},
    pb,
};
use tonic::Code;

/// Why the command ends without an answer.
pub(crate) enum Failure {
    /// The command line asks for something that cannot be.
    Usage(String),
    /// The file given with `--request` cannot be read as a request.
    Request(String),
    /// The call failed.
    Call(Error),
    /// Another model started over after words had been written to a pipe.
    StartedOver,
    /// The answer could not be written.
    Output(io::Error),
    /// The command could not begin.
    Runtime(io::Error),
    /// Ctrl-C.
    Interrupted,
}

// === impl Failure ===

impl Failure {
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(super) fn tell(&self, terminal: &Terminal) {
        match self {
            Self::Usage(what) => terminal.alarm(what, &["`converse --help` says more".to_owned()]),
            Self::Request(what) if what.contains("modelId") => {
                terminal.alarm(
                    what,
                    &["callers name a task, never a model: put taskType for modelId".to_owned()],
                );
            }
            Self::Request(what) => terminal.alarm(what, &[]),
            Self::Call(error) => terminal.alarm(&error.to_string(), &hints(error)),
            Self::StartedOver => {
                let hint = "--no-stream and --json give whole answers".to_owned();
                terminal
                    .alarm("another model started over: the text written so far is not the answer", &[hint]);
            }
            Self::Output(_) if self.is_broken_pipe() => {}
            Self::Interrupted => {}
            Self::Output(error) => terminal.alarm(&format!("could not write the answer: {error}"), &[]),
            Self::Runtime(error) => terminal.alarm(&format!("could not start: {error}"), &[]),
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
    hints.extend(attempts.iter().map(tried));
    hints.extend(advice(error));
    if let Some(pause) = error.retry_after() {
        hints.push(format!("try again in {}", humantime::format_duration(pause)));
    }
    if let Some(request_id) = error.request_id() {
        hints.push(format!("request id {request_id}"));
    }
    hints
}

fn tried(attempt: &pb::Attempt) -> String {
    let outcome = match attempt.reason() {
        pb::ErrorReason::Unspecified => outcome_name(attempt.outcome()),
        reason => reason_name(reason),
    };
    let verb = if attempt.outcome() == pb::Outcome::Skipped { "skipped" } else { "tried" };
    format!("{verb} {} in {}: {outcome}", attempt.model_id, attempt.region)
}

fn advice(error: &Error) -> Option<String> {
    let advice = match (error.kind(), error.code(), error.reason()) {
        (ErrorKind::Connect, ..) => {
            "is Switchboard running there? `switchboard demo` starts one without AWS on http://127.0.0.1:50051"
        }
        (_, _, Some(pb::ErrorReason::UnknownTask)) => "`converse tasks` lists the tasks",
        (_, _, Some(pb::ErrorReason::StreamInterrupted)) => "what was printed is not the whole answer",
        (ErrorKind::Deadline, ..) => "a longer --deadline may help",
        (_, Code::Unauthenticated, _) => "give a token with --token or SWITCHBOARD_TOKEN",
        _ => return None,
    };
    Some(advice.to_owned())
}
