//! Switchboard: one gRPC contract in front of every model on Amazon Bedrock.
//!
//! # The life of a call
//!
//! ```text
//!         caller ── HTTP/2, grpc-timeout, traceparent
//!   edge/   │   write_coalescing ─▶ record ─▶ slow_consumer ─▶ admission    true of every call; the permit rides the body
//!           ▼   pb::ConverseRequest                        record.rs begins at the edge and ends with the response
//!   service/        decode, plan, attempt, relay           snapshot.rs: the configuration of this call
//!           ▼
//!   route.rs        task type ─▶ RoutePlan [candidate, candidate]
//!           ▼
//!   validate.rs     what no model would accept
//!           ▼   Call
//!   attempt.rs      for each candidate   deployment.rs  may it be called? its breaker, its latency
//!           │                            shape.rs       what does this model accept? (catalogue/)
//!           │                            attempt/deadline.rs  how long may it take?
//!           │                            failure.rs     try the next, or tell the caller?
//!           ▼   Begun: the first content is there, so nothing below can fall back
//!   model.rs        the one interface to what answers; bedrock.rs implements it
//!           ▼   Stream<ModelEvent>
//!   relay.rs        source, integrity, accounting; polled by HTTP/2 flow control, cancelled by dropping
//!           ▼   pb::ConverseStreamResponse
//!         caller    and, as the response ends, the summary goes to spans, metrics and the log     telemetry.rs
//!           │
//!           ▼         later, by request id: how good was it?   feedback.rs
//! ```
//!
//! # The modules, from the ground up
//!
//! Imports point downwards only; `cargo xtask modules` prints the floors and fails on a cycle.
//!
//! ```text
//!   server   bootstrap                              assemble everything
//!   service  edge                                   gRPC services; layers of every call
//!   relay  attempt                                  streams to callers; the loop over candidates
//!   record ─▶ telemetry ─▶ summary  feedback         what became of a call, and where that is reported
//!   bedrock                                         Amazon Bedrock behind `Models`
//!   model  shape  cost  validate  error             requests, prices, checks, statuses
//!   snapshot  route                                 what one configuration determines
//!   deployment                                      breaker, latency, budgets, by identity
//!   config ─▶ switchboard-catalogue                  settings; data about models, prices and units
//!   failure  reason  rpc  semconv  thread_priority   the vocabulary
//! ```
pub mod attempt;
pub mod batch_queue;
pub mod bedrock;
pub mod bootstrap;
pub mod config;
pub mod cost;
pub mod deployment;
mod edge;
pub mod error;
pub mod failure;
pub mod feedback;
pub mod model;
pub mod reason;
pub mod record;
mod relay;
pub mod route;
pub mod rpc;
pub mod semconv;
mod server;
mod service;
pub mod shape;
pub mod snapshot;
mod summary;
pub mod telemetry;
pub mod thread_priority;
mod validate;

pub use switchboard_catalogue::{self as catalogue, units};

pub use server::{Drained, Parts, serve};
