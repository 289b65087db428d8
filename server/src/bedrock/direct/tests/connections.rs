//! Connections: used again, and closed when a caller leaves.
use super::{
    stub::{Answer, Stub},
    *,
};
use http_body_util::BodyExt as _;
use std::time::Duration;
use tokio::time::timeout;

fn at(url: &str) -> config::Bedrock {
    config::Bedrock::simulated_at(url.to_owned())
}

#[tokio::test]
async fn a_connection_whose_answer_was_read_is_used_again() {
    let stub = Stub::answering(Answer::ok()).await;
    let engine = direct(at(&stub.url)).await;
    for _ in 0..5 {
        converse(&engine).await.expect("is answered").body.collect().await.expect("is whole");
    }
    assert_eq!((stub.opened(), stub.seen().len()), (1, 5));
}

#[tokio::test]
async fn a_caller_who_leaves_ends_the_request_at_once() {
    let silent = Stub::answering(Answer { bytes: Vec::new(), closes: false }).await;
    let engine = direct(at(&silent.url)).await;
    let call = timeout(Duration::from_millis(100), converse(&engine)).await;
    assert!(call.is_err(), "nobody answers");
    silent.closed(1).await;

    let stuck = Stub::answering(Answer::of("200 OK", &[], "0123456789").stuck(4)).await;
    let engine = direct(at(&stuck.url)).await;
    let mut reply = converse(&engine).await.expect("begins");
    reply.body.frame().await.expect("goes on").expect("is whole so far");
    drop(reply);
    stuck.closed(1).await;
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_given_up_after_the_connect_timeout() {
    // Reserved for documentation: no host is there, and packets to it are dropped or refused.
    let hasty = Duration::from_millis(100);
    let settings = config::Bedrock { connect_timeout: hasty, ..at("http://192.0.2.1:9") };
    let engine = direct(settings).await;
    let failure = timeout(Duration::from_secs(5), converse(&engine)).await.expect("is given up");
    assert_eq!(failure.expect_err("is not there").kind, crate::attempt::failure::FailureKind::Unreachable);
}
