//! The simulator as the AWS SDK sees it, over real sockets.

#![expect(clippy::expect_used, reason = "a test may panic, and so may what it is made of")]

mod answers;
mod configuration;
mod faults;
mod features;
mod hang_up;
mod harness;
mod recordings;
mod validation;
mod wire;
