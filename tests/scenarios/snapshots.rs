//! A new configuration: running calls keep theirs, new calls use the new one, and learned state stays with
//! its deployment.
use crate::harness::*;
use std::time::Duration;
use switchboard_proto::v1::{self as pb, BreakerState, converse_stream_response::Event};
use switchboard_server::{
    config::{Breaker, Config, Model, Task},
    failure::FailureKind,
};
use tokio::time::sleep;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

const MOMENT: Duration = Duration::from_millis(100);

/// One failure opens a breaker.
fn scenario() -> Scenario {
    Scenario::new()
        .route("coding", ["one"])
        .route("old", ["one"])
        .configure(|config| config.breaker = Breaker { min_attempts: 1, ..Breaker::default() })
}

/// The model "one" has another id, the former one is called "former", and the task "old" is replaced by
/// "new".
fn changed(config: &mut Config) {
    config.models.insert("one".to_owned(), Model::new("test.replacement"));
    config.models.insert("former".to_owned(), Model::new("test.one"));
    config.tasks.insert("coding".to_owned(), Task::new("", ["one", "former"]));
    config.tasks.insert("new".to_owned(), Task::new("", ["former"]));
    config.tasks.remove("old");
}

/// The breaker of the candidate with this model id.
async fn breaker(switchboard: &ScenarioServer, model_id: &str) -> BreakerState {
    let request = pb::ExplainRouteRequest { task_type: "coding".to_owned(), request: None };
    let explained = switchboard.routing().explain_route(request).await.expect("explains").into_inner();
    let candidate = explained.candidates.into_iter().find(|candidate| candidate.model_id == model_id);
    candidate.expect("is a candidate").health.expect("has health").breaker()
}

async fn health(switchboard: &ScenarioServer, task: &str) -> Result<ServingStatus, Code> {
    sleep(MOMENT).await; // another task updates the health
    let request = HealthCheckRequest { service: format!("task/{task}") };
    let checked = switchboard.health().check(request).await;
    checked.map(|response| response.into_inner().status()).map_err(|status| status.code())
}

#[tokio::test(start_paused = true)]
async fn a_running_stream_keeps_its_snapshot_and_a_new_call_gets_the_new_one() {
    let gate = Gate::closed();
    let answer = says_in_two_parts("First, ", &gate, "last.");
    let (switchboard, mut reload) =
        scenario().model("one", answer).model("former", says("-")).start_reloadable();
    let running = switchboard.caller().converse_stream(chat_request("coding", "Write.")).await;
    let mut running = running.expect("begins").into_inner();
    let Some(Event::Route(before)) = running.message().await.expect("continues").and_then(|it| it.event)
    else {
        panic!("the first event is the route")
    };

    reload.publish(changed);
    let listed = switchboard.routing().list_tasks(pb::ListTasksRequest {}).await.expect("lists").into_inner();
    assert_ne!(listed.config_version, before.config_version);
    gate.open();
    let received = ReceivedStream::read_all(running).await;
    let after = switchboard.converse("coding", "Write.").await.expect("answers").route.expect("has a route");

    assert_eq!((received.text().as_str(), received.status.is_none()), ("First, last.", true));
    let end = received.metadata().and_then(|metadata| metadata.route.clone()).expect("has a route");
    for route in [&before, &end] {
        assert_eq!((route.model_id.as_str(), &route.config_version), ("test.one", &before.config_version));
        assert_eq!(attempts(route), ["one OK"]);
    }
    assert_eq!(after.config_version, listed.config_version);
    assert_eq!(
        (after.model_id.as_str(), attempts(&after)),
        ("test.replacement", vec!["replacement OK".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn the_attempt_of_a_running_stream_is_charged_to_its_own_deployment() {
    let gate = Gate::closed();
    let breaks = says_and_fails_later("Half an ", &gate, FailureKind::Internal);
    let (switchboard, mut reload) =
        scenario().model("one", breaks).model("former", says("-")).start_reloadable();
    let running = switchboard.caller().converse_stream(chat_request("coding", "Write.")).await;
    let running = running.expect("begins").into_inner();

    reload.publish(changed);
    assert_eq!(breaker(&switchboard, "test.one").await, BreakerState::Closed);
    gate.open();
    let received = ReceivedStream::read_all(running).await;

    assert_eq!(reason(received.status()), "STREAM_INTERRUPTED");
    let route = route_of(received.status()).expect("has a route");
    assert_eq!(attempts(&route), ["one UNAVAILABLE"]);
    assert_eq!(breaker(&switchboard, "test.one").await, BreakerState::Open, "now called \"former\"");
    assert_eq!(breaker(&switchboard, "test.replacement").await, BreakerState::Closed, "now called \"one\"");
}

#[tokio::test(start_paused = true)]
async fn health_follows_the_tasks_of_the_current_snapshot() {
    let (switchboard, mut reload) = scenario().model("one", says("Done.")).start_reloadable();
    assert_eq!(health(&switchboard, "old").await, Ok(ServingStatus::Serving));
    assert_eq!(health(&switchboard, "new").await, Err(Code::NotFound));

    reload.publish(changed);

    assert_eq!(health(&switchboard, "old").await, Err(Code::NotFound));
    assert_eq!(health(&switchboard, "new").await, Ok(ServingStatus::Serving));
    assert_eq!(health(&switchboard, "coding").await, Ok(ServingStatus::Serving));
    let removed = switchboard.converse("old", "Hello.").await.expect_err("is refused");
    assert_eq!(reason(&removed), "UNKNOWN_TASK");
}

#[tokio::test(start_paused = true)]
async fn learned_state_survives_a_new_snapshot() {
    let failing = fails(FailureKind::Internal);
    let (switchboard, mut reload) =
        scenario().model("one", failing).model("former", says("-")).start_reloadable();
    switchboard.converse("coding", "Write.").await.expect_err("fails");
    assert_eq!(breaker(&switchboard, "test.one").await, BreakerState::Open);

    reload.publish(changed);

    assert_eq!(breaker(&switchboard, "test.one").await, BreakerState::Open);
    assert_eq!(breaker(&switchboard, "test.replacement").await, BreakerState::Closed);
}
