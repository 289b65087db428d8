//! A caller who stops reading is ended by a limit of its own, and holds neither Bedrock nor a place for ever.
use crate::{
    captured_log::Log,
    harness::*,
    raw_http2::{ByHand, heard},
    sockets::OnSockets,
};
use bedrock_sim::Simulator;
use prost::Message as _;
use std::{num::NonZeroU32, time::Duration};
use switchboard_proto::v1::{self as pb, content_block::Block};
use switchboard_server::{config::Config, failure::FailureKind};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

/// How long a reader may take nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// So narrow a window that the first event does not fit.
const NARROW: u32 = 16;

const MOMENT: Duration = Duration::from_millis(100);

/// One place, for a model that does as told and one that answers at once.
fn room_for_one(long: Behaviour) -> Scenario {
    Scenario::new()
        .route("long", ["long"])
        .model("long", long)
        .route("short", ["short"])
        .model("short", says("Yes."))
        .configure(|config| config.admission.max_calls = NonZeroU32::MIN)
        .deadline(|clocks| (clocks.reader, clocks.call) = (PATIENCE, Duration::from_secs(600)))
}

fn talks_on() -> Behaviour {
    says_slowly(&["more "; 300], Duration::from_secs(1))
}

/// Words far beyond the window.
fn long_words() -> String {
    "0123456789 ".repeat(30_000)
}

/// Room for the first content, which goes out by itself, and not for what comes after it.
const FIRST_CONTENT: u32 = 1024;

/// A word, and then a long one.
fn words_of(length: usize) -> String {
    format!("Oh {}", "x".repeat(length))
}

/// After the first word all of it is fetched as a whole, but not handed over as one.
fn more_than_a_piece() -> String {
    words_of(20_000)
}

async fn ask(switchboard: &Stage, window: u32, method: &str) -> ByHand {
    ByHand::ask(switchboard.connection(), window, method, &asking("long", "Go on."), None).await
}

async fn is_free(switchboard: &Stage) -> bool {
    match switchboard.converse("short", "Hello?").await {
        Ok(_) => true,
        Err(status) => {
            assert_eq!(reason(&status), "SHED");
            false
        }
    }
}

/// When the place was free again, to the tenth of a second.
async fn held_for(switchboard: &Stage) -> Duration {
    let began = Instant::now();
    while !is_free(switchboard).await {
        assert!(began.elapsed() < Duration::from_secs(120), "it is held for ever");
        sleep(MOMENT).await;
    }
    began.elapsed()
}

fn text_of_whole(message: &[u8]) -> String {
    let reply = pb::ConverseResponse::decode(message).expect("is an answer");
    match reply.output.and_then(|output| output.output) {
        Some(pb::converse_output::Output::Message(message)) => match &message.content[0].block {
            Some(Block::Text(text)) => text.clone(),
            other => panic!("is not text: {other:?}"),
        },
        None => panic!("has no message"),
    }
}

