//! Feedback: judgements of answers, by task, model and variant.
//!
//! Each call that a model answered is stored under its request id, without its content: task, model, region,
//! variant and configuration version. Feedback names that id. The judgement is stored with the answer until
//! both are too old, and is passed to a [`JudgementSink`].
//!
//! One thread owns the store. Calls hand over answers through a bounded buffer and never wait: if it is full,
//! for example because a disk stalls, the answer cannot be judged later, which is counted and logged.
//! Judgements are processed after all answers before them, so that feedback that follows an answer at once
//! finds it; they wait for their result.
mod request;
mod store;
mod writer;

pub use store::AnswerRecord;
pub use writer::{OpenError, Writer};

use crate::{config, error::CallError};
use request::judgement;
use std::{fmt, sync::Arc, time::SystemTime};
use switchboard_proto::v1 as pb;
use writer::{Queue, Refused};

/// A judgement of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Kind of the judge: `human`, `model` or `check`.
    pub judge_kind: String,
    /// Id of the judge.
    pub judge_id: String,
    /// Criterion of the judgement.
    pub criterion: String,
    /// True for a thumb up, false for a thumb down. Absent: no thumb.
    pub thumb: Option<bool>,
    /// Score. Absent: none.
    pub score: Option<Score>,
    /// Label out of a small set of words. Absent: none.
    pub label: Option<String>,
    /// Explanation. Absent: none.
    pub comment: Option<String>,
    /// True if the caller's task succeeded with the answer. Absent: unknown.
    pub task_success: Option<bool>,
}

/// A score on a scale: finite, from `min` to `max`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The score.
    pub value: f64,
    /// Worst possible score.
    pub min: f64,
    /// Best possible score.
    pub max: f64,
}

/// A stored judgement with its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The answer.
    pub answer: AnswerRecord,
    /// The judgement.
    pub judgement: Judgement,
    /// True if it replaced an earlier judgement of the same judge and criterion.
    pub replaced: bool,
}

/// Receives every judgement, in the call that recorded it.
pub trait JudgementSink: Send + Sync + 'static {
    /// Called after a judgement was stored. Must not block.
    fn judged(&self, judged: &Judged);
}

/// Writes a log line for each judgement, without its comment and without the judge's id, which may be a
/// person's name.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogJudgements;

/// Answers and their judgements. Clones share the store.
#[derive(Clone)]
pub struct Feedback {
    queue: Queue,
    sink: Arc<dyn JudgementSink>,
}

// === impl Feedback ===

impl Feedback {
    /// Opens the store and starts the writer, which ends with [`Writer::finish`] or when all clones are
    /// dropped.
    ///
    /// # Errors
    /// If the file cannot be opened, or is not a feedback store of this version or an earlier one.
    pub fn open(
        config: &config::Feedback,
        sink: Arc<dyn JudgementSink>,
    ) -> Result<(Self, Writer), OpenError> {
        let (queue, writer) = writer::start(config)?;
        Ok((Self { queue, sink }, writer))
    }

    /// Stores an answer. Never waits.
    pub fn remember(&self, answer: AnswerRecord) {
        self.queue.remember(answer);
    }

    /// Number of answers that could not be stored.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// Stores a judgement.
    ///
    /// # Errors
    /// [`CallError::Invalid`], [`CallError::UnknownRequest`], [`CallError::Overloaded`] if the queue is full,
    /// and [`CallError::Internal`] if the store fails.
    pub async fn record(&self, request: pb::RecordFeedbackRequest) -> Result<Judged, CallError> {
        let judgement = judgement(&request)?;
        let stored = self.queue.judge(request.request_id, judgement.clone(), SystemTime::now()).await?;
        let (answer, replaced) = stored.ok_or(CallError::UnknownRequest)?;
        let judged = Judged { answer, judgement, replaced };
        self.sink.judged(&judged);
        Ok(judged)
    }
}

impl fmt::Debug for Feedback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feedback").field("lost", &self.lost()).finish_non_exhaustive()
    }
}

impl From<Refused> for CallError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::Overloaded,
            Refused::Failed => Self::Internal,
        }
    }
}

// === impl Judgement ===

impl Judgement {
    /// The judgement on a scale from 0 to 1, from its score, else its thumb, else its task success. `None`:
    /// it has none of them.
    #[must_use]
    pub fn normalized_score(&self) -> Option<f64> {
        let zero_or_one = |good: bool| if good { 1.0 } else { 0.0 };
        let score = self.score.as_ref().map(Score::normalized);
        score.or(self.thumb.map(zero_or_one)).or(self.task_success.map(zero_or_one))
    }
}

// === impl Score ===

impl Score {
    /// The score on a scale from 0 to 1.
    #[must_use]
    pub fn normalized(&self) -> f64 {
        // Halved, because max - min of the widest scale is more than the largest f64.
        let (value, min, max) = (self.value / 2.0, self.min / 2.0, self.max / 2.0);
        ((value - min) / (max - min)).clamp(0.0, 1.0)
    }
}

// === impl LogJudgements ===

impl JudgementSink for LogJudgements {
    fn judged(&self, judged: &Judged) {
        let Judged { answer, judgement, replaced } = judged;
        tracing::info!(
            request_id = answer.request_id,
            task = answer.task_type,
            model = answer.model_id,
            region = answer.region,
            variant = Some(answer.variant.as_str()).filter(|variant| !variant.is_empty()),
            config_version = answer.config_version,
            judge = judgement.judge_kind,
            criterion = judgement.criterion,
            thumb = judgement.thumb.map(|up| if up { "up" } else { "down" }),
            score = judgement.score.map(|score| score.normalized()),
            label = judgement.label,
            task_success = judgement.task_success,
            replaced,
            "feedback recorded"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_normalized_to_zero_to_one() {
        let normalized = |value, min, max| Score { value, min, max }.normalized();
        assert_eq!(normalized(4.0, 1.0, 5.0), 0.75);
        assert_eq!(normalized(-1.0, -1.0, 1.0), 0.0);
        assert_eq!(normalized(10.0, 0.0, 10.0), 1.0);
        assert_eq!(normalized(0.0, f64::MIN, f64::MAX), 0.5);
        assert_eq!(normalized(f64::MAX, f64::MIN, f64::MAX), 1.0);
        assert_eq!(normalized(f64::MIN, f64::MIN, f64::MAX), 0.0);
    }
}
