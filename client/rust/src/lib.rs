#![doc = include_str!("../README.md")]

pub use collect::{Collected, Collector};
pub use connect::{DEFAULT_ADDRESS, MAX_MESSAGE_BYTES, Options};
pub use error::{Error, ErrorKind, FieldViolation};
pub use request::{ask, assistant, system, tool_result, user};
pub use stream::{Event, EventStream, TextStream};
pub use switchboard::Switchboard;
pub use switchboard_proto::{names, v1 as pb};

mod collect;
mod connect;
mod error;
mod request;
mod stream;
mod switchboard;
pub mod task;
mod trace;

/// Result of every function of this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;
