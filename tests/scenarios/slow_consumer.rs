//! Slow consumers: a call whose caller stops reading ends after `[deadline] reader`, and releases Bedrock's
//! request and its permit.
use crate::{
    captured_log::Log,
    harness::*,
    raw_http2::{RawCall, received_stream},
    sockets::SocketServer,
};
use bedrock_sim::Simulator;
use prost::Message as _;
use std::{num::NonZeroU32, time::Duration};
use switchboard_proto::v1::{self as pb, content_block::Block};
use switchboard_server::{config::Config, failure::FailureKind};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

/// Longest time that a ready response may stay unread.
const READER_TIMEOUT: Duration = Duration::from_secs(10);

/// A flow-control window, in bytes, that is too small for the first event.
const SMALL_WINDOW: u32 = 16;

const MOMENT: Duration = Duration::from_millis(100);

/// A server for one call at once. The model of task "long" has the given behaviour, that of "short" answers
/// at once.
fn with_one_permit(long: Behaviour) -> Scenario {
    Scenario::new()
        .route("long", ["long"])
        .model("long", long)
        .route("short", ["short"])
        .model("short", says("Yes."))
        .configure(|config| config.admission.max_calls = NonZeroU32::MIN)
        .deadline(|timeouts| (timeouts.reader, timeouts.call) = (READER_TIMEOUT, Duration::from_secs(600)))
}

fn endless_stream() -> Behaviour {
    says_slowly(&["more "; 300], Duration::from_secs(1))
}

/// A text that is far longer than any window here.
fn long_text() -> String {
    "0123456789 ".repeat(30_000)
}

/// A flow-control window, in bytes, for the first content alone, which is sent by itself.
const FIRST_CONTENT_WINDOW: u32 = 1024;

/// A short word, and then one of `length` bytes.
fn two_words(length: usize) -> String {
    format!("Oh {}", "x".repeat(length))
}

/// After the first word, all of it is ready at once, but needs more than one write.
fn more_than_one_write() -> String {
    two_words(20_000)
}

async fn start_call(switchboard: &TestServer, window: u32, method: &str) -> RawCall {
    RawCall::start(switchboard.connection(), window, method, &chat_request("long", "Go on."), None).await
}

async fn is_admitted(switchboard: &TestServer) -> bool {
    match switchboard.converse("short", "Hello?").await {
        Ok(_) => true,
        Err(status) => {
            assert_eq!(reason(&status), "SHED");
            false
        }
    }
}

/// Time until the permit was returned, to a tenth of a second.
async fn permit_held_for(switchboard: &TestServer) -> Duration {
    let began = Instant::now();
    while !is_admitted(switchboard).await {
        assert!(began.elapsed() < Duration::from_secs(120), "the permit is not returned");
        sleep(MOMENT).await;
    }
    began.elapsed()
}

