//! Feedback: what became of answers, by task, model and variant.
//!
//! Each call that a model answered is remembered under its request id, without a word of it: task, model, region, variant,
//! configuration. Whoever judges the answer later names that id; the judgement is kept beside it, told to whoever listens
//! ([`JudgementSink`]) and part of [`Quality`] until it is too old.
//!
//! One thread owns the store. Calls hand over what is to be remembered through a bounded queue and never wait: with the
//! queue full, as when a disk stalls, the answer cannot be judged, which is counted and said. Judgements go through the
//! same queue, so that one which follows its answer at once finds it; they do wait, for their own reply.
mod request;
mod store;
mod writer;

pub use store::{AnswerRecord, Quality};

use crate::{config, error::CallError};
use request::judgement;
use std::{fmt, sync::Arc, time::SystemTime};
use switchboard_proto::v1 as pb;
use writer::{Job, Queue, Refused};
pub use writer::{OpenError, Writer};

/// What was said of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Who judged: `human`, `model` or `check`.
    pub judge_kind: String,
    /// Which one.
    pub judge_id: String,
    /// What was judged.
    pub criterion: String,
    /// Whether the thumb was up.
    pub thumb: Option<bool>,
    /// Points on a scale.
    pub score: Option<Score>,
    /// One of a few words.
    pub label: Option<String>,
    /// Why, in words.
    pub comment: Option<String>,
    /// Whether the work succeeded.
    pub task_success: Option<bool>,
}

/// Points on a scale: finite, and within it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The points.
    pub value: f64,
    /// The worst.
    pub min: f64,
    /// The best.
    pub max: f64,
}

/// A judgement and the answer that it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The answer.
    pub answer: AnswerRecord,
    /// What was said of it.
    pub judgement: Judgement,
    /// Whether it takes the place of what the same judge said before.
    pub replaced: bool,
}

/// Is told of every judgement, on the call that brings it.
pub trait JudgementSink: Send + Sync + 'static {
    /// A judgement has been recorded. Must not block.
    fn judged(&self, judged: &Judged);
}

/// Writes a log line for each judgement: neither its comment nor who judged, which may be a person's name.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogJudgements;

/// What is remembered and what was said of it. Clones share it.
#[derive(Clone)]
pub struct Feedback {
    queue: Queue,
    listener: Arc<dyn JudgementSink>,
}

// === impl Feedback ===

impl Feedback {
    /// Opens the store, and begins to write. The writer ends when it is told to, or when all clones are gone.
    ///
    /// # Errors
    /// When the file cannot be opened, or is not ours.
    pub fn open(
        config: &config::Feedback,
        listener: Arc<dyn JudgementSink>,
    ) -> Result<(Self, Writer), OpenError> {
        let (queue, writer) = writer::start(config)?;
        Ok((Self { queue, listener }, writer))
    }

    /// Remembers an answer. Never waits.
    pub fn remember(&self, answer: AnswerRecord) {
        self.queue.remember(answer);
    }

    /// How many answers could not be remembered.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// How good answers are, by task, model and variant, as far as anyone has said in the time that is kept.
    ///
    /// # Errors
    /// [`CallError::Overloaded`] when the queue is full, [`CallError::Internal`] when the store fails.
    pub async fn quality(&self) -> Result<Vec<Quality>, CallError> {
        Ok(self.queue.ask(|reply| Job::Quality { now: SystemTime::now(), reply }).await?)
    }

    /// Records a judgement.
    ///
    /// # Errors
    /// [`CallError::Invalid`], [`CallError::UnknownRequest`], and those of [`Feedback::quality`].
    pub async fn record(&self, request: pb::RecordFeedbackRequest) -> Result<Judged, CallError> {
        let judgement = judgement(&request)?;
        let (request_id, now) = (request.request_id, SystemTime::now());
        let said = judgement.clone();
        let recorded = self.queue.ask(|reply| Job::Judge { request_id, judgement: said, now, reply });
        let (answer, replaced) = recorded.await?.ok_or(CallError::UnknownRequest)?;
        let judged = Judged { answer, judgement, replaced };
        self.listener.judged(&judged);
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
    /// The judgement on a scale from 0 to 1; a thumb or a success is 0 or 1. `None`: it has neither.
    #[must_use]
    pub fn normalized_score(&self) -> Option<f64> {
        let all_or_nothing = |good: bool| if good { 1.0 } else { 0.0 };
        let score = self.score.as_ref().map(Score::normalized);
        score.or(self.thumb.map(all_or_nothing)).or(self.task_success.map(all_or_nothing))
    }
}

// === impl Score ===

impl Score {
    /// The score on a scale from 0 to 1.
    #[must_use]
    pub fn normalized(&self) -> f64 {
        // Halved, because the widest scale is wider than the largest f64.
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
    fn every_scale_becomes_the_one_from_zero_to_one() {
        let normalized = |value, min, max| Score { value, min, max }.normalized();
        assert_eq!(normalized(4.0, 1.0, 5.0), 0.75);
        assert_eq!(normalized(-1.0, -1.0, 1.0), 0.0);
        assert_eq!(normalized(10.0, 0.0, 10.0), 1.0);
        assert_eq!(normalized(0.0, f64::MIN, f64::MAX), 0.5);
    }
}
