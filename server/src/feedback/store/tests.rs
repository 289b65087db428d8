use super::*;
use std::path::PathBuf;
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn config(file: Option<PathBuf>, most: u32) -> config::Feedback {
    config::Feedback { file, retention: 24 * HOUR, max_answers: most.try_into().expect("is not zero") }
}

fn in_memory(most: u32) -> Store {
    Store::open(&config(None, most)).expect("opens")
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
fn an_answer_is_found_as_it_was_remembered() {
    let mut store = in_memory(10);
    store.remember(&[answer("one", now())], now()).expect("writes");
    let (found, replaced) = store.judge("one", &by("alice"), now()).expect("writes").expect("is known");
    assert_eq!((found, replaced), (answer("one", now()), false));
    assert_eq!(store.judge("two", &by("alice"), now()).expect("reads"), None);
}

#[test]
fn an_answer_that_is_too_old_is_unknown_and_what_was_said_of_it_counts_no_more() {
    let mut store = in_memory(10);
    store.remember(&[answer("one", now())], now()).expect("writes");
    let just_in_time = now() + 24 * HOUR;
    assert!(store.judge("one", &by("alice"), just_in_time).expect("writes").is_some());
    assert_eq!(store.quality(just_in_time).expect("reads").len(), 1);
    let too_late = just_in_time + Duration::from_millis(1);
    assert_eq!(store.judge("one", &by("bob"), too_late).expect("reads"), None);
    assert_eq!(store.quality(too_late).expect("reads"), []);
    store.remember(&[answer("two", too_late)], too_late).expect("writes");
    assert_eq!(rows(&store, "answers"), 1);
    assert_eq!(rows(&store, "judgements"), 0);
}

#[test]
fn the_same_judge_has_one_judgement_of_each_criterion() {
    let mut store = in_memory(10);
    store.remember(&[answer("one", now())], now()).expect("writes");
    let mut judge =
        |judgement: &Judgement| store.judge("one", judgement, now()).expect("writes").expect("is known").1;
    assert!(!judge(&points("alice", 1.0)));
    assert!(judge(&points("alice", 4.0)));
    assert!(!judge(&points("bob", 5.0)));
    assert!(!judge(&Judgement { judge_kind: "model".to_owned(), ..points("alice", 3.0) }));
    assert!(!judge(&Judgement { criterion: "tone".to_owned(), ..by("alice") }));
    // As a whole: what is not said again is gone.
    assert!(judge(&Judgement { thumb: Some(true), ..by("bob") }));

    let quality = store.quality(now()).expect("reads");
    let overall = &quality[0];
    assert_eq!((overall.criterion.as_str(), overall.count, overall.scores), ("overall", 3, 2));
    assert_eq!((overall.mean_score, overall.thumbs_up), (Some((0.75 + 0.5) / 2.0), 1));
    assert_eq!((quality[1].criterion.as_str(), quality[1].mean_score), ("tone", None));
}

#[test]
fn the_oldest_make_room() {
    let mut store = in_memory(3);
    let all: Vec<_> = (0..5).map(|nth| answer(&format!("call-{nth}"), now())).collect();
    store.remember(&all, now()).expect("writes");
    let known = |store: &mut Store, id: &str| store.judge(id, &by("alice"), now()).expect("reads").is_some();
    let remembered = ["call-0", "call-1", "call-2", "call-3", "call-4"].map(|id| known(&mut store, id));
    assert_eq!(remembered, [false, false, true, true, true]);
    for judge in 0..9 {
        store.judge("call-4", &by(&format!("judge-{judge}")), now()).expect("writes").expect("is known");
    }
    assert_eq!(rows(&store, "judgements"), 3);
}

#[test]
fn quality_is_kept_apart_by_task_model_and_variant() {
    let mut store = in_memory(10);
    let other = |request_id: &str, change: fn(&mut AnswerRecord)| {
        let mut answer = answer(request_id, now());
        change(&mut answer);
        answer
    };
    let answers = [
        answer("one", now()),
        other("task", |answer| answer.task_type = "analysis".to_owned()),
        other("model", |answer| answer.model_id = "us.haiku".to_owned()),
        other("variant", |answer| answer.variant = "a".to_owned()),
        answer("two", now()),
    ];
    store.remember(&answers, now()).expect("writes");
    for (id, thumb, success) in [
        ("one", true, Some(true)),
        ("two", false, Some(false)),
        ("task", true, None),
        ("model", true, None),
        ("variant", false, Some(true)),
    ] {
        let judgement = Judgement { thumb: Some(thumb), task_success: success, ..by("alice") };
        store.judge(id, &judgement, now()).expect("writes").expect("is known");
    }
    let quality = store.quality(now()).expect("reads");
    let row = |quality: &Quality| {
        let Quality { task_type, model_id, variant, count, .. } = quality;
        (format!("{task_type} {model_id} {variant}"), *count, quality.thumbs_up, quality.thumbs_down)
    };
    let expected = [
        ("analysis us.opus b", 1, 1, 0),
        ("coding us.haiku b", 1, 1, 0),
        ("coding us.opus a", 1, 0, 1),
        ("coding us.opus b", 2, 1, 1),
    ];
    assert_eq!(
        quality.iter().map(row).collect::<Vec<_>>(),
        expected.map(|(key, count, up, down)| (key.to_owned(), count, up, down))
    );
    assert_eq!((quality[3].successes, quality[3].failures, quality[3].mean_score), (1, 1, None));
}

#[test]
fn a_file_survives_its_process_and_is_nobody_elses_to_read() {
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
fn a_file_that_is_not_ours_is_left_alone() {
    let folder = TempDir::new().expect("is writable");
    let open = |file: &Path| Store::open(&config(Some(file.to_owned()), 10)).map(drop);
    let other = folder.path().join("other.db");
    let database = Connection::open(&other).expect("opens");
    database.execute_batch("CREATE TABLE notes (text TEXT)").expect("writes");
    drop(database);
    assert!(matches!(open(&other), Err(Unusable::NotOurs(0))));
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "Milk, eggs, and a text that is longer than a database's head is.")
        .expect("is writable");
    assert!(matches!(open(&text), Err(Unusable::Sqlite(_))));
    assert!(matches!(open(&folder.path().join("no/such/folder.db")), Err(Unusable::Io(_))));
}

fn rows(store: &Store, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    store.database.query_row(&count, [], |row| row.get(0)).expect("reads")
}
