//! Admission: calls above the limit are rejected at once, and a call holds its permit exactly until its
//! response ends.
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

/// A server for `max_calls` at once. The model of task "long" has the given behaviour, that of "short"
/// answers at once.
fn with_max_calls(max_calls: u32, long: Behaviour) -> Scenario {
    Scenario::new()
        .route("long", ["long"])
        .model("long", long)
        .route("short", ["short"])
        .model("short", says("Yes."))
        .configure(|config| config.admission.max_calls = some(max_calls))
}

fn endless_stream() -> Behaviour {
    says_slowly(&["more "; 60], Duration::from_secs(1))
}

async fn start_stream(switchboard: &ScenarioServer) -> Streaming<pb::ConverseStreamResponse> {
    let started = switchboard.caller().converse_stream(chat_request("long", "Go on.")).await;
    let mut stream = started.expect("begins").into_inner();
    stream.message().await.expect("continues").expect("is the route");
    stream
}

fn counting(task: &str) -> pb::CountTokensRequest {
    let conversation =
        pb::ConverseTokensRequest { messages: vec![text_message("user", "How long?")], ..Default::default() };
    let input = pb::count_tokens_input::Input::Converse(conversation);
    pb::CountTokensRequest {
        task_type: task.to_owned(),
        input: Some(pb::CountTokensInput { input: Some(input) }),
    }
}

#[track_caller]
fn assert_overloaded(status: &Status) {
    assert_eq!((status.code(), reason(status).as_str()), (Code::Unavailable, "SHED"), "{status:?}");
    let retry = status.get_details_retry_info().expect("has a RetryInfo");
    assert_eq!(retry.retry_delay, Some(Duration::from_secs(1)));
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").expect("is there"), "1000");
    assert!(route_of(status).is_none(), "no task was resolved");
}

async fn assert_at_capacity(switchboard: &ScenarioServer) {
    assert_overloaded(&switchboard.converse("short", "Hello?").await.expect_err("is rejected"));
}

async fn assert_admits(switchboard: &ScenarioServer) {
    switchboard.converse("short", "Hello?").await.expect("is admitted");
}

