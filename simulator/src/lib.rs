//! A simulator of Amazon Bedrock Runtime: its wire format, its request validation, and fault injection.
//!
//! Any AWS SDK can use it as its endpoint (`AWS_ENDPOINT_URL_BEDROCK_RUNTIME`). It serves `Converse`,
//! `ConverseStream` and `CountTokens` over plain HTTP/1.1 and rejects the requests that Bedrock rejects.
//! Every generated text starts with `[simulated <model id>]`, so that it cannot be mistaken for a model's
//! response. The simulator makes no outgoing connections, and it does not verify signatures.
//!
//! # The life of a call
//!
//! ```text
//! server          accepts connections and reads requests     admin: handles /_sim/…
//! call            checks authorization and path, logs the call
//! fault           decides whether the call is rejected, delayed or broken
//! models          finds the model of the id                  data: models.toml
//! service_model   validates the body, any model              data: shapes.json
//! validate        validates the conversation, any model
//! restrictions    rejects what the model does not support
//! response        generates the response                     pure: same seed and request, same response
//! events          converts the response to stream events
//! response_body   sends frames and delays, one per poll      dropped: the caller disconnected
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
