//! The way to Bedrock: what the settings and the SDK's own search say, checked at the start.
use super::failure::root_cause;
use crate::config;
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, sts::AssumeRoleProvider};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, SharedCredentialsProvider},
};
use aws_sdk_bedrockruntime::{
    Client,
    config::{
        Builder, SharedTokenProvider, StalledStreamProtectionConfig, Token,
        endpoint::{DefaultResolver, Endpoint, Params, ResolveEndpoint as _},
        timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::{net::TcpStream, time::timeout};

/// Why Bedrock cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing says which region to call.
    #[error("no AWS region is set")]
    NoRegion,
    /// The credential chain found nothing that works.
    #[error("no usable AWS credentials: {0}")]
    NoCredentials(String),
    /// The region has no endpoint, or none that answers.
    #[error("region {region}: {endpoint} cannot be reached ({cause})")]
    Unreachable {
        /// The region.
        region: String,
        /// Its endpoint.
        endpoint: String,
        /// What the network said.
        cause: String,
    },
}

/// Where the proof of who we are comes from.
#[derive(Clone, Debug)]
pub(super) enum Provider {
    /// Access keys, to sign with.
    Keys(SharedCredentialsProvider),
    /// A bearer token of AWS's single sign-on.
    Token(SharedTokenProvider),
    /// The bearer key in `AWS_BEARER_TOKEN_BEDROCK`.
    Key(Token),
}

/// What the SDK was told and found, before any region's client is made.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) sdk: SdkConfig,
    settings: config::Bedrock,
}

// === impl Source ===

impl Source {
    pub(super) async fn load(settings: &config::Bedrock) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        Self::load_over(settings, http).await
    }

    /// Everything anew, but for the connections: profiles are read again, roles assumed again.
    pub(super) async fn reload(&self) -> Self {
        match self.sdk.http_client() {
            Some(http) => Self::load_over(&self.settings, http).await,
            None => Self::load(&self.settings).await,
        }
    }

    async fn load_over(settings: &config::Bedrock, http: SharedHttpClient) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &settings.profile {
            loader = loader.profile_name(profile);
        }
        if settings.simulated {
            loader = loader.credentials_provider(Credentials::from_keys("SIMULATED", "SIMULATED", None));
        }
        let mut sdk = loader.load().await;
        if let Some(role) = &settings.assume_role_arn {
            let mut provider = AssumeRoleProvider::builder(role).session_name("switchboard").configure(&sdk);
            if let Some(id) = &settings.assume_role_external_id {
                provider = provider.external_id(id);
            }
            let provider = SharedCredentialsProvider::new(provider.build().await);
            sdk = sdk.into_builder().credentials_provider(provider).build();
        }
        Self { sdk, settings: settings.clone() }
    }

    pub(super) fn client(&self, region: &str) -> Client {
        let timeouts = TimeoutConfig::builder().connect_timeout(self.settings.connect_timeout).build();
        let mut config = Builder::from(&self.sdk)
            .region(Region::new(region.to_owned()))
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts);
        if let Some(url) = &self.settings.endpoint_url {
            config = config.endpoint_url(url);
        }
        Client::from_conf(config.build())
    }

    /// A bearer key needs no credentials; with neither, every call would fail, so the start does.
    pub(super) async fn check_credentials(&self) -> Result<(), ConnectError> {
        let none = || ConnectError::NoCredentials("no source is configured".to_owned());
        match self.provider().ok_or_else(none)? {
            Provider::Key(_) | Provider::Token(_) => Ok(()),
            Provider::Keys(keys) => match keys.provide_credentials().await {
                Ok(_) => Ok(()),
                Err(error) => Err(ConnectError::NoCredentials(first_line(&root_cause(&error)))),
            },
        }
    }

    /// As the SDK's client chooses: Bedrock's own bearer key before all, then what `AWS_AUTH_SCHEME_PREFERENCE` puts
    /// first, then keys.
    pub(super) fn provider(&self) -> Option<Provider> {
        if let Some(key) = self.service_setting("bedrock", "AWS_BEARER_TOKEN", "") {
            return Some(Provider::Key(Token::new(key, None)));
        }
        let keys = self.sdk.credentials_provider().map(Provider::Keys);
        let token = self.sdk.token_provider().map(Provider::Token);
        if self.prefers_bearer() { token.or(keys) } else { keys.or(token) }
    }

    fn prefers_bearer(&self) -> bool {
        let preferred = self.sdk.auth_scheme_preference().cloned().into_iter().flatten();
        let mut known = preferred.filter(|scheme| ["sigv4", "httpBearerAuth"].contains(&scheme.inner()));
        known.next().is_some_and(|first| first.inner() == "httpBearerAuth")
    }

    pub(super) async fn check_endpoint(&self, region: &str) -> Result<(), ConnectError> {
        let endpoint = self.endpoint(region).await.map(|endpoint| endpoint.url().to_owned());
        let reached = async {
            let url: http::Uri = endpoint.as_ref().map_err(Clone::clone)?.parse().map_err(|_| "not a URL")?;
            let host = url.host().ok_or("no host")?.trim_matches(['[', ']']).to_owned();
            let default_port = if url.scheme_str() == Some("http") { 80 } else { 443 };
            let connecting = TcpStream::connect((host, url.port_u16().unwrap_or(default_port)));
            match timeout(self.settings.connect_timeout, connecting).await {
                Ok(connected) => connected.map(drop).map_err(|error| error.to_string()),
                Err(_elapsed) => Err("no answer in time".to_owned()),
            }
        };
        reached.await.map_err(|cause: String| ConnectError::Unreachable {
            region: region.to_owned(),
            endpoint: endpoint.unwrap_or_default(),
            cause,
        })
    }

    /// By the rules that the SDK's client asks for every call.
    pub(super) async fn endpoint(&self, region: &str) -> Result<Endpoint, String> {
        let configured = self.settings.endpoint_url.clone();
        let configured = configured
            // What names Bedrock comes before what names no service.
            .or_else(|| self.service_setting("Bedrock Runtime", "AWS_ENDPOINT_URL", "endpoint_url"))
            .or_else(|| self.sdk.endpoint_url().map(ToOwned::to_owned));
        let params = Params::builder()
            .region(region)
            .set_use_fips(self.sdk.use_fips())
            .set_use_dual_stack(self.sdk.use_dual_stack())
            .set_endpoint(configured)
            .build()
            .map_err(|error| error.to_string())?;
        DefaultResolver::new().resolve_endpoint(&params).await.map_err(|error| error.to_string())
    }

    /// A setting for one service only, in the environment (`AWS_ENDPOINT_URL_BEDROCK_RUNTIME`) or in a profile.
    fn service_setting(&self, service: &str, env: &str, profile: &str) -> Option<String> {
        let key = aws_types::service_config::ServiceConfigKey::builder()
            .service_id(service)
            .env(env)
            .profile(profile)
            .build()
            .ok()?;
        self.sdk.service_config()?.load_config(key)
    }
}

/// The SDK lists everything that it tried, a line each; what to do about it is ours to say.
fn first_line(words: &str) -> String {
    words.lines().next().unwrap_or_default().trim_end_matches(" Attempted:").trim_end_matches('.').to_owned()
}
