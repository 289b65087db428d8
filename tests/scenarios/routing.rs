//! RoutingService: tasks can be listed, and routes explained before a call.
use crate::harness::*;
use switchboard_proto::v1 as pb;
use switchboard_server::config::UnknownTasks;
use tonic::Code;

fn switchboard(unknown_tasks: UnknownTasks) -> ScenarioServer {
    Scenario::new()
        .route("default", ["one"])
        .route("coding", ["two", "one"])
        .model("one", says("One."))
        .model("two", says("Two."))
        .configure(|config| config.routing.unknown_tasks = unknown_tasks)
        .start()
}

fn names(candidates: &[pb::Candidate]) -> Vec<&str> {
    candidates.iter().map(|candidate| candidate.name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn tasks_are_listed_with_their_models() {
    let switchboard = switchboard(UnknownTasks::Default);
    let listed =
        switchboard.routing().list_tasks(pb::ListTasksRequest {}).await.expect("answers").into_inner();
    let tasks: Vec<_> =
        listed.tasks.iter().map(|task| (task.task_type.as_str(), names(&task.candidates))).collect();
    assert_eq!(tasks, [("coding", vec!["two", "one"]), ("default", vec!["one"])]);
    assert_eq!(listed.unknown_tasks(), pb::UnknownTasks::Default);
    let route = switchboard.converse("coding", "Hello").await.expect("answers").route.expect("has a route");
    assert_eq!(route.config_version, listed.config_version);
}

#[tokio::test(start_paused = true)]
async fn a_route_is_explained_without_calling_a_model() {
    let switchboard = switchboard(UnknownTasks::Default);
    for (task_type, resolved, resolution) in [
        ("coding", "coding", pb::Resolution::Named),
        ("", "default", pb::Resolution::Absent),
        ("poetry", "default", pb::Resolution::Unknown),
    ] {
        let request = pb::ExplainRouteRequest { task_type: task_type.to_owned(), request: None };
        let explained = switchboard.routing().explain_route(request).await.expect("answers").into_inner();
        assert_eq!((explained.task_type.as_str(), explained.resolution()), (resolved, resolution));
        assert_eq!(
            explained.deadlines.and_then(|timeouts| timeouts.call).map(|call| call.seconds),
            Some(300)
        );
    }
    assert!(switchboard.called_models().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_explained_request_is_validated_like_a_call() {
    let switchboard = switchboard(UnknownTasks::Default);
    let request =
        pb::ConverseRequest { messages: vec![text_message("robot", "Hello")], ..chat_request("coding", "") };
    let empty =
        pb::ExplainRouteRequest { request: Some(pb::ConverseRequest::default()), ..Default::default() };
    let status = switchboard.routing().explain_route(empty).await.expect_err("is refused");
    assert_eq!(invalid_fields(&status), ["messages"]);
    let explained = pb::ExplainRouteRequest { request: Some(request), ..Default::default() };
    let status = switchboard.routing().explain_route(explained).await.expect_err("is refused");
    assert_eq!(
        (status.code(), invalid_fields(&status)),
        (Code::InvalidArgument, vec!["messages[0].role".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn unknown_tasks_are_served_as_default_or_refused() {
    let reply = switchboard(UnknownTasks::Default).converse("poetry", "Sing.").await.expect("answers");
    assert_eq!(reply.route.map(|route| route.task_type), Some("default".to_owned()));
    let status = switchboard(UnknownTasks::Refuse).converse("poetry", "Sing.").await.expect_err("is refused");
    assert_eq!(reason(&status), "UNKNOWN_TASK");
}
