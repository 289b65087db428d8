//! The edge: what is true of every call, as layers, in the order in which a call meets them.
//!
//! ```text
//!   write_coalescing.rs   the connection: a response and its trailers in one packet
//!   record.rs             the call's record begins, and ends for calls that no RPC claims
//!   upload.rs             the request body: a caller who cancels it has left
//!   slow_consumer.rs      the response body: a caller who does not read it is abandoned
//!   admission.rs          a permit, which the response body holds until its end
//! ```
pub(crate) mod admission;
pub(crate) mod decode_errors;
pub(crate) mod record;
pub(crate) mod slow_consumer;
mod upload;
pub(crate) mod write_coalescing;
