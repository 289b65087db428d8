//! Calls: deadline, token, message size, and the resending of unprocessed calls.

use crate::{
    events::*,
    fake::{Answer, Fake},
};
use bytes::Bytes;
use h2::server::SendResponse;
use std::time::Duration;
use switchboard_client::{ErrorKind, Event, Switchboard, ask, pb, task};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::Code;

fn complete(text: &str) -> Answer {
    let message = switchboard_client::assistant(text);
    let output = pb::ConverseOutput { output: Some(pb::converse_output::Output::Message(message)) };
    Answer::Complete(Box::new(pb::ConverseResponse { output: Some(output), ..Default::default() }))
}

#[tokio::test]
async fn text_returns_the_text_of_the_answer() {
    let fake = Fake::playing([complete("Hello.")]).await;

    let answer = fake.client().await.text(task::SUMMARIZATION, "Say hello.").await.unwrap();

    assert_eq!(answer, "Hello.");
    assert_eq!(fake.seen()[0].request, ask("summarization", "Say hello."));
}

#[tokio::test]
async fn sends_the_deadline_as_grpc_timeout() {
    let fake = Fake::playing([complete("a"), complete("b")]).await;
    let client = fake.options().deadline(Duration::from_secs(3600)).connect().await.unwrap();

    client.text("default", "Hi").await.unwrap();
    fake.client().await.text("default", "Hi").await.unwrap();

    let [with, without] = &fake.seen()[..] else { panic!("two calls") };
    let timeout = with.metadata.get("grpc-timeout").unwrap().to_str().unwrap();
    // gRPC's "m" is milliseconds.
    let millis: u64 = timeout.strip_suffix('m').unwrap_or_else(|| panic!("{timeout}")).parse().unwrap();
    assert!((3_000_000..=3_600_000).contains(&millis), "{timeout}");
    assert!(!without.metadata.contains_key("grpc-timeout"));
}

#[tokio::test]
async fn a_deadline_ends_an_unanswered_call() {
    let fake = Fake::playing([Answer::Hangs(vec![])]).await;
    let client = fake.client().await.with_deadline(Duration::from_millis(20));

    let error = client.text("default", "Hi").await.unwrap_err();

    assert_eq!((error.kind(), error.code()), (ErrorKind::Deadline, Code::DeadlineExceeded));
}

#[tokio::test]
async fn a_deadline_ends_a_silent_stream() {
    let fake = Fake::playing([Answer::Hangs(vec![route()])]).await;
    let client = fake.client().await.with_deadline(Duration::from_secs(1));

    let mut events = client.stream(ask("default", "Hi")).await.unwrap();

    assert!(matches!(events.next().await, Some(Ok(Event::Route(_)))));
    assert_eq!(events.next().await.unwrap().unwrap_err().kind(), ErrorKind::Deadline);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn sends_the_token_and_does_not_show_it() {
    let fake = Fake::playing([complete("a")]).await;
    let client = fake.options().bearer_token("s3cret").connect().await.unwrap();

    client.text("default", "Hi").await.unwrap();

    assert_eq!(fake.seen()[0].metadata.get("authorization").unwrap(), "Bearer s3cret");
    assert!(!format!("{client:?}").contains("s3cret"));
}

#[tokio::test]
async fn refuses_a_token_with_a_line_break() {
    let error = Switchboard::builder("localhost:1").bearer_token("a\nb").connect().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Options);
    assert!(!error.to_string().contains('\n'), "{error}");
}

#[tokio::test]
async fn accepts_answers_larger_than_the_default_of_grpc() {
    let long = "x".repeat(5 << 20);
    let fake = Fake::playing([complete(&long)]).await;

    let answer = fake.client().await.text("default", &long).await.unwrap();

    assert_eq!(answer.len(), long.len());
}

/// Bare HTTP/2 server: resets the first `refusals` calls as unprocessed, then returns empty responses.
async fn refusing(refusals: usize) -> (Switchboard, JoinSet<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(socket).await.unwrap();
        let mut calls = 0;
        while let Some(Ok((_, respond))) = connection.accept().await {
            calls += 1;
            if calls <= refusals { refuse(respond) } else { answer_nothing(respond) }
        }
        calls
    });
    (Switchboard::connect(address).await.unwrap(), server)
}

fn refuse(mut respond: SendResponse<Bytes>) {
    respond.send_reset(h2::Reason::REFUSED_STREAM);
}

/// Five zero bytes are an uncompressed message without fields.
fn answer_nothing(mut respond: SendResponse<Bytes>) {
    let response = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut body = respond.send_response(response, false).unwrap();
    body.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
    let status = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    body.send_trailers(status).unwrap();
}

#[tokio::test]
async fn sends_an_unprocessed_call_once_more() {
    let (client, mut server) = refusing(1).await;

    client.tasks().await.unwrap();

    drop(client);
    assert_eq!(server.join_next().await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn does_not_retry_an_unavailable_server() {
    let unavailable =
        || Answer::Fails(tonic::Status::with_details(Code::Unavailable, "overloaded", "".into()));
    let fake = Fake::playing([unavailable(), unavailable()]).await;

    let error = fake.client().await.text("default", "Hi").await.unwrap_err();

    assert_eq!((error.kind(), error.code()), (ErrorKind::Status, Code::Unavailable));
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn does_not_send_a_call_a_third_time() {
    let (client, mut server) = refusing(9).await;

    let error = client.tasks().await.unwrap_err();

    assert_eq!((error.kind(), error.code()), (ErrorKind::Transport, Code::Unavailable));
    drop(client);
    assert_eq!(server.join_next().await.unwrap().unwrap(), 2);
}
