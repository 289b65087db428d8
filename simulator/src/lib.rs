//! A stand-in for Amazon Bedrock Runtime: its wire format, its strictness, and faults on request.
//!
//! Any AWS SDK can be pointed at it (`AWS_ENDPOINT_URL_BEDROCK_RUNTIME`). It answers `Converse`, `ConverseStream` and
//! `CountTokens` over plain HTTP/1.1 on loopback, refuses what Bedrock refuses, and says so in every answer: a reply
//! begins with `[simulated <model id>]`. Nothing is sent anywhere and no signature is recomputed.
//!
//! # The life of a call
//!
//! ```text
//! server   a connection, a request                       admin   /_sim/… ends here
//! call     authorization, path, log entry
//! fault    is this call to be refused, delayed, cut?
//! models   which model is meant                          data: models.toml
//! service_model the body against the service model            data: shapes.json
//! validate what Bedrock checks for every model
//! restrictions  what this model refuses
//! response      tokens, cache, reply                          pure: the same seed and request, the same reply
//! events   the reply as stream events
//! response_body frames and waits, one per poll                dropped: the caller hung up, generation stops
//! ```
//!
//! # Use from a test
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use bedrock_sim::{Config, Fault, FaultRule, Simulator};
//!
//! let bedrock = Simulator::start(Config { speed: 0.0, ..Config::default() }).await?;
//! let handle = bedrock.handle();
//! handle.inject(FaultRule::all(Fault::error("ThrottlingException")).times(2));
//! println!("{}", bedrock.endpoint_url());
//! # Ok(())
//! # }
//! ```

mod admin;
mod cache;
mod call;
mod call_log;
mod config;
mod digest;
mod error;
mod events;
mod fault;
mod frame;
mod models;
mod prompt;
mod response;
mod response_body;
mod restrictions;
mod server;
mod service_model;
mod tokens;
mod validate;

pub use call_log::CallLog;
pub use config::Config;
pub use fault::{Fault, FaultRule};
pub use server::{Handle, Simulator, serve};
