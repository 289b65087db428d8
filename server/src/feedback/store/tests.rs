use super::*;
use std::path::PathBuf;
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn config(file: Option<PathBuf>, max: u32) -> config::Feedback {
    config::Feedback { file, retention: 24 * HOUR, max_answers: max.try_into().expect("is not zero") }
}

fn in_memory(max: u32) -> Store {
    Store::open(&config(None, max)).expect("opens")
}

fn answer(request_id: &str, at: SystemTime) -> AnswerRecord {
    AnswerRecord {
        request_id: request_id.to_owned(),
        at,
        task_type: "coding".to_owned(),
        model_id: "us.opus".to_owned(),
        region: "us-east-1".to_owned(),
        variant: "b".to_owned(),
        config_version: "c0ffee".to_owned(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        span_id: "00f067aa0ba902b7".to_owned(),
    }
}

fn by(judge_id: &str) -> Judgement {
    Judgement {
        judge_kind: "human".to_owned(),
        judge_id: judge_id.to_owned(),
        criterion: "overall".to_owned(),
        thumb: None,
        score: None,
        label: None,
        comment: None,
        task_success: None,
    }
}

fn points(judge_id: &str, value: f64) -> Judgement {
    Judgement { score: Some(Score { value, min: 1.0, max: 5.0 }), ..by(judge_id) }
}

#[test]
fn an_answer_is_found_as_it_was_stored() {
    let mut store = in_memory(10);
    store.remember(&[answer("one", now())], now()).expect("writes");
    let (found, replaced) = store.judge("one", &by("alice"), now()).expect("writes").expect("is known");
    assert_eq!((found, replaced), (answer("one", now()), false));
    assert_eq!(store.judge("two", &by("alice"), now()).expect("reads"), None);
}

#[test]
fn an_answer_that_is_too_old_is_removed_with_its_judgements() {
    let mut store = in_memory(10);
    store.remember(&[answer("one", now())], now()).expect("writes");
    let just_in_time = now() + 24 * HOUR;
    assert!(store.judge("one", &by("alice"), just_in_time).expect("writes").is_some());
    assert_eq!(rows(&store, "judgements"), 1);
    let too_late = just_in_time + Duration::from_millis(1);
    assert_eq!(store.judge("one", &by("bob"), too_late).expect("reads"), None);
    store.remember(&[answer("two", too_late)], too_late).expect("writes");
    assert_eq!(rows(&store, "answers"), 1);
    assert_eq!(rows(&store, "judgements"), 0);
}

#[test]
fn a_judge_has_one_judgement_per_criterion() {
    let mut store = in_memory(10);
    store.remember(&[answer("one", now())], now()).expect("writes");
    let mut judge =
        |judgement: &Judgement| store.judge("one", judgement, now()).expect("writes").expect("is known").1;
    assert!(!judge(&points("alice", 1.0)));
    assert!(judge(&points("alice", 4.0)));
    assert!(!judge(&points("bob", 5.0)));
    assert!(!judge(&Judgement { judge_kind: "model".to_owned(), ..points("alice", 3.0) }));
    assert!(!judge(&Judgement { criterion: "tone".to_owned(), ..by("alice") }));
    // A replaced judgement is gone as a whole.
    assert!(judge(&Judgement { thumb: Some(true), ..by("bob") }));
    let expected = [
        ("human alice overall", Some(0.75), None),
        ("human alice tone", None, None),
        ("human bob overall", None, Some(true)),
        ("model alice overall", Some(0.5), None),
    ];
    let stored = judgements(&store);
    let stored: Vec<_> = stored.iter().map(|(of, score, thumb)| (of.as_str(), *score, *thumb)).collect();
    assert_eq!(stored, expected);
}

/// Judge and criterion, normalized score and thumb of all judgements, sorted.
fn judgements(store: &Store) -> Vec<(String, Option<f64>, Option<bool>)> {
    let mut select = store
        .database
        .prepare(
            "SELECT judge_kind || ' ' || judge_id || ' ' || criterion, score, thumb FROM judgements ORDER BY 1",
        )
        .expect("is SQL");
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("reads");
    rows.collect::<Result<_, _>>().expect("reads")
}

#[test]
fn a_score_is_stored_as_telemetry_reports_it() {
    let mut store = in_memory(10);
    store.remember(&[answer("one", now())], now()).expect("writes");
    for (value, min, max) in [(f64::MAX, f64::MIN, f64::MAX), (f64::MIN, f64::MIN, f64::MAX), (4.0, 1.0, 5.0)]
    {
        let judgement = Judgement { score: Some(Score { value, min, max }), ..by("alice") };
        store.judge("one", &judgement, now()).expect("writes").expect("is known");
        let (_, stored, _) = judgements(&store).remove(0);
        assert_eq!(stored, judgement.normalized_score(), "{value} from {min} to {max}");
        assert!(stored.is_some_and(|score| (0.0..=1.0).contains(&score)), "{stored:?}");
    }
}

#[test]
fn the_oldest_rows_are_removed_first() {
    let mut store = in_memory(3);
    let all: Vec<_> = (0..5).map(|nth| answer(&format!("call-{nth}"), now())).collect();
    store.remember(&all, now()).expect("writes");
    let known = |store: &mut Store, id: &str| store.judge(id, &by("alice"), now()).expect("reads").is_some();
    let stored = ["call-0", "call-1", "call-2", "call-3", "call-4"].map(|id| known(&mut store, id));
    assert_eq!(stored, [false, false, true, true, true]);
    for judge in 0..9 {
        store.judge("call-4", &by(&format!("judge-{judge}")), now()).expect("writes").expect("is known");
    }
    assert_eq!(rows(&store, "judgements"), 3);
}

#[test]
fn a_file_can_be_opened_again_and_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().expect("is writable");
    let file = folder.path().join("feedback.db");
    let open = || Store::open(&config(Some(file.clone()), 10));
    let mut store = open().expect("opens");
    store.remember(&[answer("one", now())], now()).expect("writes");
    let mode: String = store.database.query_row("PRAGMA journal_mode", [], |row| row.get(0)).expect("reads");
    assert_eq!(mode, "wal");
    drop(store);
    let mut store = open().expect("opens again");
    assert!(store.judge("one", &by("alice"), now()).expect("writes").is_some());
    let permissions = std::fs::metadata(&file).expect("is there").permissions().mode();
    assert_eq!(permissions & 0o777, 0o600);
}

