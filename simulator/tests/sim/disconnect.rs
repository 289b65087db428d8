//! A caller who leaves is noticed, and nothing is generated for nobody.

use std::time::Duration;

use bedrock_sim::{CallLog, Config, Fault};

use crate::harness::{NOVA, Scenario, user};

#[tokio::test]
async fn a_dropped_stream_is_logged_within_a_second() {
    let scenario = Scenario::with(Config { speed: 0.2, ..Config::default() }).await;
    let call = scenario.client.converse_stream().model_id(NOVA).messages(user("Tell me about granite."));
    let mut output = call.send().await.expect("a stream");
    output.stream.recv().await.expect("an event");
    drop(output);

    let log = settled(&scenario).await;
    assert!(log.hung_up && !log.finished, "{log:?}");
    let sent = log.events_sent;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(scenario.simulator.handle().calls()[0].events_sent, sent, "generation went on");
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_status_is_logged_too() {
    let scenario = Scenario::start().await;
    scenario.inject(Fault::Hang);
    let call = scenario.ask(NOVA, "Anyone there?");
    assert!(tokio::time::timeout(Duration::from_millis(200), call).await.is_err());

    let log = settled(&scenario).await;
    assert!(log.hung_up && log.status == 0, "{log:?}");
}

#[tokio::test]
async fn a_call_read_to_its_end_is_finished() {
    let scenario = Scenario::start().await;
    let read = scenario.stream(NOVA, "Tell me about granite.").await;
    scenario.ask(NOVA, "And about basalt?").await.expect("a reply");

    let calls = scenario.simulator.handle().calls();
    assert!(calls.iter().all(|call| call.finished && !call.hung_up && call.status == 200), "{calls:?}");
    assert_eq!(calls[0].operation, "ConverseStream");
    assert_eq!(calls[0].model, NOVA);
    assert_eq!(calls[0].events_sent as usize, read.events.len());
    assert_eq!(calls[1].body["messages"][0]["content"][0]["text"], "And about basalt?");
}

/// The first call's log entry, once it is decided how the call ended.
async fn settled(scenario: &Scenario) -> CallLog {
    let handle = scenario.simulator.handle();
    for _ in 0..100 {
        let calls = handle.calls();
        if calls.first().is_some_and(|call| call.hung_up || call.finished) {
            return calls[0].clone();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not settled within a second: {:?}", handle.calls());
}
