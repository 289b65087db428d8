//! `converse`: calls Switchboard from a terminal, a pipe or a script.

use clap::Parser as _;
use cli::{Args, Failure};
use std::process::ExitCode;
use switchboard_client::{Error, ErrorKind};
use tonic::Code;

mod cli;

/// Exit codes, as documented in `converse --help`.
mod exit {
    pub(super) const SUCCESS: u8 = 0;
    pub(super) const FAILED: u8 = 1;
    pub(super) const USAGE: u8 = 2;
    pub(super) const INVALID: u8 = 3;
    pub(super) const UNREACHABLE: u8 = 4;
    pub(super) const DEADLINE: u8 = 5;
    pub(super) const INTERRUPTED: u8 = 130;
}

fn main() -> ExitCode {
    let args = Args::parse();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let code = match cli::run(args, no_color) {
        Ok(()) => exit::SUCCESS,
        Err(failure) => exit_code(&failure),
    };
    ExitCode::from(code)
}

fn exit_code(failure: &Failure) -> u8 {
    match failure {
        Failure::Usage(_) => exit::USAGE,
        Failure::Request(_) => exit::INVALID,
        Failure::Call(error) => exit_code_of_call(error),
        Failure::StartedOver => exit::FAILED,
        Failure::Output(_) if failure.is_broken_pipe() => exit::SUCCESS, // the reader closed the pipe
        Failure::Output(_) | Failure::Runtime(_) => exit::FAILED,
        Failure::Interrupted => exit::INTERRUPTED,
    }
}

fn exit_code_of_call(error: &Error) -> u8 {
    match (error.kind(), error.code()) {
        (ErrorKind::Options, _) => exit::USAGE,
        (ErrorKind::Connect, _) => exit::UNREACHABLE,
        (_, Code::DeadlineExceeded) => exit::DEADLINE,
        (_, Code::InvalidArgument | Code::OutOfRange | Code::Unauthenticated | Code::PermissionDenied) => {
            exit::INVALID
        }
        _ => exit::FAILED,
    }
}