#[track_caller]
fn assert_given_up(status: &Status, expected: &str) {
    assert_eq!((status.code(), reason(status).as_str()), (Code::DeadlineExceeded, expected), "{status:?}");
    assert_eq!(attempts(&route_of(status).expect("has a route")), ["long OK"]);
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").map(AsRef::as_ref), Some(&b"-1"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_ends_bedrocks_request_gives_its_place_back_and_says_why() {
    for window in [0, NARROW] {
        let log = Log::begin();
        let switchboard = room_for_one(talks_on()).start();
        let answer = ask(&switchboard, window, "ConverseStream").await;
        assert_eq!(switchboard.open_streams(), 1);

        let held = held_for(&switchboard).await;

        // The model says a word each second; the second word is the first that is not fetched.
        assert!((PATIENCE..PATIENCE + Duration::from_secs(2)).contains(&held), "it was held for {held:?}");
        assert_eq!(switchboard.open_streams(), 0, "Bedrock's request has ended");
        assert_eq!(log.admitted()[0], "ConverseStream ERROR READER_STALLED");
        if window > 0 {
            let (messages, status) = answer.read_on().await;
            assert_given_up(&status, "READER_STALLED");
            assert!(heard(&messages, status).text().starts_with("more "), "what was fetched arrives");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_nobody_reads_is_given_up_too() {
    let log = Log::begin();
    let switchboard = room_for_one(says(&long_words())).start();
    let answer = ask(&switchboard, 65_535, "Converse").await;

    let held = held_for(&switchboard).await;

    assert!((PATIENCE..PATIENCE + 2 * MOMENT).contains(&held), "it was held for {held:?}");
    assert_eq!(log.admitted()[0], "Converse ERROR READER_STALLED");
    let (messages, status) = answer.read_on().await;
    assert_given_up(&status, "READER_STALLED");
    assert!(messages.is_empty(), "half an answer is none");
}

#[tokio::test(start_paused = true)]
async fn the_calls_deadline_holds_for_a_reader_who_has_stopped() {
    let deadline = Duration::from_secs(40);
    for (method, behaviour) in [("ConverseStream", talks_on()), ("Converse", says(&long_words()))] {
        for (callers, ends) in [(None, deadline), (Some("20S"), Duration::from_millis(19_950))] {
            let log = Log::begin();
            let switchboard = room_for_one(behaviour.clone())
                .deadline(|clocks| (clocks.reader, clocks.call) = (4 * deadline, deadline))
                .deadline(|clocks| {
                    (clocks.idle, clocks.first_content, clocks.attempt) = (deadline, deadline, deadline)
                })
                .start();
            let began = Instant::now();
            let request = asking("long", "Go on.");
            let answer = ByHand::ask(switchboard.connection(), NARROW, method, &request, callers).await;

            held_for(&switchboard).await;

            let took = began.elapsed();
            assert!((ends..ends + 2 * MOMENT).contains(&took), "{method} {callers:?}: it took {took:?}");
            assert_eq!(log.admitted()[0], format!("{method} ERROR DEADLINE_EXCEEDED"));
            let (_, status) = answer.read_on().await;
            assert_given_up(&status, "DEADLINE_EXCEEDED");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_is_slow_but_steady_gets_all_of_it() {
    for method in ["ConverseStream", "Converse"] {
        let log = Log::begin();
        let switchboard = room_for_one(says(&long_words()))
            .deadline(|clocks| clocks.call = Duration::from_secs(24 * 3600))
            .start();
        let began = Instant::now();

        let (messages, status) = ask(&switchboard, 16 * 1024, method).await.read_slowly(3000.0).await;

        assert_eq!(status.code(), Code::Ok, "{method}: {status:?}");
        assert!(began.elapsed() > 10 * PATIENCE, "it took {:?}", began.elapsed());
        let words = match method {
            "Converse" => text_of_whole(&messages[0]),
            _ => heard(&messages, status).text(),
        };
        assert!(words == long_words(), "{method}: {} bytes arrived", words.len());
        assert_eq!(log.calls(), [format!("{method} OK")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_waits_for_bedrock_is_not_taken_for_one_who_does_not_read() {
    let switchboard = room_for_one(says_slowly(&["more "; 3], 5 * PATIENCE))
        .deadline(|clocks| (clocks.idle, clocks.first_content) = (10 * PATIENCE, 10 * PATIENCE))
        .start();
    let heard = switchboard.converse_stream("long", "Go on.").await;
    assert_eq!(
        (heard.text().as_str(), heard.status.is_none()),
        ("more more more ", true),
        "{:?}",
        heard.status
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_broke_off_before_its_reader_stopped_says_so() {
    let log = Log::begin();
    let broken = says_and_fails(&more_than_a_piece(), FailureKind::ModelError);
    let switchboard = room_for_one(broken).start();
    let answer = ask(&switchboard, FIRST_CONTENT, "ConverseStream").await;
    let held = held_for(&switchboard).await;

    let (messages, status) = answer.read_on().await;

    assert!(held >= PATIENCE, "it was held for {held:?}");
    assert_eq!(log.admitted()[0], "ConverseStream ERROR STREAM_INTERRUPTED");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "STREAM_INTERRUPTED"));
    assert!(route_of(&status).is_some() && heard(&messages, status).metadata().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_which_all_was_fetched_is_whole_however_slowly_it_is_read() {
    for words in [words_of(2000), more_than_a_piece()] {
        let log = Log::begin();
        let switchboard = room_for_one(says(&words)).start();
        let answer = ask(&switchboard, FIRST_CONTENT, "ConverseStream").await;
        held_for(&switchboard).await;
        sleep(3 * PATIENCE).await;

        let (messages, status) = answer.read_slowly(10.0).await;

        assert_eq!(status.code(), Code::Ok, "{status:?}");
        let heard = heard(&messages, status);
        assert!(heard.text() == words && heard.metadata().is_some());
        assert_eq!(log.admitted()[0], "ConverseStream OK");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_while_its_answer_waits_has_left_and_was_not_given_up() {
    let log = Log::begin();
    let switchboard = room_for_one(talks_on()).start();
    let answer = ask(&switchboard, NARROW, "ConverseStream").await;
    sleep(PATIENCE / 2).await;
    drop(answer);
    sleep(MOMENT).await;
    assert_eq!(switchboard.open_streams(), 0);
    assert!(is_free(&switchboard).await);
    assert_eq!(log.calls(), ["ConverseStream CANCELLED", "Converse OK"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_may_have_a_patience_of_its_own() {
    let switchboard = room_for_one(talks_on())
        .configure(|config| {
            let long = config.tasks.get_mut("long").expect("is there");
            long.deadline.reader = Some(3 * PATIENCE);
        })
        .start();
    let _answer = ask(&switchboard, NARROW, "ConverseStream").await;
    let held = held_for(&switchboard).await;
    assert!(
        (3 * PATIENCE..3 * PATIENCE + Duration::from_secs(2)).contains(&held),
        "it was held for {held:?}"
    );
}

/// The same with the true SDK: the simulator sees its caller hang up.
#[tokio::test]
async fn bedrock_sees_the_request_of_a_stopped_reader_end() {
    const MODEL: &str = "us.anthropic.claude-sonnet-4-6";
    let patience = Duration::from_millis(500);
    let simulator = Simulator::start(bedrock_sim::Config { speed: 0.5, ..Default::default() });
    let simulator = simulator.await.expect("starts");
    let mut config = Config::for_two_models(MODEL, MODEL);
    config.admission.max_calls = NonZeroU32::MIN;
    config.deadline.reader = patience;
    let switchboard = OnSockets::serving(config, simulator.endpoint_url()).await;

    let request = asking("reasoning", "What is a monad?");
    let connection = switchboard.connection().await;
    let answer = ByHand::ask(connection, NARROW, "ConverseStream", &request, None).await;
    let began = Instant::now();
    while !simulator.handle().calls()[0].hung_up {
        assert!(!simulator.handle().calls()[0].finished, "the model spoke to the end");
        assert!(began.elapsed() < Duration::from_secs(60), "Bedrock still works");
        sleep(Duration::from_millis(10)).await;
    }

    assert!(began.elapsed() >= patience, "it was given up after {:?}", began.elapsed());
    assert_eq!(reason(&answer.read_on().await.1), "READER_STALLED");
    let again = switchboard.caller().converse(asking("reasoning", "Hello?")).await;
    again.expect("has a place");
}
