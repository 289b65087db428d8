//! What comes back is understood as the SDK understands it.
use super::{
    stub::{Answer, Stub},
    *,
};
use crate::{bedrock::failure::broken, failure::FailureKind};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, error, future};
use http_body_util::BodyExt as _;
use std::time::Duration;

const ID: (&str, &str) = ("x-amzn-requestid", "id-2");
const THROTTLED: &str = "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/";

/// Of both engines; their words too, but for those on the connection.
async fn failures(answer: Answer) -> Failure {
    let stub = Stub::answering(answer.clone()).await;
    let engines = both(&stub.url, |sdk| sdk).await;
    let [ours, theirs] = [converse(&engines[0]).await, converse(&engines[1]).await];
    let [ours, theirs] = [ours, theirs].map(|sent| sent.expect_err("is refused"));
    assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(&answer.bytes));
    ours
}

#[tokio::test]
async fn a_refusal_is_the_same_failure() {
    use FailureKind as K;
    let named = |status, name, body| Answer::of(status, &[ID, ("x-amzn-errortype", name)], body);
    let unnamed = |status, body| Answer::of(status, &[ID], body);
    let words = r#"{"message":"Too many tokens"}"#;
    for (answer, kind, message) in [
        (named("429 No", THROTTLED, words), K::Throttled, "ThrottlingException: Too many tokens"),
        (named("429 No", "a.b#ThrottlingException", "{}"), K::Throttled, "ThrottlingException: "),
        (unnamed("400 No", r#"{"__type":"a#ValidationException"}"#), K::Invalid, "ValidationException: "),
        (
            unnamed("403 No", r#"{"code":"ExpiredToken","__type":"x"}"#),
            K::ExpiredCredentials,
            "ExpiredToken: ",
        ),
        (unnamed("400 No", r#"{"code":7,"Message":"no"}"#), K::Invalid, ": no"),
        (unnamed("503 No", "<html>"), K::Unavailable, ": "),
        (unnamed("301 Moved", ""), K::Protocol, ": "),
        (
            named("424 No", "ModelErrorException", r#"{"message":"m","originalStatusCode":400}"#),
            K::ModelRefused,
            "ModelErrorException: m",
        ),
    ] {
        let failure = failures(answer).await;
        assert_eq!((failure.kind, failure.message.as_str()), (kind, message));
        assert_eq!((failure.request_id.as_str(), failure.retry_after), ("id-2", None));
    }
    let waits = Answer::of("429 No", &[("retry-after", "7"), ("x-amzn-errortype", THROTTLED)], "{}");
    let failure = failures(waits).await;
    assert_eq!((failure.retry_after, failure.request_id.as_str()), (Some(Duration::from_secs(7)), ""));
}

/// Whose words differ: each engine's way to say it is its own.
async fn kinds(answer: Answer) -> FailureKind {
    let stub = Stub::answering(answer).await;
    let engines = both(&stub.url, |sdk| sdk).await;
    let [ours, theirs] = [converse(&engines[0]).await, converse(&engines[1]).await];
    let [ours, theirs] = [ours, theirs].map(|sent| sent.expect_err("fails"));
    assert_eq!(
        (ours.kind, ours.request_id),
        (theirs.kind, theirs.request_id),
        "{} {}",
        ours.message,
        theirs.message
    );
    ours.kind
}

#[tokio::test]
async fn an_answer_that_is_none_is_the_same_failure() {
    let refusal = Answer::of("429 No", &[ID, ("x-amzn-errortype", THROTTLED)], r#"{"message":"x"}"#);
    assert_eq!(kinds(refusal.cut(3)).await, FailureKind::Protocol, "a refusal that breaks off");
    assert_eq!(kinds(Answer { bytes: Vec::new(), closes: true }).await, FailureKind::Unreachable);
    let garbage = Answer { bytes: b"SSH-2.0-x\r\n\r\n".to_vec(), closes: true };
    assert_eq!(kinds(garbage).await, FailureKind::Unreachable);
    let half = Answer { bytes: b"HTTP/1.1 200 OK\r\ncontent-le".to_vec(), closes: true };
    assert_eq!(kinds(half).await, FailureKind::Unreachable);
}

#[tokio::test]
async fn nobody_there_is_the_same_failure() {
    let stub = Stub::answering(Answer::ok()).await;
    let engines = both(&stub.url, |sdk| sdk).await;
    stub.leave().await;
    for engine in engines {
        let failure = converse(&engine).await.expect_err("is not there");
        assert_eq!(failure.kind, FailureKind::Unreachable);
        assert!(failure.message.contains("refused"), "{failure:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_the_same_failure() {
    let stub = Stub::answering(Answer::of("200 OK", &[ID], "0123456789").cut(4)).await;
    for engine in both(&stub.url, |sdk| sdk).await {
        let reply = converse(&engine).await.expect("begins");
        let failure = broken(&*reply.body.collect().await.expect_err("breaks off"));
        assert_eq!(failure.kind, FailureKind::Unreachable);
        assert!(failure.message.starts_with("the connection broke: "), "{failure:?}");
    }
}

/// The SDK would read it to its end.
#[tokio::test]
async fn a_refusal_without_an_end_is_not_read_to_it() {
    let endless = Answer::of("429 No", &[ID, ("x-amzn-errortype", THROTTLED)], &"x".repeat(1 << 20));
    let stub = Stub::answering(endless.stuck(1)).await;
    let engine = direct(config::Bedrock::simulated_at(stub.url.clone())).await;
    let failure = converse(&engine).await.expect_err("is refused");
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Throttled, "ThrottlingException: "));
    stub.closed(1).await;
}

/// A source of credentials that fails.
#[derive(Debug)]
struct Broken;

impl ProvideCredentials for Broken {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let cause = "no role arn:aws:iam::000000000000:role/secret";
        future::ProvideCredentials::ready(Err(error::CredentialsError::provider_error(cause)))
    }
}

#[tokio::test]
async fn credentials_that_cannot_be_loaded_are_the_same_failure_without_its_names() {
    let stub = Stub::answering(Answer::ok()).await;
    let broken = |sdk: SdkConfig| {
        sdk.into_builder().credentials_provider(SharedCredentialsProvider::new(Broken)).build()
    };
    let engines = both(&stub.url, broken).await;
    let [ours, theirs] = [converse(&engines[0]).await, converse(&engines[1]).await];
    let [ours, theirs] = [ours, theirs].map(|sent| sent.expect_err("has no credentials"));
    assert_eq!(ours.kind, theirs.kind);
    assert_eq!(ours.message, "no credentials: an error occurred while loading credentials");
    assert_eq!(stub.opened(), 0, "nothing goes out unsigned");
}

#[tokio::test]
async fn a_model_without_an_id_and_a_region_without_a_name_are_the_same_failure() {
    let stub = Stub::answering(Answer::ok()).await;
    for engine in both(&stub.url, |sdk| sdk).await {
        for (region, model) in [(REGION, ""), ("eu-west-1", MODEL)] {
            let sent = engine.send(region, Operation::Converse, model, BODY.into()).await;
            assert_eq!(sent.expect_err("cannot be sent").kind, FailureKind::Misconfigured);
        }
    }
}
