//! Both engines against a socket that writes down what comes: they must say the same and hear the same.
mod connections;
mod credentials;
mod refusals;
mod signature;
mod stub;
mod wire;

use super::super::{
    engine::{Engine, Operation, Reply},
    source::Source,
};
use crate::{config, failure::Failure};
use aws_config::SdkConfig;
use std::collections::BTreeSet;

const REGION: &str = "us-east-1";
const MODEL: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const BODY: &str = r#"{"messages":[{"role":"user","content":[{"text":"Grüß Gott"}]}]}"#;

/// An engine of each kind, at the same endpoint, with what `change` makes of the SDK's configuration.
async fn both(url: &str, change: impl Fn(SdkConfig) -> SdkConfig) -> [Engine; 2] {
    let settings = config::Bedrock::simulated_at(url.to_owned());
    let mut source = Source::load(&settings).await;
    source.sdk = change(source.sdk);
    let regions = BTreeSet::from([REGION.to_owned()]);
    let mut engines = Vec::new();
    for engine in [config::Engine::Direct, config::Engine::Sdk] {
        let settings = config::Bedrock { engine, ..settings.clone() };
        engines.push(Engine::connect(&settings, &source, &regions).await.expect("connects"));
    }
    engines.try_into().expect("are two")
}

/// The direct engine with these settings.
async fn direct(settings: config::Bedrock) -> Engine {
    let source = Source::load(&settings).await;
    let regions = BTreeSet::from([REGION.to_owned()]);
    Engine::connect(&settings, &source, &regions).await.expect("connects")
}

async fn converse(engine: &Engine) -> Result<Reply, Failure> {
    engine.send(REGION, Operation::Converse, MODEL, BODY.into()).await
}
