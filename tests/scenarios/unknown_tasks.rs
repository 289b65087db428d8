//! Unknown tasks: refused with a suggestion, or served by the task `default` and reported as unknown in the
//! route.
use crate::harness::*;
use switchboard_proto::v1::{self as pb, Resolution};
use switchboard_server::config::{Task, UnknownTasks};
use tonic::{Code, Status};

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
async fn the_message_lists_the_first_tasks() {
    let switchboard = switchboard(UnknownTasks::Refuse)
        .configure(|config| {
            for number in 100..600 {
                config.tasks.insert(format!("task-{number}"), Task::new("", ["one"]));
            }
        })
        .start();
    let status = switchboard.converse("task-1234", "Hello.").await.expect_err("is refused");
    let message = status.message();
    let listed = message.matches(", ").count() + 1;
    assert!((20..50).contains(&listed), "{message}");
    assert!(message.ends_with(&format!(" and {} more; ListTasks has all", 503 - listed)), "{message}");
    assert!(message.contains("Did you mean \"task-"), "{message}");
}

/// Size of the status in the trailers: the message, and the details in base64.
fn size_in_trailers(status: &Status) -> usize {
    let mut headers = http::HeaderMap::new();
    status.add_header(&mut headers).expect("is valid");
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Clients and proxies limit the size of trailers, often to 8 KB.
#[tokio::test(start_paused = true)]
async fn the_status_of_an_unknown_task_is_at_most_4_kb_with_long_names() {
    for length in [16, 64, 128, 200] {
        let switchboard = switchboard(UnknownTasks::Refuse)
            .configure(|config| {
                for number in 100..600 {
                    config
                        .tasks
                        .insert(format!("{number}-{}", "x".repeat(length - 4)), Task::new("", ["one"]));
                }
            })
            .start();
        let requested = format!("600-{}", "x".repeat(length - 4));
        let status = switchboard.converse(&requested, "Hello.").await.expect_err("is refused");
        assert_eq!(reason(&status), "UNKNOWN_TASK");
        assert!(status.message().contains("Did you mean"), "{}", status.message());
        let size = size_in_trailers(&status);
        assert!(size <= 4096, "{size} bytes with names of {length}");
    }
}
