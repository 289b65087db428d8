//! A gate that lets a poll through only if the stream may have something new.
//!
//! The HTTP/2 server polls a stream once for each event, once more to learn that there is no other, and once
//! more after it has sent the event. Without the gate each of these polls would go all the way down to
//! Bedrock's connection.
use futures_util::task::AtomicWaker;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// The gate of one stream.
#[derive(Debug)]
pub(super) struct WakeGate {
    /// The waker with which the stream is polled.
    waker: Waker,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The stream was woken, or returned an item, since it was polled last.
    ready: AtomicBool,
    consumer: AtomicWaker,
}

// === impl WakeGate ===

impl WakeGate {
    pub(super) fn new() -> Self {
        let state = Arc::new(State { ready: AtomicBool::new(true), consumer: AtomicWaker::new() });
        Self { waker: Waker::from(Arc::clone(&state)), state }
    }

    /// Calls `poll` if its result may differ from the last one.
    pub(super) fn poll<T>(
        &self,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let State { ready, consumer } = &*self.state;
        consumer.register(cx.waker()); // before the check: what comes after it wakes the consumer
        if !ready.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let polled = poll(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            ready.store(true, Ordering::Release);
        }
        polled
    }
}

// === impl State ===

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.store(true, Ordering::Release);
        self.consumer.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    #[test]
    fn a_pending_stream_is_polled_again_only_after_it_was_woken() {
        let (polls, waker) = (Cell::new(0), RefCell::new(None));
        let gate = WakeGate::new();
        let poll = || {
            gate.poll(&Context::from_waker(Waker::noop()), |cx| {
                polls.set(polls.get() + 1);
                *waker.borrow_mut() = Some(cx.waker().clone());
                Poll::<()>::Pending
            })
        };
        assert!(poll().is_pending() && poll().is_pending() && poll().is_pending());
        assert_eq!(polls.get(), 1);
        waker.borrow_mut().take().expect("was passed").wake();
        assert!(poll().is_pending() && poll().is_pending());
        assert_eq!(polls.get(), 2);
    }

    #[test]
    fn a_stream_that_returned_an_item_is_polled_again() {
        let polls = Cell::new(0);
        let gate = WakeGate::new();
        for _ in 0..3 {
            let polled = gate.poll(&Context::from_waker(Waker::noop()), |_| {
                polls.set(polls.get() + 1);
                Poll::Ready(())
            });
            assert!(polled.is_ready());
        }
        assert_eq!(polls.get(), 3);
    }

    #[tokio::test]
    async fn the_consumer_that_polled_last_is_woken() {
        let gate = Arc::new(WakeGate::new());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let receiver = std::sync::Mutex::new(receiver);
        let wait = std::future::poll_fn(|cx| {
            gate.poll(cx, |cx| {
                let mut receiver = receiver.lock().expect("is not poisoned");
                std::pin::Pin::new(&mut *receiver).poll(cx)
            })
        });
        let mut wait = std::pin::pin!(wait);
        // Another consumer polled before, and has left.
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let (received, ()) = tokio::join!(wait, async {
            tokio::task::yield_now().await;
            sender.send(7).expect("is received");
        });
        assert_eq!(received, Ok(7));
    }
}
