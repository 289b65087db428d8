//! The thread that owns the store, and the queue to it.
//!
//! Answers arrive by the thousand and no call waits for them, so they are written in batches: waking the thread and
//! committing a transaction for each would cost a call more than routing it does.
use super::{
    Judgement,
    store::{AnswerRecord, Store},
};
use crate::{config, thread_priority};
use std::{
    fmt::Display,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::oneshot,
    task::spawn_blocking,
    time::{Instant, timeout},
};

/// Maximum number of jobs in the queue.
const MAX_QUEUED_JOBS: usize = 4096;

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

/// A job of the thread.
pub(super) enum Job {
    /// The first pending answer has arrived: start a batch.
    StartBatch,
    /// Store a judgement. The reply is `None` if there is no such answer, and is dropped if the store fails.
    Judge {
        request_id: String,
        judgement: Judgement,
        now: SystemTime,
        reply: oneshot::Sender<Option<(AnswerRecord, bool)>>,
    },
    /// Write the pending answers and end.
    End,
}

/// Why a job was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The queue is full.
    Full,
    /// The store failed; the log has the reason.
    Failed,
}

/// Sends answers and jobs to the thread.
#[derive(Clone)]
pub(super) struct Queue {
    jobs: SyncSender<Job>,
    pending: Arc<PendingAnswers>,
}

/// Answers that are not written yet.
struct PendingAnswers {
    answers: Mutex<Vec<AnswerRecord>>,
    /// Maximum number of `answers`.
    max: usize,
    /// Number of answers that could not be stored.
    lost: AtomicU64,
}

/// The thread that writes. Dropping it does not end the thread.
#[derive(Debug)]
pub struct Writer {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
}

/// Opens the store and starts the thread.
pub(super) fn start(config: &config::Feedback) -> Result<(Queue, Writer), OpenError> {
    let cannot_open = |problem: &dyn Display| OpenError {
        file: config.file.as_ref().map_or("in memory".to_owned(), |file| file.display().to_string()),
        problem: problem.to_string(),
    };
    let store = Store::open(config).map_err(|error| cannot_open(&error))?;
    let (jobs, queued) = sync_channel(MAX_QUEUED_JOBS);
    let pending = Arc::new(PendingAnswers::new(MAX_PENDING_ANSWERS));
    let mut worker = Worker {
        store,
        pending: Arc::clone(&pending),
        batch: Vec::new(),
        reported_losses: 0,
        is_failing: false,
    };
    let thread = thread::Builder::new().name("feedback".to_owned()).spawn(move || {
        thread_priority::lower();
        worker.run(&queued);
    });
    let thread = thread.map_err(|error| cannot_open(&error))?;
    Ok((Queue { jobs: jobs.clone(), pending }, Writer { jobs, thread }))
}

// === impl Queue ===

impl Queue {
    /// Adds an answer. Never waits: an answer that does not fit is lost, and counted.
    pub(super) fn remember(&self, answer: AnswerRecord) {
        if self.pending.add(answer)
            && matches!(self.jobs.try_send(Job::StartBatch), Err(TrySendError::Disconnected(_)))
        {
            self.pending.lose_all(); // if the queue is full instead, the thread is awake
        }
    }

    pub(super) fn lost(&self) -> u64 {
        self.pending.lost.load(Relaxed)
    }

    /// Queues a job and waits for its reply. Does not wait for space in the queue.
    pub(super) async fn request<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, Refused> {
        let (reply, replied) = oneshot::channel();
        self.jobs.try_send(job(reply)).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Full,
            TrySendError::Disconnected(_) => Refused::Failed,
        })?;
        replied.await.map_err(|_| Refused::Failed)
    }
}

// === impl Writer ===

impl Writer {
    /// Ends the thread and waits, at most for `max_wait`, until everything up to now is written. Answers that arrive
    /// later are lost: calls that were cut off may outlive the server by a moment.
    pub async fn finish(self, max_wait: Duration) {
        let Self { jobs, thread } = self;
        let written = spawn_blocking(move || jobs.send(Job::End).is_ok() && thread.join().is_ok());
        if timeout(max_wait, written).await.is_err() {
            tracing::warn!("the server ended before all feedback was written");
        }
    }
}

