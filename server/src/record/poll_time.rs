//! Time in which this process worked on a call: the sum of its polls. Between them the call waited, for
//! Bedrock or for its caller.
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// Sums up the polls of one call. Clones share the sum.
#[derive(Clone, Debug)]
pub struct PollTimer(Arc<Clock>);

#[derive(Debug)]
struct Clock {
    origin: Instant,
    /// Nanoseconds of the polls that have ended.
    ended: AtomicU64,
    /// Start of the current poll, in nanoseconds since the origin; zero between polls.
    began: AtomicU64,
}

impl PollTimer {
    /// A timer without any polls.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Clock { origin: Instant::now(), ended: AtomicU64::new(0), began: AtomicU64::new(0) }))
    }

    /// Times one poll. One task polls a call at a time, so plain loads and stores are enough.
    pub fn time<T>(&self, poll: impl FnOnce() -> T) -> T {
        let began = self.now();
        self.0.began.store(began, Relaxed);
        let polled = poll();
        self.0.ended.store(self.0.ended.load(Relaxed) + (self.now() - began), Relaxed);
        self.0.began.store(0, Relaxed);
        polled
    }

    /// Times every poll of `work`.
    pub fn track<F: Future>(&self, work: F) -> Timed<F> {
        Timed { timer: self.clone(), work }
    }

    /// Sum of the polls, the current one included.
    #[must_use]
    pub fn total(&self) -> Duration {
        let current = match self.0.began.load(Relaxed) {
            0 => 0,
            began => self.now() - began,
        };
        Duration::from_nanos(self.0.ended.load(Relaxed) + current)
    }

    /// Nanoseconds since the origin, at least 1. They fit 64 bits for 500 years.
    fn now(&self) -> u64 {
        u64::try_from(self.0.origin.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

impl Default for PollTimer {
    fn default() -> Self {
        Self::new()
    }
}

pin_project! {
    /// A future whose polls are timed.
    pub struct Timed<F> {
        timer: PollTimer,
        #[pin]
        work: F,
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.timer.time(|| this.work.poll(cx))
    }
}
