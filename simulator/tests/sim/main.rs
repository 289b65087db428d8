//! Tests of the simulator over real sockets, with the AWS SDK as the caller.

#![expect(clippy::expect_used, reason = "a test and its helpers may panic")]

mod configuration;
mod disconnect;
mod faults;
mod features;
mod harness;
mod recordings;
mod responses;
mod validation;
mod wire;
