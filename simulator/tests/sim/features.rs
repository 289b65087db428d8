//! Tools, structured output, reasoning, citations and guardrails.

use serde_json::{Value, json};

use crate::harness::{NOVA, SONNET, Scenario, body, read_stream, text, user};

fn weather_tool() -> Value {
    json!({ "tools": [{ "toolSpec": {
        "name": "get_weather",
        "description": "The weather in a city",
        "inputSchema": { "json": {
            "type": "object",
            "properties": {
                "city": { "type": "string" },
                "unit": { "type": "string", "enum": ["celsius", "fahrenheit"] },
                "days": { "type": "integer", "minimum": 1, "maximum": 7 },
            },
            "required": ["city", "unit"],
        } },
    } }] })
}

fn content(answer: &Value) -> &Value {
    &answer["output"]["message"]["content"]
}

#[tokio::test]
async fn a_suggested_tool_is_called_and_its_result_is_used() {
    let scenario = Scenario::start().await;
    let mut body = body("What is the weather in Lisbon for 3 days?");
    body["toolConfig"] = weather_tool();
    let (_, call) = scenario.post(NOVA, "converse", &body).await;
    assert_eq!(call["stopReason"], "tool_use", "{call}");
    let used = &content(&call)[0]["toolUse"];
    assert_eq!(used["name"], "get_weather");
    assert_eq!(used["input"]["city"], "Lisbon");
    assert_eq!(used["input"]["days"], 3);
    assert!(["celsius", "fahrenheit"].contains(&used["input"]["unit"].as_str().expect("a unit")));

    let result = json!({ "toolResult": { "toolUseId": used["toolUseId"], "content": [{ "text": "19 degrees, windy" }] } });
    let messages = body["messages"].as_array_mut().expect("messages");
    messages.push(call["output"]["message"].clone());
    messages.push(json!({ "role": "user", "content": [result] }));
    let (_, answer) = scenario.post(NOVA, "converse", &body).await;
    assert_eq!(answer["stopReason"], "end_turn", "{answer}");
    assert!(content(&answer)[0]["text"].as_str().is_some_and(|text| text.contains("19 degrees, windy")));
}

#[tokio::test]
async fn a_tool_is_not_called_unless_suggested_or_forced() {
    let scenario = Scenario::start().await;
    let mut body = body("Write a haiku about moss.");
    body["toolConfig"] = weather_tool();
    let (_, response) = scenario.post(NOVA, "converse", &body).await;
    assert_eq!(response["stopReason"], "end_turn");
    for choice in [json!({ "any": {} }), json!({ "tool": { "name": "get_weather" } })] {
        body["toolConfig"]["toolChoice"] = choice;
        let (_, call) = scenario.post(NOVA, "converse", &body).await;
        assert_eq!(call["stopReason"], "tool_use", "{call}");
    }
}

#[tokio::test]
async fn a_streamed_tool_call_has_several_fragments_of_json() {
    use aws_sdk_bedrockruntime::error::SdkError;
    use aws_sdk_bedrockruntime::types::{
        ContentBlockDelta, ConverseStreamOutput, Tool, ToolConfiguration, ToolInputSchema, ToolSpecification,
    };
    let scenario = Scenario::start().await;
    let properties = [(
        "city".to_owned(),
        aws_smithy_types::Document::Object([("type".to_owned(), "string".into())].into()),
    )];
    let schema = aws_smithy_types::Document::Object(
        [
            ("type".to_owned(), "object".into()),
            ("properties".to_owned(), aws_smithy_types::Document::Object(properties.into())),
        ]
        .into(),
    );
    let tool =
        ToolSpecification::builder().name("get_weather").input_schema(ToolInputSchema::Json(schema)).build();
    let tools =
        ToolConfiguration::builder().tools(Tool::ToolSpec(tool.expect("a tool"))).build().expect("tools");
    let call = scenario.client.converse_stream().model_id(NOVA).messages(user("The weather in Lisbon?"));
    let mut stream = call.tool_config(tools).send().await.expect("a stream").stream;
    let (mut input, mut fragments, mut started) = (String::new(), 0, false);
    while let Some(event) = stream.recv().await.map_err(SdkError::into_service_error).expect("no error") {
        match event {
            ConverseStreamOutput::ContentBlockStart(start) => {
                started = start
                    .start()
                    .is_some_and(|start| start.as_tool_use().is_ok_and(|call| call.name() == "get_weather"));
            }
            ConverseStreamOutput::ContentBlockDelta(delta) => {
                if let Some(ContentBlockDelta::ToolUse(delta)) = delta.delta() {
                    input.push_str(delta.input());
                    fragments += 1;
                }
            }
            _ => {}
        }
    }
    assert!(started && fragments > 1, "{fragments} fragments of {input}");
    assert_eq!(serde_json::from_str::<Value>(&input).expect("valid JSON"), json!({ "city": "Lisbon" }));
}

