//! The SDK's engine: its client for each region, with our bodies in it.
use super::{
    engine::{Operation, Reply, ReplyBody},
    failure::unknown_region,
    source::Source,
    swap::Swap,
};
use crate::failure::Failure;
use aws_sdk_bedrockruntime::Client;
use bytes::Bytes;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{PoisonError, RwLock},
};

/// One SDK client for each region.
#[derive(Debug)]
pub(super) struct Sdk(RwLock<HashMap<String, Client>>);

// === impl Sdk ===

impl Sdk {
    pub(super) fn new(source: &Source, regions: &BTreeSet<String>) -> Self {
        let clients = regions.iter().map(|region| (region.clone(), source.client(region)));
        Self(RwLock::new(clients.collect()))
    }

    pub(super) async fn send(
        &self,
        region: &str,
        operation: Operation,
        model_id: &str,
        body: Bytes,
    ) -> Result<Reply, Failure> {
        let client = self.client(region)?;
        let swap = Swap::new(body);
        let ours = swap.clone();
        let answer = match operation {
            Operation::Converse => {
                let call = client.converse().model_id(model_id).customize();
                swap.answer(call.interceptor(ours).send().await.err())
            }
            Operation::ConverseStream => {
                let call = client.converse_stream().model_id(model_id).customize();
                swap.answer(call.interceptor(ours).send().await.err())
            }
            Operation::CountTokens => {
                let call = client.count_tokens().model_id(model_id).customize();
                swap.answer(call.interceptor(ours).send().await.err())
            }
        };
        answer.map(|(request_id, body)| Reply { request_id, body: ReplyBody::Sdk(body) })
    }

    pub(super) fn renew(&self, source: &Source) {
        let mut clients = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (region, client) in clients.iter_mut() {
            *client = source.client(region);
        }
    }

    /// A handle; all of a region's share their connections.
    fn client(&self, region: &str) -> Result<Client, Failure> {
        let clients = self.0.read().unwrap_or_else(PoisonError::into_inner);
        clients.get(region).cloned().ok_or_else(|| unknown_region(region))
    }
}
