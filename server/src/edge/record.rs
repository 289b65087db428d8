//! The outermost layer: begins a record for every call of the contract's services, and ends those that no RPC
//! has claimed.
//!
//! An RPC claims the record of its call. A call that never reaches one (it is rejected at capacity, its
//! request cannot be decoded, its method does not exist) and a call whose service has no use for the record
//! end here, by the status of the response. A caller who leaves before the response drops the record, which
//! then says "cancelled".
use super::{
    decode_errors::{RequestLimits, map_decode_error},
    upload::Upload,
};
use crate::{
    record::{CallRecord, RecordSlot},
    rpc::Rpc,
    snapshot::Snapshots,
    telemetry::Observability,
};
use http::{Request, Response, header::CONTENT_TYPE};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use switchboard_proto::v1::ErrorReason;
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;
use tower::{Layer, Service};

/// Makes [`Record`].
#[derive(Clone, Debug)]
pub(crate) struct RecordLayer {
    snapshots: Snapshots,
    observability: Arc<Observability>,
    limits: RequestLimits,
}

/// Begins and ends records.
#[derive(Clone, Debug)]
pub(crate) struct Record<S> {
    inner: S,
    layer: RecordLayer,
}

pin_project! {
    /// The response of a call.
    pub(crate) struct Recorded<F> {
        #[pin]
        response: F,
        // Absent: the call is of a service that is not part of the contract.
        slot: Option<RecordSlot>,
        limits: RequestLimits,
    }
}

// === impl RecordLayer ===

impl RecordLayer {
    pub(crate) fn new(
        snapshots: Snapshots,
        observability: Arc<Observability>,
        limits: RequestLimits,
    ) -> Self {
        Self { snapshots, observability, limits }
    }
}

impl<S> Layer<S> for RecordLayer {
    type Service = Record<S>;

    fn layer(&self, inner: S) -> Record<S> {
        Record { inner, layer: self.clone() }
    }
}

// === impl Record ===

impl<S, B> Service<Request<Body>> for Record<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: Default,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Recorded<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let RecordLayer { snapshots, observability, limits } = &self.layer;
        let slot = rpc(&request).map(|rpc| {
            let snapshot = Arc::clone(&snapshots.borrow());
            let record = CallRecord::begin(rpc, snapshot, observability, request.headers());
            let slot = RecordSlot::new(record);
            request.extensions_mut().insert(rpc);
            request.extensions_mut().insert(slot.clone());
            slot
        });
        let request = request.map(|body| Body::new(Upload::new(body, limits.upload_timeout)));
        Recorded { response: self.inner.call(request), slot, limits: *limits }
    }
}

/// The RPC that a request calls. `None`: it is no gRPC call, or one of a service that is not recorded.
fn rpc<B>(request: &Request<B>) -> Option<Rpc> {
    let content_type = request.headers().get(CONTENT_TYPE)?;
    let is_grpc = content_type.as_bytes().starts_with(b"application/grpc");
    is_grpc.then(|| Rpc::of_path(request.uri().path())).flatten()
}

// === impl Recorded ===

impl<F, B, E> Future for Recorded<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.response.poll(cx))?;
        let record = this.slot.take().and_then(|slot| slot.claim());
        Poll::Ready(Ok(match record {
            Some(record) => finish(record, response, *this.limits),
            None => response,
        }))
    }
}

/// Ends a record that no RPC has claimed.
fn finish<B: Default>(mut record: CallRecord, response: Response<B>, limits: RequestLimits) -> Response<B> {
    let Some(status) = Status::from_header_map(response.headers()) else {
        record.answered_with(Code::Ok, None);
        return response;
    };
    if let Some(error) = map_decode_error(&status, limits) {
        return record.failed(error).into_http();
    }
    record.answered_with(status.code(), reason_of(&status));
    response
}

/// The reason among the details of a status. `None`: it has none of ours.
fn reason_of(status: &Status) -> Option<ErrorReason> {
    let info = status.get_details_error_info()?;
    ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason))
}
