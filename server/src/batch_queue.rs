//! A bounded queue that a thread of its own empties in batches.
//!
//! Calls add what no call waits for: log lines, answers for the feedback store. The thread wakes up with the
//! first item, waits while others arrive, and handles all of them at once: waking it for each item costs a
//! noticeable part of a call.
use crate::thread_priority;
use parking_lot::{Condvar, Mutex};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

/// Why an item was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The batch would exceed its size.
    Full,
    /// The thread has ended.
    Closed,
}

/// Adds to the batch that the thread takes next. Clones share the queue; when the last one is dropped, the
/// thread ends.
#[derive(Debug)]
pub struct BatchQueue<B>(Arc<CloseOnDrop<B>>);

/// The thread. Dropping this does not end it.
#[derive(Debug)]
pub struct BatchThread<B> {
    shared: Arc<Shared<B>>,
    ended: Receiver<()>,
}

#[derive(Debug, Default)]
struct Shared<B> {
    state: Mutex<State<B>>,
    changed: Condvar,
    /// Number of items that were not handled.
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State<B> {
    batch: B,
    /// Size of `batch`, in the unit of the caller.
    size: usize,
    /// Number of items in `batch`.
    items: u64,
    /// The batch does not wait for other items.
    is_urgent: bool,
    is_closed: bool,
}

#[derive(Debug)]
struct CloseOnDrop<B>(Arc<Shared<B>>);

// === impl BatchQueue ===

impl<B> Clone for BatchQueue<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Default + Send + 'static> BatchQueue<B> {
    /// Starts the thread. It waits `batch_time` after the first item of a batch for others. `handle` empties
    /// the batch, whose capacity it may keep, and counts in the second argument what it could not handle.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(
        name: &str,
        batch_time: Duration,
        mut handle: impl FnMut(&mut B, &AtomicU64) + Send + 'static,
    ) -> io::Result<(Self, BatchThread<B>)> {
        let shared = Arc::new(Shared::default());
        let queue = Self(Arc::new(CloseOnDrop(Arc::clone(&shared))));
        let (end, ended) = channel();
        let discard = DiscardOnDrop(Arc::clone(&shared));
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            thread_priority::lower();
            let mut batch = B::default();
            while discard.0.take(&mut batch, batch_time) {
                handle(&mut batch, &discard.0.lost);
            }
            drop((handle, discard));
            let _ = end.send(()); // nobody may be waiting
        })?;
        Ok((queue, BatchThread { shared, ended }))
    }
}

impl<B> BatchQueue<B> {
    /// Adds an item without waiting. False: the batch would exceed `max_size`, or the thread has ended; the
    /// item is counted as lost.
    pub fn push(&self, size: usize, max_size: usize, add: impl FnOnce(&mut B)) -> bool {
        let is_added = self.shared().add(size, max_size, false, add).is_ok();
        if !is_added {
            self.shared().lost.fetch_add(1, Relaxed);
        }
        is_added
    }

    /// Adds an item that does not wait for others.
    ///
    /// # Errors
    /// As [`push`](Self::push); nothing is counted, because the caller learns of it.
    pub fn push_urgent(
        &self,
        size: usize,
        max_size: usize,
        add: impl FnOnce(&mut B),
    ) -> Result<(), Rejected> {
        self.shared().add(size, max_size, true, add)
    }

    /// Number of items that were lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared().lost.load(Relaxed)
    }

    fn shared(&self) -> &Shared<B> {
        &self.0.0
    }
}

// === impl BatchThread ===

impl<B> BatchThread<B> {
    /// Ends the thread and waits, at most for `max_wait`, until everything added so far is handled. What is
    /// added later is lost. False: the time did not suffice.
    #[must_use]
    pub fn finish(self, max_wait: Duration) -> bool {
        self.shared.close();
        !matches!(self.ended.recv_timeout(max_wait), Err(RecvTimeoutError::Timeout))
    }
}

// === impl Shared ===

impl<B> Shared<B> {
    fn add(
        &self,
        size: usize,
        max_size: usize,
        is_urgent: bool,
        add: impl FnOnce(&mut B),
    ) -> Result<(), Rejected> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(Rejected::Closed);
        }
        if state.size + size > max_size {
            return Err(Rejected::Full);
        }
        let wakes = state.items == 0 || (is_urgent && !state.is_urgent);
        state.size += size;
        state.items += 1;
        state.is_urgent |= is_urgent;
        add(&mut state.batch);
        drop(state);
        if wakes {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Waits for items and takes those of a batch. False: the queue is closed and empty.
    fn take(&self, batch: &mut B, batch_time: Duration) -> bool {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| state.items == 0 && !state.is_closed);
        self.changed.wait_while_for(&mut state, |state| !state.is_urgent && !state.is_closed, batch_time);
        std::mem::swap(&mut state.batch, batch);
        state.is_urgent = false;
        state.size = 0;
        std::mem::take(&mut state.items) > 0
    }

    fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_one();
    }
}