#[test]
fn refuses_files_that_are_not_stores() {
    let folder = TempDir::new().expect("is writable");
    let open = |file: &Path| Store::open(&config(Some(file.to_owned()), 10)).map(drop);
    let other = folder.path().join("other.db");
    let database = Connection::open(&other).expect("opens");
    database.execute_batch("CREATE TABLE notes (text TEXT)").expect("writes");
    drop(database);
    assert!(matches!(open(&other), Err(StoreError::NotAStore)));
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "Milk, eggs, and a text that is longer than a database's head is.")
        .expect("is writable");
    assert!(matches!(open(&text), Err(StoreError::Sqlite(_))));
    assert!(matches!(open(&folder.path().join("no/such/folder.db")), Err(StoreError::Io(_))));
}

/// The tables of version 1.
const VERSION_1: &str = "
    CREATE TABLE answers (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL,
        task_type TEXT NOT NULL, model_id TEXT NOT NULL, region TEXT NOT NULL, variant TEXT NOT NULL,
        config_version TEXT NOT NULL, trace_id TEXT NOT NULL, span_id TEXT NOT NULL
    ) STRICT;
    CREATE INDEX answers_at ON answers (at);
    CREATE TABLE judgements (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, answer INTEGER NOT NULL REFERENCES answers (seq) ON DELETE CASCADE,
        judge_kind TEXT NOT NULL, judge_id TEXT NOT NULL, criterion TEXT NOT NULL, at INTEGER NOT NULL,
        thumb INTEGER, score REAL, score_value REAL, score_min REAL, score_max REAL, label TEXT, comment TEXT,
        task_success INTEGER, UNIQUE (answer, judge_kind, judge_id, criterion)
    ) STRICT;
    INSERT INTO answers VALUES (7, 'one', 1800000000000, 'coding', 'us.opus', 'us-east-1', 'b', 'c0ffee',
        '4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7');
    INSERT INTO judgements (answer, judge_kind, judge_id, criterion, at, thumb)
        VALUES (7, 'human', 'alice', 'overall', 1800000000000, 1);
    PRAGMA user_version = 1;