// === impl PendingAnswers ===

impl PendingAnswers {
    fn new(max: usize) -> Self {
        Self { answers: Mutex::default(), max, lost: AtomicU64::new(0) }
    }

    /// Returns true for the first answer of a batch, which the thread must be told about.
    fn add(&self, answer: AnswerRecord) -> bool {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= self.max {
            self.lost.fetch_add(1, Relaxed);
            return false;
        }
        answers.push(answer);
        answers.len() == 1
    }

    /// Moves all answers into an empty vector, whose capacity is reused.
    fn take(&self, into: &mut Vec<AnswerRecord>) {
        std::mem::swap(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner), into);
    }

    /// Discards all answers, because the thread has ended.
    fn lose_all(&self) {
        let mut lost = Vec::new();
        self.take(&mut lost);
        self.lost.fetch_add(lost.len() as u64, Relaxed);
    }
}

/// State of the thread.
struct Worker {
    store: Store,
    pending: Arc<PendingAnswers>,
    /// The answers that are being written; empty at all other times.
    batch: Vec<AnswerRecord>,
    /// Number of lost answers that the log has reported.
    reported_losses: u64,
    /// True if the last write failed. Only the first of consecutive failures is logged.
    is_failing: bool,
}

// === impl Worker ===

impl Worker {
    /// Works until [`Job::End`], or until all senders are dropped.
    fn run(&mut self, queued: &Receiver<Job>) {
        let mut write_at = None;
        loop {
            let job = match next(queued, write_at) {
                Ok(Job::StartBatch) => {
                    write_at = write_at.or(Some(Instant::now() + BATCH_DELAY));
                    continue;
                }
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Job::End),
            };
            self.write_batch();
            self.report_losses();
            write_at = None;
            match job {
                None | Some(Job::StartBatch) => {}
                Some(Job::End) => return,
                Some(Job::Judge { request_id, judgement, now, reply }) => {
                    let result = self.store.judge(&request_id, &judgement, now);
                    if let Some(result) = self.log_failure(result) {
                        let _ = reply.send(result); // the caller may have left
                    }
                }
            }
        }
    }

    /// Writes the pending answers.
    fn write_batch(&mut self) {
        self.pending.take(&mut self.batch);
        let Some(now) = self.batch.iter().map(|answer| answer.at).max() else { return };
        let result = self.store.remember(&self.batch, now);
        if self.log_failure(result).is_none() {
            self.pending.lost.fetch_add(self.batch.len() as u64, Relaxed);
        }
        self.batch.clear();
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

    fn report_losses(&mut self) {
        let lost = self.pending.lost.load(Relaxed);
        if lost > self.reported_losses {
            let answers = lost - self.reported_losses;
            tracing::warn!(answers, "answers cannot receive feedback: the store did not keep up");
            self.reported_losses = lost;
        }
    }
}

/// Waits for the next job, or until it is time to write.
fn next(queued: &Receiver<Job>, write_at: Option<Instant>) -> Result<Job, RecvTimeoutError> {
    match write_at {
        None => Ok(queued.recv()?),
        Some(then) => queued.recv_timeout(then.saturating_duration_since(Instant::now())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let (request_id, now) = ("0".to_owned(), SystemTime::now());
        queue.request(|reply| Job::Judge { request_id, judgement: judgement(), now, reply }).await
    }

    #[tokio::test]
    async fn a_call_never_waits_for_a_stalled_store() {
        let (jobs, _stalled) = sync_channel(1);
        let queue = Queue { jobs, pending: Arc::new(PendingAnswers::new(2)) };
        for nth in 0..5 {
            queue.remember(answer(&nth.to_string()));
        }
        assert_eq!(queue.lost(), 3);
        assert_eq!(judge(&queue).await, Err(Refused::Full));
    }

    #[tokio::test]
    async fn a_request_to_an_ended_writer_fails_at_once() {
        let (jobs, queued) = sync_channel(2);
        drop(queued);
        let queue = Queue { jobs, pending: Arc::new(PendingAnswers::new(2)) };
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
