//! Shaping: the request of each attempt is adjusted to its model.
//!
//! The simulator refuses what Bedrock's models refuse, so an answer proves that the request was adjusted
//! correctly.
use crate::{harness::*, simulated::Simulated};
use bedrock_sim::{Fault, FaultRule};
use switchboard_proto::v1::{
    self as pb, content_block::Block, converse_request::AdditionalRequestFields, tool_use_block::Arguments,
};
use switchboard_server::config::{Config, Model, Task, Unsupported};
use tonic::Code;

const OPUS: &str = "us.anthropic.claude-opus-4-8";
const SONNET: &str = "us.anthropic.claude-sonnet-4-6";
const HAIKU: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const NOVA: &str = "us.amazon.nova-pro-v1:0";
const NOVA_MICRO: &str = "us.amazon.nova-micro-v1:0";
/// The simulator treats it as a Claude Sonnet 4.5; the catalogue does not know that.
const PROFILE: &str = "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/abc123";

/// A server whose task "work" has the given models.
async fn served_by(models: &[&str], unsupported: Unsupported) -> Simulated {
    let mut config = Config::for_two_models(models[0], models.get(1).unwrap_or(&models[0]));
    let names: &[&'static str] = if models.len() > 1 { &["primary", "fallback"] } else { &["primary"] };
    let task = Task { unsupported, ..Task::new("", names.iter().copied()) };
    config.tasks.insert("work".to_owned(), task);
    config.models.insert("primary".to_owned(), Model::new(models[0]));
    config.breaker.enabled = false; // one fault must not affect the next call
    Box::pin(Simulated::serving(config)).await
}

async fn answered(
    switchboard: &Simulated,
    request: pb::ConverseRequest,
) -> (pb::ConverseResponse, pb::Route) {
    let reply = switchboard.caller().converse(request).await.unwrap_or_else(|status| panic!("{status:?}"));
    let reply = reply.into_inner();
    let route = reply.route.clone().expect("has a route");
    (reply, route)
}

/// The adjustments for the model that answered, as `action path`, without the `max_tokens` that every call
/// gets.
fn changes(route: &pb::Route) -> Vec<String> {
    let answered = route.attempts.last().expect("has an attempt");
    let adjusted = answered.adjustments.iter().filter(|change| change.path != "inference_config.max_tokens");
    adjusted.map(|change| format!("{} {}", action_name(change.action()), change.path)).collect()
}

fn sampled(temperature: Option<f64>, top_p: Option<f64>) -> pb::ConverseRequest {
    let inference = pb::InferenceConfiguration { temperature, top_p, ..Default::default() };
    pb::ConverseRequest { inference_config: Some(inference), ..chat_request("work", "What is a monad?") }
}

fn with_extras(json: &str) -> pb::ConverseRequest {
    let extras = AdditionalRequestFields::AdditionalModelRequestFieldsJson(json.to_owned());
    pb::ConverseRequest {
        additional_request_fields: Some(extras),
        ..chat_request("work", "Think: what is a monad?")
    }
}

fn with_block(block: Block) -> pb::ConverseRequest {
    let mut request = chat_request("work", "What is this?");
    request.messages[0].content.push(pb::ContentBlock { block: Some(block) });
    request
}

fn image() -> Block {
    let source =
        pb::ImageSource { source: Some(pb::image_source::Source::Bytes(b"an image".as_slice().into())) };
    Block::Image(pb::ImageBlock { format: "png".to_owned(), source: Some(source), error: None })
}

#[tokio::test]
async fn sampling_parameters_are_sent_only_to_models_that_accept_them() {
    for (model, request, expected) in [
        (OPUS, sampled(Some(0.5), None), vec!["removed inference_config.temperature"]),
        (
            OPUS,
            sampled(Some(0.5), Some(0.9)),
            vec!["removed inference_config.temperature", "removed inference_config.top_p"],
        ),
        (HAIKU, sampled(Some(0.5), Some(0.9)), vec!["removed inference_config.top_p"]),
        (HAIKU, sampled(Some(0.5), None), vec![]),
        (NOVA, sampled(Some(0.5), Some(0.9)), vec![]),
    ] {
        let switchboard = served_by(&[model], Unsupported::Adjust).await;
        let (_, route) = answered(&switchboard, request).await;
        assert_eq!(changes(&route), expected, "{model}");
    }
}

#[tokio::test]
async fn max_tokens_above_the_models_limit_is_lowered_and_reported() {
    let switchboard = served_by(&[HAIKU], Unsupported::Adjust).await;
    let inference = pb::InferenceConfiguration { max_tokens: Some(2_000_000), ..Default::default() };
    let request = pb::ConverseRequest { inference_config: Some(inference), ..chat_request("work", "Hello") };
    let (_, route) = answered(&switchboard, request).await;
    let change = &route.attempts[0].adjustments[0];
    assert_eq!(
        (change.path.as_str(), action_name(change.action())),
        ("inference_config.max_tokens", "lowered")
    );
    assert_eq!(switchboard.handle().calls()[0].body["inferenceConfig"]["maxTokens"], 64_000);
}

#[tokio::test]
async fn tools_in_the_history_are_declared() {
    let switchboard = served_by(&[SONNET], Unsupported::Adjust).await;
    let arguments = Some(Arguments::InputJson(r#"{"city":"Rome"}"#.to_owned()));
    let tool_use = pb::ToolUseBlock {
        tool_use_id: "t1".to_owned(),
        name: "weather".to_owned(),
        arguments,
        ..Default::default()
    };
    let answer = pb::tool_result_content_block::Block::JsonText(r#"{"celsius":31}"#.to_owned());
    let tool_result = pb::ToolResultBlock {
        tool_use_id: "t1".to_owned(),
        content: vec![pb::ToolResultContentBlock { block: Some(answer) }],
        ..Default::default()
    };
    let block = |block| vec![pb::ContentBlock { block: Some(block) }];
    let mut request = chat_request("work", "How warm is Rome?");
    let message = |role: &str, content| pb::Message { role: role.to_owned(), content };
    request.messages.push(message("assistant", block(Block::ToolUse(tool_use))));
    request.messages.push(message("user", block(Block::ToolResult(tool_result))));

    let (_, route) = answered(&switchboard, request).await;

    assert_eq!(changes(&route), ["added tool_config"]);
    let sent = switchboard.handle().calls()[0].body.clone();
    assert_eq!(sent["toolConfig"]["tools"][0]["toolSpec"]["name"], "weather");
}

/// A conversation that contains the reasoning of a model.
async fn conversation_with_reasoning(switchboard: &Simulated) -> pb::ConverseRequest {
    let mut request = with_extras(r#"{"thinking":{"type":"enabled","budget_tokens":2048}}"#);
    let (reply, _) = answered(switchboard, request.clone()).await;
    let Some(pb::converse_output::Output::Message(thought)) = reply.output.and_then(|output| output.output)
    else {
        panic!("has no message")
    };
    let thinks = |block: &pb::ContentBlock| matches!(block.block, Some(Block::ReasoningContent(_)));
    assert!(thought.content.iter().any(thinks), "{thought:?}");
    request.messages.extend([thought, text_message("user", "Go on.")]);
    request
}

fn bodies_with_reasoning(switchboard: &Simulated) -> Vec<bool> {
    let bodies = switchboard.handle().calls().into_iter().map(|call| call.body.to_string());
    bodies.map(|body| body.contains("reasoningContent")).collect()
}

#[tokio::test]
async fn reasoning_is_sent_back_only_to_the_model_that_wrote_it() {
    let switchboard = served_by(&[SONNET, HAIKU], Unsupported::Adjust).await;
    let next = conversation_with_reasoning(&switchboard).await;

    let (_, same) = answered(&switchboard, next.clone()).await;
    switchboard.handle().inject(FaultRule::on(SONNET, Fault::throttle()));
    let (_, other) = answered(&switchboard, next).await;

    assert_eq!((same.model_id.as_str(), changes(&same)), (SONNET, Vec::new()));
    assert_eq!(other.model_id, HAIKU);
    assert_eq!(changes(&other), ["removed messages[1].content[0].reasoning_content"]);
    let expected = [false, true, true, false];
    assert_eq!(
        bodies_with_reasoning(&switchboard),
        expected,
        "first call, same model, throttled, other model"
    );
}

#[tokio::test]
async fn reasoning_of_another_model_is_removed_after_a_refusal() {
    let switchboard = served_by(&[SONNET, HAIKU], Unsupported::Adjust).await;
    switchboard.handle().inject(FaultRule::on(SONNET, Fault::throttle()).times(1));
    let next = conversation_with_reasoning(&switchboard).await;
    switchboard.handle().clear_calls();

    let (_, route) = answered(&switchboard, next).await;

    assert_eq!(attempts(&route), [format!("{SONNET} REJECTED"), format!("{SONNET} OK")]);
    assert_eq!(changes(&route), ["removed reasoning_content"]);
    assert_eq!(bodies_with_reasoning(&switchboard), [true, false]);
}

#[tokio::test]
async fn fields_of_one_model_family_are_not_sent_to_another() {
    let switchboard = served_by(&[HAIKU, NOVA], Unsupported::Adjust).await;
    let request = with_extras(r#"{"top_k":20,"inferenceConfig":{"topK":9007199254740993},"made_up":1.0}"#);

    let (_, claude) = answered(&switchboard, request.clone()).await;
    switchboard.handle().inject(FaultRule::on(HAIKU, Fault::throttle()));
    let (_, nova) = answered(&switchboard, request).await;

    assert_eq!(changes(&claude), ["removed additional_model_request_fields.inferenceConfig"]);
    let family = "additional_model_request_fields";
    assert_eq!(changes(&nova), [format!("removed {family}.top_k"), format!("removed {family}.made_up")]);
}

#[tokio::test]
async fn a_thinking_budget_is_replaced_for_an_adaptive_model() {
    let switchboard = served_by(&[OPUS], Unsupported::Adjust).await;
    let (_, route) =
        answered(&switchboard, with_extras(r#"{"thinking":{"type":"enabled","budget_tokens":4096}}"#)).await;
    assert_eq!(changes(&route), ["replaced additional_model_request_fields.thinking"]);
}

#[tokio::test]
async fn a_thinking_budget_is_added_to_max_tokens() {
    let switchboard = served_by(&[HAIKU], Unsupported::Adjust).await;
    answered(&switchboard, with_extras(r#"{"thinking":{"type":"enabled","budget_tokens":4096}}"#)).await;
    assert_eq!(switchboard.handle().calls()[0].body["inferenceConfig"]["maxTokens"], 4096 + 4096);
}

#[tokio::test]
async fn a_document_name_is_changed_to_one_that_bedrock_accepts() {
    let switchboard = served_by(&[HAIKU], Unsupported::Adjust).await;
    let source = pb::document_source::Source::Text("All is fine.".to_owned());
    let document = pb::DocumentBlock {
        name: "report_2026/11.final.txt".to_owned(),
        format: Some("txt".to_owned()),
        source: Some(pb::DocumentSource { source: Some(source), ..Default::default() }),
        ..Default::default()
    };
    let (_, route) = answered(&switchboard, with_block(Block::Document(document))).await;
    assert_eq!(changes(&route), ["replaced messages[0].content[1].document.name"]);
}

#[tokio::test]
async fn a_model_that_does_not_support_the_request_is_skipped_with_the_reason() {
    let switchboard = served_by(&[NOVA_MICRO, HAIKU], Unsupported::Adjust).await;
    let (_, route) = answered(&switchboard, with_block(image())).await;
    assert_eq!(attempts(&route), [format!("{NOVA_MICRO} SKIPPED"), format!("{HAIKU} OK")]);
    assert_eq!(route.attempts[0].unmet_requirement, "images");
    assert_eq!(switchboard.handle().calls().len(), 1);
}

#[tokio::test]
async fn if_no_model_supports_the_request_the_status_says_what_each_lacks() {
    let switchboard = served_by(&[NOVA_MICRO], Unsupported::Adjust).await;
    let status = switchboard.caller().converse(with_block(image())).await.expect_err("is refused");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "NO_ELIGIBLE_MODEL"));
    assert_eq!(invalid_fields(&status), ["messages[0].content[1].image"]);
    assert!(status.message().contains(&format!("{NOVA_MICRO} lacks images")), "{}", status.message());
    assert!(switchboard.handle().calls().is_empty());
}

#[tokio::test]
async fn a_task_may_skip_models_instead_of_adjusting_requests() {
    let switchboard = served_by(&[OPUS, HAIKU], Unsupported::Reject).await;
    let (_, route) = answered(&switchboard, sampled(Some(0.5), None)).await;
    assert_eq!(attempts(&route), [format!("{OPUS} SKIPPED"), format!("{HAIKU} OK")]);
    assert!(route.attempts[0].unmet_requirement.contains("sampling"), "{route:?}");

    let switchboard = served_by(&[OPUS], Unsupported::Reject).await;
    let status = switchboard.caller().converse(sampled(Some(0.5), None)).await.expect_err("is refused");
    assert_eq!(invalid_fields(&status), ["inference_config.temperature"]);
}

#[tokio::test]
async fn a_parameter_that_bedrock_refuses_is_removed_and_sent_again_once() {
    let switchboard = served_by(&[PROFILE], Unsupported::Adjust).await;
    let (_, route) = answered(&switchboard, sampled(Some(0.5), Some(0.9))).await;
    let shown = "application-inference-profile/abc123"; // without the account
    assert_eq!(attempts(&route), [format!("{shown} REJECTED"), format!("{shown} OK")]);
    let learned: Vec<_> = route.attempts[1].adjustments.iter().filter(|change| change.learned).collect();
    assert_eq!(learned.len(), 1);
    assert_eq!(learned[0].path, "inference_config.top_p");
    assert!(!route.fallback_used);

    let switchboard = served_by(&[PROFILE], Unsupported::Reject).await;
    let status = switchboard.caller().converse(sampled(Some(0.5), Some(0.9))).await.expect_err("is refused");
    assert_eq!(reason(&status), "MODEL_REJECTED");
}

#[tokio::test]
async fn a_request_too_long_for_one_model_goes_to_a_model_with_a_larger_context() {
    let switchboard = served_by(&[HAIKU, OPUS], Unsupported::Adjust).await;
    let long = "word ".repeat(230_000);
    let (_, route) = answered(&switchboard, chat_request("work", &long)).await;
    assert_eq!(route.model_id, OPUS, "{route:?}");
    let too_long_for_all = "word ".repeat(1_100_000);
    let status = switchboard.converse("work", &too_long_for_all).await.expect_err("is refused");
    assert_eq!(reason(&status), "NO_ELIGIBLE_MODEL");
}

#[tokio::test]
async fn tokens_are_counted_for_the_tasks_first_model() {
    let switchboard = served_by(&[HAIKU], Unsupported::Adjust).await;
    let conversation = pb::ConverseTokensRequest {
        messages: vec![text_message("user", "What is a monad?")],
        ..Default::default()
    };
    let input = pb::count_tokens_input::Input::Converse(conversation);
    let request = pb::CountTokensRequest {
        task_type: "work".to_owned(),
        input: Some(pb::CountTokensInput { input: Some(input) }),
    };
    let counted = switchboard.caller().count_tokens(request).await.expect("counts").into_inner();
    let (reply, _) = answered(&switchboard, chat_request("work", "What is a monad?")).await;
    assert_eq!(Some(counted.input_tokens), reply.usage.map(|usage| usage.input_tokens));
    assert_eq!(counted.route.map(|route| route.model_id), Some(HAIKU.to_owned()));

    let status =
        switchboard.caller().count_tokens(pb::CountTokensRequest::default()).await.expect_err("is refused");
    assert_eq!(invalid_fields(&status), ["input"]);
}

#[tokio::test]
async fn an_explained_route_lists_the_adjustments() {
    let switchboard = served_by(&[OPUS, NOVA_MICRO], Unsupported::Adjust).await;
    let mut request = with_block(image());
    request.inference_config =
        Some(pb::InferenceConfiguration { temperature: Some(0.5), ..Default::default() });
    let request = pb::ExplainRouteRequest { request: Some(request), ..Default::default() };
    let explained = switchboard.routing().explain_route(request).await.expect("answers").into_inner();
    let [opus, micro] = explained.candidates.as_slice() else { panic!("two candidates") };
    assert!(opus.adjustments.iter().any(|change| change.path == "inference_config.temperature"));
    assert_eq!(
        (opus.catalogue_entry.as_str(), micro.unmet_requirement.as_str()),
        ("anthropic.claude-opus-4-8", "images")
    );
    assert!(switchboard.handle().calls().is_empty());
}
