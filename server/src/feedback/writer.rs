//! The thread that owns the store, and the queue to it.
//!
//! Answers come by the thousand and nobody waits for them, so they are gathered: waking the thread for each of them, and
//! writing each in a transaction of its own, would cost a call more than routing it does.
use super::{
    Judgement, Quality,
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

/// How many may wait to be answered.
const CAPACITY: usize = 4096;

/// How many answers may wait for the disk: at a thousand calls a second, what a stall of eight seconds leaves behind.
const MOST_GATHERED: usize = 8192;

/// How long answers are gathered before they are written. Whoever judges one does not wait for that.
const GATHERING: Duration = Duration::from_millis(200);

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the feedback store {file} cannot be opened: {problem}")]
pub struct OpenError {
    file: String,
    problem: String,
}

/// What the thread is asked to do.
pub(super) enum Job {
    /// There are answers again.
    Gather,
    Judge {
        request_id: String,
        judgement: Judgement,
        now: SystemTime,
        reply: oneshot::Sender<Option<(AnswerRecord, bool)>>,
    },
    Quality {
        now: SystemTime,
        reply: oneshot::Sender<Vec<Quality>>,
    },
    /// Nothing after this counts.
    End,
}

/// Why a job was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The queue is full.
    Full,
    /// The store failed, which the log says.
    Failed,
}

/// The way to the thread.
#[derive(Clone)]
pub(super) struct Queue {
    jobs: SyncSender<Job>,
    gathered: Arc<Gathered>,
}

/// Answers that were not written yet.
struct Gathered {
    answers: Mutex<Vec<AnswerRecord>>,
    most: usize,
    lost: AtomicU64,
}

/// The thread, to be waited for at the end.
#[derive(Debug)]
pub struct Writer {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
}

/// Opens the store and begins to write.
pub(super) fn start(config: &config::Feedback) -> Result<(Queue, Writer), OpenError> {
    let cannot = |problem: &dyn Display| OpenError {
        file: config.file.as_ref().map_or("in memory".to_owned(), |file| file.display().to_string()),
        problem: problem.to_string(),
    };
    let store = Store::open(config).map_err(|error| cannot(&error))?;
    let (jobs, queued) = sync_channel(CAPACITY);
    let gathered = Arc::new(Gathered::new(MOST_GATHERED));
    let mut work =
        Work { store, gathered: Arc::clone(&gathered), answers: Vec::new(), told: 0, failing: false };
    let thread = thread::Builder::new().name("feedback".to_owned()).spawn(move || {
        thread_priority::lower();
        work.run(&queued);
    });
    let thread = thread.map_err(|error| cannot(&error))?;
    Ok((Queue { jobs: jobs.clone(), gathered }, Writer { jobs, thread }))
}

// === impl Queue ===

impl Queue {
    /// Never waits: what there is no room for is lost, and counted.
    pub(super) fn remember(&self, answer: AnswerRecord) {
        if self.gathered.add(answer)
            && matches!(self.jobs.try_send(Job::Gather), Err(TrySendError::Disconnected(_)))
        {
            self.gathered.lose(); // a full queue has woken the thread already
        }
    }

    pub(super) fn lost(&self) -> u64 {
        self.gathered.lost.load(Relaxed)
    }

    /// Waits for the reply of a job, not for a place in the queue.
    pub(super) async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, Refused> {
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
    /// Waits until everything so far is written, for so long at most, and ends the thread. What comes later is lost: calls
    /// that were cut may outlive the server by a moment.
    pub async fn finish(self, patience: Duration) {
        let Self { jobs, thread } = self;
        let written = spawn_blocking(move || jobs.send(Job::End).is_ok() && thread.join().is_ok());
        if timeout(patience, written).await.is_err() {
            tracing::warn!("feedback was still being written when the server ended");
        }
    }
}

// === impl Gathered ===

impl Gathered {
    fn new(most: usize) -> Self {
        Self { answers: Mutex::default(), most, lost: AtomicU64::new(0) }
    }

    /// True: it is the first, of which the thread has to be told.
    fn add(&self, answer: AnswerRecord) -> bool {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= self.most {
            self.lost.fetch_add(1, Relaxed);
            return false;
        }
        answers.push(answer);
        answers.len() == 1
    }

    /// Takes all of them into `into`, which is empty, and whose room is used again.
    fn take(&self, into: &mut Vec<AnswerRecord>) {
        std::mem::swap(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner), into);
    }

