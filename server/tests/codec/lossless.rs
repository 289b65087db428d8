//! Nothing is lost or changed on the way to Bedrock and back: single cases, compared as bytes.
use crate::streams::{decoded, frame};
use serde_json::json;
use switchboard_proto::v1::{
    self as pb, content_block::Block, content_block_delta::Delta, converse_request::AdditionalRequestFields,
    tool_input_schema::Schema, tool_result_content_block as result, tool_use_block::Arguments,
};
use switchboard_server::{
    bedrock::codec::{self, UnknownMember},
    model::{ModelEvent, stop_reason},
};

/// Numbers that a double cannot represent, or that a double would be written differently.
const NUMBERS: [&str; 9] = [
    "9007199254740993",
    "-9007199254740993",
    "18446744073709551616",
    "123456789012345678901234567890",
    "1e400",
    "0.1000000000000000055",
    "1.0",
    "-0",
    "1E+2",
];

// === requests ===

fn request_with(blocks: Vec<Block>) -> pb::ConverseRequest {
    let content = blocks.into_iter().map(|block| pb::ContentBlock { block: Some(block) }).collect();
    let messages = vec![pb::Message { role: "user".to_owned(), content }];
    pb::ConverseRequest { messages, ..Default::default() }
}

/// The body of a request with an empty inference configuration.
fn body(request: &pb::ConverseRequest) -> String {
    let body = codec::request_body(request, &pb::InferenceConfiguration::default());
    String::from_utf8(body).expect("is text")
}

