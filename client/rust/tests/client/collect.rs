//! Collected streams.

use crate::{
    events::*,
    fake::{Answer, Fake},
};
use pb::{
    content_block::Block, content_block_delta::Delta, content_block_start::Start, reasoning_content_block,
    reasoning_content_block_delta::Delta as Reasoning, tool_use_block::Arguments,
};
use switchboard_client::{Collected, Collector, ErrorKind, Event, ask, pb, user};

fn collect(events: Vec<Event>) -> Collected {
    let mut collector = Collector::default();
    events.into_iter().for_each(|event| collector.push(event));
    collector.finish().unwrap()
}

fn blocks(collected: &Collected) -> Vec<Block> {
    collected.message.content.iter().filter_map(|block| block.block.clone()).collect()
}

fn tool_use(id: &str, name: &str, input: &str) -> Block {
    Block::ToolUse(pb::ToolUseBlock {
        tool_use_id: id.to_owned(),
        name: name.to_owned(),
        arguments: Some(Arguments::InputJson(input.to_owned())),
        r#type: None,
    })
}

#[test]
fn collects_interleaved_blocks() {
    let answer = collect(vec![
        route(),
        begin(),
        text(0, "Let me "),
        tool(2, "t2", "now"),
        tool(1, "t1", "weather"),
        tool_input(1, "{\"city\":"),
        text(0, "look."),
        tool_input(1, "\"Rome\",\"id\":12345678901234567890}"),
        tool_input(2, ""),
        stop(pb::StopReason::ToolUse),
        metadata(),
    ]);

    assert_eq!(answer.message.role, "assistant");
    assert_eq!(
        blocks(&answer),
        [
            Block::Text("Let me look.".to_owned()),
            tool_use("t1", "weather", "{\"city\":\"Rome\",\"id\":12345678901234567890}"),
            tool_use("t2", "now", "{}"),
        ]
    );
    assert_eq!(answer.stop_reason, pb::StopReason::ToolUse);
    assert_eq!(answer.tool_uses().count(), 2);
}

#[test]
fn keeps_signed_and_encrypted_reasoning() {
    let answer = collect(vec![
        thought(0, Reasoning::Text("Hm".to_owned())),
        thought(0, Reasoning::Text("m.".to_owned())),
        thought(0, Reasoning::Signature("signed".to_owned())),
        thought(1, Reasoning::RedactedContent(b"sea".as_slice().into())),
        thought(1, Reasoning::RedactedContent(b"led".as_slice().into())),
        text(2, "Yes."),
        metadata(),
    ]);

    let readable = pb::ReasoningTextBlock { text: "Hmm.".to_owned(), signature: Some("signed".to_owned()) };
    let reasoning = |block| Block::ReasoningContent(pb::ReasoningContentBlock { block: Some(block) });
    assert_eq!(
        blocks(&answer),
        [
            reasoning(reasoning_content_block::Block::ReasoningText(readable)),
            reasoning(reasoning_content_block::Block::RedactedContent(b"sealed".as_slice().into())),
            Block::Text("Yes.".to_owned()),
        ]
    );
    assert_eq!(answer.text(), "Yes.");
}

#[test]
fn keeps_citations() {
    let cited = pb::CitationsDelta {
        title: Some("Atlas".to_owned()),
        source_content: vec![pb::CitationSourceContentDelta { text: Some("Rome is warm.".to_owned()) }],
        ..Default::default()
    };

    let answer =
        collect(vec![text(0, "It is "), delta(0, Delta::Citation(cited)), text(0, "warm."), metadata()]);

    let [Block::CitationsContent(block)] = &blocks(&answer)[..] else { panic!("{answer:?}") };
    assert_eq!(block.citations[0].title.as_deref(), Some("Atlas"));
    assert_eq!(block.citations[0].source_content.len(), 1);
    assert_eq!(answer.text(), "It is warm.");
}