    /// Nobody will write them.
    fn lose(&self) {
        let mut lost = Vec::new();
        self.take(&mut lost);
        self.lost.fetch_add(lost.len() as u64, Relaxed);
    }
}

/// What the thread has.
struct Work {
    store: Store,
    gathered: Arc<Gathered>,
    /// Empty but while they are written.
    answers: Vec<AnswerRecord>,
    /// How many losses have been told.
    told: u64,
    /// The last write failed: the next failure says nothing new.
    failing: bool,
}

// === impl Work ===

impl Work {
    /// Until it is told to end, or all senders are gone.
    fn run(&mut self, queued: &Receiver<Job>) {
        let mut write_at = None;
        loop {
            let job = match next(queued, write_at) {
                Ok(Job::Gather) => {
                    write_at = write_at.or(Some(Instant::now() + GATHERING));
                    continue;
                }
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Job::End),
            };
            self.remember();
            self.tell_losses();
            write_at = None;
            match job {
                None | Some(Job::Gather) => {}
                Some(Job::End) => return,
                Some(Job::Judge { request_id, judgement, now, reply }) => {
                    let done = self.store.judge(&request_id, &judgement, now);
                    self.reply(done, reply);
                }
                Some(Job::Quality { now, reply }) => {
                    let done = self.store.quality(now);
                    self.reply(done, reply);
                }
            }
        }
    }

    /// Writes what was gathered.
    fn remember(&mut self) {
        self.gathered.take(&mut self.answers);
        let Some(now) = self.answers.iter().map(|answer| answer.at).max() else { return };
        let done = self.store.remember(&self.answers, now);
        if self.checked(done).is_none() {
            self.gathered.lost.fetch_add(self.answers.len() as u64, Relaxed);
        }
        self.answers.clear();
    }

    /// A dropped sender tells of a failure.
    fn reply<T>(&mut self, done: rusqlite::Result<T>, reply: oneshot::Sender<T>) {
        if let Some(done) = self.checked(done) {
            let _ = reply.send(done); // whoever asked may have left
        }
    }

    fn checked<T>(&mut self, done: rusqlite::Result<T>) -> Option<T> {
        let was_failing = std::mem::replace(&mut self.failing, done.is_err());
        done.inspect_err(|error| {
            if !was_failing {
                tracing::error!(%error, "feedback cannot be kept");
            }
        })
        .ok()
    }

    fn tell_losses(&mut self) {
        let lost = self.gathered.lost.load(Relaxed);
        if lost > self.told {
            tracing::warn!(answers = lost - self.told, "answers cannot be judged: the store did not keep up");
            self.told = lost;
        }
    }
}

/// The next job, or the moment at which to write.
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

    fn quality<'a>() -> impl FnOnce(oneshot::Sender<Vec<Quality>>) -> Job + 'a {
        |reply| Job::Quality { now: SystemTime::now(), reply }
    }

    #[tokio::test]
    async fn a_call_never_waits_for_a_store_that_stalls() {
        let (jobs, _stalled) = sync_channel(1);
        let queue = Queue { jobs, gathered: Arc::new(Gathered::new(2)) };
        for nth in 0..5 {
            queue.remember(answer(&nth.to_string()));
        }
        assert_eq!(queue.lost(), 3);
        assert_eq!(queue.ask(quality()).await, Err(Refused::Full));
    }

    #[tokio::test]
    async fn a_writer_that_is_gone_is_a_failure_and_not_a_wait() {
        let (jobs, queued) = sync_channel(2);
        drop(queued);
        let queue = Queue { jobs, gathered: Arc::new(Gathered::new(2)) };
        assert_eq!(queue.ask(quality()).await, Err(Refused::Failed));
        queue.remember(answer("nobody writes it"));
        assert_eq!(queue.lost(), 1);
    }

    #[tokio::test]
    async fn everything_is_written_before_the_end() {
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
        let judgement = crate::feedback::Judgement {
            judge_kind: "check".to_owned(),
            judge_id: "ci".to_owned(),
            criterion: "overall".to_owned(),
            thumb: Some(true),
            score: None,
            label: None,
            comment: None,
            task_success: None,
        };
        assert!(store.judge("999", &judgement, SystemTime::now()).expect("writes").is_some());
    }
}
