//! Unit tests of rules that are too detailed for a scenario.
use super::*;
use crate::{catalogue::Catalogue, config::Config, snapshot::Snapshot};
use switchboard_proto::names::action_name;
use switchboard_proto::v1::{
    content_block::Block, converse_request::AdditionalRequestFields as Extras, system_content_block,
};

const HAIKU: &str = "anthropic.claude-haiku-4-5-20251001-v1:0";

/// The request as it is sent to this model, and the adjustments.
fn shaped(model_id: &str, request: &pb::ConverseRequest) -> (pb::ConverseRequest, Vec<String>) {
    let routes = Snapshot::build(
        &Config::for_two_models(model_id, model_id),
        &Catalogue::built_in(),
        "us-east-1",
        &Default::default(),
    )
    .routes;
    let task = routes.plan("").expect("is a task").task;
    let inference = pb::InferenceConfiguration { max_tokens: Some(10), ..Default::default() };
    let input = ShapeInput { task: &task, request, inference: &inference, method: Method::Converse };
    let shaped = shape(input, &task.candidates[0]).expect("is eligible");
    let changes =
        shaped.adjustments.iter().map(|change| format!("{} {}", action_name(change.action()), change.path));
    let changes = changes.collect();
    (shaped.request.into_owned(), changes)
}

fn point(ttl: Option<&str>) -> pb::CachePointBlock {
    pb::CachePointBlock { r#type: "default".to_owned(), ttl: ttl.map(ToOwned::to_owned) }
}

fn asking(blocks: Vec<Block>) -> pb::ConverseRequest {
    let content = blocks.into_iter().map(|block| pb::ContentBlock { block: Some(block) }).collect();
    pb::ConverseRequest {
        messages: vec![pb::Message { role: "user".to_owned(), content }],
        ..Default::default()
    }
}

fn text() -> Block {
    Block::Text("Hello".to_owned())
}

#[test]
fn a_request_without_changes_is_not_copied() {
    let routes = Snapshot::build(
        &Config::for_two_models(HAIKU, HAIKU),
        &Catalogue::built_in(),
        "us-east-1",
        &Default::default(),
    )
    .routes;
    let task = routes.plan("").expect("is a task").task;
    let (request, inference) = (asking(vec![text()]), pb::InferenceConfiguration::default());
    let input =
        ShapeInput { task: &task, request: &request, inference: &inference, method: Method::ConverseStream };
    let shaped = shape(input, &task.candidates[0]).expect("is eligible");
    assert!(matches!(shaped.request, Cow::Borrowed(_)));
}

#[test]
fn the_last_cache_points_are_kept() {
    let mut request = asking((0..5).flat_map(|_| [text(), Block::CachePoint(point(None))]).collect());
    request.system =
        vec![pb::SystemContentBlock { block: Some(system_content_block::Block::CachePoint(point(None))) }];
    let (shaped, changes) = shaped(HAIKU, &request);
    assert_eq!(changes, ["removed system[0]", "removed messages[0].content[1]"]);
    assert!(shaped.system.is_empty());
    assert_eq!(shaped.messages[0].content.len(), 9);
}

#[test]
fn a_model_without_prompt_caching_gets_no_cache_points() {
    let request = asking(vec![text(), Block::CachePoint(point(Some("1h")))]);
    let (shaped, changes) = shaped("meta.llama3-3-70b-instruct-v1:0", &request);
    assert_eq!(changes, ["removed messages[0].content[1]"]);
    assert_eq!(shaped.messages[0].content.len(), 1);
}

#[test]
fn cache_lifetimes_are_limited_to_those_of_the_model() {
    let request = asking(vec![text(), Block::CachePoint(point(Some("1h")))]);
    assert_eq!(shaped(HAIKU, &request).1, Vec::<String>::new());
    let (shaped, changes) = shaped("anthropic.claude-3-7-sonnet-20250219-v1:0", &request);
    assert_eq!(changes, ["removed cache_point.ttl"]);
    assert_eq!(shaped.messages[0].content[1].block, Some(Block::CachePoint(point(None))));
}

#[test]
fn removing_a_field_keeps_the_text_of_the_others() {
    let json = r#"{"b": 9007199254740993, "inferenceConfig": {"topK": 1}, "a": 1.0}"#;
    let extras = Some(Extras::AdditionalModelRequestFieldsJson(json.to_owned()));
    let request = pb::ConverseRequest { additional_request_fields: extras, ..asking(vec![text()]) };
    let expected = r#"{"b":9007199254740993,"a":1.0}"#.to_owned();
    let (shaped, _) = shaped(HAIKU, &request);
    assert_eq!(shaped.additional_request_fields, Some(Extras::AdditionalModelRequestFieldsJson(expected)));
}

#[test]
fn a_struct_is_shaped_as_json_text_is() {
    use prost_types::{Struct, Value, value::Kind};
    let number = |number: f64| Value { kind: Some(Kind::NumberValue(number)) };
    let thinking = Struct {
        fields: [("type".to_owned(), Value::from("enabled")), ("budget_tokens".to_owned(), number(2048.0))]
            .into(),
    };
    let thinking = Value { kind: Some(Kind::StructValue(thinking)) };
    let fields =
        Struct { fields: [("thinking".to_owned(), thinking), ("top_k".to_owned(), number(20.0))].into() };
    let extras = Some(Extras::AdditionalModelRequestFields(fields));
    let request = pb::ConverseRequest { additional_request_fields: extras, ..asking(vec![text()]) };
    let (_, changes) = shaped("anthropic.claude-opus-4-8", &request);
    let family = "additional_model_request_fields";
    assert_eq!(changes, [format!("replaced {family}.thinking"), format!("removed {family}.top_k")]);
}

#[test]
fn only_the_part_that_a_refusal_names_is_removed() {
    for (message, expected) in [
        (
            "The model returned the following errors: `temperature` is deprecated for this model.",
            Some(Repair::Temperature),
        ),
        (
            "The model returned the following errors: `temperature` and `top_p` cannot both be specified for this model.",
            Some(Repair::TopP),
        ),
        (
            "The model returned the following errors: messages.2.content.2.document.source.type: Field required",
            None,
        ),
        (
            "A text block must be included when using documents. Add a text block and retry your request.",
            None,
        ),
        ("messages.1.content.0: Invalid `signature` in `thinking` block", Some(Repair::Reasoning)),
    ] {
        assert_eq!(Repair::named_in(message), expected, "{message}");
    }
}
