//! The thread that owns the store, and the queue to it.
//!
//! Answers arrive by the thousand and no call waits for them, so they are written in batches: waking the
//! thread and committing a transaction for each would cost a call more than routing it does.
use super::{
    Judgement,
    store::{AnswerRecord, Store},
};
use crate::{
    batch_queue::{BatchQueue, BatchThread, Rejected},
    config,
};
use std::{
    fmt::Display,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime},
};
use tokio::{sync::oneshot, task::spawn_blocking};

/// Maximum number of judgements that wait to be stored, besides the answers.
const MAX_PENDING_JUDGEMENTS: usize = 4096;

/// Maximum number of answers that wait to be written: those of eight seconds at a thousand calls per second.
const MAX_PENDING_ANSWERS: usize = 8192;

/// Time for which answers are collected before they are written. A judgement does not wait for it.
const BATCH_DELAY: Duration = Duration::from_millis(200);

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the feedback store {file} cannot be opened: {problem}")]
pub struct OpenError {
    file: String,
    problem: String,
}

/// What the thread has to do.
#[derive(Debug, Default)]
struct Batch {
    answers: Vec<AnswerRecord>,
    /// Stored after the answers, so that feedback that follows an answer at once finds it.
    judgements: Vec<Judge>,
}

/// Stores a judgement. The reply is `None` if there is no such answer, and is dropped if the store fails.
#[derive(Debug)]
struct Judge {
    request_id: String,
    judgement: Judgement,
    now: SystemTime,
    reply: oneshot::Sender<Option<(AnswerRecord, bool)>>,
}

/// Why a judgement was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The queue is full.
    Full,
    /// The store failed; the log has the reason.
    Failed,
}

/// Adds answers and judgements to the queue of the thread.
#[derive(Clone, Debug)]
pub(super) struct Queue(BatchQueue<Batch>);

/// The thread that writes. Dropping it does not end the thread.
#[derive(Debug)]
pub struct Writer(BatchThread<Batch>);

/// Opens the store and starts the thread.
pub(super) fn start(config: &config::Feedback) -> Result<(Queue, Writer), OpenError> {
    let cannot_open = |problem: &dyn Display| OpenError {
        file: config.file.as_ref().map_or("in memory".to_owned(), |file| file.display().to_string()),
        problem: problem.to_string(),
    };
    let store = Store::open(config).map_err(|error| cannot_open(&error))?;
    let mut worker = Worker { store, reported_losses: 0, is_failing: false };
    let handle = move |batch: &mut Batch, lost: &AtomicU64| worker.write(batch, lost);
    let (queue, thread) =
        BatchQueue::start("feedback", BATCH_DELAY, handle).map_err(|error| cannot_open(&error))?;
    Ok((Queue(queue), Writer(thread)))
}

// === impl Queue ===

impl Queue {
    /// Adds an answer. Never waits: an answer that does not fit is lost, and counted.
    pub(super) fn remember(&self, answer: AnswerRecord) {
        self.0.push(1, MAX_PENDING_ANSWERS, |batch| batch.answers.push(answer));
    }

    pub(super) fn lost(&self) -> u64 {
        self.0.lost()
    }

    /// Adds a judgement and waits until it is stored. Does not wait for space in the queue.
    pub(super) async fn judge(
        &self,
        request_id: String,
        judgement: Judgement,
        now: SystemTime,
    ) -> Result<Option<(AnswerRecord, bool)>, Refused> {
        let (reply, replied) = oneshot::channel();
        let judge = Judge { request_id, judgement, now, reply };
        self.0.push_urgent(1, MAX_PENDING_ANSWERS + MAX_PENDING_JUDGEMENTS, |batch| {
            batch.judgements.push(judge);
        })?;
        replied.await.map_err(|_| Refused::Failed)
    }
}

impl From<Rejected> for Refused {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Full => Self::Full,
            Rejected::Closed => Self::Failed,
        }
    }
}

// === impl Writer ===

impl Writer {
    /// Ends the thread and waits, at most for `max_wait`, until everything up to now is written. Answers that
    /// arrive later are lost: calls that were cut off may outlive the server by a moment.
    pub async fn finish(self, max_wait: Duration) {
        let written = spawn_blocking(move || self.0.finish(max_wait)).await;
        if !written.unwrap_or(false) {
            tracing::warn!("the server ended before all feedback was written");
        }
    }
}

/// State of the thread.
struct Worker {
    store: Store,
    /// Number of lost answers that the log has reported.
    reported_losses: u64,
    /// True if the last write failed. Only the first of consecutive failures is logged.
    is_failing: bool,
}

// === impl Worker ===

