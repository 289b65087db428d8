//! Both engines map the same response to the same failure.
use super::{
    stub::{Response, Stub},
    *,
};
use crate::{bedrock::failure::broken_body, failure::FailureKind};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, error, future};
use http_body_util::BodyExt as _;
use std::time::Duration;

const ID: (&str, &str) = ("x-amzn-requestid", "id-2");
const THROTTLED: &str = "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/";

/// The failure that both engines report, with the same message.
async fn failure(response: Response) -> Failure {
    let stub = Stub::answering(response.clone()).await;
    let engines = both(&stub.url, |sdk| sdk).await;
    let [direct, sdk] = [converse(&engines[0]).await, converse(&engines[1]).await];
    let [direct, sdk] = [direct, sdk].map(|sent| sent.expect_err("fails"));
    assert_eq!(direct, sdk, "{}", String::from_utf8_lossy(&response.bytes));
    direct
}

#[tokio::test]
async fn an_error_response_is_the_same_failure() {
    use FailureKind as K;
    let named = |status, name, body| Response::of(status, &[ID, ("x-amzn-errortype", name)], body);
    let unnamed = |status, body| Response::of(status, &[ID], body);
    let body = r#"{"message":"Too many tokens"}"#;
    for (response, kind, message) in [
        (named("429 No", THROTTLED, body), K::Throttled, "ThrottlingException: Too many tokens"),
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
        let failure = failure(response).await;
        assert_eq!((failure.kind, failure.message.as_str()), (kind, message));
        assert_eq!((failure.request_id.as_str(), failure.retry_after), ("id-2", None));
    }
    let with_pause = Response::of("429 No", &[("retry-after", "7"), ("x-amzn-errortype", THROTTLED)], "{}");
    let failure = failure(with_pause).await;
    assert_eq!((failure.retry_after, failure.request_id.as_str()), (Some(Duration::from_secs(7)), ""));
}

/// The kind of failure that both engines report. Their messages differ.
async fn kind(response: Response) -> FailureKind {
    let stub = Stub::answering(response).await;
    let engines = both(&stub.url, |sdk| sdk).await;
    let [direct, sdk] = [converse(&engines[0]).await, converse(&engines[1]).await];
    let [direct, sdk] = [direct, sdk].map(|sent| sent.expect_err("fails"));
    assert_eq!(
        (direct.kind, direct.request_id),
        (sdk.kind, sdk.request_id),
        "{} {}",
        direct.message,
        sdk.message
    );
    direct.kind
}

#[tokio::test]
async fn a_malformed_response_is_the_same_failure() {
    let error = Response::of("429 No", &[ID, ("x-amzn-errortype", THROTTLED)], r#"{"message":"x"}"#);
    assert_eq!(kind(error.cut(3)).await, FailureKind::Protocol, "an error whose body breaks off");
    assert_eq!(kind(Response { bytes: Vec::new(), closes: true }).await, FailureKind::Unreachable);
    let garbage = Response { bytes: b"SSH-2.0-x\r\n\r\n".to_vec(), closes: true };
    assert_eq!(kind(garbage).await, FailureKind::Unreachable);
    let half = Response { bytes: b"HTTP/1.1 200 OK\r\ncontent-le".to_vec(), closes: true };
    assert_eq!(kind(half).await, FailureKind::Unreachable);
}

#[tokio::test]
async fn a_refused_connection_is_the_same_failure() {
    let stub = Stub::answering(Response::ok()).await;
    let engines = both(&stub.url, |sdk| sdk).await;
    stub.stop().await;
    for engine in engines {
        let failure = converse(&engine).await.expect_err("cannot connect");
        assert_eq!(failure.kind, FailureKind::Unreachable);
        assert!(failure.message.contains("refused"), "{failure:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_the_same_failure() {
    let stub = Stub::answering(Response::of("200 OK", &[ID], "0123456789").cut(4)).await;
    for engine in both(&stub.url, |sdk| sdk).await {
        let reply = converse(&engine).await.expect("starts");
        let failure = broken_body(&*reply.body.collect().await.expect_err("breaks off"));
        assert_eq!(failure.kind, FailureKind::Unreachable);
        assert!(failure.message.starts_with("the connection broke: "), "{failure:?}");
    }
}

/// The sdk engine would read the body to its end.
#[tokio::test]
async fn the_direct_engine_does_not_read_a_huge_error_to_its_end() {
    let huge = Response::of("429 No", &[ID, ("x-amzn-errortype", THROTTLED)], &"x".repeat(1 << 20));
    let stub = Stub::answering(huge.stuck(1)).await;
    let engine = direct(config::Bedrock::simulated_at(stub.url.clone())).await;
    let failure = converse(&engine).await.expect_err("fails");
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Throttled, "ThrottlingException: "));
    stub.wait_for_closed(1).await;
}

/// Provider of credentials that fails.
#[derive(Debug)]
struct FailingProvider;

impl ProvideCredentials for FailingProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let cause = "no role arn:aws:iam::000000000000:role/secret";
        future::ProvideCredentials::ready(Err(error::CredentialsError::provider_error(cause)))
    }
}

#[tokio::test]
async fn a_failure_to_load_credentials_is_the_same_and_hides_its_cause() {
    let stub = Stub::answering(Response::ok()).await;
    let change = |sdk: SdkConfig| {
        let provider = SharedCredentialsProvider::new(FailingProvider);
        sdk.into_builder().credentials_provider(provider).build()
    };
    let engines = both(&stub.url, change).await;
    let [direct, sdk] = [converse(&engines[0]).await, converse(&engines[1]).await];
    let [direct, sdk] = [direct, sdk].map(|sent| sent.expect_err("has no credentials"));
    assert_eq!(direct.kind, sdk.kind);
    assert_eq!(direct.message, "no credentials: an error occurred while loading credentials");
    assert_eq!(stub.opened(), 0, "no unsigned request is sent");
}

#[tokio::test]
async fn an_empty_model_id_and_an_unknown_region_are_the_same_failure() {
    let stub = Stub::answering(Response::ok()).await;
    for engine in both(&stub.url, |sdk| sdk).await {
        for (region, model) in [(REGION, ""), ("eu-west-1", MODEL)] {
            let sent = engine.send(region, Method::Converse, model, BODY.into()).await;
            assert_eq!(sent.expect_err("cannot be sent").kind, FailureKind::Misconfigured);
        }
    }
}

#[tokio::test]
async fn retry_after_is_limited_to_a_day() {
    for (header, expected) in [
        ("7", Some(7)),
        ("86401", Some(86_400)),
        ("9200000000000000000", Some(86_400)),
        ("18446744073709551615", Some(86_400)),
        ("18446744073709551616", Some(86_400)),
        ("9.2e18", None),
        ("-1", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ] {
        let throttled =
            Response::of("429 No", &[("retry-after", header), ("x-amzn-errortype", THROTTLED)], "{}");
        let failure = failure(throttled).await;
        assert_eq!(failure.retry_after, expected.map(Duration::from_secs), "{header}");
    }
}
