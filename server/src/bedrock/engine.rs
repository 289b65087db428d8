//! Choice between the two engines. [`bedrock`](super) explains why there are two.
use super::{
    aws_config::{AwsConfig, ConnectError},
    direct::DirectEngine,
    sdk::SdkEngine,
    transport::Reply,
};
use crate::{config, failure::Failure, rpc::Method};
use bytes::Bytes;
use std::collections::BTreeSet;

/// Sends requests to Bedrock, as `[bedrock] engine` says.
#[derive(Debug)]
pub(super) enum Engine {
    /// Combines parts of the SDK once, at startup.
    Direct(Box<DirectEngine>),
    /// Uses the SDK's client.
    Sdk(SdkEngine),
}

// === impl Engine ===

impl Engine {
    /// Prepares requests to each of `regions`.
    pub(super) async fn connect(
        settings: &config::Bedrock,
        aws_config: &AwsConfig,
        regions: &BTreeSet<String>,
    ) -> Result<Self, ConnectError> {
        Ok(match settings.engine {
            config::Engine::Direct => {
                Self::Direct(Box::new(DirectEngine::connect(settings, aws_config, regions).await?))
            }
            config::Engine::Sdk => Self::Sdk(SdkEngine::new(aws_config, regions)),
        })
    }

    /// Sends a request and waits for the head of a successful response.
    pub(super) async fn send(
        &self,
        region: &str,
        method: Method,
        model_id: &str,
        body: Bytes,
    ) -> Result<Reply, Failure> {
        match self {
            Self::Direct(direct) => direct.send(region, method, model_id, body).await,
            // Boxed: the SDK's future has many kilobytes, which calls of the other engine would carry too.
            Self::Sdk(sdk) => Box::pin(sdk.send(region, method, model_id, body)).await,
        }
    }

    /// Switches to the credentials of a configuration that was loaded again.
    pub(super) fn renew(&self, aws_config: &AwsConfig) {
        match self {
            Self::Direct(direct) => direct.renew(aws_config),
            Self::Sdk(sdk) => sdk.renew(aws_config),
        }
    }
}
