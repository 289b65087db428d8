//! A caller who cancels ends the model's work at any point.
use crate::harness::*;
use std::time::Duration;
use tokio::time::{sleep, timeout};

#[tokio::test(start_paused = true)]
async fn cancelling_in_mid_stream_ends_the_models_stream() {
    let switchboard =
        Scenario::new().route("coding", ["one"]).model("one", says_and_hangs("Half an ")).start();
    let mut stream = switchboard
        .caller()
        .converse_stream(chat_request("coding", "Go on."))
        .await
        .expect("begins")
        .into_inner();
    stream.message().await.expect("continues");
    assert_eq!(switchboard.open_streams(), 1);

    drop(stream);

    sleep(Duration::from_millis(100)).await;
    assert_eq!(switchboard.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn cancelling_before_the_first_content_ends_the_attempt() {
    let switchboard = Scenario::new()
        .route("coding", ["one", "two"])
        .model("one", starts_and_hangs())
        .model("two", says("Too late."))
        .start();
    let mut caller = switchboard.caller();
    let cancelled =
        timeout(Duration::from_secs(1), caller.converse_stream(chat_request("coding", "Go on."))).await;
    assert!(cancelled.is_err(), "there is no content yet");

    sleep(Duration::from_secs(120)).await;

    assert_eq!(switchboard.open_streams(), 0);
    assert_eq!(switchboard.called_models(), ["one"], "no model is called for a caller who has left");
}
