//! Scenarios: one file per promise, in one binary, so that they are linked once.
//!
//! Tests with a fake model run over an in-memory connection with the clock paused, so that a wait of a minute
//! is exact and takes no time. Tests with the simulator or with recordings run over real sockets, on the
//! engine that `SWITCHBOARD_TEST_ENGINE` names (`engine.rs`).
#![expect(clippy::expect_used, reason = "a test that cannot continue reports the reason")]
#![expect(clippy::disallowed_methods, reason = "tasks end with the runtime of their test")]

mod bad_input;
mod breaker;
mod cancellation;
mod captured_log;
mod coalescing;
mod cool_down;
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
mod snapshots;
mod sockets;
mod streaming;
mod telemetry;
mod timeouts;
mod unknown_tasks;
