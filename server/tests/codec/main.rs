//! Tests of the codec: nothing is lost between the contract and Bedrock's JSON in either direction, and no
//! byte sequence is decoded as an event that Bedrock did not send.
//!
//! `lossless` has cases written by hand. `generated` has properties of messages generated from the contract's
//! descriptors and AWS's service model. `streams` reads recorded event streams. Service model and recordings
//! come from the folder of recordings (`recordings`).
#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

mod generated;
mod generator;
mod lossless;
mod recordings;
mod service_model;
mod streams;
