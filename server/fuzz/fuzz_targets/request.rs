//! Requests of a caller: every valid message is encoded as JSON, which decodes to an equal request.
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
        return; // Switchboard refuses such a request
    }
    let inference = request.inference_config.take().unwrap_or_default();
    let body = codec::request_body(&request, &inference);
    assert_eq!(body, codec::request_body(&request, &inference), "a second encoding differs");
    let json = String::from_utf8(body).expect("the body is UTF-8");
    serde_json::from_str::<&RawValue>(&json).unwrap_or_else(|error| panic!("{error}: {json}"));

    let (name, mut unknown) = ("ConverseRequest", Vec::new());
    let mut decoded: pb::ConverseRequest =
        codec::message(name, json.as_bytes(), &mut unknown).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(unknown, [], "{json}");
    let inference = decoded.inference_config.take().expect("is always sent");
    // The decoded request has only exact text and no fields of Switchboard, so another round trip must not
    // change it.
    let again: pb::ConverseRequest =
        codec::message(name, &codec::request_body(&decoded, &inference), &mut unknown)
            .expect("was decoded before");
    assert_eq!(again, pb::ConverseRequest { inference_config: Some(inference), ..decoded }, "{json}");
});

/// Makes the checks of the server: exact text is JSON, and an unknown variant is an object with one member.
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
