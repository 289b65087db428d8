//! The store: an embedded SQLite, of which no line leaves this file. It has no clock; whoever asks says what time it is.
use super::{Judgement, Score};
use crate::config;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, named_params, params};
use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

/// An answer that can be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRecord {
    /// The call's id.
    pub request_id: String,
    /// When it was answered.
    pub at: SystemTime,
    /// The task, as resolved.
    pub task_type: String,
    /// The model id that answered.
    pub model_id: String,
    /// The region that was asked.
    pub region: String,
    /// The rollout variant. Empty: none.
    pub variant: String,
    /// Which configuration decided.
    pub config_version: String,
    /// The call's trace. Empty: none.
    pub trace_id: String,
    /// The call's span in it. Empty: none.
    pub span_id: String,
}

/// How good the answers of one model for one task were, by one criterion.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// The task.
    pub task_type: String,
    /// The model id.
    pub model_id: String,
    /// The rollout variant. Empty: none.
    pub variant: String,
    /// What was judged.
    pub criterion: String,
    /// How many judgements there are.
    pub count: u32,
    /// How many of them gave points.
    pub scores: u32,
    /// The mean of those, on a scale from 0 to 1. Absent: none did.
    pub mean_score: Option<f64>,
    /// Thumbs up.
    pub thumbs_up: u32,
    /// Thumbs down.
    pub thumbs_down: u32,
    /// Of how many answers it is said that the work succeeded.
    pub successes: u32,
    /// And that it failed.
    pub failures: u32,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error(
        "it is another program's, or another version's (form {0}): name another file, or move this one away"
    )]
    NotOurs(i64),
}

/// What is remembered.
#[derive(Debug)]
pub(super) struct Store {
    database: Connection,
    retention: Duration,
    most: u32,
}

/// How many answers are written at a stretch. On a small machine the thread shares its core with calls, and a scheduler that
/// lets it finish its slice makes a call wait for all that was gathered.
const UNTIL_YIELD: usize = 4;

/// The form of the tables, kept as SQLite's `user_version`.
const FORM: i64 = 1;

const TABLES: &str = "
    CREATE TABLE answers (
        seq            INTEGER PRIMARY KEY AUTOINCREMENT,
        request_id     TEXT    NOT NULL UNIQUE,
        at             INTEGER NOT NULL, -- milliseconds since 1970
        task_type      TEXT    NOT NULL,
        model_id       TEXT    NOT NULL,
        region         TEXT    NOT NULL,
        variant        TEXT    NOT NULL,
        config_version TEXT    NOT NULL,
        trace_id       TEXT    NOT NULL,
        span_id        TEXT    NOT NULL
    ) STRICT;
    CREATE INDEX answers_at ON answers (at);
    CREATE TABLE judgements (
        seq          INTEGER PRIMARY KEY AUTOINCREMENT,
        answer       INTEGER NOT NULL REFERENCES answers (seq) ON DELETE CASCADE,
        judge_kind   TEXT    NOT NULL,
        judge_id     TEXT    NOT NULL,
        criterion    TEXT    NOT NULL,
        at           INTEGER NOT NULL, -- milliseconds since 1970
        thumb        INTEGER,          -- 1 up, 0 down
        score        REAL,             -- from 0 to 1
        score_value  REAL,
        score_min    REAL,
        score_max    REAL,
        label        TEXT,
        comment      TEXT,
        task_success INTEGER,
        UNIQUE (answer, judge_kind, judge_id, criterion)
    ) STRICT;
    PRAGMA user_version = 1;
";

// === impl Store ===

impl Store {
    pub(super) fn open(config: &config::Feedback) -> Result<Self, Unusable> {
        let database = match &config.file {
            None => Connection::open_in_memory()?,
            Some(file) => open_file(file)?,
        };
        database.pragma_update(None, "foreign_keys", true)?;
        let form: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        match (form, tables) {
            (0, 0) => database.execute_batch(TABLES)?,
            (FORM, _) => {}
            (form, _) => return Err(Unusable::NotOurs(form)),
        }
        Ok(Self { database, retention: config.retention, most: config.max_answers.get() })
    }

