//! Connections: opened ahead of calls, kept, used again, and closed when a caller leaves.
use super::{
    stub::{Answer, Stub},
    *,
};
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
    let stub = Stub::answering(Answer::of("404 Not Found", &[], "{}")).await;
    let engine = direct(warm(&stub.url, 4, Duration::ZERO)).await;
    assert_eq!((stub.opened(), stub.seen().len()), (4, 4));
    for seen in stub.seen() {
        assert_eq!(seen.line, "GET /ping HTTP/1.1");
        assert!(!seen.headers.contains_key("authorization"));
    }
    let calls: [_; 4] = std::array::from_fn(|_| converse(&engine));
    for call in futures_util::future::join_all(calls).await {
        call.expect_err("the stub answers so");
    }
    assert_eq!((stub.opened(), stub.seen().len()), (4, 8), "calls found connections");
}

#[tokio::test]
async fn connections_are_kept_until_nobody_wants_them() {
    let stub = Stub::answering(Answer::ok()).await;
    let engine = direct(warm(&stub.url, 3, Duration::from_millis(30))).await;
    stub.asked(9).await;
    assert_eq!(stub.opened(), 3, "the same connections each time");
    drop(engine);
    stub.closed(3).await;
    let asked = stub.seen().len();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(stub.seen().len(), asked, "nothing goes on");
}

#[tokio::test]
async fn nobody_there_does_not_keep_the_engine_from_starting() {
    let stub = Stub::answering(Answer { bytes: Vec::new(), closes: true }).await;
    direct(warm(&stub.url, 2, Duration::ZERO)).await;
    let silent = Stub::answering(Answer::ok().stuck(2)).await;
    let hasty = Duration::from_millis(50);
    let settings = config::Bedrock { connect_timeout: hasty, ..warm(&silent.url, 2, Duration::ZERO) };
    direct(settings).await;
    silent.closed(2).await;
}

#[tokio::test]
async fn a_connection_whose_answer_was_read_is_used_again() {
    let stub = Stub::answering(Answer::ok()).await;
    let engine = direct(warm(&stub.url, 0, Duration::ZERO)).await;
    for _ in 0..5 {
        converse(&engine).await.expect("is answered").body.collect().await.expect("is whole");
    }
    assert_eq!((stub.opened(), stub.seen().len()), (1, 5));
}

#[tokio::test]
async fn a_caller_who_leaves_ends_the_request_at_once() {
    let silent = Stub::answering(Answer { bytes: Vec::new(), closes: false }).await;
    let engine = direct(warm(&silent.url, 0, Duration::ZERO)).await;
    let call = timeout(Duration::from_millis(100), converse(&engine)).await;
    assert!(call.is_err(), "nobody answers");
    silent.closed(1).await;

    let stuck = Stub::answering(Answer::of("200 OK", &[], "0123456789").stuck(4)).await;
    let engine = direct(warm(&stuck.url, 0, Duration::ZERO)).await;
    let mut reply = converse(&engine).await.expect("begins");
    reply.body.frame().await.expect("goes on").expect("is whole so far");
    drop(reply);
    stuck.closed(1).await;
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_given_up_after_the_connect_timeout() {
    // Reserved for documentation: no host is there, and packets to it are dropped or refused.
    let hasty = Duration::from_millis(100);
    let settings =
        config::Bedrock { connect_timeout: hasty, ..warm("http://192.0.2.1:9", 0, Duration::ZERO) };
    let engine = direct(settings).await;
    let failure = timeout(Duration::from_secs(5), converse(&engine)).await.expect("is given up");
    assert_eq!(failure.expect_err("is not there").kind, crate::failure::FailureKind::Unreachable);
}

#[test]
fn what_was_busy_at_once_is_counted_from_one_asking_to_the_next() {
    let in_use = std::sync::Arc::new(crate::bedrock::direct::pool::InUse::default());
    let first = in_use.one_more();
    drop((in_use.one_more(), in_use.one_more()));
    assert_eq!(in_use.most(), 3);
    assert_eq!(in_use.most(), 1, "the first is busy still");
    drop(first);
    assert_eq!([in_use.most(), in_use.most()], [1, 0]);
}
