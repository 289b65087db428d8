//! Load is bounded: what is too much is shed at once, and a call holds its place exactly until its answer's end.
use crate::harness::*;
use std::{num::NonZeroU32, time::Duration};
use switchboard_proto::v1 as pb;
use switchboard_server::failure::FailureKind;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Request, Status, Streaming, client::Grpc};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

const MOMENT: Duration = Duration::from_millis(100);

fn some(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("is not zero")
}

/// A server for so many calls at once. The model of "long" does as told, the one of "short" answers at once.
fn room_for(max_calls: u32, long: Behaviour) -> Scenario {
    Scenario::new()
        .route("long", ["long"])
        .model("long", long)
        .route("short", ["short"])
        .model("short", says("Yes."))
        .configure(|config| config.admission.max_calls = some(max_calls))
}

fn talks_on() -> Behaviour {
    says_slowly(&["more "; 60], Duration::from_secs(1))
}

async fn begin(switchboard: &Running) -> Streaming<pb::ConverseStreamResponse> {
    let begun = switchboard.caller().converse_stream(asking("long", "Go on.")).await;
    let mut stream = begun.expect("begins").into_inner();
    stream.message().await.expect("goes on").expect("is the route");
    stream
}

fn counting(task: &str) -> pb::CountTokensRequest {
    let conversation =
        pb::ConverseTokensRequest { messages: vec![turn("user", "How long?")], ..Default::default() };
    let input = pb::count_tokens_input::Input::Converse(conversation);
    pb::CountTokensRequest {
        task_type: task.to_owned(),
        input: Some(pb::CountTokensInput { input: Some(input) }),
    }
}

#[track_caller]
fn assert_shed(status: &Status) {
    assert_eq!((status.code(), reason(status).as_str()), (Code::Unavailable, "SHED"), "{status:?}");
    let retry = status.get_details_retry_info().expect("has a RetryInfo");
    assert_eq!(retry.retry_delay, Some(Duration::from_secs(1)));
    assert!(route_of(status).is_none(), "nothing was planned");
}

async fn assert_full(switchboard: &Running) {
    assert_shed(&switchboard.converse("short", "Hello?").await.expect_err("is shed"));
}

async fn assert_free(switchboard: &Running) {
    switchboard.converse("short", "Hello?").await.expect("is admitted");
}

