//! The direct engine sends the requests that the SDK would send.
use super::{
    stub::{RecordedRequest, Response, Stub},
    *,
};
use crate::bedrock::direct::endpoint::{Endpoint, SigningScope};
use aws_credential_types::{
    Credentials,
    provider::{SharedCredentialsProvider, token::SharedTokenProvider},
};
use aws_sdk_bedrockruntime::config::{Token, endpoint::Endpoint as ResolvedEndpoint};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

const ARN: &str = "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/abc-1.2_3~4";
const ALL_OF_ASCII: &str = " !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~ é";

/// Requests for each method and model, each pair by the direct engine and by the SDK.
async fn requests(base_path: &str, change: impl Fn(SdkConfig) -> SdkConfig) -> Vec<[RecordedRequest; 2]> {
    let stub = Stub::answering(Response::ok()).await;
    let engines = both(&format!("{}{base_path}", stub.url), change).await;
    let mut pairs = Vec::new();
    for method in Method::ALL {
        for model in [MODEL, ARN, ALL_OF_ASCII] {
            for engine in &engines {
                let sent = engine.send(REGION, method, model, BODY.into()).await;
                assert_eq!(sent.expect("succeeds").request_id, "id-1");
            }
            let requests = stub.requests();
            pairs.push(requests[requests.len() - 2..].to_vec().try_into().expect("are two"));
        }
    }
    pairs
}

fn with_session_token(sdk: SdkConfig) -> SdkConfig {
    let keys = Credentials::new("AKID", "SECRET", Some("TOKEN/+=".to_owned()), None, "test");
    sdk.into_builder().credentials_provider(SharedCredentialsProvider::new(keys)).build()
}

#[tokio::test]
async fn requests_equal_those_of_the_sdk_and_their_signatures_are_valid() {
    for base_path in ["", "/", "/behind/a-proxy", "/behind/a-proxy/"] {
        for [direct, sdk] in requests(base_path, with_session_token).await {
            assert_eq!((&direct.line, &direct.body), (&sdk.line, &sdk.body));
            for name in ["host", "content-type", "content-length", "x-amz-security-token"] {
                assert_eq!(direct.headers[name], sdk.headers[name], "{name}");
            }
            let scope = |request: &RecordedRequest| {
                request.headers["authorization"].split(',').next().map(ToOwned::to_owned)
            };
            assert_eq!(scope(&direct), scope(&sdk), "differs only if the date changed between the two");
            for request in [&sdk, &direct] {
                assert_eq!(signature::check(request, "SECRET"), Ok(()), "{request:?}");
                assert!(signature::check(request, "WRONG").is_err());
            }
        }
    }
}

#[tokio::test]
async fn only_necessary_headers_are_sent() {
    let names =
        |request: &RecordedRequest| request.headers.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
    let pairs = requests("", |sdk| sdk).await;
    assert_eq!(names(&pairs[0][0]), "authorization content-length content-type host user-agent x-amz-date");
    assert_eq!(pairs[3][0].headers["accept"], "application/vnd.amazon.eventstream");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(pairs[0][0].headers["user-agent"], format!("switchboard/{version}"));
}

/// Stands for `AWS_BEARER_TOKEN_BEDROCK` in the environment.
#[derive(Debug)]
struct ApiKey;

impl LoadServiceConfig for ApiKey {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let is_api_key = (key.service_id(), key.env()) == ("bedrock", "AWS_BEARER_TOKEN");
        is_api_key.then(|| "bedrock-key".to_owned())
    }
}

fn with_sso_token(sdk: SdkConfig) -> SdkConfig {
    sdk.into_builder().token_provider(SharedTokenProvider::new(Token::new("sso-token", None))).build()
}

#[tokio::test]
async fn credentials_are_chosen_like_the_sdk_chooses_them() {
    let prefer = |sdk: SdkConfig, schemes: Vec<&'static str>| {
        let schemes: Vec<_> = schemes.into_iter().map(Into::into).collect();
        sdk.into_builder().auth_scheme_preference(schemes).build()
    };
    let key = |sdk: SdkConfig| sdk.into_builder().service_config(ApiKey).build();
    let without_keys = |sdk: SdkConfig| {
        let mut builder = sdk.into_builder();
        builder.set_credentials_provider(None);
        builder.build()
    };
    type Change<'a> = Box<dyn Fn(SdkConfig) -> SdkConfig + 'a>;
    let cases: [(Change<'_>, &str); 7] = [
        (Box::new(with_session_token), "AWS4-HMAC-SHA256"),
        (Box::new(with_sso_token), "AWS4-HMAC-SHA256"),
        (Box::new(|sdk| without_keys(with_sso_token(sdk))), "Bearer sso-token"),
        (Box::new(|sdk| key(with_sso_token(sdk))), "Bearer bedrock-key"),
        (Box::new(|sdk| prefer(with_sso_token(sdk), vec!["httpBearerAuth", "sigv4"])), "Bearer sso-token"),
        (Box::new(|sdk| prefer(with_sso_token(sdk), vec!["sigv4a", "sigv4"])), "AWS4-HMAC-SHA256"),
        (Box::new(|sdk| prefer(key(sdk), vec!["sigv4"])), "Bearer bedrock-key"),
    ];
    for (change, expected) in cases {
        for request in requests("", change).await.concat() {
            let authorization = &request.headers["authorization"];
            assert!(authorization.starts_with(expected), "expected {expected}, found {authorization}");
        }
    }
}

#[tokio::test]
async fn endpoints_follow_the_rules_of_the_sdk() {
    let settings = config::Bedrock { endpoint_url: None, ..config::Bedrock::simulated_at(String::new()) };
    let mut aws_config = AwsConfig::load(&settings).await;
    let mut builder = aws_config.sdk.into_builder();
    builder.set_endpoint_url(None).set_service_config(None::<ApiKey>);
    builder.set_use_fips(Some(true)).set_use_dual_stack(Some(true));
    aws_config.sdk = builder.build();
    let endpoint = Endpoint::find(&aws_config, "us-gov-west-1").await.expect("is a region");
    assert_eq!(endpoint.host(), "bedrock-runtime-fips.us-gov-west-1.api.aws");
    assert!(endpoint.uses_tls());
}

#[test]
fn the_host_header_has_a_port_unless_it_is_the_default() {
    let resolved = ResolvedEndpoint::builder().url("https://example.com").build();
    let scope = SigningScope::new(&resolved, "r");
    let host = |url| Endpoint::new(url, scope.clone(), "r").map(|endpoint| endpoint.host().to_owned());
    for (url, expected) in [
        ("https://example.com", "example.com"),
        ("https://example.com:443/x", "example.com"),
        ("https://example.com:80", "example.com:80"),
        ("http://127.0.0.1:80", "127.0.0.1"),
        ("http://[::1]:9009", "[::1]:9009"),
    ] {
        assert_eq!(host(url).as_deref(), Some(expected), "{url}");
    }
    assert_eq!([host("example.com"), host("/x"), host("")], [None, None, None]);
}