// === impl CloseOnDrop ===

impl<B> Drop for CloseOnDrop<B> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Held by the thread. When it ends, even by a panic, the queue is closed and emptied: nobody waits for it in
/// vain.
#[derive(Debug)]
struct DiscardOnDrop<B: Default>(Arc<Shared<B>>);

// === impl DiscardOnDrop ===

impl<B: Default> Drop for DiscardOnDrop<B> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.is_closed = true;
        self.0.lost.fetch_add(std::mem::take(&mut state.items), Relaxed);
        state.batch = B::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, TryRecvError};

    const LONG: Duration = Duration::from_secs(60);
    const MAX: usize = 4;

    type Batches = (BatchQueue<Vec<u8>>, BatchThread<Vec<u8>>, Receiver<Vec<u8>>);

    /// A queue whose thread sends each batch to the test.
    fn queue(batch_time: Duration) -> Batches {
        let (send, batches): (Sender<Vec<u8>>, _) = channel();
        let handle = move |batch: &mut Vec<u8>, _: &AtomicU64| {
            let _ = send.send(std::mem::take(batch));
        };
        let (queue, thread) = BatchQueue::start("test", batch_time, handle).expect("starts");
        (queue, thread, batches)
    }

    fn push(queue: &BatchQueue<Vec<u8>>, item: u8) -> bool {
        queue.push(1, MAX, |batch| batch.push(item))
    }

    #[test]
    fn handles_in_order_all_that_was_added_before_the_end() {
        let (queue, thread, batches) = queue(LONG);
        for item in 0..4 {
            assert!(push(&queue, item));
        }
        assert!(thread.finish(LONG));
        assert_eq!(batches.try_iter().flatten().collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn counts_what_does_not_fit_and_what_comes_after_the_end() {
        let (queue, thread, batches) = queue(LONG);
        let added: Vec<_> = (0..6).map(|item| push(&queue, item)).collect();
        assert_eq!(added, [true, true, true, true, false, false]);
        assert!(thread.finish(LONG));
        assert!(!push(&queue, 7));
        assert_eq!(queue.lost(), 3);
        assert_eq!(batches.try_iter().flatten().count(), MAX);
    }

    #[test]
    fn an_urgent_item_does_not_wait_for_others() {
        let (queue, _thread, batches) = queue(LONG);
        push(&queue, 1);
        assert_eq!(queue.push_urgent(1, MAX, |batch| batch.push(2)), Ok(()));
        assert_eq!(batches.recv_timeout(LONG / 2).expect("is handled"), [1, 2]);
    }

    #[test]
    fn an_empty_queue_ends_without_a_batch() {
        let (_queue, thread, batches) = queue(Duration::ZERO);
        assert!(thread.finish(LONG));
        assert_eq!(batches.try_recv(), Err(TryRecvError::Disconnected));
    }

    #[test]
    fn a_thread_that_panics_leaves_a_closed_queue() {
        let broken = |_: &mut Vec<u8>, _: &AtomicU64| panic!("broken on purpose");
        let (queue, thread) = BatchQueue::start("broken", Duration::ZERO, broken).expect("starts");
        push(&queue, 1);
        assert!(thread.finish(LONG));
        assert_eq!(queue.push_urgent(1, MAX, |batch| batch.push(2)), Err(Rejected::Closed));
    }

    #[test]
    fn the_thread_ends_with_the_last_clone() {
        let (queue, thread, _batches) = queue(LONG);
        drop(queue);
        assert_eq!(thread.ended.recv_timeout(LONG), Ok(()));
    }

    #[test]
    fn a_thread_that_is_stuck_does_not_delay_the_end() {
        let (block, blocked) = channel::<()>();
        let stuck = move |batch: &mut Vec<u8>, _: &AtomicU64| {
            batch.clear();
            let _ = blocked.recv();
        };
        let (queue, thread) = BatchQueue::start("stuck", Duration::ZERO, stuck).expect("starts");
        push(&queue, 1);
        assert!(!thread.finish(Duration::from_millis(10)));
        drop(block);
    }
}
