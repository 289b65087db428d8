//! The client and its command line against a fake server on a real socket.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed assumption ends the test")]

mod calls;
mod chat;
mod collect;
mod command_line;
mod errors;
mod events;
mod fake;
mod tls;
mod trace;
