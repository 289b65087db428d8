//! Bedrock through the AWS SDK: a client as in its documentation.
use super::{Load, Recorder, StreamProgress, Target};
use crate::Result;
use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client,
    config::{BehaviorVersion, Config, Region},
    types::{
        ContentBlock, ContentBlockDelta, ConversationRole, ConverseStreamOutput, InferenceConfiguration,
        Message, Tool, ToolConfiguration, ToolInputSchema, ToolSpecification,
    },
};
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_types::Document;
use tokio::time::Instant;

pub(super) struct Direct {
    client: Client,
    model: String,
    messages: Vec<Message>,
    tools: Option<ToolConfiguration>,
    inference: InferenceConfiguration,
    stream: bool,
}

impl Direct {
    pub(super) fn new(load: &Load) -> Self {
        let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url(&load.url)
            .credentials_provider(Credentials::from_keys("measured", "measured", None))
            .http_client(Builder::new().tls_provider(tls).build_https());
        let roles = [ConversationRole::User, ConversationRole::Assistant];
        let messages = load.conversation.texts().zip(roles.into_iter().cycle()).filter_map(|(text, role)| {
            Message::builder().role(role).content(ContentBlock::Text(text)).build().ok()
        });
        let tools = load.conversation.tools().filter_map(|(name, schema)| tool(&name, &schema));
        let tools: Vec<_> = tools.collect();
        Self {
            client: Client::from_conf(config.build()),
            model: load.model.clone(),
            messages: messages.collect(),
            tools: (!tools.is_empty())
                .then(|| ToolConfiguration::builder().set_tools(Some(tools)).build().ok())
                .flatten(),
            inference: InferenceConfiguration::builder().max_tokens(1024).build(),
            stream: load.stream,
        }
    }
}

fn tool(name: &str, schema: &str) -> Option<Tool> {
    let schema = ToolInputSchema::Json(document(&serde_json::from_str(schema).ok()?));
    let spec = ToolSpecification::builder().name(name).description("A tool").input_schema(schema);
    Some(Tool::ToolSpec(spec.build().ok()?))
}

/// Converts JSON to the SDK's document type, as every caller must.
fn document(json: &serde_json::Value) -> Document {
    use serde_json::Value;
    match json {
        Value::Object(members) => {
            Document::Object(members.iter().map(|(name, value)| (name.clone(), document(value))).collect())
        }
        Value::Array(values) => Document::Array(values.iter().map(document).collect()),
        Value::String(text) => Document::String(text.clone()),
        Value::Bool(it) => Document::Bool(*it),
        _ => Document::Null,
    }
}

impl Target for Direct {
    async fn call(&self, recorder: &Recorder, due: Instant) -> Result {
        let (messages, tools) = (Some(self.messages.clone()), self.tools.clone());
        if !self.stream {
            let call = self.client.converse().model_id(&self.model).set_messages(messages);
            let answer = call.inference_config(self.inference.clone()).set_tool_config(tools).send().await?;
            return if answer.usage.is_some() { Ok(()) } else { Err("an answer without usage".into()) };
        }
        let call = self.client.converse_stream().model_id(&self.model).set_messages(messages);
        let call = call.inference_config(self.inference.clone()).set_tool_config(tools);
        let mut stream = call.send().await?.stream;
        let mut progress = StreamProgress::of(recorder, due);
        while let Some(event) = stream.recv().await? {
            let text = match &event {
                ConverseStreamOutput::ContentBlockDelta(event) => match &event.delta {
                    Some(ContentBlockDelta::Text(text)) => Some(text.as_str()),
                    _ => None,
                },
                ConverseStreamOutput::Metadata(_) => {
                    progress.end = true;
                    None
                }
                _ => None,
            };
            progress.event(text);
        }
        progress.done()
    }
}