#[tokio::test(start_paused = true)]
async fn calls_above_the_limit_are_rejected_at_once_and_call_no_model() {
    let switchboard = with_max_calls(2, endless_stream()).start();
    let _running = (start_stream(&switchboard).await, start_stream(&switchboard).await);
    let began = Instant::now();

    assert_overloaded(&switchboard.converse("short", "Hello?").await.expect_err("is rejected"));
    assert_overloaded(switchboard.converse_stream("short", "Hello?").await.status());
    assert_overloaded(&switchboard.caller().count_tokens(counting("short")).await.expect_err("is rejected"));

    assert!(began.elapsed() < MOMENT, "it took {:?}", began.elapsed());
    assert_eq!(switchboard.called_models(), ["long", "long"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_at_capacity_still_answers_health_and_routing() {
    let switchboard = with_max_calls(2, endless_stream()).start();
    let _running = (start_stream(&switchboard).await, start_stream(&switchboard).await);
    assert_at_capacity(&switchboard).await;

    let health = switchboard.health().check(HealthCheckRequest::default()).await.expect("answers");
    assert_eq!(health.into_inner().status(), ServingStatus::Serving);
    let tasks = switchboard.routing().list_tasks(pb::ListTasksRequest {}).await.expect("answers");
    assert_eq!(tasks.into_inner().tasks.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_holds_its_permit_until_it_ends() {
    let short = says_slowly(&["more "; 5], Duration::from_secs(1));
    for (ending, behaviour, expected) in [
        ("complete", short.clone(), None),
        ("interrupted", short.without_last_step(), Some("STREAM_INTERRUPTED")),
        ("silent", says_and_hangs("Half an "), Some("STREAM_INTERRUPTED")),
        ("over its deadline", endless_stream(), Some("DEADLINE_EXCEEDED")),
    ] {
        let switchboard = with_max_calls(1, behaviour)
            .deadline(|timeouts| {
                (timeouts.idle, timeouts.call) = (Duration::from_secs(10), Duration::from_secs(20))
            })
            .deadline(|timeouts| (timeouts.first_content, timeouts.attempt) = (timeouts.idle, timeouts.idle))
            .start();
        let stream = start_stream(&switchboard).await;
        sleep(Duration::from_secs(3)).await;
        assert_at_capacity(&switchboard).await;

        let received = ReceivedStream::read_all(stream).await;

        assert_eq!(received.status.as_ref().map(reason).as_deref(), expected, "{ending}");
        sleep(MOMENT).await;
        switchboard.converse("short", "Hello?").await.expect(ending);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_returns_its_permit() {
    for (behaviour, expected) in [
        (fails(FailureKind::AccessDenied), "MODEL_ACCESS_DENIED"),
        (says_and_fails("Half an ", FailureKind::ModelError), "STREAM_INTERRUPTED"),
    ] {
        let switchboard = with_max_calls(1, behaviour).start();
        for _ in 0..3 {
            let received = switchboard.converse_stream("long", "Go on.").await;
            assert_eq!(reason(received.status()), expected);
            sleep(MOMENT).await;
        }
        assert_admits(&switchboard).await;
    }
}

#[tokio::test(start_paused = true)]
async fn cancelling_a_stream_returns_its_permit() {
    let switchboard = with_max_calls(1, endless_stream()).start();
    let stream = start_stream(&switchboard).await;
    assert_at_capacity(&switchboard).await;
    drop(stream);
    sleep(MOMENT).await;
    assert_admits(&switchboard).await;
}

#[tokio::test(start_paused = true)]
async fn cancelling_before_the_response_returns_the_permit() {
    let switchboard = with_max_calls(1, hangs()).start();
    let mut caller = switchboard.caller();
    let cancelled =
        timeout(Duration::from_secs(1), caller.converse_stream(chat_request("long", "Go on."))).await;
    assert!(cancelled.is_err(), "there is no response yet");
    sleep(MOMENT).await;
    let cancelled = timeout(Duration::from_secs(1), caller.converse(chat_request("long", "Go on."))).await;
    assert!(cancelled.is_err(), "the second call was admitted and cancelled too");
    sleep(MOMENT).await;
    assert_admits(&switchboard).await;
    assert_eq!(switchboard.called_models(), ["long", "long", "short"]);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_request_returns_its_permit() {
    let switchboard = with_max_calls(1, endless_stream())
        .configure(|config| config.server.max_request_size = bytesize::ByteSize::kib(64))
        .start();
    for (request, expected) in [
        (chat_request("poetry", "Sing."), "UNKNOWN_TASK"),
        (pb::ConverseRequest { task_type: "short".to_owned(), ..Default::default() }, "INVALID_FIELD"),
        (chat_request("short", &"x".repeat(100_000)), "INVALID_FIELD"),
    ] {
        let unary = switchboard.caller().converse(request.clone()).await.expect_err("is refused");
        assert_eq!(reason(&unary), expected);
        let stream = switchboard.caller().converse_stream(request).await.expect_err("is refused");
        assert_eq!(reason(&stream), expected);
    }
    assert_admits(&switchboard).await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_admitted_up_to_the_limit_and_loses_no_permit() {
    let switchboard = with_max_calls(5, says("Done.").after(Duration::from_secs(10))).start();
    for _ in 0..3 {
        let mut burst = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let mut caller = switchboard.caller();
            burst.spawn(async move { caller.converse(chat_request("long", "All at once.")).await });
        }
        let answers = burst.join_all().await;
        let (answered, rejected): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!((answered.len(), rejected.len()), (5, 45));
        rejected.iter().for_each(|answer| assert_overloaded(answer.as_ref().expect_err("is rejected")));
    }
    assert_eq!(switchboard.called_models().len(), 15);
}

#[tokio::test(start_paused = true)]
async fn max_streams_limits_streams_and_leaves_the_rest_to_unary_calls() {
    let switchboard = with_max_calls(3, endless_stream())
        .configure(|config| config.admission.max_streams = Some(some(1)))
        .start();
    let stream = start_stream(&switchboard).await;

    assert_overloaded(switchboard.converse_stream("long", "Me too.").await.status());
    assert_admits(&switchboard).await;

    drop(stream);
    sleep(MOMENT).await;
    start_stream(&switchboard).await;
}

#[tokio::test(start_paused = true)]
async fn a_large_request_is_rejected_before_it_has_arrived_and_keeps_its_connection() {
    let switchboard = with_max_calls(1, endless_stream()).start();
    let stream = start_stream(&switchboard).await;
    let mut caller = switchboard.caller();
    let large = chat_request("short", &"x".repeat(20_000_000));

    assert_overloaded(&caller.converse(large.clone()).await.expect_err("is rejected"));

    drop(stream);
    sleep(MOMENT).await;
    caller.converse(large).await.expect("is admitted now");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_request_message_ends_after_the_upload_timeout() {
    let switchboard = with_max_calls(1, endless_stream())
        .deadline(|timeouts| timeouts.call = Duration::from_secs(120))
        .configure(|config| config.server.upload_timeout = Duration::from_secs(30))
        .start();
    let mut grpc = Grpc::new(switchboard.channel());
    grpc.ready().await.expect("connects");
    let nothing = Request::new(futures_util::stream::pending::<pb::ConverseRequest>());
    let codec = ProstCodec::<pb::ConverseRequest, pb::ConverseResponse>::default();
    let path = http::uri::PathAndQuery::from_static("/switchboard.v1.ConverseService/Converse");
    let began = Instant::now();
    let call = grpc.client_streaming(nothing, path, codec);
    let status = async {
        let answer = timeout(Duration::from_secs(600), call).await.expect("ends");
        answer.expect_err("is ended")
    };
    let probe = async {
        sleep(Duration::from_secs(29)).await;
        assert_at_capacity(&switchboard).await;
    };

    let (status, ()) = tokio::join!(status, probe);

    assert_eq!((status.code(), began.elapsed().as_secs()), (Code::DeadlineExceeded, 30));
    assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
    sleep(MOMENT).await;
    assert_admits(&switchboard).await;
}

// === connections ===

/// With one call per connection at most, a second call shows whether there is a second connection.
#[tokio::test(start_paused = true)]
async fn an_old_connection_accepts_no_calls_and_finishes_the_running_ones() {
    let switchboard = with_max_calls(8, endless_stream())
        .configure(|config| {
            config.server.max_calls_per_connection = some(1);
            config.server.max_connection_age = Duration::from_secs(20);
        })
        .start();
    let mut caller = switchboard.caller();
    let mut again = caller.clone();
    let stream = caller.converse_stream(chat_request("long", "Go on.")).await.expect("begins").into_inner();
    let second_call = async {
        let early = timeout(Duration::from_secs(10), again.converse(chat_request("short", "Hello?"))).await;
        assert!(early.is_err(), "the connection has no room, and the client library waits");
        sleep(Duration::from_secs(13)).await; // 24 s: more than the age of 20 s and its jitter of a tenth
        let late = timeout(MOMENT, again.converse(chat_request("short", "Hello?"))).await;
        late.expect("uses a new connection").expect("is answered");
    };

    let (received, ()) = tokio::join!(ReceivedStream::read_all(stream), second_call);

    assert!(received.status.is_none(), "{:?}", received.status);
    assert_eq!(received.text(), "more ".repeat(60), "it ran for 40 s after the GOAWAY");
}

#[tokio::test(start_paused = true)]
async fn a_call_with_too_much_metadata_is_refused_and_keeps_its_connection() {
    let switchboard = with_max_calls(1, endless_stream())
        .configure(|config| config.server.max_header_size = bytesize::ByteSize::kib(8))
        .start();
    let mut caller = switchboard.caller();
    let with = |size: usize| {
        let mut request = Request::new(chat_request("short", "Hello?"));
        request.metadata_mut().insert("x-note", "x".repeat(size).parse().expect("is a header"));
        request
    };
    caller.converse(with(7_000)).await.expect("fits");
    caller.converse(with(9_000)).await.expect_err("is refused");
    caller.converse(with(7_000)).await.expect("fits");
}
