//! Feedback: accepted for every answer by the request id of its route, once per judge, and for nothing else.
//!
//! The clock is not paused: the store has its own thread, for which a paused clock would not wait.
use crate::harness::{
    Scenario, ScenarioServer, attempts, chat_request, fails, invalid_fields, reason, says, throttled,
};
use std::path::Path;
use switchboard_proto::v1 as pb;
use switchboard_server::failure::FailureKind;
use tonic::{Code, Status};

fn two_models() -> Scenario {
    Scenario::new().route("work", ["first", "second"]).model("second", says("Done."))
}

fn thumb(request_id: &str, judge_id: &str, thumb: pb::Thumb) -> pb::RecordFeedbackRequest {
    pb::RecordFeedbackRequest {
        request_id: request_id.to_owned(),
        judge: Some(pb::Judge { kind: pb::JudgeKind::Human.into(), id: judge_id.to_owned() }),
        thumb: thumb.into(),
        ..Default::default()
    }
}

async fn record(
    switchboard: &ScenarioServer,
    request: pb::RecordFeedbackRequest,
) -> Result<pb::RecordFeedbackResponse, Status> {
    switchboard.feedback().record_feedback(request).await.map(tonic::Response::into_inner)
}

async fn answered_request(switchboard: &ScenarioServer) -> String {
    let reply = switchboard.converse("work", "Hello.").await.expect("answers");
    reply.route.expect("has a route").request_id
}

#[tokio::test]
async fn feedback_names_the_model_that_answered() {
    let switchboard = two_models().model("first", throttled()).start();

    let received = switchboard.converse_stream("work", "Hello.").await;
    assert_eq!(attempts(received.route()), ["first THROTTLED", "second OK"]);
    let recorded = record(&switchboard, thumb(&received.route().request_id, "alice", pb::Thumb::Up)).await;

    let expected = pb::RecordFeedbackResponse {
        replaced: false,
        task_type: "work".to_owned(),
        model_id: "test.second".to_owned(),
        variant: String::new(),
    };
    assert_eq!(recorded.expect("is recorded"), expected);
}

#[tokio::test]
async fn a_second_judgement_of_a_judge_replaces_the_first() {
    let switchboard = two_models().model("first", says("Hello.")).start();
    let request_id = answered_request(&switchboard).await;
    let replaced = async |judge, up| {
        record(&switchboard, thumb(&request_id, judge, up)).await.expect("is recorded").replaced
    };
    assert!(!replaced("alice", pb::Thumb::Up).await);
    assert!(!replaced("bob", pb::Thumb::Up).await);
    assert!(replaced("alice", pb::Thumb::Down).await);
}

#[tokio::test]
async fn refuses_feedback_on_an_unknown_request_id() {
    let broken = || fails(FailureKind::AccessDenied);
    let switchboard = two_models().model("first", broken()).model("second", broken()).start();
    let refused = switchboard.converse("work", "Hello.").await.expect_err("no model answers");
    let request_id = crate::harness::route_of(&refused).expect("has a route").request_id;

    for unknown in [request_id.as_str(), "3f1c0000-0000-4000-8000-000000000000", "' OR 1 = 1 --"] {
        let status =
            record(&switchboard, thumb(unknown, "alice", pb::Thumb::Up)).await.expect_err("is unknown");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "UNKNOWN_REQUEST"));
    }
}

#[tokio::test]
async fn refuses_feedback_on_count_tokens() {
    let switchboard = two_models().model("first", says("Hello.")).start();
    let conversation =
        pb::ConverseTokensRequest { messages: chat_request("work", "Hello.").messages, ..Default::default() };
    let input = Some(pb::count_tokens_input::Input::Converse(conversation));
    let request =
        pb::CountTokensRequest { task_type: "work".to_owned(), input: Some(pb::CountTokensInput { input }) };
    let counted = switchboard.caller().count_tokens(request).await.expect("counts").into_inner();
    let request_id = counted.route.expect("has a route").request_id;
    let status =
        record(&switchboard, thumb(&request_id, "alice", pb::Thumb::Up)).await.expect_err("is no answer");
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn names_every_invalid_field() {
    let switchboard = two_models().model("first", says("Hello.")).start();
    let request = pb::RecordFeedbackRequest {
        request_id: answered_request(&switchboard).await,
        judge: Some(pb::Judge { kind: 99, id: "rex".to_owned() }),
        score: Some(pb::Score { value: 7.0, min: 1.0, max: 5.0 }),
        label: Some("very good indeed".to_owned()),
        ..Default::default()
    };
    let status = record(&switchboard, request).await.expect_err("is wrong");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    assert_eq!(invalid_fields(&status), ["judge.kind", "score.value", "label"]);
}

#[tokio::test]
async fn a_file_keeps_answers_across_a_restart_of_the_server() {
    let folder = tempfile::TempDir::new().expect("is writable");
    let file = folder.path().join("feedback.db");
    let start = |file: &Path| {
        let file = file.to_owned();
        two_models()
            .model("first", says("Hello."))
            .configure(move |config| config.feedback.file = Some(file))
            .start()
    };
    let mut before = start(&file);
    let request_id = answered_request(&before).await;
    record(&before, thumb(&request_id, "alice", pb::Thumb::Up)).await.expect("is recorded");
    before.drain().await;

    let after = start(&file);
    let recorded = record(&after, thumb(&request_id, "alice", pb::Thumb::Down)).await.expect("is recorded");
    assert!(recorded.replaced);
}
