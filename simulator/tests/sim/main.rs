//! The simulator as the AWS SDK sees it, over real sockets.

#![expect(clippy::expect_used, reason = "a test may panic, and so may what it is made of")]

mod configuration;
mod disconnect;
mod faults;
mod features;
mod harness;
mod recordings;
mod responses;
mod validation;
mod wire;