fn text_of_unary(message: &[u8]) -> String {
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
fn assert_ended(status: &Status, expected: &str) {
    assert_eq!((status.code(), reason(status).as_str()), (Code::DeadlineExceeded, expected), "{status:?}");
    assert_eq!(attempts(&route_of(status).expect("has a route")), ["long OK"]);
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").map(AsRef::as_ref), Some(&b"-1"[..]));
}

#[tokio::test(start_paused = true)]
async fn an_unread_stream_ends_bedrocks_request_returns_its_permit_and_reports_the_reason() {
    for window in [0, SMALL_WINDOW] {
        let log = Log::capture();
        let switchboard = with_one_permit(endless_stream()).start();
        let answer = start_call(&switchboard, window, "ConverseStream").await;
        assert_eq!(switchboard.open_streams(), 1);

        let held = permit_held_for(&switchboard).await;

        // The model sends a word each second; the second word is the first one that stays unread.
        assert!(
            (READER_TIMEOUT..READER_TIMEOUT + Duration::from_secs(2)).contains(&held),
            "the permit was held for {held:?}"
        );
        assert_eq!(switchboard.open_streams(), 0, "Bedrock's request has ended");
        assert_eq!(log.admitted()[0], "ConverseStream ERROR READER_STALLED");
        if window > 0 {
            let (messages, status) = answer.read_all().await;
            assert_ended(&status, "READER_STALLED");
            assert!(
                received_stream(&messages, status).text().starts_with("more "),
                "what was sent before arrives"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unread_unary_answer_is_ended() {
    let log = Log::capture();
    let switchboard = with_one_permit(says(&long_text())).start();
    let answer = start_call(&switchboard, 65_535, "Converse").await;

    let held = permit_held_for(&switchboard).await;

    assert!(
        (READER_TIMEOUT..READER_TIMEOUT + 2 * MOMENT).contains(&held),
        "the permit was held for {held:?}"
    );
    assert_eq!(log.admitted()[0], "Converse ERROR READER_STALLED");
    let (messages, status) = answer.read_all().await;
    assert_ended(&status, "READER_STALLED");
    assert!(messages.is_empty(), "a partial unary answer is not delivered");
}

#[tokio::test(start_paused = true)]
async fn the_calls_deadline_applies_to_a_caller_who_stops_reading() {
    let deadline = Duration::from_secs(40);
    for (method, behaviour) in [("ConverseStream", endless_stream()), ("Converse", says(&long_text()))] {
        for (callers, ends) in [(None, deadline), (Some("20S"), Duration::from_millis(19_950))] {
            let log = Log::capture();
            let switchboard = with_one_permit(behaviour.clone())
                .deadline(|timeouts| (timeouts.reader, timeouts.call) = (4 * deadline, deadline))
                .deadline(|timeouts| {
                    (timeouts.idle, timeouts.first_content, timeouts.attempt) = (deadline, deadline, deadline)
                })
                .start();
            let began = Instant::now();
            let request = chat_request("long", "Go on.");
            let answer =
                RawCall::start(switchboard.connection(), SMALL_WINDOW, method, &request, callers).await;

            permit_held_for(&switchboard).await;

            let took = began.elapsed();
            assert!((ends..ends + 2 * MOMENT).contains(&took), "{method} {callers:?}: it took {took:?}");
            assert_eq!(log.admitted()[0], format!("{method} ERROR DEADLINE_EXCEEDED"));
            let (_, status) = answer.read_all().await;
            assert_ended(&status, "DEADLINE_EXCEEDED");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_but_steady_caller_receives_everything() {
    for method in ["ConverseStream", "Converse"] {
        let log = Log::capture();
        let switchboard = with_one_permit(says(&long_text()))
            .deadline(|timeouts| timeouts.call = Duration::from_secs(24 * 3600))
            .start();
        let began = Instant::now();

        let (messages, status) = start_call(&switchboard, 16 * 1024, method).await.read_slowly(3000.0).await;

        assert_eq!(status.code(), Code::Ok, "{method}: {status:?}");
        assert!(began.elapsed() > 10 * READER_TIMEOUT, "it took {:?}", began.elapsed());
        let text = match method {
            "Converse" => text_of_unary(&messages[0]),
            _ => received_stream(&messages, status).text(),
        };
        assert!(text == long_text(), "{method}: {} bytes arrived", text.len());
        assert_eq!(log.calls(), [format!("{method} OK")]);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_bedrock_does_not_count_as_a_slow_consumer() {
    let switchboard = with_one_permit(says_slowly(&["more "; 3], 5 * READER_TIMEOUT))
        .deadline(|timeouts| {
            (timeouts.idle, timeouts.first_content) = (10 * READER_TIMEOUT, 10 * READER_TIMEOUT)
        })
        .start();
    let received = switchboard.converse_stream("long", "Go on.").await;
    assert_eq!(
        (received.text().as_str(), received.status.is_none()),
        ("more more more ", true),
        "{:?}",
        received.status
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_broke_before_its_caller_stopped_reports_the_break() {
    let log = Log::capture();
    let broken = says_and_fails(&more_than_one_write(), FailureKind::ModelError);
    let switchboard = with_one_permit(broken).start();
    let answer = start_call(&switchboard, FIRST_CONTENT_WINDOW, "ConverseStream").await;
    let held = permit_held_for(&switchboard).await;

    let (messages, status) = answer.read_all().await;

    assert!(held >= READER_TIMEOUT, "the permit was held for {held:?}");
    assert_eq!(log.admitted()[0], "ConverseStream ERROR STREAM_INTERRUPTED");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "STREAM_INTERRUPTED"));
    assert!(route_of(&status).is_some() && received_stream(&messages, status).metadata().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_sent_completely_is_complete_however_slowly_it_is_read() {
    for text in [two_words(2000), more_than_one_write()] {
        let log = Log::capture();
        let switchboard = with_one_permit(says(&text)).start();
        let answer = start_call(&switchboard, FIRST_CONTENT_WINDOW, "ConverseStream").await;
        permit_held_for(&switchboard).await;
        sleep(3 * READER_TIMEOUT).await;

        let (messages, status) = answer.read_slowly(10.0).await;

        assert_eq!(status.code(), Code::Ok, "{status:?}");
        let received = received_stream(&messages, status);
        assert!(received.text() == text && received.metadata().is_some());
        assert_eq!(log.admitted()[0], "ConverseStream OK");
    }
}

#[tokio::test(start_paused = true)]
async fn cancelling_while_the_response_is_unread_is_recorded_as_cancelled() {
    let log = Log::capture();
    let switchboard = with_one_permit(endless_stream()).start();
    let answer = start_call(&switchboard, SMALL_WINDOW, "ConverseStream").await;
    sleep(READER_TIMEOUT / 2).await;
    drop(answer);
    sleep(MOMENT).await;
    assert_eq!(switchboard.open_streams(), 0);
    assert!(is_admitted(&switchboard).await);
    assert_eq!(log.calls(), ["ConverseStream CANCELLED", "Converse OK"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_may_set_its_own_reader_timeout() {
    let switchboard = with_one_permit(endless_stream())
        .configure(|config| {
            let long = config.tasks.get_mut("long").expect("is there");
            long.deadline.reader = Some(3 * READER_TIMEOUT);
        })
        .start();
    let _answer = start_call(&switchboard, SMALL_WINDOW, "ConverseStream").await;
    let held = permit_held_for(&switchboard).await;
    assert!(
        (3 * READER_TIMEOUT..3 * READER_TIMEOUT + Duration::from_secs(2)).contains(&held),
        "the permit was held for {held:?}"
    );
}

/// With the real engine: the simulator sees its caller hang up.
#[tokio::test]
async fn bedrocks_request_ends_when_the_caller_stops_reading() {
    const MODEL: &str = "us.anthropic.claude-sonnet-4-6";
    let reader_timeout = Duration::from_millis(500);
    let simulator = Simulator::start(bedrock_sim::Config { speed: 0.5, ..Default::default() });
    let simulator = simulator.await.expect("starts");
    let mut config = Config::for_two_models(MODEL, MODEL);
    config.admission.max_calls = NonZeroU32::MIN;
    config.deadline.reader = reader_timeout;
    let switchboard = SocketServer::serving(config, simulator.endpoint_url()).await;

    let request = chat_request("reasoning", "What is a monad?");
    let connection = switchboard.connection().await;
    let answer = RawCall::start(connection, SMALL_WINDOW, "ConverseStream", &request, None).await;
    let began = Instant::now();
    while !simulator.handle().calls()[0].hung_up {
        assert!(!simulator.handle().calls()[0].finished, "the model finished its answer");
        assert!(began.elapsed() < Duration::from_secs(60), "Bedrock's request still runs");
        sleep(Duration::from_millis(10)).await;
    }

    assert!(began.elapsed() >= reader_timeout, "it ended after {:?}", began.elapsed());
    assert_eq!(reason(&answer.read_all().await.1), "READER_STALLED");
    let again = switchboard.caller().converse(chat_request("reasoning", "Hello?")).await;
    again.expect("is admitted");
}
