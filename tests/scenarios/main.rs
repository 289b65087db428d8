//! Scenarios: a file for each promise, in one binary, so that they link once.
//!
//! Those with a fake model run over an in-memory connection with the clock paused, so that a wait of a minute is exact
//! and takes no time. Those that name the simulator or the recordings run what really calls Bedrock over real sockets: the engine
//! that `SWITCHBOARD_TEST_ENGINE` names (`engine.rs`).
#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]
#![expect(clippy::disallowed_methods, reason = "the runtime of a test ends with it, and waits for no one")]

mod bad_input;
mod breaker;
mod cancellation;
mod captured_log;
mod cost;
mod drain;
mod drain_under_load;
mod engine;
mod fallback;
mod features;
mod feedback;
mod harness;
mod hedging;
mod ladder;
mod oracle;
mod outage;
mod overload;
mod raw_http2;
mod recorded;
mod restart;
mod retries;
mod routing;
mod shaping;
mod shipped_config;
mod simulated;
mod slow_consumer;
mod sockets;
mod streaming;
mod telemetry;
mod timeouts;
