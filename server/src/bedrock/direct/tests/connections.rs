//! Connections are opened ahead of calls, kept warm, used again, and closed when a call is cancelled.
use super::{
    stub::{Response, Stub},
    *,
};
use crate::failure::FailureKind;
use http_body_util::BodyExt as _;
use std::time::Duration;
use tokio::time::timeout;

fn warm(url: &str, connections: u8, keep: Duration) -> config::Bedrock {
    config::Bedrock {
        warm_connections: connections,
        keep_warm: keep,
        ..config::Bedrock::simulated_at(url.to_owned())
    }
}

#[tokio::test]
async fn connections_are_open_before_the_first_call() {
    let stub = Stub::answering(Response::of("404 Not Found", &[], "{}")).await;
    let engine = direct(warm(&stub.url, 4, Duration::ZERO)).await;
    assert_eq!((stub.opened(), stub.requests().len()), (4, 4));
    for request in stub.requests() {
        assert_eq!(request.line, "GET /ping HTTP/1.1");
        assert!(!request.headers.contains_key("authorization"));
    }
    let calls: [_; 4] = std::array::from_fn(|_| converse(&engine));
    for call in futures_util::future::join_all(calls).await {
        call.expect_err("the stub responds with 404");
    }
    assert_eq!((stub.opened(), stub.requests().len()), (4, 8), "calls use the open connections");
}

#[tokio::test]
async fn connections_are_kept_warm_until_the_engine_is_dropped() {
    let stub = Stub::answering(Response::ok()).await;
    let engine = direct(warm(&stub.url, 3, Duration::from_millis(30))).await;
    stub.wait_for_requests(9).await;
    assert_eq!(stub.opened(), 3, "every round of pings uses the same connections");
    drop(engine);
    stub.wait_for_closed(3).await;
    let sent = stub.requests().len();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(stub.requests().len(), sent, "no more pings are sent");
}

#[tokio::test]
async fn the_engine_starts_although_the_endpoint_does_not_respond() {
    let stub = Stub::answering(Response { bytes: Vec::new(), closes: true }).await;
    direct(warm(&stub.url, 2, Duration::ZERO)).await;
    let silent = Stub::answering(Response::ok().stuck(2)).await;
    let connect_timeout = Duration::from_millis(50);
    let settings = config::Bedrock { connect_timeout, ..warm(&silent.url, 2, Duration::ZERO) };
    direct(settings).await;
    silent.wait_for_closed(2).await;
}

#[tokio::test]
async fn a_connection_is_used_again_after_its_response_was_read() {
    let stub = Stub::answering(Response::ok()).await;
    let engine = direct(warm(&stub.url, 0, Duration::ZERO)).await;
    for _ in 0..5 {
        converse(&engine).await.expect("succeeds").body.collect().await.expect("is complete");
    }
    assert_eq!((stub.opened(), stub.requests().len()), (1, 5));
}

#[tokio::test]
async fn a_cancelled_call_closes_its_connection_at_once() {
    let silent = Stub::answering(Response { bytes: Vec::new(), closes: false }).await;
    let engine = direct(warm(&silent.url, 0, Duration::ZERO)).await;
    let call = timeout(Duration::from_millis(100), converse(&engine)).await;
    assert!(call.is_err(), "the stub does not respond");
    silent.wait_for_closed(1).await;

    let stuck = Stub::answering(Response::of("200 OK", &[], "0123456789").stuck(4)).await;
    let engine = direct(warm(&stuck.url, 0, Duration::ZERO)).await;
    let mut reply = converse(&engine).await.expect("starts");
    reply.body.frame().await.expect("continues").expect("is valid so far");
    drop(reply);
    stuck.wait_for_closed(1).await;
}

#[tokio::test]
async fn connecting_fails_after_the_connect_timeout() {
    // Reserved for documentation: no host has this address, and packets to it are dropped or refused.
    let connect_timeout = Duration::from_millis(100);
    let settings = config::Bedrock { connect_timeout, ..warm("http://192.0.2.1:9", 0, Duration::ZERO) };
    let engine = direct(settings).await;
    let failure = timeout(Duration::from_secs(5), converse(&engine)).await.expect("fails in time");
    assert_eq!(failure.expect_err("cannot connect").kind, FailureKind::Unreachable);
}
