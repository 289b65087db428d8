//! Admission: how many calls this process carries at once.
//!
//! A call holds one permit from its headers until its response *body* ends, so a stream that runs for a
//! minute counts for a minute; a stream also holds one of the streams' permits. With no permit free the call
//! is rejected at once: no model is called, the request is not read, and the caller is told when to retry.
//! Health, reflection, the `RoutingService` and the `FeedbackService` are never rejected: an operator must be
//! able to look at a server at capacity.
//!
//! # Why not a queue
//!
//! A call takes seconds to minutes, so a queue would not smooth a burst: it would use up the caller's
//! deadline before rejecting the call, and hold the request in memory meanwhile. A caller that is rejected at
//! once can go to another instance.
use crate::{
    config::Admission as Limits,
    error::{CallError, Context as StatusContext},
    record::RecordSlot,
    rpc::{Method, Rpc},
};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tower::{Layer, Service};

/// Makes [`Admission`]. Every service that one layer makes, and so every connection, shares the same permits.
#[derive(Clone, Debug)]
pub(crate) struct AdmissionLayer {
    permits: Permits,
}

/// Carries as many calls as there are permits, and rejects the others.
#[derive(Clone, Debug)]
pub(crate) struct Admission<S> {
    inner: S,
    permits: Permits,
}

#[derive(Clone, Debug)]
struct Permits {
    calls: Arc<Semaphore>,
    /// Absent: streams have no limit of their own.
    streams: Option<Arc<Semaphore>>,
}

/// What a call holds while it runs. Dropping it frees the permits.
#[derive(Debug)]
struct Permit {
    _call: OwnedSemaphorePermit,
    _stream: Option<OwnedSemaphorePermit>,
}

/// No permit is free.
#[derive(Debug)]
struct AtCapacity;

pin_project! {
    /// The response of a call, if it was admitted.
    #[project = AdmittedProjection]
    pub(crate) enum Admitted<F> {
        Running {
            #[pin]
            response: F,
            permit: Option<Permit>,
        },
        Rejected { status: Option<Status> },
    }
}

pin_project! {
    /// A body that holds its call's permit until it ends.
    #[derive(Debug, Default)]
    pub(crate) struct Held<B> {
        #[pin]
        body: B,
        permit: Option<Permit>,
    }
}

// === impl AdmissionLayer ===

impl AdmissionLayer {
    /// Admits as many calls as `limits` allow.
    #[must_use]
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { permits: Permits::new(limits) }
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admission<S>;

    fn layer(&self, inner: S) -> Admission<S> {
        Admission { inner, permits: self.permits.clone() }
    }
}

// === impl Admission ===

impl<S, A, B> Service<Request<A>> for Admission<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body + Default,
{
    type Response = Response<Held<B>>;
    type Error = S::Error;
    type Future = Admitted<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        match self.permits.admit(request.extensions().get::<Rpc>().copied()) {
            Ok(permit) => Admitted::Running { response: self.inner.call(request), permit },
            Err(AtCapacity) => {
                let record = request.extensions().get::<RecordSlot>().and_then(RecordSlot::claim);
                let status = match record {
                    Some(mut record) => record.failed(CallError::Overloaded),
                    None => CallError::Overloaded.into_status(&StatusContext::default()),
                };
                Admitted::Rejected { status: Some(status) }
            }
        }
    }
}

// === impl Permits ===

impl Permits {
    fn new(limits: &Limits) -> Self {
        let semaphore = |permits: u32| {
            let permits = usize::try_from(permits).unwrap_or(usize::MAX);
            Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
        };
        Self {
            calls: semaphore(limits.max_calls.get()),
            streams: limits.max_streams.map(|most| semaphore(most.get())),
        }
    }

    /// The permit of a call. `None`: the RPC needs none.
    fn admit(&self, rpc: Option<Rpc>) -> Result<Option<Permit>, AtCapacity> {
        let Some(rpc @ (Rpc::Model(_) | Rpc::Other)) = rpc else { return Ok(None) };
        let take = |permits: &Arc<Semaphore>| Arc::clone(permits).try_acquire_owned().map_err(|_| AtCapacity);
        let call = take(&self.calls)?;
        let streams = self.streams.as_ref().filter(|_| rpc == Rpc::Model(Method::ConverseStream));
        Ok(Some(Permit { _call: call, _stream: streams.map(take).transpose()? }))
    }
}

// === impl Admitted ===

impl<F, B, E> Future for Admitted<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body + Default,
{
    type Output = Result<Response<Held<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match self.project() {
            AdmittedProjection::Running { response, permit } => {
                ready!(response.poll(cx))?.map(|body| Held { body, permit: permit.take() })
            }
            AdmittedProjection::Rejected { status } => {
                let overloaded = || CallError::Overloaded.into_status(&StatusContext::default());
                let status = status.take().unwrap_or_else(overloaded);
                status.into_http::<B>().map(|body| Held { body, permit: None })
            }
        }))
    }
}

// === impl Held ===

impl<B: Body> Body for Held<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = ready!(this.body.poll_frame(cx));
        if !matches!(polled, Some(Ok(_))) {
            *this.permit = None; // a body that is kept after its end does not keep its permit
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Admission as Limits;
    use std::num::NonZeroU32;

    const STREAM: Option<Rpc> = Some(Rpc::Model(Method::ConverseStream));
    const UNARY: Option<Rpc> = Some(Rpc::Model(Method::Converse));
    const COUNT: Option<Rpc> = Some(Rpc::Model(Method::CountTokens));

    fn permits(max_calls: u32, max_streams: u32) -> Permits {
        let max_calls = NonZeroU32::new(max_calls).expect("is not zero");
        Permits::new(&Limits { max_calls, max_streams: NonZeroU32::new(max_streams) })
    }

    #[test]
    fn only_calls_that_models_serve_need_a_permit() {
        let permits = permits(1, 0);
        let held = permits.admit(UNARY).unwrap_or(None).expect("is free");
        for rpc in [None, Some(Rpc::ListTasks), Some(Rpc::ExplainRoute), Some(Rpc::RecordFeedback)] {
            assert!(matches!(permits.admit(rpc), Ok(None)), "{rpc:?}");
        }
        for rpc in [STREAM, UNARY, COUNT] {
            assert!(permits.admit(rpc).is_err(), "{rpc:?}");
        }
        drop(held);
        assert!(permits.admit(UNARY).is_ok());
    }

    #[test]
    fn a_stream_that_is_rejected_for_lack_of_a_stream_permit_holds_no_call_permit() {
        let permits = permits(2, 1);
        let _held = permits.admit(STREAM).unwrap_or(None).expect("is free");
        for _ in 0..3 {
            assert!(permits.admit(STREAM).is_err());
        }
        assert!(permits.admit(UNARY).is_ok());
    }
}
