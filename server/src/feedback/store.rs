//! The store: an embedded SQLite database. No other file uses SQLite. The store has no clock; its callers
//! pass the time.
mod schema;

use super::{Judgement, Score};
use crate::config;
use rusqlite::{
    Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, named_params, params,
};
use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

/// An answer that accepts feedback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRecord {
    /// Request id of the call.
    pub request_id: String,
    /// Time of the answer.
    pub at: SystemTime,
    /// Task, as resolved.
    pub task_type: String,
    /// Id of the model that answered.
    pub model_id: String,
    /// Region that was called.
    pub region: String,
    /// Rollout variant. Empty: none.
    pub variant: String,
    /// Version of the configuration.
    pub config_version: String,
    /// Trace of the call. Empty: none.
    pub trace_id: String,
    /// Span of the call in the trace. Empty: none.
    pub span_id: String,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is a database of another program: set another [feedback] file")]
    NotAStore,
    #[error(
        "it has schema version {found}, and this version of Switchboard knows versions up to {known}: use the version \
         that wrote it, or set another [feedback] file"
    )]
    Newer { found: i64, known: i64 },
}

/// Stored answers and judgements.
#[derive(Debug)]
pub(super) struct Store {
    database: Connection,
    retention: Duration,
    /// Maximum number of answers, and of judgements.
    max_answers: u32,
}

/// Number of answers that are written before the thread yields. On a small machine the thread shares its core
/// with calls, and without yielding a call would wait until the whole batch is written.
const ROWS_PER_YIELD: usize = 4;

// === impl Store ===

impl Store {
    pub(super) fn open(config: &config::Feedback) -> Result<Self, StoreError> {
        let mut database = match &config.file {
            None => Connection::open_in_memory()?,
            Some(file) => open_file(file)?,
        };
        database.pragma_update(None, "foreign_keys", true)?;
        schema::migrate(&mut database)?;
        if config.file.is_some() {
            set_durability(&database)?; // only now: the file of another program stays as it is
        }
        Ok(Self { database, retention: config.retention, max_answers: config.max_answers.get() })
    }

    /// Stores answers, and removes rows that exceed the retention or the maximum number.
    pub(super) fn remember(&mut self, answers: &[AnswerRecord], now: SystemTime) -> rusqlite::Result<()> {
        let (cutoff, max) = (self.cutoff(now), self.max_answers);
        let transaction = self.writing()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR IGNORE INTO answers
                   (request_id, at, task_type, model_id, region, variant, config_version, trace_id, span_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            for (nth, answer) in answers.iter().enumerate() {
                if nth % ROWS_PER_YIELD == ROWS_PER_YIELD - 1 {
                    thread::yield_now();
                }
                insert.execute(params![
                    answer.request_id,
                    millis(answer.at),
                    answer.task_type,
                    answer.model_id,
                    answer.region,
                    answer.variant,
                    answer.config_version,
                    answer.trace_id,
                    answer.span_id,
                ])?;
            }
        }
        remove_excess(&transaction, cutoff, max)?;
        transaction.commit()
    }

    /// Stores a judgement. Returns its answer, and true if it replaced an earlier judgement. `None`: there is
    /// no such answer.
    pub(super) fn judge(
        &mut self,
        request_id: &str,
        judgement: &Judgement,
        now: SystemTime,
    ) -> rusqlite::Result<Option<(AnswerRecord, bool)>> {
        let (cutoff, max) = (self.cutoff(now), self.max_answers);
        let transaction = self.writing()?;
        let found = transaction
            .prepare_cached("SELECT * FROM answers WHERE request_id = ?1 AND at >= ?2")?
            .query_row(params![request_id, cutoff], |row| Ok((row.get("seq")?, answer(row)?)))
            .optional()?;
        let Some((seq, answer)) = found else { return Ok(None) };
        let replaced = upsert(&transaction, seq, judgement, now)?;
        remove_excess(&transaction, cutoff, max)?;
        transaction.commit()?;
        Ok(Some((answer, replaced)))
    }