";

fn version(database: &Connection) -> i64 {
    database.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("reads")
}

#[test]
fn an_older_file_is_migrated_and_keeps_its_rows() {
    let folder = TempDir::new().expect("is writable");
    let file = folder.path().join("feedback.db");
    let database = Connection::open(&file).expect("opens");
    database.execute_batch(VERSION_1).expect("writes");
    drop(database);

    let mut store = Store::open(&config(Some(file), 10)).expect("opens");
    assert_eq!(version(&store.database), 2);
    let caller: Option<String> =
        store.database.query_row("SELECT caller FROM answers", [], |row| row.get(0)).expect("has the column");
    assert_eq!(caller, None);
    let (found, replaced) = store.judge("one", &by("alice"), now()).expect("writes").expect("is known");
    assert_eq!((found, replaced), (answer("one", now()), true));
    store.remember(&[answer("two", now())], now()).expect("writes");
    assert_eq!(rows(&store, "answers"), 2);
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let folder = TempDir::new().expect("is writable");
    let file = folder.path().join("feedback.db");
    drop(Store::open(&config(Some(file.clone()), 10)).expect("opens"));
    let database = Connection::open(&file).expect("opens");
    database.pragma_update(None, "user_version", 3).expect("writes");
    let error = Store::open(&config(Some(file), 10)).expect_err("is newer").to_string();
    assert!(
        error.contains("schema version 3, and this version of Switchboard knows versions up to 2"),
        "{error}"
    );
    assert_eq!(version(&database), 3);
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let mut database = Connection::open_in_memory().expect("opens");
    database.execute_batch(VERSION_1).expect("writes");
    let migrations =
        ["", "ALTER TABLE answers ADD COLUMN caller TEXT", "ALTER TABLE nowhere ADD COLUMN x TEXT"];
    let failed = schema::migrate_with(&mut database, &migrations);
    assert!(matches!(failed, Err(StoreError::Sqlite(_))), "{failed:?}");
    assert_eq!(version(&database), 1);
    assert!(database.prepare("SELECT caller FROM answers").is_err());
}

#[test]
fn a_database_of_another_program_is_refused_whatever_its_version() {
    let folder = TempDir::new().expect("is writable");
    let file = folder.path().join("other.db");
    let database = Connection::open(&file).expect("opens");
    database.execute_batch("CREATE TABLE notes (text TEXT); PRAGMA user_version = 1;").expect("writes");
    drop(database);
    let before = std::fs::read(&file).expect("is readable");
    assert!(matches!(Store::open(&config(Some(file.clone()), 10)).map(drop), Err(StoreError::NotAStore)));
    assert!(std::fs::read(&file).expect("is readable") == before, "the file has changed");
}

#[test]
fn two_processes_can_write_at_once() {
    let folder = TempDir::new().expect("is writable");
    let config = config(Some(folder.path().join("feedback.db")), 1000);
    let write = |name: &'static str| {
        let mut store = Store::open(&config).expect("opens");
        std::thread::spawn(move || {
            for nth in 0..100 {
                let id = format!("{name}{nth}");
                store.remember(&[answer(&id, now())], now()).expect("waits for the other");
                store.judge(&id, &by("ada"), now()).expect("waits for the other").expect("is known");
            }
        })
    };
    let writers = ["a", "b"].map(write);
    for writer in writers {
        writer.join().expect("writes");
    }
}

fn rows(store: &Store, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    store.database.query_row(&count, [], |row| row.get(0)).expect("reads")
}