/// The JSON of the only block of the only message.
fn block(block: Block) -> String {
    let body = body(&request_with(vec![block]));
    let block = body.strip_prefix(r#"{"messages":[{"role":"user","content":["#).expect("begins like this");
    block.strip_suffix(r#"]}],"inferenceConfig":{}}"#).expect("ends like this").to_owned()
}

fn tool_use(arguments: Arguments) -> Block {
    let (tool_use_id, name) = ("t1".to_owned(), "add".to_owned());
    Block::ToolUse(pb::ToolUseBlock { tool_use_id, name, arguments: Some(arguments), r#type: None })
}

fn tool_result(blocks: Vec<result::Block>) -> Block {
    let content = blocks.into_iter().map(|block| pb::ToolResultContentBlock { block: Some(block) });
    let tool_use_id = "t1".to_owned();
    Block::ToolResult(pb::ToolResultBlock { tool_use_id, content: content.collect(), ..Default::default() })
}

fn with_schema(schema: Schema) -> pb::ConverseRequest {
    let input_schema = Some(pb::ToolInputSchema { schema: Some(schema) });
    let spec = pb::ToolSpecification { name: "add".to_owned(), input_schema, ..Default::default() };
    let tools = vec![pb::Tool { tool: Some(pb::tool::Tool::ToolSpec(spec)) }];
    let tool_config = Some(pb::ToolConfiguration { tools, tool_choice: None });
    pb::ConverseRequest { tool_config, ..request_with(vec![]) }
}

fn free(json: &serde_json::Value) -> prost_types::Value {
    use prost_types::value::Kind as K;
    let kind = match json {
        serde_json::Value::Null => K::NullValue(0),
        serde_json::Value::Bool(truth) => K::BoolValue(*truth),
        serde_json::Value::Number(number) => K::NumberValue(number.as_f64().expect("is a double")),
        serde_json::Value::String(text) => K::StringValue(text.clone()),
        serde_json::Value::Array(entries) => {
            K::ListValue(prost_types::ListValue { values: entries.iter().map(free).collect() })
        }
        serde_json::Value::Object(_) => K::StructValue(structure(json)),
    };
    prost_types::Value { kind: Some(kind) }
}

fn structure(json: &serde_json::Value) -> prost_types::Struct {
    let members = json.as_object().expect("is an object");
    prost_types::Struct { fields: members.iter().map(|(name, value)| (name.clone(), free(value))).collect() }
}

#[test]
fn numbers_in_json_text_reach_bedrock_digit_by_digit() {
    for number in NUMBERS {
        let json = format!(r#"{{"n": {number}, "list": [{number}]}}"#);
        let sent = block(tool_use(Arguments::InputJson(json.clone())));
        assert_eq!(sent, format!(r#"{{"toolUse":{{"toolUseId":"t1","name":"add","input":{json}}}}}"#));
        let sent = block(tool_result(vec![result::Block::JsonText(json.clone())]));
        assert_eq!(sent, format!(r#"{{"toolResult":{{"toolUseId":"t1","content":[{{"json":{json}}}]}}}}"#));
    }
}

#[test]
fn a_schema_as_text_keeps_its_order_and_its_blanks() {
    let schema = "{ \"type\": \"object\",\n  \"properties\": {\"zebra\": {\"maximum\": 1.0}, \"ant\": {}} }";
    let sent = body(&with_schema(Schema::JsonText(schema.to_owned())));
    assert!(sent.contains(&format!(r#""inputSchema":{{"json":{schema}}}"#)), "{sent}");
}

#[test]
fn a_schema_as_a_struct_is_sorted_and_has_whole_numbers_without_a_point() {
    let schema = json!({
        "type": "object",
        "required": ["b", "a"],
        "properties": {"b": {"minimum": -3, "maximum": 9_007_199_254_740_992_u64}, "a": {"multipleOf": 0.5, "enum": [null, true]}},
    });
    let sent = body(&with_schema(Schema::Json(structure(&schema))));
    let expected = r#"{"properties":{"a":{"enum":[null,true],"multipleOf":0.5},"b":{"maximum":9007199254740992,"minimum":-3}},"required":["b","a"],"type":"object"}"#;
    assert!(sent.contains(&format!(r#""inputSchema":{{"json":{expected}}}"#)), "{sent}");
}

#[test]
fn equal_requests_have_equal_bytes() {
    // Each request is built separately, with its maps in another order.
    let build = |turn: usize| {
        let mut names: Vec<_> = (0..12).map(|name| format!("name-{name}")).collect();
        names.rotate_left(turn % 12);
        let fields = names.iter().map(|name| (name.clone(), free(&json!({name: 1.5})))).collect();
        let values = |name: &String| pb::PromptVariableValues {
            value: Some(pb::prompt_variable_values::Value::Text(name.clone())),
        };
        let extra = AdditionalRequestFields::AdditionalModelRequestFields(prost_types::Struct { fields });
        let mut request = with_schema(Schema::Json(structure(&json!({"b": {"d": 1, "c": 2}, "a": 1}))));
        request.messages = request_with(vec![
            tool_use(Arguments::Input(free(&json!({"y": 1, "x": [{"q": 2, "p": 3}]})))),
            tool_result(vec![result::Block::Json(free(&json!({"z": 1, "y": 2})))]),
        ])
        .messages;
        request.additional_request_fields = Some(extra);
        request.request_metadata = names.iter().map(|name| (name.clone(), "value".to_owned())).collect();
        request.prompt_variables = names.iter().map(|name| (name.clone(), values(name))).collect();
        request
    };
    let inference =
        pb::InferenceConfiguration { temperature: Some(0.7), max_tokens: Some(10), ..Default::default() };
    let first = codec::request_body(&build(0), &inference);
    for turn in 1..=100 {
        assert_eq!(codec::request_body(&build(turn), &inference), first, "turn {turn}");
    }
}

#[test]
fn only_the_inference_configuration_of_the_attempt_is_sent() {
    let ours = pb::InferenceConfiguration { max_tokens: Some(1), ..Default::default() };
    let theirs = pb::InferenceConfiguration { max_tokens: Some(2), ..Default::default() };
    let request = pb::ConverseRequest { inference_config: Some(theirs), ..request_with(vec![]) };
    let sent = String::from_utf8(codec::request_body(&request, &ours)).expect("is text");
    assert_eq!(sent, r#"{"messages":[{"role":"user","content":[]}],"inferenceConfig":{"maxTokens":1}}"#);
}

#[test]
fn a_tool_result_without_content_keeps_its_empty_list() {
    assert_eq!(block(tool_result(vec![])), r#"{"toolResult":{"toolUseId":"t1","content":[]}}"#);
}

#[test]
fn any_characters_reach_bedrock_unchanged() {
    for (text, expected) in [
        ("", r#""""#),
        ("\u{1f980}\u{10ffff}\u{e9}", "\"\u{1f980}\u{10ffff}\u{e9}\""),
        (
            "\"\\/\u{8}\n\r\t\u{0}\u{1f}\u{7f}\u{2028}",
            "\"\\\"\\\\/\\b\\n\\r\\t\\u0000\\u001f\u{7f}\u{2028}\"",
        ),
    ] {
        assert_eq!(block(Block::Text(text.to_owned())), format!(r#"{{"text":{expected}}}"#));
    }
}

#[test]
fn bytes_are_base64_in_both_directions() {
    for length in 0..=70 {
        let bytes: Vec<u8> = (0..length).map(|byte| 255 - byte * 3).collect();
        let sent = block(Block::Image(pb::ImageBlock {
            format: "png".to_owned(),
            source: Some(pb::ImageSource {
                source: Some(pb::image_source::Source::Bytes(bytes.clone().into())),
            }),
            error: None,
        }));
        let json: serde_json::Value = serde_json::from_str(&sent).expect("is JSON");
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        assert_eq!(json["image"]["source"]["bytes"], STANDARD.encode(&bytes));
        let back = block_of_reply(&sent);
        let Some(Block::Image(image)) = back.block else { panic!("{back:?}") };
        let source = image.source.and_then(|source| source.source);
        assert_eq!(source, Some(pb::image_source::Source::Bytes(bytes.into())));
    }
}

// === replies ===

fn reply(json: &str) -> pb::ConverseResponse {
    let mut unknown = Vec::new();
    let reply = codec::message("ConverseResponse", json.as_bytes(), &mut unknown);
    assert_eq!(unknown, []);
    reply.unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// Decodes the only block of a reply's message.
fn block_of_reply(block: &str) -> pb::ContentBlock {
    let json = format!(r#"{{"output":{{"message":{{"role":"assistant","content":[{block}]}}}}}}"#);
    let Some(pb::converse_output::Output::Message(message)) = reply(&json).output.and_then(|it| it.output)
    else {
        panic!("{json}")
    };
    let [block] = message.content.try_into().expect("is one block");
    block
}

/// Decodes a stream of one event.
fn event(name: &str, payload: &str) -> ModelEvent {
    let whole = decoded([frame("event", name, payload.as_bytes()).as_slice()]);
    let [event] = whole.events.try_into().unwrap_or_else(|_| panic!("{payload}: {:?}", whole.end));
    event
}

fn delta(json: &str) -> Option<Delta> {
    match event("contentBlockDelta", &format!(r#"{{"contentBlockIndex":0,"delta":{json}}}"#)) {
        ModelEvent::ContentBlockDelta(event) => event.delta.and_then(|delta| delta.delta),
        other => panic!("{other:?}"),
    }
}

#[test]
fn numbers_in_tool_input_reach_the_caller_and_return_digit_by_digit() {
    for number in NUMBERS {
        let input = format!(r#"{{"n": {number}, "list": [{number}]}}"#);
        let json = format!(r#"{{"toolUse":{{"toolUseId":"t1","name":"add","input":{input}}}}}"#);
        let received = block_of_reply(&json);
        let Some(Block::ToolUse(tool_use)) = &received.block else { panic!("{received:?}") };
        assert_eq!(tool_use.arguments, Some(Arguments::InputJson(input)));
        assert_eq!(block(received.block.expect("is a tool use")), json, "as the next turn");
    }
}

#[test]
fn deltas_of_tool_input_are_passed_on_unchanged() {
    for part in ["", "{\\\"n\\\": 90071992547", "\\ud83e\\udd80"] {
        let expected: String = serde_json::from_str(&format!("\"{part}\"")).expect("is a text");
        let Some(Delta::ToolUse(found)) = delta(&format!(r#"{{"toolUse":{{"input":"{part}"}}}}"#)) else {
            panic!("{part}")
        };
        assert_eq!(found.input, expected);
    }
}

#[test]
fn empty_texts_and_deltas_are_present() {
    assert_eq!(delta(r#"{"text":""}"#), Some(Delta::Text(String::new())));
    assert_eq!(block_of_reply(r#"{"text":""}"#).block, Some(Block::Text(String::new())));
    let signature = delta(r#"{"reasoningContent":{"signature":""}}"#);
    let Some(Delta::ReasoningContent(reasoning)) = signature else { panic!("{signature:?}") };
    assert_eq!(reasoning.delta, Some(pb::reasoning_content_block_delta::Delta::Signature(String::new())));
    let empty = delta(r#"{"toolResult":[]}"#);
    assert_eq!(empty, Some(Delta::ToolResult(pb::ToolResultDelta { blocks: vec![] })));
    assert_eq!(delta("{}"), None);
}

#[test]
fn escapes_are_decoded_in_texts_and_kept_in_json_text() {
    assert_eq!(
        block_of_reply(r#"{"text":"\ud83e\udd80\u00e9\/"}"#).block,
        Some(Block::Text("\u{1f980}\u{e9}/".to_owned()))
    );
    let input = r#"{"a\/b":"\ud83e\udd80 \ud83e \u0000"}"#;
    let tool_use =
        block_of_reply(&format!(r#"{{"toolUse":{{"toolUseId":"t","name":"n","input":{input}}}}}"#));
    let Some(Block::ToolUse(tool_use)) = tool_use.block else { panic!("{tool_use:?}") };
    assert_eq!(tool_use.arguments, Some(Arguments::InputJson(input.to_owned())));
}

#[test]
fn an_unpaired_surrogate_is_a_failure() {
    for half in [r"\ud83e", r"\udd80", r"\ud83e\u0041", r"\ud83ex"] {
        let json =
            format!(r#"{{"output":{{"message":{{"role":"assistant","content":[{{"text":"{half}"}}]}}}}}}"#);
        let read: Result<pb::ConverseResponse, _> =
            codec::message("ConverseResponse", json.as_bytes(), &mut Vec::new());
        assert!(read.is_err(), "{half}: {read:?}");
    }
}

#[test]
fn null_means_absent() {
    let json = r#"{"output":null,"stopReason":null,"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3,
        "cacheReadInputTokens":null,"cacheDetails":null},"metrics":null,"trace":null,"serviceTier":null}"#;
    let usage = pb::TokenUsage { input_tokens: 1, output_tokens: 2, total_tokens: 3, ..Default::default() };
    assert_eq!(reply(json), pb::ConverseResponse { usage: Some(usage), ..Default::default() });
    assert_eq!(block_of_reply(r#"{"text":"a","toolUse":null}"#).block, Some(Block::Text("a".to_owned())));
}

#[test]
fn the_order_of_members_does_not_matter() {
    let usage =
        [r#""inputTokens":1"#, r#""outputTokens":2"#, r#""totalTokens":3"#, r#""cacheReadInputTokens":4"#];
    let message = r#""output":{"message":{"content":[{"toolUse":{"input":{"b":1,"a":2},"name":"n","toolUseId":"t"}}],"role":"assistant"}}"#;
    let reply_of = |usage: &[&str], rest: &[&str]| {
        let usage = format!(r#""usage":{{{}}}"#, usage.join(","));
        reply(&format!("{{{}}}", [&[usage.as_str()], rest].concat().join(",")))
    };
    let rest = [message, r#""stopReason":"tool_use""#, r#""metrics":{"latencyMs":7}"#];
    let first = reply_of(&usage, &rest);
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..50 {
        let (mut usage, mut rest) = (usage, rest);
        random.shuffle(&mut usage);
        random.shuffle(&mut rest);
        assert_eq!(reply_of(&usage, &rest), first);
    }
}

#[test]
fn an_unknown_member_is_reported_and_ignored() {
    let json = r#"{"brandNew":{"a":[1,{"b":null}]},"stopReason":"end_turn","p":"abcd",
        "usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3,"cacheReadInputTokenCount":0,"colour":"red"},
        "metrics":{"latencyMs":5,"brand\u004eew":1}}"#;
    let mut unknown = Vec::new();
    let reply: pb::ConverseResponse =
        codec::message("ConverseResponse", json.as_bytes(), &mut unknown).expect("can be read");
    let member = |message, member: &str| UnknownMember { message, member: member.to_owned() };
    let expected = [
        member("ConverseResponse", "brandNew"),
        member("TokenUsage", "colour"),
        member("ConverseMetrics", "brandNew"),
    ];
    assert_eq!(unknown, expected);
    assert_eq!(
        (reply.raw_stop_reason.as_str(), reply.metrics.map(|it| it.latency_ms)),
        ("end_turn", Some(5))
    );
}

#[test]
fn an_unknown_block_goes_back_as_history_unchanged() {
    for json in [
        r#"{"futureBlock":{"b":9007199254740993,"a":[1.0, null , "\ud83e"]}}"#,
        r#"{"futureBlock":"text"}"#,
        r#"{"futureBlock":null}"#,
    ] {
        let received = block_of_reply(json);
        assert_eq!(received.block, Some(Block::UnknownJson(json.to_owned())));
        assert_eq!(block(received.block.expect("is one")), json);
    }
    let in_result = r#"{"toolResult":{"toolUseId":"t1","content":[{"text":"a"},{"futureBlock":[1e400]}]}}"#;
    assert_eq!(block(block_of_reply(in_result).block.expect("is one")), in_result);
    let delta = delta(r#"{"futureDelta":{"a": 1}}"#);
    assert_eq!(delta, Some(Delta::UnknownJson(r#"{"futureDelta":{"a": 1}}"#.to_owned())));
}

#[test]
fn an_unknown_member_beside_a_known_one_is_reported() {
    let json = r#"{"output":{"message":{"role":"assistant","content":[{"futureBlock":1,"text":"a"}]}}}"#;
    let mut unknown = Vec::new();
    let reply: pb::ConverseResponse =
        codec::message("ConverseResponse", json.as_bytes(), &mut unknown).expect("can be read");
    assert_eq!(unknown, [UnknownMember { message: "ContentBlock", member: "futureBlock".to_owned() }]);
    assert!(format!("{reply:?}").contains("Text(\"a\")"), "{reply:?}");
}

#[test]
fn an_unknown_stop_reason_is_kept_as_text() {
    let ModelEvent::MessageStop(stop) = event("messageStop", r#"{"stopReason":"got_bored"}"#) else {
        panic!("is another event")
    };
    assert_eq!(
        (stop.stop_reason(), stop.raw_stop_reason.as_str()),
        (pb::StopReason::Unspecified, "got_bored")
    );
    let ModelEvent::MessageStop(stop) = event("messageStop", r#"{"stopReason":"max_tokens"}"#) else {
        panic!("is another event")
    };
    assert_eq!(
        (stop.stop_reason(), stop.raw_stop_reason.as_str()),
        (pb::StopReason::MaxTokens, "max_tokens")
    );
    assert_eq!(reply(r#"{"stopReason":"got_bored"}"#).raw_stop_reason, "got_bored");
    assert_eq!(stop_reason("got_bored"), pb::StopReason::Unspecified);
}

#[test]
fn a_number_out_of_the_range_of_its_field_is_a_failure() {
    let read = |number: &str| {
        let json = format!(r#"{{"inputTokens":{number},"outputTokens":0,"totalTokens":0}}"#);
        codec::message::<pb::TokenUsage>("TokenUsage", json.as_bytes(), &mut Vec::new())
    };
    assert_eq!(read("2147483647").expect("fits").input_tokens, i32::MAX);
    for number in ["2147483648", "-2147483649", "4294967297", "9223372036854775808", "1e400", "1.5"] {
        assert!(read(number).is_err(), "{number}");
    }
    let metrics: pb::ConverseMetrics =
        codec::message("ConverseMetrics", br#"{"latencyMs":9223372036854775807}"#, &mut Vec::new())
            .expect("fits");
    assert_eq!(metrics.latency_ms, i64::MAX);
}

#[test]
fn a_double_is_decoded_exactly() {
    for number in [
        0.1,
        1.0 / 3.0,
        0.722_435_123_456_789_1,
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
        1e23,
        -1.139_648_921_886_923_5,
    ] {
        let filter = pb::GuardrailContextualGroundingFilter { score: number, ..Default::default() };
        let json = codec::json("GuardrailContextualGroundingFilter", &filter);
        let read: pb::GuardrailContextualGroundingFilter =
            codec::message("GuardrailContextualGroundingFilter", &json, &mut Vec::new())
                .expect("can be read");
        assert_eq!(read.score.to_bits(), number.to_bits(), "{number}");
    }
}

// === counting tokens ===

#[test]
fn a_request_to_count_tokens_has_the_json_of_bedrock() {
    let request = request_with(vec![Block::Text("How long is this?".to_owned())]);
    let extra = pb::converse_tokens_request::AdditionalRequestFields::AdditionalModelRequestFieldsJson(
        r#"{"top_k": 5}"#.to_owned(),
    );
    let converse = pb::ConverseTokensRequest {
        messages: request.messages,
        additional_request_fields: Some(extra),
        ..Default::default()
    };
    let input = pb::CountTokensInput { input: Some(pb::count_tokens_input::Input::Converse(converse)) };
    let request = pb::CountTokensRequest { task_type: "reasoning".to_owned(), input: Some(input) };
    let json = String::from_utf8(codec::json("CountTokensRequest", &request)).expect("is text");
    assert_eq!(
        json,
        r#"{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"How long is this?"}]}],"additionalModelRequestFields":{"top_k": 5}}}}"#
    );

    let raw = pb::InvokeModelTokensRequest { body: br#"{"prompt":"a"}"#.to_vec().into() };
    let input = pb::CountTokensInput { input: Some(pb::count_tokens_input::Input::InvokeModel(raw)) };
    let request = pb::CountTokensRequest { task_type: String::new(), input: Some(input) };
    let json = String::from_utf8(codec::json("CountTokensRequest", &request)).expect("is text");
    assert_eq!(json, r#"{"input":{"invokeModel":{"body":"eyJwcm9tcHQiOiJhIn0="}}}"#);
}

#[test]
fn a_count_of_tokens_is_decoded() {
    let counted: pb::CountTokensResponse =
        codec::message("CountTokensResponse", br#"{"inputTokens":17}"#, &mut Vec::new())
            .expect("can be read");
    assert_eq!(counted, pb::CountTokensResponse { input_tokens: 17, route: None });
}
