//! Admission: how many calls this process carries at once.
//!
//! A call holds one permit from its headers until its *body* ends, so a stream that talks for a minute counts for a
//! minute; a stream holds one of the streams' permits too. With no permit free the call is shed at once: it asks no
//! model, its request is not read, and the caller is told to come back. Health, reflection and the `RoutingService` are
//! never shed: whoever looks at a full server must be able to see it.
//!
//! # Why not a queue
//!
//! A call takes seconds to minutes, so a queue would not smooth a burst: it would spend the caller's deadline before
//! saying no, and hold the request in memory meanwhile. Whoever is told at once can go to another instance.
use crate::{
    config::Admission as Limits,
    error::{CallError, Context as Said},
    telemetry::{Arrival, Signals, method},
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
use switchboard_proto::v1::converse_service_server::ConverseServiceServer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::server::NamedService;
use tower::{Layer, Service};

/// Makes [`Admission`]. Every service that one layer makes, and so every connection, shares the same permits.
#[derive(Clone, Debug)]
pub(crate) struct AdmissionLayer {
    permits: Permits,
    signals: Arc<Signals>,
}

/// Carries as many calls as there are permits, and sheds the others.
#[derive(Clone, Debug)]
pub(crate) struct Admission<S> {
    inner: S,
    permits: Permits,
    signals: Arc<Signals>,
}

/// How many calls run.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    calls: Arc<Semaphore>,
    most: usize,
}

#[derive(Clone, Debug)]
struct Permits {
    calls: Arc<Semaphore>,
    /// Absent: streams have no bound of their own.
    streams: Option<Arc<Semaphore>>,
}

/// What a call holds while it runs; free again when dropped.
#[derive(Debug)]
struct Permit {
    method: &'static str,
    _call: OwnedSemaphorePermit,
    _stream: Option<OwnedSemaphorePermit>,
}

/// There is no permit left for a call of this method.
#[derive(Debug)]
struct Full(&'static str);

pin_project! {
    /// The response of a call, if it was admitted.
    #[project = AdmittedProjection]
    pub(crate) enum Admitted<F> {
        Running {
            #[pin]
            response: F,
            permit: Option<Permit>,
            // Of a call that may never reach its RPC.
            arrival: Option<Arrival>,
        },
        Shed,
    }
}

pin_project! {
    /// A body that holds its call's permit until it ends.
    #[derive(Debug)]
    pub(crate) struct Held<B> {
        #[pin]
        body: B,
        permit: Option<Permit>,
    }
}

// === impl AdmissionLayer ===

impl AdmissionLayer {
    /// Admits what `limits` allow.
    #[must_use]
    pub(crate) fn new(limits: &Limits, signals: Arc<Signals>) -> Self {
        Self { permits: Permits::new(limits), signals }
    }

    /// The calls of all services that this makes.
    pub(crate) fn running(&self) -> Running {
        Running::of(&self.permits.calls)
    }
}

impl Running {
    /// `calls` are all free.
    pub(crate) fn of(calls: &Arc<Semaphore>) -> Self {
        Self { most: calls.available_permits(), calls: Arc::clone(calls) }
    }

    pub(crate) fn are_several(&self) -> bool {
        self.calls.available_permits() + 1 < self.most
    }
}

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
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admission<S>;

    fn layer(&self, inner: S) -> Admission<S> {
        Admission { inner, permits: self.permits.clone(), signals: Arc::clone(&self.signals) }
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

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        match self.permits.admit(request.uri().path()) {
            Ok(permit) => {
                let arrival =
                    permit.as_ref().map(|it| Arrival::new(&self.signals, it.method, request.headers()));
                if let Some(arrival) = &arrival {
                    request.extensions_mut().insert(arrival.reached());
                }
                Admitted::Running { response: self.inner.call(request), permit, arrival }
            }
            Err(Full(method)) => {
                self.signals.shed(method, request.headers());
                Admitted::Shed
            }
        }
    }
}

// === impl Permits ===

impl Permits {
    /// The permit of a call to `path`. None: it needs none.
    fn admit(&self, path: &str) -> Result<Option<Permit>, Full> {
        type Calls = ConverseServiceServer<()>;
        let method = match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
            Some((<Calls as NamedService>::NAME, method)) => method,
            _ => return Ok(None),
        };
        let method = self::method(method);
        let take =
            |permits: &Arc<Semaphore>| Arc::clone(permits).try_acquire_owned().map_err(|_| Full(method));
        let call = take(&self.calls)?;
        let streams = self.streams.as_ref().filter(|_| method == "ConverseStream");
        Ok(Some(Permit { method, _call: call, _stream: streams.map(take).transpose()? }))
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
            AdmittedProjection::Running { response, permit, arrival } => {
                let response = ready!(response.poll(cx))?;
                if let Some(mut arrival) = arrival.take() {
                    arrival.answered(response.headers());
                }
                response.map(|body| Held { body, permit: permit.take() })
            }
            AdmittedProjection::Shed => {
                let status = CallError::Shed.into_status(&Said::default());
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
            *this.permit = None; // whoever keeps a body that has ended does not keep its permit
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

    const STREAM: &str = "/switchboard.v1.ConverseService/ConverseStream";
    const WHOLE: &str = "/switchboard.v1.ConverseService/Converse";

    fn permits(max_calls: u32, max_streams: u32) -> Permits {
        let max_calls = NonZeroU32::new(max_calls).expect("is not zero");
        Permits::new(&Limits { max_calls, max_streams: NonZeroU32::new(max_streams) })
    }

    #[test]
    fn only_calls_of_models_need_a_permit() {
        let permits = permits(1, 0);
        let held = permits.admit(WHOLE).unwrap_or(None).expect("is free");
        for path in [
            "/grpc.health.v1.Health/Check",
            "/switchboard.v1.RoutingService/ListTasks",
            "/switchboard.v1.ConverseServices/Converse",
            "/",
            "",
        ] {
            assert!(matches!(permits.admit(path), Ok(None)), "{path}");
        }
        for path in [STREAM, WHOLE, "/switchboard.v1.ConverseService/CountTokens"] {
            assert!(permits.admit(path).is_err(), "{path}");
        }
        drop(held);
        assert!(permits.admit(WHOLE).is_ok());
    }

    #[test]
    fn a_stream_that_is_shed_for_want_of_a_streams_permit_keeps_no_other() {
        let permits = permits(2, 1);
        let _held = permits.admit(STREAM).unwrap_or(None).expect("is free");
        for _ in 0..3 {
            assert!(permits.admit(STREAM).is_err());
        }
        assert!(permits.admit(WHOLE).is_ok());
    }
}
