//! The schema of the store, and migrations from earlier versions.
use super::StoreError;
use rusqlite::{Connection, TransactionBehavior};

/// Migrations in order: the first creates version 1, each further one the next version. A released migration
/// never changes. The version is kept as SQLite's `user_version`.
const MIGRATIONS: [&str; 2] = [CREATE, ADD_CALLER];

const CREATE: &str = "
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
";

/// The caller of an answer: NULL for callers without an identity, and for answers of earlier versions.
const ADD_CALLER: &str = "ALTER TABLE answers ADD COLUMN caller TEXT;";

/// Brings a database to the current version, in one transaction.
///
/// # Errors
/// If the database belongs to another program or to a newer version.
pub(super) fn migrate(database: &mut Connection) -> Result<(), StoreError> {
    migrate_with(database, &MIGRATIONS)
}

pub(super) fn migrate_with(database: &mut Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let has_answers = transaction.table_exists(None, "answers")?;
    let is_store = if found == 0 { tables == 0 } else { has_answers };
    let applied = usize::try_from(found).ok().filter(|_| is_store).ok_or(StoreError::NotAStore)?;
    let pending = migrations.get(applied..).ok_or(StoreError::Newer { found, known })?;
    for migration in pending {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}