#[tokio::test]
async fn structured_output_satisfies_its_schema() {
    let scenario = Scenario::start().await;
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "score": { "type": "integer" },
            "tags": { "type": "array", "items": { "$ref": "#/$defs/tag" } },
            "child": { "anyOf": [{ "type": "null" }, { "type": "string" }] },
        },
        "required": ["name", "score", "tags"],
        "additionalProperties": false,
        "$defs": { "tag": { "enum": ["a", "b"] } },
    });
    let mut body = body("Rate \"Moss Garden\" with 8 points.");
    body["outputConfig"] = json!({ "textFormat": { "type": "json_schema", "structure": { "jsonSchema": { "schema": schema.to_string() } } } });
    let (_, answer) = scenario.post(SONNET, "converse", &body).await;
    let text = content(&answer)[0]["text"].as_str().expect("text");
    let value: Value = serde_json::from_str(text).expect("nothing but JSON");
    assert_eq!((&value["name"], &value["score"]), (&json!("Moss Garden"), &json!(8)), "{value}");
    assert!(["a", "b"].contains(&value["tags"][0].as_str().expect("a tag")));
}

#[tokio::test]
async fn only_the_model_that_signed_reasoning_accepts_it() {
    let scenario = Scenario::start().await;
    let mut body = body("How deep is the sea?");
    body["additionalModelRequestFields"] = json!({ "thinking": { "type": "adaptive" } });
    let (_, answer) = scenario.post(SONNET, "converse", &body).await;
    let reasoning = &content(&answer)[0]["reasoningContent"]["reasoningText"];
    assert!(reasoning["signature"].is_string(), "{answer}");

    let messages = body["messages"].as_array_mut().expect("messages");
    messages.push(answer["output"]["message"].clone());
    messages.push(json!({ "role": "user", "content": [{ "text": "And how wide?" }] }));
    assert_eq!(scenario.post(SONNET, "converse", &body).await.0, 200);
    let (status, error) = scenario.post("us.anthropic.claude-sonnet-5", "converse", &body).await;
    assert_eq!(status, 400);
    assert_eq!(
        error["message"],
        "The model returned the following errors: messages.1.content.0: Invalid `signature` in `thinking` block"
    );
    body["messages"][1]["content"][0]["reasoningContent"]["reasoningText"]["text"] =
        json!("I thought of something else.");
    assert_eq!(scenario.post(SONNET, "converse", &body).await.0, 400, "changed reasoning");
}

#[tokio::test]
async fn some_models_always_reason() {
    let scenario = Scenario::start().await;
    for model in ["us.anthropic.claude-opus-5-5", "openai.gpt-oss-20b-1:0"] {
        let result = scenario.stream(model, "How deep is the sea?").await;
        assert_eq!(
            result.outline(),
            [
                "messageStart",
                "reasoning",
                "contentBlockStop",
                "text",
                "contentBlockStop",
                "messageStop",
                "metadata"
            ]
        );
    }
}

#[tokio::test]
async fn documents_with_citations_enabled_are_cited() {
    let scenario = Scenario::start().await;
    let source = json!({ "text": "Moss has no roots. It drinks through its leaves." });
    let document = json!({ "document": {
        "name": "moss", "format": "txt", "source": source, "citations": { "enabled": true },
    } });
    let mut body = body("What does moss lack?");
    body["messages"][0]["content"].as_array_mut().expect("content").push(document);
    let (_, answer) = scenario.post(SONNET, "converse", &body).await;
    let cited = &content(&answer)[1]["citationsContent"];
    assert_eq!(cited["citations"][0]["sourceContent"][0]["text"], "Moss has no roots.", "{answer}");
    assert_eq!(cited["citations"][0]["location"]["documentChar"]["documentIndex"], 0);

    let (status, _) = scenario.post(SONNET, "converse-stream", &body).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_guardrail_intervenes_at_its_trigger_word() {
    use aws_sdk_bedrockruntime::types::{GuardrailStreamConfiguration, GuardrailTrace};
    let scenario = Scenario::start().await;
    let guardrail = GuardrailStreamConfiguration::builder()
        .guardrail_identifier("abc123")
        .guardrail_version("1")
        .trace(GuardrailTrace::Enabled)
        .build();
    let call = scenario.client.converse_stream().model_id(NOVA).guardrail_config(guardrail);
    let result =
        read_stream(call.messages(user("Please guardrail-block this.")).send().await.expect("a stream"))
            .await;
    assert_eq!(result.stop_reason.as_deref(), Some("guardrail_intervened"));
    assert_eq!(result.text, "Sorry, the model cannot answer this question.");

    let plain = scenario.converse(NOVA, "Please guardrail-block this.").await.expect("a response");
    assert!(text(&plain).starts_with("[simulated"), "no guardrail, no intervention");
}
