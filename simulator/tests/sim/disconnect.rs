//! Callers that disconnect: the call log records them, and generation stops.

use std::time::Duration;

use bedrock_sim::{CallLog, Config, Fault};

use crate::harness::{NOVA, Scenario, user};

#[tokio::test]
async fn a_dropped_stream_is_logged_as_hung_up_within_a_second() {
    let scenario = Scenario::with(Config { speed: 0.2, ..Config::default() }).await;
    let call = scenario.client.converse_stream().model_id(NOVA).messages(user("Tell me about granite."));
    let mut output = call.send().await.expect("a stream");
    output.stream.recv().await.expect("an event");
    drop(output);

    let log = ended_call(&scenario).await;
    assert!(log.hung_up && !log.finished, "{log:?}");
    let sent = log.events_sent;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(scenario.simulator.handle().calls()[0].events_sent, sent, "generation continued");
}

#[tokio::test]
async fn a_disconnect_before_the_status_is_logged() {
    let scenario = Scenario::start().await;
    scenario.inject(Fault::Hang);
    let call = scenario.converse(NOVA, "Anyone there?");
    assert!(tokio::time::timeout(Duration::from_millis(200), call).await.is_err());

    let log = ended_call(&scenario).await;
    assert!(log.hung_up && log.status == 0, "{log:?}");
}

#[tokio::test]
async fn a_completely_read_call_is_logged_as_finished() {
    let scenario = Scenario::start().await;
    let result = scenario.stream(NOVA, "Tell me about granite.").await;
    scenario.converse(NOVA, "And about basalt?").await.expect("a response");

    let calls = scenario.simulator.handle().calls();
    assert!(calls.iter().all(|call| call.finished && !call.hung_up && call.status == 200), "{calls:?}");
    assert_eq!(calls[0].operation, "ConverseStream");
    assert_eq!(calls[0].model, NOVA);
    assert_eq!(calls[0].events_sent as usize, result.events.len());
    assert_eq!(calls[1].body["messages"][0]["content"][0]["text"], "And about basalt?");
}

/// Returns the log of the first call after the call ended.
async fn ended_call(scenario: &Scenario) -> CallLog {
    let handle = scenario.simulator.handle();
    for _ in 0..100 {
        let calls = handle.calls();
        if calls.first().is_some_and(|call| call.hung_up || call.finished) {
            return calls[0].clone();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the call did not end within a second: {:?}", handle.calls());
}
