//! The client and its command line against a Switchboard that plays given answers over a real socket.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at its first surprise")]

mod calls;
mod chat;
mod collecting;
mod command_line;
mod errors;
mod fake;
mod tls;
mod words;
