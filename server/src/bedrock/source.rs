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
        Builder, StalledStreamProtectionConfig,
        endpoint::{DefaultResolver, Params, ResolveEndpoint as _},
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
        if self.sdk.token_provider().is_some() && self.uses_bearer_key() {
            return Ok(());
        }
        let none = || ConnectError::NoCredentials("no source is configured".to_owned());
        let provider = self.sdk.credentials_provider().ok_or_else(none)?;
        match provider.provide_credentials().await {
            Ok(_) => Ok(()),
            Err(error) => Err(ConnectError::NoCredentials(first_line(&root_cause(&error)))),
        }
    }

    fn uses_bearer_key(&self) -> bool {
        let client = self.client("us-east-1");
        client.config().auth_scheme_preference().is_some()
    }

    pub(super) async fn check_endpoint(&self, region: &str) -> Result<(), ConnectError> {
        let endpoint = self.endpoint(region).await;
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

    async fn endpoint(&self, region: &str) -> Result<String, String> {
        let configured = self.settings.endpoint_url.as_deref().or_else(|| self.sdk.endpoint_url());
        let mut params = Params::builder().region(region);
        if let Some(url) = configured.map(ToOwned::to_owned).or_else(|| self.service_endpoint()) {
            params = params.endpoint(url);
        }
        let params = params.build().map_err(|error| error.to_string())?;
        let resolved = DefaultResolver::new().resolve_endpoint(&params).await;
        resolved.map(|endpoint| endpoint.url().to_owned()).map_err(|error| error.to_string())
    }

    /// `AWS_ENDPOINT_URL_BEDROCK_RUNTIME` and its form in a profile, which only the SDK's service config reads.
    fn service_endpoint(&self) -> Option<String> {
        let key = aws_types::service_config::ServiceConfigKey::builder()
            .service_id("Bedrock Runtime")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()?;
        self.sdk.service_config()?.load_config(key)
    }
}

/// The SDK lists everything that it tried, a line each; what to do about it is ours to say.
fn first_line(words: &str) -> String {
    words.lines().next().unwrap_or_default().trim_end_matches(" Attempted:").trim_end_matches('.').to_owned()
}
