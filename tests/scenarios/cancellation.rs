//! A caller who leaves ends the model's work, at whatever moment.
use crate::harness::*;
use std::time::Duration;
use tokio::time::{sleep, timeout};

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_mid_stream_ends_the_models_stream() {
    let switchboard =
        Scenario::new().route("coding", ["one"]).model("one", says_and_hangs("Half an ")).start();
    let mut stream =
        switchboard.caller().converse_stream(asking("coding", "Go on.")).await.expect("begins").into_inner();
    stream.message().await.expect("goes on");
    assert_eq!(switchboard.open_streams(), 1);

    drop(stream);

    sleep(Duration::from_millis(100)).await;
    assert_eq!(switchboard.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_before_the_first_content_ends_it_too() {
    let switchboard = Scenario::new()
        .route("coding", ["one", "two"])
        .model("one", begins_and_hangs())
        .model("two", says("Too late."))
        .start();
    let mut caller = switchboard.caller();
    let asked = timeout(Duration::from_secs(1), caller.converse_stream(asking("coding", "Go on."))).await;
    assert!(asked.is_err(), "nothing came yet");

    sleep(Duration::from_secs(120)).await;

    assert_eq!(switchboard.open_streams(), 0);
    assert_eq!(switchboard.models_asked(), ["one"], "nobody is asked on behalf of a caller who left");
}
