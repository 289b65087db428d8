//! What goes out is what the SDK would send.
use super::{
    super::super::{aws_config::Source, engine::Operation},
    *,
};
use crate::bedrock::direct::{auth::Scope, endpoint::Place};
use aws_credential_types::{
    Credentials,
    provider::{SharedCredentialsProvider, token::SharedTokenProvider},
};
use aws_sdk_bedrockruntime::config::{Token, endpoint::Endpoint};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use stub::{Answer, Seen, Stub};

const ARN: &str = "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/abc-1.2_3~4";
const ALL_OF_ASCII: &str = " !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~ é";

/// By both engines, each operation, each model.
async fn requests(path: &str, change: impl Fn(SdkConfig) -> SdkConfig) -> Vec<[Seen; 2]> {
    let stub = Stub::answering(Answer::ok()).await;
    let engines = both(&format!("{}{path}", stub.url), change).await;
    let mut pairs = Vec::new();
    for operation in [Operation::Converse, Operation::ConverseStream, Operation::CountTokens] {
        for model in [MODEL, ARN, ALL_OF_ASCII] {
            for engine in &engines {
                let sent = engine.send(REGION, operation, model, BODY.into()).await;
                assert_eq!(sent.expect("is answered").request_id, "id-1");
            }
            let seen = stub.seen();
            pairs.push(seen[seen.len() - 2..].to_vec().try_into().expect("are two"));
        }
    }
    pairs
}

fn with_session(sdk: SdkConfig) -> SdkConfig {
    let keys = Credentials::new("AKID", "SECRET", Some("TOKEN/+=".to_owned()), None, "test");
    sdk.into_builder().credentials_provider(SharedCredentialsProvider::new(keys)).build()
}

#[tokio::test]
async fn paths_bodies_and_scopes_are_the_sdks_and_signatures_hold() {
    for path in ["", "/", "/behind/a-proxy", "/behind/a-proxy/"] {
        for [ours, theirs] in requests(path, with_session).await {
            assert_eq!((&ours.line, &ours.body), (&theirs.line, &theirs.body));
            for name in ["host", "content-type", "content-length", "x-amz-security-token"] {
                assert_eq!(ours.headers[name], theirs.headers[name], "{name}");
            }
            let scope = |seen: &Seen| seen.headers["authorization"].split(',').next().map(ToOwned::to_owned);
            assert_eq!(scope(&ours), scope(&theirs), "unless midnight came between them");
            for seen in [&theirs, &ours] {
                assert_eq!(signature::check(seen, "SECRET"), Ok(()), "{seen:?}");
                assert!(signature::check(seen, "WRONG").is_err());
            }
        }
    }
}

#[tokio::test]
async fn nothing_goes_out_that_is_not_needed() {
    let names = |seen: &Seen| seen.headers.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
    let pairs = requests("", |sdk| sdk).await;
    assert_eq!(names(&pairs[0][0]), "authorization content-length content-type host user-agent x-amz-date");
    assert_eq!(pairs[3][0].headers["accept"], "application/vnd.amazon.eventstream");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(pairs[0][0].headers["user-agent"], format!("switchboard/{version}"));
}

/// `AWS_BEARER_TOKEN_BEDROCK`, without the environment.
#[derive(Debug)]
struct BearerKey;

impl LoadServiceConfig for BearerKey {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let is_it = (key.service_id(), key.env()) == ("bedrock", "AWS_BEARER_TOKEN");
        is_it.then(|| "bedrock-key".to_owned())
    }
}

fn with_token(sdk: SdkConfig) -> SdkConfig {
    sdk.into_builder().token_provider(SharedTokenProvider::new(Token::new("sso-token", None))).build()
}

#[tokio::test]
async fn who_we_are_is_chosen_as_the_sdk_chooses_it() {
    let prefer = |sdk: SdkConfig, schemes: Vec<&'static str>| {
        let schemes: Vec<_> = schemes.into_iter().map(Into::into).collect();
        sdk.into_builder().auth_scheme_preference(schemes).build()
    };
    let key = |sdk: SdkConfig| sdk.into_builder().service_config(BearerKey).build();
    let without_keys = |sdk: SdkConfig| {
        let mut builder = sdk.into_builder();
        builder.set_credentials_provider(None);
        builder.build()
    };
    type Change<'a> = Box<dyn Fn(SdkConfig) -> SdkConfig + 'a>;
    let cases: [(Change<'_>, &str); 7] = [
        (Box::new(with_session), "AWS4-HMAC-SHA256"),
        (Box::new(with_token), "AWS4-HMAC-SHA256"),
        (Box::new(|sdk| without_keys(with_token(sdk))), "Bearer sso-token"),
        (Box::new(|sdk| key(with_token(sdk))), "Bearer bedrock-key"),
        (Box::new(|sdk| prefer(with_token(sdk), vec!["httpBearerAuth", "sigv4"])), "Bearer sso-token"),
        (Box::new(|sdk| prefer(with_token(sdk), vec!["sigv4a", "sigv4"])), "AWS4-HMAC-SHA256"),
        (Box::new(|sdk| prefer(key(sdk), vec!["sigv4"])), "Bearer bedrock-key"),
    ];
    for (change, expected) in cases {
        for seen in requests("", change).await.concat() {
            let authorization = &seen.headers["authorization"];
            assert!(authorization.starts_with(expected), "{authorization} for {expected}");
        }
    }
}

#[tokio::test]
async fn endpoints_are_those_of_the_sdks_rules() {
    let settings = config::Bedrock { endpoint_url: None, ..config::Bedrock::simulated_at(String::new()) };
    let mut source = Source::load(&settings).await;
    let mut builder = source.sdk.into_builder();
    builder.set_endpoint_url(None).set_service_config(None::<BearerKey>);
    builder.set_use_fips(Some(true)).set_use_dual_stack(Some(true));
    source.sdk = builder.build();
    let place = Place::find(&source, "us-gov-west-1").await.expect("is a region");
    assert_eq!(place.host(), "bedrock-runtime-fips.us-gov-west-1.api.aws");
    assert!(place.is_encrypted());
}

#[test]
fn a_host_names_its_port_only_where_it_is_another_than_the_schemes() {
    let endpoint = Endpoint::builder().url("https://example.com").build();
    let scope = Scope::of(&endpoint, "r");
    let host = |url| Place::at(url, scope.clone(), "r").map(|place| place.host().to_owned());
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