    /// Remembers answers, and forgets what is too old or too much.
    pub(super) fn remember(&mut self, answers: &[AnswerRecord], now: SystemTime) -> rusqlite::Result<()> {
        let (cutoff, most) = (self.cutoff(now), self.most);
        let work = self.database.transaction()?;
        {
            let mut insert = work.prepare_cached(
                "INSERT OR IGNORE INTO answers
                   (request_id, at, task_type, model_id, region, variant, config_version, trace_id, span_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            for (nth, answer) in answers.iter().enumerate() {
                if nth % UNTIL_YIELD == UNTIL_YIELD - 1 {
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
        forget(&work, cutoff, most)?;
        work.commit()
    }

    /// Keeps a judgement beside its answer; the answer, and whether the same judge had judged the same before. `None`: no
    /// such answer is remembered.
    pub(super) fn judge(
        &mut self,
        request_id: &str,
        judgement: &Judgement,
        now: SystemTime,
    ) -> rusqlite::Result<Option<(AnswerRecord, bool)>> {
        let (cutoff, most) = (self.cutoff(now), self.most);
        let work = self.database.transaction()?;
        let found = work
            .prepare_cached("SELECT * FROM answers WHERE request_id = ?1 AND at >= ?2")?
            .query_row(params![request_id, cutoff], |row| Ok((row.get("seq")?, answer(row)?)))
            .optional()?;
        let Some((seq, answer)) = found else { return Ok(None) };
        let replaced = put(&work, seq, judgement, now)?;
        forget(&work, cutoff, most)?;
        work.commit()?;
        Ok(Some((answer, replaced)))
    }

    /// What all judgements come to.
    pub(super) fn quality(&self, now: SystemTime) -> rusqlite::Result<Vec<Quality>> {
        let mut select = self.database.prepare_cached(
            "SELECT task_type, model_id, variant, criterion, count(*) AS judged, count(score) AS scores,
                    avg(score) AS mean_score, count(*) FILTER (WHERE thumb = 1) AS up,
                    count(*) FILTER (WHERE thumb = 0) AS down, count(*) FILTER (WHERE task_success = 1) AS successes,
                    count(*) FILTER (WHERE task_success = 0) AS failures
             FROM judgements JOIN answers ON answers.seq = judgements.answer
             WHERE answers.at >= ?1
             GROUP BY task_type, model_id, variant, criterion
             ORDER BY task_type, model_id, variant, criterion",
        )?;
        let rows = select.query_map([self.cutoff(now)], |row| {
            Ok(Quality {
                task_type: row.get("task_type")?,
                model_id: row.get("model_id")?,
                variant: row.get("variant")?,
                criterion: row.get("criterion")?,
                count: row.get("judged")?,
                scores: row.get("scores")?,
                mean_score: row.get("mean_score")?,
                thumbs_up: row.get("up")?,
                thumbs_down: row.get("down")?,
                successes: row.get("successes")?,
                failures: row.get("failures")?,
            })
        })?;
        rows.collect()
    }

    /// Answers from before are too old.
    fn cutoff(&self, now: SystemTime) -> i64 {
        now.checked_sub(self.retention).map_or(0, millis)
    }
}

/// Comments are for the operator's eyes, so nobody else may read the file.
fn open_file(file: &Path) -> Result<Connection, Unusable> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    let database = Connection::open(file)?;
    database.pragma_update(None, "journal_mode", "WAL")?; // readers do not wait for the writer, nor it for them
    database.pragma_update(None, "synchronous", "NORMAL")?; // a power cut may lose the last moments, never the file
    Ok(database)
}

/// Whether it takes the place of another.
fn put(work: &Transaction<'_>, seq: i64, judgement: &Judgement, now: SystemTime) -> rusqlite::Result<bool> {
    let replaced = work
        .prepare_cached(
            "SELECT 1 FROM judgements
             WHERE answer = ?1 AND judge_kind = ?2 AND judge_id = ?3 AND criterion = ?4",
        )?
        .exists(params![seq, judgement.judge_kind, judgement.judge_id, judgement.criterion])?;
    let score = judgement.score.as_ref();
    work.prepare_cached(
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

/// Forgets what is too old, and the oldest of what is too much. Judgements go with their answers.
fn forget(work: &Transaction<'_>, cutoff: i64, most: u32) -> rusqlite::Result<()> {
    work.prepare_cached("DELETE FROM answers WHERE at < ?1")?.execute([cutoff])?;
    work.prepare_cached("DELETE FROM answers WHERE seq <= (SELECT max(seq) FROM answers) - ?1")?
        .execute([most])?;
    work.prepare_cached("DELETE FROM judgements WHERE seq <= (SELECT max(seq) FROM judgements) - ?1")?
        .execute([most])?;
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

/// Since 1970.
fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
