//! Facts about attempts that spans and metrics are made of.
use crate::{deployment::Deployment, route::Candidate, rpc::Method};
use std::time::Duration;
use switchboard_proto::v1::{self as pb, ErrorReason};

/// Ids of a trace and a span, in hexadecimal.
#[derive(Clone, Debug, Default)]
pub(crate) struct TraceIds {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
}

/// An attempt that starts.
#[derive(Debug)]
pub(crate) struct AttemptStart<'a> {
    pub(crate) candidate: &'a Candidate,
    pub(crate) method: Method,
    pub(crate) request: &'a pb::ConverseRequest,
    pub(crate) inference: &'a pb::InferenceConfiguration,
    pub(crate) adjustments: &'a [pb::Adjustment],
    pub(crate) hedge: bool,
}

/// An attempt that has ended.
#[derive(Debug)]
pub(crate) struct AttemptEnd<'a> {
    pub(crate) attempt: &'a pb::Attempt,
    pub(crate) deployment: &'a Deployment,
    pub(crate) method: Method,
    /// The outcome as metrics have it.
    pub(crate) outcome: &'static str,
    /// `Unspecified`: it did not fail.
    pub(crate) reason: ErrorReason,
    pub(crate) took: Duration,
    /// True if something is to be paid for it and the price is unknown.
    pub(crate) is_unpriced: bool,
}