impl Worker {
    fn write(&mut self, batch: &mut Batch, lost: &AtomicU64) {
        self.write_answers(&batch.answers, lost);
        batch.answers.clear();
        self.report_losses(lost.load(Relaxed));
        for Judge { request_id, judgement, now, reply } in batch.judgements.drain(..) {
            let result = self.store.judge(&request_id, &judgement, now);
            if let Some(result) = self.log_failure(result) {
                let _ = reply.send(result); // the caller may have left
            }
        }
    }

    fn write_answers(&mut self, answers: &[AnswerRecord], lost: &AtomicU64) {
        let Some(now) = answers.iter().map(|answer| answer.at).max() else { return };
        let result = self.store.remember(answers, now);
        if self.log_failure(result).is_none() {
            lost.fetch_add(answers.len() as u64, Relaxed);
        }
    }

    fn log_failure<T>(&mut self, result: rusqlite::Result<T>) -> Option<T> {
        let was_failing = std::mem::replace(&mut self.is_failing, result.is_err());
        result
            .inspect_err(|error| {
                if !was_failing {
                    tracing::error!(%error, "feedback cannot be stored");
                }
            })
            .ok()
    }

    fn report_losses(&mut self, lost: u64) {
        if lost > self.reported_losses {
            let answers = lost - self.reported_losses;
            tracing::warn!(answers, "answers cannot receive feedback: the store did not keep up");
            self.reported_losses = lost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};

    fn answer(request_id: &str) -> AnswerRecord {
        AnswerRecord {
            request_id: request_id.to_owned(),
            at: SystemTime::now(),
            task_type: "coding".to_owned(),
            model_id: "us.opus".to_owned(),
            region: "us-east-1".to_owned(),
            variant: String::new(),
            config_version: String::new(),
            trace_id: String::new(),
            span_id: String::new(),
        }
    }

    fn judgement() -> Judgement {
        Judgement {
            judge_kind: "check".to_owned(),
            judge_id: "ci".to_owned(),
            criterion: "overall".to_owned(),
            thumb: Some(true),
            score: None,
            label: None,
            comment: None,
            task_success: None,
        }
    }

    async fn judge(queue: &Queue) -> Result<Option<(AnswerRecord, bool)>, Refused> {
        queue.judge("0".to_owned(), judgement(), SystemTime::now()).await
    }

    #[tokio::test]
    async fn a_call_never_waits_for_a_stalled_store() {
        let (stall, stalled) = std::sync::mpsc::channel::<()>();
        let (take, taken) = std::sync::mpsc::channel();
        let handle = move |_: &mut Batch, _: &AtomicU64| {
            let _ = take.send(());
            let _ = stalled.recv();
        };
        let (queue, _thread) = BatchQueue::start("stalled", Duration::ZERO, handle).expect("starts");
        let queue = Queue(queue);
        queue.remember(answer("first"));
        taken.recv().expect("is taken"); // from here on the thread takes nothing
        for nth in 0..MAX_PENDING_ANSWERS + 3 {
            queue.remember(answer(&nth.to_string()));
        }
        assert_eq!(queue.lost(), 3);
        let mut waiting: FuturesUnordered<_> = (0..MAX_PENDING_JUDGEMENTS).map(|_| judge(&queue)).collect();
        assert!(waiting.next().now_or_never().is_none(), "all have space and wait");
        assert_eq!(judge(&queue).await, Err(Refused::Full));
        drop(stall);
    }

    #[tokio::test]
    async fn a_request_to_an_ended_writer_fails_at_once() {
        let (queue, thread) =
            BatchQueue::start("ended", Duration::ZERO, |_: &mut Batch, _: &AtomicU64| {}).expect("starts");
        assert!(thread.finish(Duration::from_secs(60)));
        let queue = Queue(queue);
        assert_eq!(judge(&queue).await, Err(Refused::Failed));
        queue.remember(answer("nobody writes it"));
        assert_eq!(queue.lost(), 1);
    }

    #[tokio::test]
    async fn all_answers_are_written_before_the_end() {
        let folder = tempfile::TempDir::new().expect("is writable");
        let file = Some(folder.path().join("feedback.db"));
        let config = config::Feedback { file, ..config::Feedback::default() };
        let (queue, writer) = start(&config).expect("opens");
        for nth in 0..1000 {
            queue.remember(answer(&nth.to_string()));
        }
        assert_eq!(queue.lost(), 0);
        writer.finish(Duration::from_secs(60)).await;
        queue.remember(answer("too late"));
        assert_eq!(queue.lost(), 1);
        let mut store = Store::open(&config).expect("opens again");
        assert!(store.judge("999", &judgement(), SystemTime::now()).expect("writes").is_some());
    }
}
