//! Scenarios: a file for each promise, in one binary, so that they link once.
//!
//! Those with a fake model run over an in-memory connection with the clock paused, so that a wait of a minute is exact
//! and takes no time. Those that name the simulator or the recordings run the true AWS SDK over real sockets.

mod bad_input;
mod cancellation;
mod drain;
mod fallback;
mod harness;
mod recorded;
mod routing;
mod shipped_config;
mod streaming;
