//! AWS configuration: settings, environment and profiles, checked at startup.
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

/// Reason why Switchboard cannot start with Bedrock.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither the settings nor the environment nor the profile names a region.
    #[error("no AWS region is set")]
    NoRegion,
    /// The credential chain found no usable credentials.
    #[error("no usable AWS credentials: {0}")]
    NoCredentials(String),
    /// The region has no endpoint, or its endpoint does not accept connections.
    #[error("region {region}: {endpoint} cannot be reached ({cause})")]
    Unreachable {
        /// Name of the region.
        region: String,
        /// URL of the endpoint. Empty: the region has none.
        endpoint: String,
        /// Error of the network.
        cause: String,
    },
}

/// Source of the credentials that authenticate requests.
#[derive(Clone, Debug)]
pub(super) enum Provider {
    /// Access keys, which sign each request.
    SigV4(SharedCredentialsProvider),
    /// Bearer token of AWS's single sign-on.
    SsoToken(SharedTokenProvider),
    /// Bedrock's API key in `AWS_BEARER_TOKEN_BEDROCK`.
    ApiKey(Token),
}

/// The SDK's configuration for all regions.
#[derive(Debug)]
pub(super) struct AwsConfig {
    pub(super) sdk: SdkConfig,
    settings: config::Bedrock,
}

// === impl AwsConfig ===

impl AwsConfig {
    /// Loads the configuration as the SDK does, with `settings` before the environment and the profile.
    pub(super) async fn load(settings: &config::Bedrock) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        Self::load_with(settings, http).await
    }

    /// Loads everything again except for the HTTP client: profiles are read again, roles are assumed again.
    pub(super) async fn reload(&self) -> Self {
        match self.sdk.http_client() {
            Some(http) => Self::load_with(&self.settings, http).await,
            None => Self::load(&self.settings).await,
        }
    }

    async fn load_with(settings: &config::Bedrock, http: SharedHttpClient) -> Self {
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

    /// A new client of the SDK for `region`.
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

    /// Fails if there is neither a bearer token nor a usable access key: every call would fail.
    pub(super) async fn check_credentials(&self) -> Result<(), ConnectError> {
        let none = || ConnectError::NoCredentials("no source is configured".to_owned());
        match self.provider().ok_or_else(none)? {
            Provider::ApiKey(_) | Provider::SsoToken(_) => Ok(()),
            Provider::SigV4(keys) => match keys.provide_credentials().await {
                Ok(_) => Ok(()),
                Err(error) => Err(ConnectError::NoCredentials(first_line(&root_cause(&error)))),
            },
        }
    }

    /// Chooses the provider in the order of the SDK's client: Bedrock's API key, then the first supported
    /// scheme of `AWS_AUTH_SCHEME_PREFERENCE`, then access keys. `None`: there is no source of credentials.
    pub(super) fn provider(&self) -> Option<Provider> {
        if let Some(key) = self.service_setting("bedrock", "AWS_BEARER_TOKEN", "") {
            return Some(Provider::ApiKey(Token::new(key, None)));
        }
        let keys = self.sdk.credentials_provider().map(Provider::SigV4);
        let token = self.sdk.token_provider().map(Provider::SsoToken);
        if self.prefers_bearer() { token.or(keys) } else { keys.or(token) }
    }

    /// True if the preferred authentication scheme is a bearer token.
    fn prefers_bearer(&self) -> bool {
        let preferred = self.sdk.auth_scheme_preference().cloned().into_iter().flatten();
        let mut supported = preferred.filter(|scheme| ["sigv4", "httpBearerAuth"].contains(&scheme.inner()));
        supported.next().is_some_and(|first| first.inner() == "httpBearerAuth")
    }

    /// Fails if the endpoint of `region` does not accept a TCP connection within the connect timeout.
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

    /// Endpoint of `region` by the SDK's rules.
    pub(super) async fn endpoint(&self, region: &str) -> Result<Endpoint, String> {
        let configured = self.settings.endpoint_url.clone();
        let configured = configured
            // A setting for Bedrock takes precedence over one for all services.
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

    /// Value of a setting that applies to one service, from the environment
    /// (`AWS_ENDPOINT_URL_BEDROCK_RUNTIME`) or from a profile. `None`: it is not set.
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

/// First line of an error of the SDK. The other lines list every source that it tried.
fn first_line(message: &str) -> String {
    message
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches(" Attempted:")
        .trim_end_matches('.')
        .to_owned()
}
