//! A caller's request: whatever protobuf can hold becomes JSON, and the same request when that is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use serde_json::value::RawValue;
use switchboard_proto::v1::{
    self as pb, content_block::Block, converse_request::AdditionalRequestFields, tool::Tool,
    tool_input_schema::Schema, tool_result_content_block as result, tool_use_block::Arguments,
};
use switchboard_server::bedrock::codec;

fuzz_target!(|input: &[u8]| {
    let Ok(mut request) = pb::ConverseRequest::decode(input) else { return };
    if !has_valid_texts(&request) {
        return; // refused before a model is asked
    }
    let inference = request.inference_config.take().unwrap_or_default();
    let body = codec::request_body(&request, &inference);
    assert_eq!(body, codec::request_body(&request, &inference), "another body for the same request");
    let json = String::from_utf8(body).expect("the body is text");
    serde_json::from_str::<&RawValue>(&json).unwrap_or_else(|error| panic!("{error}: {json}"));

    let (name, mut gaps) = ("ConverseRequest", Vec::new());
    let mut again: pb::ConverseRequest =
        codec::message(name, json.as_bytes(), &mut gaps).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(gaps, [], "{json}");
    let inference = again.inference_config.take().expect("is always sent");
    // What was read is exact text and has nothing of ours; from here on nothing may change at all.
    let third: pb::ConverseRequest =
        codec::message(name, &codec::request_body(&again, &inference), &mut gaps).expect("was read before");
    assert_eq!(third, pb::ConverseRequest { inference_config: Some(inference), ..again }, "{json}");
});

/// As the server checks it: exact texts are JSON, and unknown variants are objects of one member that is not known.
fn has_valid_texts(request: &pb::ConverseRequest) -> bool {
    let is_json = |text: &str| serde_json::from_str::<&RawValue>(text).is_ok();
    let extra = match &request.additional_request_fields {
        Some(AdditionalRequestFields::AdditionalModelRequestFieldsJson(text)) => is_json(text),
        _ => true,
    };
    let tools = request.tool_config.iter().flat_map(|tools| &tools.tools).all(|tool| match &tool.tool {
        Some(Tool::ToolSpec(spec)) => match spec.input_schema.as_ref().and_then(|it| it.schema.as_ref()) {
            Some(Schema::JsonText(text)) => is_json(text),
            _ => true,
        },
        _ => true,
    });
    let inference = request.inference_config.iter().flat_map(|it| [it.temperature, it.top_p]).flatten();
    let mut blocks = request.messages.iter().flat_map(|message| &message.content);
    extra
        && tools
        && inference.into_iter().all(f64::is_finite)
        && blocks.all(|block| match &block.block {
            Some(Block::ToolUse(it)) => match &it.arguments {
                Some(Arguments::InputJson(text)) => is_json(text),
                _ => true,
            },
            Some(Block::ToolResult(it)) => it.content.iter().all(|it| match &it.block {
                Some(result::Block::JsonText(text)) => is_json(text),
                Some(result::Block::UnknownJson(text)) => is_unknown_union(text),
                _ => true,
            }),
            Some(Block::ReasoningContent(it)) => match &it.block {
                Some(pb::reasoning_content_block::Block::UnknownJson(text)) => is_unknown_union(text),
                _ => true,
            },
            Some(Block::CitationsContent(it)) => {
                it.citations.iter().all(|it| match it.location.as_ref().and_then(|it| it.location.as_ref()) {
                    Some(pb::citation_location::Location::UnknownJson(text)) => is_unknown_union(text),
                    _ => true,
                })
            }
            Some(Block::UnknownJson(text)) => is_unknown_union(text),
            _ => true,
        })
}

fn is_unknown_union(text: &str) -> bool {
    let members = serde_json::from_str::<std::collections::BTreeMap<String, &RawValue>>(text);
    members.is_ok_and(|members| members.len() == 1)
}