#[test]
fn collects_the_parts_of_a_tool_result() {
    use pb::{tool_result_block_delta::Block as Part, tool_result_content_block::Block as Content};
    let start = pb::ToolResultBlockStart { tool_use_id: "t1".to_owned(), r#type: None, status: None };
    let part = |block| {
        let blocks = vec![pb::ToolResultBlockDelta { block: Some(block) }];
        delta(0, Delta::ToolResult(pb::ToolResultDelta { blocks }))
    };

    let answer = collect(vec![
        starts(0, Start::ToolResult(start)),
        part(Part::Text("21 ".to_owned())),
        part(Part::Text("degrees".to_owned())),
        part(Part::JsonText("{\"celsius\":21}".to_owned())),
        metadata(),
    ]);

    let [Block::ToolResult(result)] = &blocks(&answer)[..] else { panic!("{answer:?}") };
    let parts: Vec<_> = result.content.iter().filter_map(|content| content.block.clone()).collect();
    assert_eq!(
        parts,
        [Content::Text("21 degrees".to_owned()), Content::JsonText("{\"celsius\":21}".to_owned())]
    );
}

#[test]
fn keeps_unknown_events_and_blocks() {
    let unknown = Event::Unknown(pb::UnknownEvent { event_type: "sparks".to_owned(), json: "{}".to_owned() });
    let first = delta(0, Delta::UnknownJson("{\"hue\":1}".to_owned()));
    let odd = delta(0, Delta::UnknownJson("{\"tint\":1}".to_owned()));

    let answer = collect(vec![
        unknown.clone(),
        first.clone(),
        text(0, "Blue"),
        odd.clone(),
        starts(1, Start::UnknownJson("{\"newKind\":{}}".to_owned())),
        tool_input(2, "{}"),
        metadata(),
    ]);

    assert_eq!(
        blocks(&answer),
        [Block::Text("Blue".to_owned()), Block::UnknownJson("{\"newKind\":{}}".to_owned())]
    );
    assert_eq!(answer.unplaced, [unknown, first, odd, tool_input(2, "{}")]);
}

#[test]
fn omits_blank_text() {
    let answer = collect(vec![text(0, ""), text(0, "\n"), tool(1, "t1", "now"), metadata()]);

    assert_eq!(blocks(&answer), [tool_use("t1", "now", "{}")]);
}

#[test]
fn a_restart_discards_earlier_events() {
    let mut events = vec![route(), begin(), text(0, "Wrong "), tool(1, "t0", "wrong"), restart()];
    events.extend(says(&["Right."]));

    let answer = collect(events);

    assert_eq!(blocks(&answer), [Block::Text("Right.".to_owned())]);
    assert_eq!(answer.route.unwrap().model_id, "haiku");
}

#[tokio::test]
async fn a_collected_stream_has_usage_latency_and_stop_reason() {
    let fake = Fake::playing([Answer::Events(says(&["Hello", ", you."]))]).await;

    let stream = fake.client().await.stream(ask("default", "Hi")).await.unwrap();
    let answer = stream.collect_message().await.unwrap();

    assert_eq!(answer.text(), "Hello, you.");
    assert_eq!((answer.usage, answer.latency), (Some(usage()), Some(latency())));
    assert_eq!(answer.raw_stop_reason, "end_turn");
    assert_eq!(fake.seen()[0].request.messages, [user("Hi")]);
}

#[tokio::test]
async fn a_stream_without_metadata_is_an_error() {
    let fake = Fake::playing([Answer::Events(vec![route(), begin(), text(0, "Hel")])]).await;

    let stream = fake.client().await.stream(ask("default", "Hi")).await.unwrap();
    let error = stream.collect_message().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Incomplete);
}

#[tokio::test]
async fn text_skips_empty_deltas_and_ends() {
    let fake = Fake::playing([Answer::Events(says(&["Hello", "", ", you."]))]).await;

    let mut text = fake.client().await.stream(ask("default", "Hi")).await.unwrap().text();

    assert_eq!(text.next().await.unwrap().unwrap(), "Hello");
    assert_eq!(text.next().await.unwrap().unwrap(), ", you.");
    assert!(text.next().await.is_none() && text.next().await.is_none());
}

#[tokio::test]
async fn text_fails_if_a_restart_follows_text() {
    let late = [vec![route(), text(0, "Wrong"), restart()], says(&["Right"])].concat();
    let early = [vec![route(), restart()], says(&["Right"])].concat();
    let fake = Fake::playing([Answer::Events(late), Answer::Events(early)]).await;
    let client = fake.client().await;

    let mut text = client.stream(ask("default", "Hi")).await.unwrap().text();
    assert_eq!(text.next().await.unwrap().unwrap(), "Wrong");
    assert_eq!(text.next().await.unwrap().unwrap_err().kind(), ErrorKind::Restarted);
    assert!(text.next().await.is_none());

    let mut text = client.stream(ask("default", "Hi")).await.unwrap().text();
    assert_eq!(text.next().await.unwrap().unwrap(), "Right");
}

#[test]
fn has_the_final_route_of_the_metadata() {
    let route_with = |outcome| pb::Route {
        attempts: vec![attempt("haiku", outcome, pb::ErrorReason::Unspecified)],
        ..Default::default()
    };
    let metadata =
        pb::ConverseStreamMetadataEvent { route: Some(route_with(pb::Outcome::Ok)), ..Default::default() };

    let first = Event::Route(route_with(pb::Outcome::Unspecified));
    let answer = collect(vec![first, text(0, "Hi"), Event::Metadata(metadata)]);

    assert_eq!(answer.route, Some(route_with(pb::Outcome::Ok)));
}
