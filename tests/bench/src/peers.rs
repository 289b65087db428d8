//! Other gateways, installed from their registries and measured with the same calls.
//!
//! Each has one core, like Switchboard, and OpenAI's JSON API over HTTP/1.1. LiteLLM and ferrogw check a key
//! and write log lines; ferrogw calls InvokeModel instead of Converse, which the upstream answers too.
use crate::{
    Result,
    program::{MEASURED, Program, free_address, on_cores},
    suite::System,
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;

const LITELLM: &str = "litellm[proxy]==1.106.2";
const FERROGW: &str = "ferrogw==1.5.10";
const PORTKEY: &str = "@portkey-ai/gateway@1.15.2";
/// A key that is long enough for LiteLLM. It protects nothing.
const KEY: &str = "sk-2f1d8c7a9b3e4f60a1b2c3d4e5f60718";
const MODEL: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

/// Starts all of them.
pub(crate) async fn start(folder: &Path, out: &Path, upstream: &Program) -> Result<Vec<System>> {
    fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    install(&folder).await?;
    Ok(vec![
        litellm(&folder, out, upstream).await?,
        portkey(&folder, out).await.map(|system| to(system, upstream))?,
        ferrogw(&folder, out, upstream).await?,
    ])
}

async fn install(folder: &Path) -> Result {
    if !folder.join("python/bin/litellm").is_file() {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("python"))).await?;
        let pip = folder.join("python/bin/pip");
        run(Command::new(pip).args(["install", "--quiet", LITELLM, FERROGW])).await?;
    }
    if !portkey_program(folder).is_file() {
        let npm = ["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"];
        run(Command::new("npm").args(npm).arg(folder).arg(PORTKEY)).await?;
    }
    Ok(())
}

async fn run(command: &mut Command) -> Result {
    let status = command.status().await.map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

fn portkey_program(folder: &Path) -> PathBuf {
    folder.join("node_modules/@portkey-ai/gateway/build/start-server.js")
}

async fn litellm(folder: &Path, out: &Path, upstream: &Program) -> Result<System> {
    let address = free_address().await?;
    let config = out.join("litellm.yaml");
    let model = format!("      model: bedrock/converse/{MODEL}\n      aws_region_name: us-east-1\n");
    let keys = "      aws_access_key_id: measured\n      aws_secret_access_key: measured\n";
    let endpoint = format!("      aws_bedrock_runtime_endpoint: {}\n", upstream.url());
    let models = format!("model_list:\n  - model_name: plain\n    litellm_params:\n{model}{keys}{endpoint}");
    fs::write(&config, format!("{models}general_settings:\n  master_key: {KEY}\n"))?;
    let mut command = on_cores(MEASURED, folder.join("python/bin/litellm"));
    command.args([
        "--host",
        "127.0.0.1",
        "--port",
        &address.port().to_string(),
        "--telemetry",
        "False",
        "--config",
    ]);
    command.arg(config).env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("LITELLM_MASTER_KEY", KEY);
    let program = Program::start(&mut command, address, &out.join("litellm.log")).await?;
    Ok(system("litellm", program, "plain", vec![format!("authorization=Bearer {KEY}")]))
}

async fn portkey(folder: &Path, out: &Path) -> Result<System> {
    let address = free_address().await?;
    let mut command = on_cores(MEASURED, "node");
    command.arg(portkey_program(folder)).args(["--headless", &format!("--port={}", address.port())]);
    let program = Program::start(&mut command, address, &out.join("portkey.log")).await?;
    let headers = ["x-portkey-provider=bedrock", "x-portkey-aws-access-key-id=measured"];
    let more = ["x-portkey-aws-secret-access-key=measured", "x-portkey-aws-region=us-east-1"];
    Ok(system("portkey", program, MODEL, headers.into_iter().chain(more).map(str::to_owned).collect()))
}

/// Portkey gets the address of its upstream with each call.
fn to(mut system: System, upstream: &Program) -> System {
    system.headers.push(format!("x-portkey-custom-host={}", upstream.url()));
    system
}

/// Starts ferrogw, without its rate limit.
async fn ferrogw(folder: &Path, out: &Path, upstream: &Program) -> Result<System> {
    let address = free_address().await?;
    let mut command = on_cores(MEASURED, folder.join("python/bin/ferrogw"));
    command
        .env("GOMAXPROCS", "1")
        .env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", upstream.url())
        .env("AWS_REGION", "us-east-1");
    command.envs([("AWS_ACCESS_KEY_ID", "measured"), ("AWS_SECRET_ACCESS_KEY", "measured")]);
    command.envs([("RATE_LIMIT_RPS", "1000000"), ("RATE_LIMIT_BURST", "1000000"), ("MASTER_KEY", KEY)]);
    command.env("PORT", address.port().to_string());
    let program = Program::start(&mut command, address, &out.join("ferrogw.log")).await?;
    Ok(system(
        "ferrogw",
        program,
        "anthropic.claude-3-haiku-20240307-v1:0",
        vec![format!("authorization=Bearer {KEY}")],
    ))
}

fn system(name: &str, program: Program, model: &str, headers: Vec<String>) -> System {
    let (name, url, model) = (name.to_owned(), program.url(), Some(model.to_owned()));
    System { name, protocol: "openai", program: Some(program), url, model, headers }
}
