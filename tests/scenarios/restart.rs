//! After content: the call fails and reports what was sent or, if the task allows it, another model restarts
//! the stream.
use crate::harness::*;
use std::time::Duration;
use switchboard_proto::v1::{self as pb, converse_stream_response::Event};
use switchboard_server::{config::AfterContent, failure::FailureKind};

fn two_models(first: Behaviour, second: Behaviour, after_content: AfterContent) -> ScenarioServer {
    Scenario::new()
        .route("coding", ["one", "two"])
        .deadline(|timeouts| timeouts.idle = Duration::from_secs(5))
        .model("one", first)
        .model("two", second)
        .configure(|config| {
            config.tasks.get_mut("coding").expect("is a task").after_content = after_content;
        })
        .start()
}

/// The events as text: routes by their model, deltas by their text.
fn summary(received: &ReceivedStream) -> Vec<String> {
    let describe = |event: &Event| match event {
        Event::Route(route) => route.model_id.clone(),
        Event::Restart(restart) => format!("restart {}", reason_name(restart.reason())),
        Event::ContentBlockDelta(delta) => {
            match delta.delta.as_ref().and_then(|delta| delta.delta.as_ref()) {
                Some(pb::content_block_delta::Delta::Text(text)) => text.clone(),
                other => panic!("{other:?}"),
            }
        }
        Event::Metadata(_) => "metadata".to_owned(),
        _ => String::new(),
    };
    received.events.iter().map(describe).filter(|text| !text.is_empty()).collect()
}

fn partial_answer(status: &tonic::Status) -> pb::Received {
    use prost::Message as _;
    let decoded = tonic_types::pb::Status::decode(status.details()).expect("has details");
    let named = |detail: &&prost_types::Any| detail.type_url.ends_with("/switchboard.v1.Received");
    let detail = decoded.details.iter().find(named).expect("reports what was sent");
    pb::Received::decode(detail.value.as_slice()).expect("decodes")
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_reports_the_size_of_the_partial_answer() {
    for (broken, stop_reason) in [
        (says_and_fails("Half an answer", FailureKind::Internal), ""),
        (says_and_hangs("Half an answer"), ""),
        (says_and_ends_early("Half an answer"), ""),
        (says_without_metadata("Half an answer"), "end_turn"),
    ] {
        let switchboard = two_models(broken, says("Another."), AfterContent::Fail);
        let received = switchboard.converse_stream("coding", "Write a program.").await;
        assert_eq!(reason(received.status()), "STREAM_INTERRUPTED");
        let expected = pb::Received {
            content_blocks: 1,
            deltas: 3,
            text_bytes: 14,
            raw_stop_reason: stop_reason.to_owned(),
        };
        assert_eq!(partial_answer(received.status()), expected);
        assert_eq!(switchboard.called_models(), ["one"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_mid_stream_reports_it_too() {
    let switchboard = two_models(says_and_hangs("Half an answer"), says("Another."), AfterContent::Fail);
    let mut request = tonic::Request::new(chat_request("coding", "Write a program."));
    request.metadata_mut().insert("grpc-timeout", "3S".parse().expect("is a header"));
    let stream = switchboard.caller().converse_stream(request).await.expect("begins").into_inner();
    let received = ReceivedStream::read_all(stream).await;
    assert_eq!(reason(received.status()), "DEADLINE_EXCEEDED");
    assert_eq!(partial_answer(received.status()).text_bytes, 14);
}

#[tokio::test(start_paused = true)]
async fn another_model_restarts_the_stream_after_a_restart_event() {
    for (broken, cause) in [
        (says_and_fails("Half an ", FailureKind::ModelError), "MODEL_ERROR"),
        (says_and_hangs("Half an "), "MODEL_TIMEOUT"),
        (says_and_ends_early("Half an "), "BEDROCK_PROTOCOL"),
        (says_without_metadata("Half an "), "BEDROCK_PROTOCOL"),
    ] {
        let switchboard = two_models(broken, says("Another answer."), AfterContent::Restart);

        let received = switchboard.converse_stream("coding", "Write a program.").await;

        let restart = format!("restart {cause}");
        let expected = ["test.one", "Half ", "an ", &restart, "test.two", "Another ", "answer.", "metadata"];
        assert_eq!(summary(&received), expected);
        let routes: Vec<_> = received
            .events
            .iter()
            .filter_map(|event| if let Event::Route(route) = event { Some(route) } else { None })
            .collect();
        let failed = &attempts(routes[1])[0];
        assert!(failed.starts_with("one ") && !failed.ends_with("OK"), "{failed}");
        assert_eq!(attempts(routes[1])[1], "two OK");
        assert!(received.status.is_none() && routes[1].fallback_used);
        assert_eq!(routes[0].request_id, routes[1].request_id);
        assert_eq!(switchboard.open_streams(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn without_another_model_the_call_fails_as_without_restart() {
    for second in [throttled(), says_and_fails("Quarter ", FailureKind::Internal)] {
        let first = says_and_fails("Half an ", FailureKind::ModelError);
        let switchboard = two_models(first, second, AfterContent::Restart);
        let received = switchboard.converse_stream("coding", "Write a program.").await;
        assert_eq!(reason(received.status()), "STREAM_INTERRUPTED");
        assert_eq!(switchboard.called_models(), ["one", "two"]);
        assert_eq!(
            partial_answer(received.status()).deltas,
            if received.text().contains("Quarter") { 1 } else { 2 }
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_another_model_would_share_does_not_restart() {
    let refused = says_and_fails("Half an ", FailureKind::ModelRefused);
    let switchboard = two_models(refused, says("Another."), AfterContent::Restart);
    let received = switchboard.converse_stream("coding", "Write a program.").await;
    assert_eq!(reason(received.status()), "STREAM_INTERRUPTED");
    assert_eq!(switchboard.called_models(), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn cancelling_during_a_restart_ends_the_second_attempt() {
    let slow = says("Another.").after(Duration::from_secs(20));
    let switchboard =
        two_models(says_and_fails("Half an ", FailureKind::ModelError), slow, AfterContent::Restart);
    let mut stream = switchboard
        .caller()
        .converse_stream(chat_request("coding", "Write."))
        .await
        .expect("begins")
        .into_inner();
    for _ in 0..4 {
        stream.message().await.expect("is an event");
    }
    assert!(tokio::time::timeout(Duration::from_secs(5), stream.message()).await.is_err());
    assert_eq!(switchboard.called_models(), ["one", "two"]);
    drop(stream);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(switchboard.open_streams(), 0);
}