    /// A transaction that writes. It waits for another process's from the start: one that only later wants to
    /// write would fail at once.
    fn writing(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.database.transaction_with_behavior(TransactionBehavior::Immediate)
    }

    /// Time before which answers are too old, in milliseconds since 1970.
    fn cutoff(&self, now: SystemTime) -> i64 {
        now.checked_sub(self.retention).map_or(0, millis)
    }
}

/// Opens a file that only this user can read, because comments are private.
fn open_file(file: &Path) -> Result<Connection, StoreError> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    Ok(Connection::open(file)?)
}

fn set_durability(database: &Connection) -> rusqlite::Result<()> {
    database.pragma_update(None, "journal_mode", "WAL")?; // readers and the writer do not wait for each other
    // A power failure can lose the last transactions, but not corrupt the file.
    database.pragma_update(None, "synchronous", "NORMAL")
}

/// Inserts a judgement, or replaces the earlier one of the same judge and criterion. Returns true if it
/// replaced one.
fn upsert(
    transaction: &Transaction<'_>,
    seq: i64,
    judgement: &Judgement,
    now: SystemTime,
) -> rusqlite::Result<bool> {
    let replaced = transaction
        .prepare_cached(
            "SELECT 1 FROM judgements
             WHERE answer = ?1 AND judge_kind = ?2 AND judge_id = ?3 AND criterion = ?4",
        )?
        .exists(params![seq, judgement.judge_kind, judgement.judge_id, judgement.criterion])?;
    let score = judgement.score.as_ref();
    transaction.prepare_cached(
        "INSERT INTO judgements
           (answer, judge_kind, judge_id, criterion, at, thumb, score, score_value, score_min, score_max, label, comment,
            task_success)
         VALUES (:answer, :judge_kind, :judge_id, :criterion, :at, :thumb, :score, :value, :min, :max, :label, :comment,
            :task_success)
         ON CONFLICT (answer, judge_kind, judge_id, criterion) DO UPDATE SET
           at = excluded.at, thumb = excluded.thumb, score = excluded.score, score_value = excluded.score_value,
           score_min = excluded.score_min, score_max = excluded.score_max, label = excluded.label,
           comment = excluded.comment, task_success = excluded.task_success",
    )?
    .execute(named_params! {
        ":answer": seq,
        ":judge_kind": judgement.judge_kind,
        ":judge_id": judgement.judge_id,
        ":criterion": judgement.criterion,
        ":at": millis(now),
        ":thumb": judgement.thumb,
        ":score": score.map(Score::normalized),
        ":value": score.map(|score| score.value),
        ":min": score.map(|score| score.min),
        ":max": score.map(|score| score.max),
        ":label": judgement.label,
        ":comment": judgement.comment,
        ":task_success": judgement.task_success,
    })?;
    Ok(replaced)
}

/// Removes answers that are too old, and the oldest rows above the maximum. The judgements of removed answers
/// are removed with them.
fn remove_excess(transaction: &Transaction<'_>, cutoff: i64, max: u32) -> rusqlite::Result<()> {
    transaction.prepare_cached("DELETE FROM answers WHERE at < ?1")?.execute([cutoff])?;
    transaction
        .prepare_cached("DELETE FROM answers WHERE seq <= (SELECT max(seq) FROM answers) - ?1")?
        .execute([max])?;
    transaction
        .prepare_cached("DELETE FROM judgements WHERE seq <= (SELECT max(seq) FROM judgements) - ?1")?
        .execute([max])?;
    Ok(())
}

fn answer(row: &Row<'_>) -> rusqlite::Result<AnswerRecord> {
    let at: i64 = row.get("at")?;
    Ok(AnswerRecord {
        request_id: row.get("request_id")?,
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at).unwrap_or(0)),
        task_type: row.get("task_type")?,
        model_id: row.get("model_id")?,
        region: row.get("region")?,
        variant: row.get("variant")?,
        config_version: row.get("config_version")?,
        trace_id: row.get("trace_id")?,
        span_id: row.get("span_id")?,
    })
}

/// Milliseconds since 1970.
fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
