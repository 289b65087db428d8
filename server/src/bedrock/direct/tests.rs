//! Both engines with a local server that records requests: they must send the same requests and report the
//! same failures.
mod connections;
mod credentials;
mod failures;
mod requests;
mod signature;
mod stub;

use crate::{
    bedrock::{aws_config::AwsConfig, engine::Engine, transport::Reply},
    config,
    failure::Failure,
    rpc::Method,
};
use aws_config::SdkConfig;
use std::collections::BTreeSet;

const REGION: &str = "us-east-1";
const MODEL: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const BODY: &str = r#"{"messages":[{"role":"user","content":[{"text":"Grüß Gott"}]}]}"#;

/// One engine of each kind for the endpoint `url`, the direct one first. `change` adapts the SDK's
/// configuration.
async fn both(url: &str, change: impl Fn(SdkConfig) -> SdkConfig) -> [Engine; 2] {
    let settings = config::Bedrock::simulated_at(url.to_owned());
    let mut aws_config = AwsConfig::load(&settings).await;
    aws_config.sdk = change(aws_config.sdk);
    let regions = BTreeSet::from([REGION.to_owned()]);
    let mut engines = Vec::new();
    for engine in [config::Engine::Direct, config::Engine::Sdk] {
        let settings = config::Bedrock { engine, ..settings.clone() };
        engines.push(Engine::connect(&settings, &aws_config, &regions).await.expect("connects"));
    }
    engines.try_into().expect("are two")
}

/// The direct engine with these settings.
async fn direct(settings: config::Bedrock) -> Engine {
    let aws_config = AwsConfig::load(&settings).await;
    let regions = BTreeSet::from([REGION.to_owned()]);
    Engine::connect(&settings, &aws_config, &regions).await.expect("connects")
}

async fn converse(engine: &Engine) -> Result<Reply, Failure> {
    engine.send(REGION, Method::Converse, MODEL, BODY.into()).await
}
