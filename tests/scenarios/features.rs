//! Features of Converse against the simulator, unary and streamed: tools, JSON schemas, reasoning, citations,
//! caching.
use crate::{harness::*, simulated::Simulated};
use switchboard_proto::v1::{
    self as pb, content_block::Block, converse_request::AdditionalRequestFields, tool_input_schema,
};
use switchboard_server::config::Config;

const SONNET: &str = "us.anthropic.claude-sonnet-4-6";

async fn switchboard() -> Simulated {
    Simulated::serving(Config::for_two_models(SONNET, SONNET)).await
}

/// Sends a request unary and streamed; the client library collects the stream.
async fn both(request: pb::ConverseRequest) -> [Vec<Block>; 2] {
    let switchboard = switchboard().await;
    let unary = switchboard.caller().converse(request.clone()).await.expect("answers").into_inner();
    let Some(pb::converse_output::Output::Message(message)) = unary.output.and_then(|output| output.output)
    else {
        panic!("has no message")
    };
    let stream = switchboard.caller().converse_stream(request).await.expect("begins").into_inner();
    let received = ReceivedStream::read_all(stream).await;
    assert!(received.status.is_none(), "{received:?}");
    let mut collector = switchboard_client::Collector::default();
    received.events.into_iter().for_each(|event| collector.push(event));
    let collected = collector.finish().expect("is complete");
    [message, collected.message]
        .map(|message| message.content.into_iter().filter_map(|entry| entry.block).collect())
}

fn extras(json: &str) -> Option<AdditionalRequestFields> {
    Some(AdditionalRequestFields::AdditionalModelRequestFieldsJson(json.to_owned()))
}

#[tokio::test]
async fn a_tool_use_has_arguments_that_match_the_schema() {
    let schema = r#"{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city","days"]}"#;
    let spec = pb::ToolSpecification {
        name: "weather".to_owned(),
        input_schema: Some(pb::ToolInputSchema {
            schema: Some(tool_input_schema::Schema::JsonText(schema.to_owned())),
        }),
        ..Default::default()
    };
    let tools = vec![pb::Tool { tool: Some(pb::tool::Tool::ToolSpec(spec)) }];
    let any = pb::ToolChoice { choice: Some(pb::tool_choice::Choice::Any(pb::AnyToolChoice {})) };
    let tool_config = Some(pb::ToolConfiguration { tools, tool_choice: Some(any) });
    let request = pb::ConverseRequest { tool_config, ..chat_request("coding", "How warm is Rome?") };
    for blocks in Box::pin(both(request)).await {
        let used = blocks.iter().find_map(|block| match block {
            Block::ToolUse(pb::ToolUseBlock {
                name,
                arguments: Some(pb::tool_use_block::Arguments::InputJson(json)),
                ..
            }) => Some((name, json)),
            _ => None,
        });
        let (name, json) = used.unwrap_or_else(|| panic!("uses no tool: {blocks:?}"));
        let input: serde_json::Value = serde_json::from_str(json).expect("is JSON");
        assert_eq!(name, "weather");
        assert!(input["city"].is_string() && input["days"].is_i64(), "{input}");
    }
}

#[tokio::test]
async fn an_answer_matches_the_requested_json_schema() {
    let schema = r#"{"type":"object","properties":{"mood":{"enum":["good","bad"]}},"required":["mood"],"additionalProperties":false}"#;
    let definition = pb::JsonSchemaDefinition { schema: schema.to_owned(), ..Default::default() };
    let structure = pb::output_format_structure::Structure::JsonSchema(definition);
    let text_format = pb::OutputFormat {
        r#type: "json_schema".to_owned(),
        structure: Some(pb::OutputFormatStructure { structure: Some(structure) }),
    };
    let output_config = Some(pb::OutputConfig { text_format: Some(text_format), effort: None });
    let request = pb::ConverseRequest { output_config, ..chat_request("coding", "It just works.") };
    for blocks in Box::pin(both(request)).await {
        let [Block::Text(text)] = blocks.as_slice() else { panic!("is not one text: {blocks:?}") };
        let answer: serde_json::Value = serde_json::from_str(text).expect("is JSON");
        assert!(["good", "bad"].contains(&answer["mood"].as_str().expect("has a mood")), "{answer}");
    }
}

#[tokio::test]
async fn reasoning_has_a_signature() {
    let additional_request_fields = extras(r#"{"thinking":{"type":"enabled","budget_tokens":1024}}"#);
    let request = pb::ConverseRequest { additional_request_fields, ..chat_request("reasoning", "Why?") };
    for blocks in Box::pin(both(request)).await {
        let signed = blocks.iter().any(|block| match block {
            Block::ReasoningContent(pb::ReasoningContentBlock {
                block: Some(pb::reasoning_content_block::Block::ReasoningText(text)),
            }) => text.signature.as_ref().is_some_and(|signature| !signature.is_empty()),
            _ => false,
        });
        assert!(signed, "{blocks:?}");
    }
}

#[tokio::test]
async fn an_answer_cites_its_sources() {
    let source =
        pb::document_source::Source::Text("Switchboard was built in Rust. It speaks gRPC.".to_owned());
    let document = pb::DocumentBlock {
        name: "facts".to_owned(),
        format: Some("txt".to_owned()),
        source: Some(pb::DocumentSource { source: Some(source), ..Default::default() }),
        citations: Some(pb::CitationsConfig { enabled: true }),
        ..Default::default()
    };
    let mut request = chat_request("analysis", "What was Switchboard built in?");
    request.messages[0].content.push(pb::ContentBlock { block: Some(Block::Document(document)) });
    for blocks in Box::pin(both(request)).await {
        let cites =
            |block: &Block| matches!(block, Block::CitationsContent(cited) if !cited.citations.is_empty());
        assert!(blocks.iter().any(cites), "{blocks:?}");
    }
}

#[tokio::test]
async fn cached_tokens_are_counted_separately() {
    let switchboard = switchboard().await;
    let mut request = chat_request("analysis", "What does it say?");
    let long = pb::system_content_block::Block::Text("Switchboard names tasks, not models. ".repeat(400));
    let point = pb::system_content_block::Block::CachePoint(pb::CachePointBlock {
        r#type: "default".to_owned(),
        ttl: None,
    });
    request.system = [long, point].map(|block| pb::SystemContentBlock { block: Some(block) }).into();
    let mut usages = Vec::new();
    for _ in 0..2 {
        let reply = switchboard.caller().converse(request.clone()).await.expect("answers").into_inner();
        usages.push(reply.usage.expect("has a usage"));
    }
    let [first, second] = usages.as_slice() else { panic!("two calls") };
    assert!(first.cache_write_input_tokens > Some(1000) && first.cache_details[0].ttl == "5m", "{first:?}");
    assert_eq!(second.cache_read_input_tokens, first.cache_write_input_tokens);
    assert_eq!(second.input_tokens, first.input_tokens);
}
