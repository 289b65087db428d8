//! Whether there is news of a stream since it was last polled.
//!
//! Whoever sends a stream asks it once more for each event, and once more when the event has left, to learn twice that there
//! is nothing yet. Each time that question would go all the way down to Bedrock's connection.
use futures_util::task::AtomicWaker;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Beside one stream.
#[derive(Debug)]
pub(super) struct News {
    /// What the stream is polled with.
    waker: Waker,
    awaited: Arc<Awaited>,
}

#[derive(Debug, Default)]
struct Awaited {
    /// The stream was not polled since it was woken, or since it gave something.
    has_come: AtomicBool,
    by: AtomicWaker,
}

// === impl News ===

impl News {
    pub(super) fn new() -> Self {
        let awaited = Arc::new(Awaited { has_come: AtomicBool::new(true), by: AtomicWaker::new() });
        Self { waker: Waker::from(Arc::clone(&awaited)), awaited }
    }

    /// What `poll` says, which is asked only if it may say something else than the last time.
    pub(super) fn poll<T>(
        &self,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Awaited { has_come, by } = &*self.awaited;
        by.register(cx.waker()); // before the question: what comes after it wakes
        if !has_come.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let polled = poll(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            has_come.store(true, Ordering::Release);
        }
        polled
    }
}

// === impl Awaited ===

impl Wake for Awaited {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_come.store(true, Ordering::Release);
        self.by.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    #[test]
    fn what_has_nothing_is_not_asked_until_it_is_woken() {
        let (asked, kept) = (Cell::new(0), RefCell::new(None));
        let news = News::new();
        let poll = || {
            news.poll(&Context::from_waker(Waker::noop()), |cx| {
                asked.set(asked.get() + 1);
                *kept.borrow_mut() = Some(cx.waker().clone());
                Poll::<()>::Pending
            })
        };
        assert!(poll().is_pending() && poll().is_pending() && poll().is_pending());
        assert_eq!(asked.get(), 1);
        kept.borrow_mut().take().expect("was given one").wake();
        assert!(poll().is_pending() && poll().is_pending());
        assert_eq!(asked.get(), 2);
    }

    #[test]
    fn what_gave_something_is_asked_again() {
        let asked = Cell::new(0);
        let news = News::new();
        for _ in 0..3 {
            let polled = news.poll(&Context::from_waker(Waker::noop()), |_| {
                asked.set(asked.get() + 1);
                Poll::Ready(())
            });
            assert!(polled.is_ready());
        }
        assert_eq!(asked.get(), 3);
    }

    #[tokio::test]
    async fn whoever_waits_now_is_woken() {
        let news = Arc::new(News::new());
        let (say, said) = tokio::sync::oneshot::channel();
        let said = std::sync::Mutex::new(said);
        let wait = std::future::poll_fn(|cx| {
            news.poll(cx, |cx| {
                let mut said = said.lock().expect("is whole");
                std::pin::Pin::new(&mut *said).poll(cx)
            })
        });
        let mut wait = std::pin::pin!(wait);
        // Somebody else asked before, who has left.
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let (got, ()) = tokio::join!(wait, async {
            tokio::task::yield_now().await;
            say.send(7).expect("is awaited");
        });
        assert_eq!(got, Ok(7));
    }
}
