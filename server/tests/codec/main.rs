//! Proofs of the codec: that nothing is lost between the contract and Bedrock's JSON, in either direction, and that no
//! byte that Bedrock could send is taken for something that it did not say.
//!
//! What can be written down is in `lossless`. The rest is generated from the contract's descriptors and AWS's service
//! model (`generated`) or recorded from Bedrock (`streams`). Model and recordings are kept outside the project:
//! `SWITCHBOARD_RECORDINGS` names their folder, and without it these tests say what they leave out.
#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

mod generated;
mod generator;
mod lossless;
mod recordings;
mod service_model;
mod streams;
