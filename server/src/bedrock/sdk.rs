//! The `sdk` engine: the SDK's client for each region, with the bodies replaced.
mod body_interceptor;

use super::{aws_config::AwsConfig, failure::unknown_region, transport::Reply};
use crate::{failure::Failure, rpc::Method};
use aws_sdk_bedrockruntime::Client;
use body_interceptor::BodyInterceptor;
use bytes::Bytes;
use parking_lot::RwLock;
use std::collections::{BTreeSet, HashMap};

/// The SDK's clients, by region.
#[derive(Debug)]
pub(super) struct SdkEngine(RwLock<HashMap<String, Client>>);

// === impl SdkEngine ===

impl SdkEngine {
    pub(super) fn new(aws_config: &AwsConfig, regions: &BTreeSet<String>) -> Self {
        let clients = regions.iter().map(|region| (region.clone(), aws_config.client(region)));
        Self(RwLock::new(clients.collect()))
    }

    /// Sends a request and waits for the head of a successful response.
    pub(super) async fn send(
        &self,
        region: &str,
        method: Method,
        model_id: &str,
        body: Bytes,
    ) -> Result<Reply, Failure> {
        let client = self.client(region)?;
        let bodies = BodyInterceptor::new(body);
        let interceptor = bodies.clone();
        match method {
            Method::Converse => {
                let call = client.converse().model_id(model_id).customize();
                bodies.take_reply(call.interceptor(interceptor).send().await.err())
            }
            Method::ConverseStream => {
                let call = client.converse_stream().model_id(model_id).customize();
                bodies.take_reply(call.interceptor(interceptor).send().await.err())
            }
            Method::CountTokens => {
                let call = client.count_tokens().model_id(model_id).customize();
                bodies.take_reply(call.interceptor(interceptor).send().await.err())
            }
        }
    }

    /// Replaces all clients by those of a configuration that was loaded again.
    pub(super) fn renew(&self, aws_config: &AwsConfig) {
        let mut clients = self.0.write();
        for (region, client) in clients.iter_mut() {
            *client = aws_config.client(region);
        }
    }

    /// A handle to the client of a region. All handles share its connections.
    fn client(&self, region: &str) -> Result<Client, Failure> {
        let clients = self.0.read();
        clients.get(region).cloned().ok_or_else(|| unknown_region(region))
    }
}
