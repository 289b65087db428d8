//! Switchboard through its generated stubs.
use super::{Load, Recorder, StreamProgress, Target};
use crate::Result;
use std::cell::Cell;
use switchboard_proto::v1::{
    self as pb, content_block::Block, content_block_delta::Delta,
    converse_service_client::ConverseServiceClient, converse_stream_response::Event, tool::Tool as Kind,
    tool_input_schema::Schema,
};
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

pub(super) struct Grpc {
    clients: Vec<ConverseServiceClient<Channel>>,
    next: Cell<usize>,
    request: pb::ConverseRequest,
    stream: bool,
}

impl Grpc {
    pub(super) async fn connect(load: &Load) -> Result<Self> {
        let mut clients = Vec::new();
        for _ in 0..load.connections {
            let channel = Endpoint::from_shared(load.url.clone())?.tcp_nodelay(true).connect().await?;
            clients.push(ConverseServiceClient::new(channel));
        }
        let roles = ["user", "assistant"];
        let messages =
            load.conversation.texts().zip(roles.into_iter().cycle()).map(|(text, role)| pb::Message {
                role: role.to_owned(),
                content: vec![pb::ContentBlock { block: Some(Block::Text(text)) }],
            });
        let tools: Vec<_> = load.conversation.tools().map(|(name, schema)| tool(name, schema)).collect();
        let request = pb::ConverseRequest {
            task_type: load.model.clone(),
            messages: messages.collect(),
            tool_config: (!tools.is_empty()).then(|| pb::ToolConfiguration { tools, ..Default::default() }),
            inference_config: Some(pb::InferenceConfiguration {
                max_tokens: Some(1024),
                ..Default::default()
            }),
            ..Default::default()
        };
        Ok(Self { clients, next: Cell::new(0), request, stream: load.stream })
    }

    fn client(&self) -> ConverseServiceClient<Channel> {
        let next = self.next.get();
        self.next.set((next + 1) % self.clients.len());
        self.clients[next].clone()
    }
}

fn tool(name: String, schema: String) -> pb::Tool {
    let input_schema = Some(pb::ToolInputSchema { schema: Some(Schema::JsonText(schema)) });
    let spec = pb::ToolSpecification {
        name,
        description: Some("A tool".to_owned()),
        input_schema,
        ..Default::default()
    };
    pb::Tool { tool: Some(Kind::ToolSpec(spec)) }
}

impl Target for Grpc {
    async fn call(&self, recorder: &Recorder, due: Instant) -> Result {
        let mut client = self.client();
        if !self.stream {
            let answer = client.converse(self.request.clone()).await?.into_inner();
            return if answer.usage.is_some() { Ok(()) } else { Err("an answer without usage".into()) };
        }
        let mut stream = client.converse_stream(self.request.clone()).await?.into_inner();
        let mut progress = StreamProgress::of(recorder, due);
        while let Some(response) = stream.message().await? {
            let text = match &response.event {
                Some(Event::ContentBlockDelta(event)) => {
                    match event.delta.as_ref().and_then(|it| it.delta.as_ref()) {
                        Some(Delta::Text(text)) => Some(text.as_str()),
                        _ => None,
                    }
                }
                Some(Event::Metadata(_)) => {
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
