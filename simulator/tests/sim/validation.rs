//! Rejected requests and their messages. Messages are Bedrock's where they were recorded.

use serde_json::{Value, json};

use crate::harness::{NOVA, SONNET, Scenario, body, send};

const OPUS_5_5: &str = "us.anthropic.claude-opus-5-5";
const R1: &str = "us.deepseek.r1-v1:0";

/// Returns a body with one user message and the given members.
fn with(members: Value) -> Value {
    let mut body = body("Hello there");
    for (name, value) in members.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

fn conversation(turns: &[(&str, Value)]) -> Value {
    let turns = turns.iter().map(|(role, block)| json!({ "role": role, "content": [block] }));
    json!({ "messages": turns.collect::<Vec<_>>() })
}

fn tool(name: &str) -> Value {
    json!({ "toolSpec": { "name": name, "inputSchema": { "json": { "type": "object" } } } })
}

fn inference(members: Value) -> Value {
    with(json!({ "inferenceConfig": members }))
}

fn additional_fields(members: Value) -> Value {
    with(json!({ "additionalModelRequestFields": members }))
}

async fn assert_rejected(cases: &[(&str, Value, &str)]) {
    let scenario = Scenario::start().await;
    for (model, body, message) in cases {
        for operation in ["converse", "converse-stream"] {
            let (status, answer) = scenario.post(model, operation, body).await;
            assert_eq!(answer["message"], *message, "{model} {body}");
            assert_eq!(status, 400, "{model} {body}");
        }
    }
}

#[tokio::test]
async fn model_ids_are_validated() {
    let needs_profile = "Invocation of model ID anthropic.claude-sonnet-4-6 with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model.";
    assert_rejected(&[
        ("does-not-exist", body("Hello"), "The provided model identifier is invalid."),
        ("apac.anthropic.claude-fable-5", body("Hello"), "The provided model identifier is invalid."),
        ("anthropic.claude-sonnet-4-6", body("Hello"), needs_profile),
    ])
    .await;

    let scenario = Scenario::start().await;
    let (status, answer) = scenario.post("amazon.titan-text-lite-v1", "converse", &body("Hello")).await;
    assert_eq!(status, 404, "{answer}");
    let count = json!({ "input": { "converse": body("Hello") } });
    for model in [NOVA, SONNET, "amazon.nova-lite-v1:0"] {
        let (_, answer) = scenario.post(model, "count-tokens", &count).await;
        assert_eq!(answer["message"], "The provided model doesn't support counting tokens.", "{model}");
    }
}

#[tokio::test]
async fn conversations_are_validated() {
    let text = |text: &str| json!({ "text": text });
    let call = json!({ "toolUse": { "toolUseId": "t1", "name": "look", "input": {} } });
    let result = json!({ "toolResult": { "toolUseId": "t1", "content": [{ "text": "seen" }] } });
    let document =
        json!({ "document": { "name": "notes", "format": "txt", "source": { "text": "Notes." } } });
    let history = |turns: &[(&str, Value)]| {
        let mut body = conversation(turns);
        body["toolConfig"] = json!({ "tools": [tool("look")] });
        body
    };
    let alternate = "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.";
    let blank = "The text field in the ContentBlock object at messages.0.content.0 is blank. Add text to the text field, and try again.";
    assert_rejected(&[
        (NOVA, conversation(&[("user", text("One")), ("user", text("Two"))]), alternate),
        (NOVA, conversation(&[("assistant", text("Hi"))]), "A conversation must start with a user message. Try again with a conversation that starts with a user message."),
        (NOVA, json!({ "messages": [{ "role": "user", "content": [] }] }), "The content field in the Message object at messages.0 is empty. Add a ContentBlock object to the content field and try again."),
        (SONNET, body(" \n"), blank),
        (NOVA, body(""), blank),
        (SONNET, conversation(&[("user", document)]), "A text block must be included when using documents. Add a text block and retry your request."),
        (SONNET, conversation(&[("user", text("Look")), ("assistant", call.clone()), ("user", result.clone())]), "The toolConfig field must be defined when using toolUse and toolResult content blocks."),
        (SONNET, history(&[("user", text("Look")), ("assistant", call.clone()), ("user", text("Well?"))]), "Expected toolResult blocks at messages.2.content for the following Ids: t1"),
        (SONNET, history(&[("user", result.clone())]), "The number of toolResult blocks at messages.0.content exceeds the number of toolUse blocks of previous turn."),
    ])
    .await;

    let scenario = Scenario::start().await;
    let valid = [
        (SONNET, conversation(&[("user", text("One")), ("user", text("Two"))])),
        (NOVA, body(" ")),
        (SONNET, history(&[("user", text("Look")), ("assistant", call), ("user", result)])),
        (SONNET, with(json!({ "system": [], "inferenceConfig": {}, "top_k": 5 }))),
    ];
    for (model, body) in valid {
        let (status, answer) = scenario.post(model, "converse", &body).await;
        assert_eq!(status, 200, "{answer}");
    }
}

#[tokio::test]
async fn requests_are_validated_against_the_service_model() {
    let one = "1 validation error detected: Value";
    let constraint = "failed to satisfy constraint: Member must";
    let cases = [
        (inference(json!({ "maxTokens": 0 })), format!("{one} '0' at 'inferenceConfig.maxTokens' {constraint} have value greater than or equal to 1")),
        (inference(json!({ "temperature": 1.5 })), format!("{one} '1.5' at 'inferenceConfig.temperature' {constraint} have value less than or equal to 1")),
        (conversation(&[("robot", json!({ "text": "Hi" }))]), format!("{one} 'robot' at 'messages.1.member.role' {constraint} satisfy enum value set: [user, assistant, system]")),
        (json!({ "messages": [{ "role": "user" }] }), format!("{one} null at 'messages.1.member.content' {constraint} not be null")),
        (with(json!({ "toolConfig": { "tools": [] } })), format!("{one} '' at 'toolConfig.tools' {constraint} have length greater than or equal to 1")),
        (with(json!({ "toolConfig": { "tools": [tool("no spaces")] } })), format!("{one} 'no spaces' at 'toolConfig.tools.1.member.toolSpec.name' {constraint} satisfy regular expression pattern: [a-zA-Z0-9_-]+")),
        (with(json!({ "system": [{ "text": "" }] })), format!("{one} '' at 'system.1.member.text' {constraint} have length greater than or equal to 1")),
        (conversation(&[("user", json!({ "cachePoint": { "type": "default" }, "text": "Hi" }))]), "The ContentBlock object at messages.0.content.0 must set only one of the following keys: audio, cachePoint, citationsContent, document, guardContent, image, reasoningContent, searchResult, text, toolAddition, toolRemoval, toolResult, toolUse, video.".to_owned()),
        (conversation(&[("user", json!({ "text": 5 }))]), "NUMBER_VALUE at messages.0.content.0.text can not be converted to a String".to_owned()),
        (inference(json!({ "maxTokens": 0, "topP": 2 })), format!("2 validation errors detected: Value '0' at 'inferenceConfig.maxTokens' {constraint} have value greater than or equal to 1; Value '2' at 'inferenceConfig.topP' {constraint} have value less than or equal to 1")),
    ];
    let cases: Vec<_> = cases.iter().map(|(body, message)| (NOVA, body.clone(), message.as_str())).collect();
    assert_rejected(&cases).await;
}

#[tokio::test]
async fn models_reject_what_they_do_not_support() {
    let deprecated = "The model returned the following errors: `temperature` is deprecated for this model.";
    let both = "The model returned the following errors: `temperature` and `top_p` cannot both be specified for this model. Please use only one.";
    let prefill = "The model returned the following errors: This model does not support assistant message prefill. The conversation must end with a user message.";
    let strict = json!({ "toolSpec": { "name": "look", "strict": true, "inputSchema": { "json": { "type": "object" } } } });
    let schema =
        json!({ "textFormat": { "type": "json_schema", "structure": { "jsonSchema": { "schema": "{}" } } } });
    let image = json!({ "image": { "format": "png", "source": { "bytes": "iVBORw0K" } } });
    assert_rejected(&[
        ("us.anthropic.claude-opus-4-8", inference(json!({ "temperature": 0.5 })), deprecated),
        (SONNET, inference(json!({ "temperature": 0.5, "topP": 0.5 })), both),
        (NOVA, inference(json!({ "maxTokens": 10_001 })), "The maximum tokens you requested exceeds the model limit of 10000. Try again with a maximum tokens value that is lower than 10000."),
        (OPUS_5_5, with(json!({ "toolConfig": { "tools": [tool("look")], "toolChoice": { "any": {} } } })), "This model doesn't support the toolConfig.toolChoice.any field. Remove toolConfig.toolChoice.any and try again."),
        (SONNET, conversation(&[("user", json!({ "text": "Hi" })), ("assistant", json!({ "text": "{" }))]), prefill),
        (OPUS_5_5, with(json!({ "toolConfig": { "tools": [strict] } })), "This model doesn't support the strict field at toolConfig.tools.0.toolSpec. Remove strict and try again."),
        (OPUS_5_5, with(json!({ "outputConfig": schema })), "This model doesn't support the outputConfig.textFormat field. Remove outputConfig.textFormat and try again."),
        (R1, with(json!({ "toolConfig": { "tools": [tool("look")] } })), "This model doesn't support tool use."),
        (R1, conversation(&[("user", image)]), "This model doesn't support the image content block that you provided. Update the content block and try again."),
        (OPUS_5_5, additional_fields(json!({ "thinking": { "type": "enabled", "budget_tokens": 2000 } })), "The model returned the following errors: \"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" instead."),
        (SONNET, with(json!({ "inferenceConfig": { "maxTokens": 2000 }, "additionalModelRequestFields": { "thinking": { "type": "enabled", "budget_tokens": 2000 } } })), "The model returned the following errors: `max_tokens` must be greater than `thinking.budget_tokens`."),
        ("qwen.qwen3-32b-v1:0", body(&"word ".repeat(33_000)), "The model returned the following errors: Input is too long for requested model."),
    ])
    .await;

    let scenario = Scenario::start().await;
    let mut cached = body("Hello");
    cached["system"] = json!([{ "text": "Be brief." }, { "cachePoint": { "type": "default" } }]);
    let (status, answer) = scenario.post("openai.gpt-oss-120b-1:0", "converse", &cached).await;
    assert_eq!(status, 403, "{answer}");
}

#[tokio::test]
async fn calls_need_a_credential_scoped_to_bedrock() {
    let scenario = Scenario::start().await;
    let path = format!("/model/{}/converse", NOVA.replace(':', "%3A"));
    let signed = |service: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKID/20261122/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00"
        )
    };
    let (s3, bedrock) = (signed("s3"), signed("bedrock"));
    let cases =
        [(None, 403), (Some(s3.as_str()), 403), (Some(bedrock.as_str()), 200), (Some("Bearer key"), 200)];
    for (authorization, expected) in cases {
        let (status, answer) = send(&scenario.simulator, "POST", &path, authorization, &body("Hello")).await;
        assert_eq!(status, expected, "{authorization:?}: {answer}");
    }
    let (status, _) = send(&scenario.simulator, "GET", &path, Some("Bearer key"), &Value::Null).await;
    assert_eq!(status, 404);
}