#[tokio::test(start_paused = true)]
async fn a_call_too_many_is_shed_at_once_whatever_it_is_and_asks_no_model() {
    let switchboard = room_for(2, talks_on()).start();
    let _talking = (begin(&switchboard).await, begin(&switchboard).await);
    let began = Instant::now();

    assert_shed(&switchboard.converse("short", "Hello?").await.expect_err("is shed"));
    assert_shed(switchboard.converse_stream("short", "Hello?").await.status());
    assert_shed(&switchboard.caller().count_tokens(counting("short")).await.expect_err("is shed"));

    assert!(began.elapsed() < MOMENT, "it took {:?}", began.elapsed());
    assert_eq!(switchboard.models_asked(), ["long", "long"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_server_still_says_how_it_is_and_what_it_would_do() {
    let switchboard = room_for(2, talks_on()).start();
    let _talking = (begin(&switchboard).await, begin(&switchboard).await);
    assert_full(&switchboard).await;

    let health = switchboard.health().check(HealthCheckRequest::default()).await.expect("answers");
    assert_eq!(health.into_inner().status(), ServingStatus::Serving);
    let tasks = switchboard.routing().list_tasks(pb::ListTasksRequest {}).await.expect("answers");
    assert_eq!(tasks.into_inner().tasks.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_counts_until_its_end_however_it_ends() {
    let talks = says_slowly(&["more "; 5], Duration::from_secs(1));
    for (ending, behaviour, expected) in [
        ("complete", talks.clone(), None),
        ("broken off", talks.without_its_last_step(), Some("STREAM_INTERRUPTED")),
        ("silent", says_and_hangs("Half an "), Some("STREAM_INTERRUPTED")),
        ("over its deadline", talks_on(), Some("DEADLINE_EXCEEDED")),
    ] {
        let switchboard = room_for(1, behaviour)
            .deadline(|clocks| {
                (clocks.idle, clocks.call) = (Duration::from_secs(10), Duration::from_secs(20))
            })
            .deadline(|clocks| (clocks.first_content, clocks.attempt) = (clocks.idle, clocks.idle))
            .start();
        let stream = begin(&switchboard).await;
        sleep(Duration::from_secs(3)).await;
        assert_full(&switchboard).await;

        let heard = Heard::all_of(stream).await;

        assert_eq!(heard.status.as_ref().map(reason).as_deref(), expected, "{ending}");
        sleep(MOMENT).await;
        switchboard.converse("short", "Hello?").await.expect(ending);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_at_once_counts_no_longer() {
    for (behaviour, expected) in [
        (fails(FailureKind::AccessDenied), "MODEL_ACCESS_DENIED"),
        (says_and_fails("Half an ", FailureKind::ModelError), "STREAM_INTERRUPTED"),
    ] {
        let switchboard = room_for(1, behaviour).start();
        for _ in 0..3 {
            let heard = switchboard.converse_stream("long", "Go on.").await;
            assert_eq!(reason(heard.status()), expected);
            sleep(MOMENT).await;
        }
        assert_free(&switchboard).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_leaves_room() {
    let switchboard = room_for(1, talks_on()).start();
    let stream = begin(&switchboard).await;
    assert_full(&switchboard).await;
    drop(stream);
    sleep(MOMENT).await;
    assert_free(&switchboard).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_before_the_answer_leaves_room_too() {
    let switchboard = room_for(1, hangs()).start();
    let mut caller = switchboard.caller();
    let left = timeout(Duration::from_secs(1), caller.converse_stream(asking("long", "Go on."))).await;
    assert!(left.is_err(), "nothing came yet");
    sleep(MOMENT).await;
    let left = timeout(Duration::from_secs(1), caller.converse(asking("long", "Go on."))).await;
    assert!(left.is_err(), "the second was admitted, and left as well");
    sleep(MOMENT).await;
    assert_free(&switchboard).await;
    assert_eq!(switchboard.models_asked(), ["long", "long", "short"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_refused_for_its_input_gives_its_place_back() {
    let switchboard = room_for(1, talks_on())
        .configure(|config| config.server.max_request_size = bytesize::ByteSize::kib(64))
        .start();
    for (request, expected) in [
        (asking("poetry", "Sing."), "UNKNOWN_TASK"),
        (pb::ConverseRequest { task_type: "short".to_owned(), ..Default::default() }, "INVALID_FIELD"),
        (asking("short", &"x".repeat(100_000)), "INVALID_FIELD"),
    ] {
        let whole = switchboard.caller().converse(request.clone()).await.expect_err("is refused");
        assert_eq!(reason(&whole), expected);
        let stream = switchboard.caller().converse_stream(request).await.expect_err("is refused");
        assert_eq!(reason(&stream), expected);
    }
    assert_free(&switchboard).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_burst_as_many_are_answered_as_there_is_room_for_and_no_place_is_lost() {
    let switchboard = room_for(5, says("Done.").after(Duration::from_secs(10))).start();
    for _ in 0..3 {
        let mut burst = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let mut caller = switchboard.caller();
            burst.spawn(async move { caller.converse(asking("long", "All at once.")).await });
        }
        let answers = burst.join_all().await;
        let (answered, shed): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!((answered.len(), shed.len()), (5, 45));
        shed.iter().for_each(|answer| assert_shed(answer.as_ref().expect_err("is shed")));
    }
    assert_eq!(switchboard.models_asked().len(), 15);
}

#[tokio::test(start_paused = true)]
async fn streams_can_have_a_smaller_bound_and_whole_answers_the_room_they_leave() {
    let switchboard =
        room_for(3, talks_on()).configure(|config| config.admission.max_streams = Some(some(1))).start();
    let stream = begin(&switchboard).await;

    assert_shed(switchboard.converse_stream("long", "Me too.").await.status());
    assert_free(&switchboard).await;

    drop(stream);
    sleep(MOMENT).await;
    begin(&switchboard).await;
}

#[tokio::test(start_paused = true)]
async fn a_large_request_is_shed_before_it_has_arrived_and_its_connection_goes_on() {
    let switchboard = room_for(1, talks_on()).start();
    let stream = begin(&switchboard).await;
    let mut caller = switchboard.caller();
    let large = asking("short", &"x".repeat(20_000_000));

    assert_shed(&caller.converse(large.clone()).await.expect_err("is shed"));

    drop(stream);
    sleep(MOMENT).await;
    caller.converse(large).await.expect("is admitted now");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_opens_a_call_and_sends_nothing_does_not_hold_its_place_for_ever() {
    let switchboard = room_for(1, talks_on())
        .deadline(|clocks| clocks.call = Duration::from_secs(120))
        .configure(|config| config.server.upload_timeout = Duration::from_secs(30))
        .start();
    let mut silent = Grpc::new(switchboard.channel());
    silent.ready().await.expect("connects");
    let nothing = Request::new(futures_util::stream::pending::<pb::ConverseRequest>());
    let codec = ProstCodec::<pb::ConverseRequest, pb::ConverseResponse>::default();
    let path = http::uri::PathAndQuery::from_static("/switchboard.v1.ConverseService/Converse");
    let began = Instant::now();
    let asked = silent.client_streaming(nothing, path, codec);
    let status = async {
        let answer = timeout(Duration::from_secs(600), asked).await.expect("does not go on for ever");
        answer.expect_err("is given up")
    };
    let looked = async {
        sleep(Duration::from_secs(149)).await;
        assert_full(&switchboard).await;
    };

    let (status, ()) = tokio::join!(status, looked);

    assert_eq!((status.code(), began.elapsed().as_secs()), (Code::Cancelled, 150));
    sleep(MOMENT).await;
    assert_free(&switchboard).await;
}

// === connections ===

/// With room for one call on each connection, a caller's second call shows whether it got a second connection.
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_old_takes_no_more_calls_and_finishes_those_that_run() {
    let switchboard = room_for(8, talks_on())
        .configure(|config| {
            config.server.max_calls_per_connection = some(1);
            config.server.max_connection_age = Duration::from_secs(20);
        })
        .start();
    let mut caller = switchboard.caller();
    let mut again = caller.clone();
    let stream = caller.converse_stream(asking("long", "Go on.")).await.expect("begins").into_inner();
    let ask_again = async {
        let early = timeout(Duration::from_secs(10), again.converse(asking("short", "Hello?"))).await;
        assert!(early.is_err(), "the connection is full, and the caller's library waits");
        sleep(Duration::from_secs(13)).await; // 24 s: a tenth of 20 has passed too
        let late = timeout(MOMENT, again.converse(asking("short", "Hello?"))).await;
        late.expect("goes over a new connection").expect("is answered");
    };

    let (heard, ()) = tokio::join!(Heard::all_of(stream), ask_again);

    assert!(heard.status.is_none(), "{:?}", heard.status);
    assert_eq!(heard.text(), "more ".repeat(60), "it ran for 40 s after its connection's end was announced");
}

#[tokio::test(start_paused = true)]
async fn a_call_with_too_much_metadata_is_refused_and_its_connection_goes_on() {
    let switchboard = room_for(1, talks_on())
        .configure(|config| config.server.max_header_size = bytesize::ByteSize::kib(8))
        .start();
    let mut caller = switchboard.caller();
    let with = |size: usize| {
        let mut request = Request::new(asking("short", "Hello?"));
        request.metadata_mut().insert("x-note", "x".repeat(size).parse().expect("is a header"));
        request
    };
    caller.converse(with(7_000)).await.expect("fits");
    caller.converse(with(9_000)).await.expect_err("is refused");
    caller.converse(with(7_000)).await.expect("fits");
}
