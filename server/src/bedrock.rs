//! Amazon Bedrock, the production implementation of [`Models`](crate::model::Models).
//!
//! [`Bedrock`] combines a codec (`bedrock/codec/`) with an engine (`bedrock/engine.rs`) that sends request
//! bodies and returns reply bodies (`bedrock/transport.rs`). Only these files name `aws_*`.
//!
//! # Why not the SDK's types
//!
//! The SDK's types lose what the contract promises to keep. A JSON document becomes a hash map, so the schema
//! of a tool would have other bytes in every call. A union member that the SDK does not know arrives without
//! its content.
//!
//! # Why two engines
//!
//! The SDK provides regions, credentials, endpoints and signatures. Both engines use these parts
//! (`bedrock/aws_config.rs`) and map failures in the same way (`bedrock/failure.rs`). The tests run on both.
//!
//! - `direct` (`bedrock/direct/`), the default, combines these parts once at startup. The SDK's client does
//!   so for every call, which takes about 25 µs of CPU. It also prefers HTTP/2 with one connection for all
//!   calls, and opens no connection before the first call.
//! - `sdk` (`bedrock/sdk.rs`) is the SDK's client with an interceptor (`bedrock/sdk/body_interceptor.rs`).
//!   The interceptor replaces the request's body before it is signed, and takes the reply's body before it is
//!   parsed. This engine is the reference for the other one in tests, and the workaround if the two ever
//!   differ: set `[bedrock] engine`.
//!
//! The SDK's retries and stalled-stream protection are off, and neither engine has its own. The only retry
//! layer is in `attempt/`.
mod aws_config;
mod client;
pub mod codec;
mod direct;
mod engine;
mod error_body;
mod failure;
mod sdk;
mod transport;

pub use self::aws_config::ConnectError;
pub use client::{Bedrock, BedrockEvents};
