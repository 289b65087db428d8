//! Unknown tasks: refused with a suggestion, or served by the task `default` and reported as unknown in the route.
use crate::harness::*;
use switchboard_proto::v1::{self as pb, Resolution};
use switchboard_server::config::{Task, UnknownTasks};
use tonic::Code;

fn switchboard(unknown_tasks: UnknownTasks) -> Scenario {
    Scenario::new()
        .route("default", ["one"])
        .route("coding", ["one"])
        .route("summarization", ["one"])
        .model("one", says("Done."))
        .configure(|config| config.routing.unknown_tasks = unknown_tasks)
}

#[tokio::test(start_paused = true)]
async fn a_misspelt_task_is_served_by_default_and_marked_in_the_route() {
    let switchboard = switchboard(UnknownTasks::Default).start();
    for (requested, task, resolution) in [
        ("codng", "default", Resolution::Unknown),
        ("coding", "coding", Resolution::Named),
        ("", "default", Resolution::Absent),
    ] {
        let unary = switchboard.converse(requested, "Hello.").await.expect("answers");
        let streamed = switchboard.converse_stream(requested, "Hello.").await;
        for route in [&unary.route.expect("has a route"), streamed.route()] {
            assert_eq!((route.task_type.as_str(), route.requested_task_type.as_str()), (task, requested));
            assert_eq!(route.resolution(), resolution, "{requested:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_misspelt_task_is_refused_with_a_suggestion_and_the_tasks() {
    let switchboard = switchboard(UnknownTasks::Refuse).start();
    for (requested, suggestion) in [
        ("codng", Some("coding")),
        ("Coding", Some("coding")),
        ("summarisation", Some("summarization")),
        ("poetry", None),
    ] {
        let unary = switchboard.converse(requested, "Hello.").await.expect_err("is refused");
        let streamed = switchboard.converse_stream(requested, "Hello.").await;
        let explained = pb::ExplainRouteRequest { task_type: requested.to_owned(), request: None };
        let explained = switchboard.routing().explain_route(explained).await.expect_err("is refused");
        for status in [&unary, streamed.status(), &explained] {
            assert_eq!((status.code(), reason(status).as_str()), (Code::InvalidArgument, "UNKNOWN_TASK"));
            assert_eq!(invalid_fields(status), ["task_type"]);
            let message = status.message();
            let asks = suggestion.map(|task| format!("Did you mean {task:?}?"));
            assert_eq!(message.contains("Did you mean"), asks.is_some(), "{message}");
            assert!(asks.is_none_or(|asks| message.contains(&asks)), "{message}");
            assert!(message.contains("coding, default, summarization"), "{message}");
        }
    }
    assert!(switchboard.called_models().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_message_lists_at_most_20_tasks() {
    let switchboard = switchboard(UnknownTasks::Refuse)
        .configure(|config| {
            for number in 100..600 {
                config.tasks.insert(format!("task-{number}"), Task::new("", ["one"]));
            }
        })
        .start();
    let status = switchboard.converse("task-1234", "Hello.").await.expect_err("is refused");
    let message = status.message();
    assert_eq!(message.matches(", ").count(), 19, "{message}");
    assert!(message.ends_with(" and 483 more"), "{message}");
    assert!(message.contains("Did you mean \"task-"), "{message}");
}
