//! The codec alone: encoding a request as Bedrock's JSON, decoding an answer and the frames of a stream.
//!
//! Measures `request_body`, `message` and `EventStreamDecoder`, with their allocations. The sizes are those
//! of `src/load.rs` and `src/upstream.rs`, so that a figure here is a part of one there.
//!
//! Not measured: reading the contract's descriptors, which happens once; signing, TLS and HTTP; the caller's
//! protobuf.
#![expect(clippy::expect_used, reason = "a benchmark that cannot continue reports the reason")]

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use criterion::{BenchmarkId, Criterion, Throughput};
use serde_json::{Value, json};
use std::hint::black_box;
use switchboard_proto::v1::{
    self as pb, content_block::Block, tool::Tool as Kind, tool_input_schema::Schema,
};
use switchboard_server::bedrock::codec::{EventStreamDecoder, message, request_body, warm_up};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Number of frames of a stream; all are text.
const DELTAS: u64 = 200;

fn main() {
    warm_up();
    let mut criterion = Criterion::default().configure_from_args();
    encode(&mut criterion);
    decode(&mut criterion);
    frames(&mut criterion);
    criterion.final_summary();
}

fn encode(criterion: &mut Criterion) {
    let inference = pb::InferenceConfiguration { max_tokens: Some(1024), ..Default::default() };
    let mut group = criterion.benchmark_group("encode");
    for (what, count, request) in
        [("messages", 1, request(1, 0)), ("messages", 100, request(100, 0)), ("tools", 10, request(1, 10))]
    {
        group.throughput(bytes(&request_body(&request, &inference)));
        group.bench_with_input(BenchmarkId::new(what, count), &request, |bencher, request| {
            bencher.iter(|| request_body(black_box(request), black_box(&inference)));
        });
    }
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let text = json!({ "text": "A token of the answer, ".repeat(50) });
    let input =
        json!({ "city": "Lisbon", "days": 3, "units": { "wind": "knots", "temperature": "celsius" } });
    let tool_use = json!({ "toolUse": { "toolUseId": "tooluse_0", "name": "forecast", "input": input } });
    let mut group = criterion.benchmark_group("decode");
    for (what, content) in [("text", json!([text])), ("tool use", json!([text, tool_use]))] {
        let answer = answer(&content);
        assert_eq!(read_answer(&answer).usage.map(|usage| usage.total_tokens), Some(260));
        group.throughput(bytes(&answer));
        group.bench_function(what, |bencher| bencher.iter(|| read_answer(black_box(&answer))));
    }
    group.finish();
}

fn frames(criterion: &mut Criterion) {
    let payload = json!({ "contentBlockIndex": 0, "delta": { "text": " token" }, "p": "abcdefghijklmnopqrstuvwxyzABCD" });
    let stream: Vec<_> = (0..DELTAS).map(|_| frame("contentBlockDelta", &payload)).collect();
    assert_eq!(read_stream(&stream), DELTAS);
    let mut group = criterion.benchmark_group("frames");
    group.throughput(Throughput::Elements(DELTAS));
    group.bench_function(BenchmarkId::new("deltas", DELTAS), |bencher| {
        bencher.iter(|| read_stream(black_box(&stream)));
    });
    group.finish();
}

fn bytes(json: &[u8]) -> Throughput {
    Throughput::Bytes(u64::try_from(json.len()).expect("fits"))
}

/// A request with messages of 200 bytes, and tools with a schema of about a kilobyte.
fn request(messages: usize, tools: usize) -> pb::ConverseRequest {
    let text = "Tell me of the sea. ".repeat(10);
    let message = |role: &str| pb::Message {
        role: role.to_owned(),
        content: vec![pb::ContentBlock { block: Some(Block::Text(text.clone())) }],
    };
    let roles = ["user", "assistant"].into_iter().cycle().take(messages);
    let tools: Vec<_> = (0..tools).map(tool).collect();
    pb::ConverseRequest {
        messages: roles.map(message).collect(),
        tool_config: (!tools.is_empty()).then(|| pb::ToolConfiguration { tools, ..Default::default() }),
        ..Default::default()
    }
}

fn tool(number: usize) -> pb::Tool {
    let property =
        |n| format!(r#""field_{n}":{{"type":"string","description":"What the field {n} is about"}}"#);
    let properties = (0..12).map(property).collect::<Vec<_>>().join(",");
    let schema = format!(r#"{{"type":"object","properties":{{{properties}}},"required":["field_0"]}}"#);
    let spec = pb::ToolSpecification {
        name: format!("tool_{number}"),
        description: Some("A tool".to_owned()),
        input_schema: Some(pb::ToolInputSchema { schema: Some(Schema::JsonText(schema)) }),
        ..Default::default()
    };
    pb::Tool { tool: Some(Kind::ToolSpec(spec)) }
}

/// A unary answer in Bedrock's format.
fn answer(content: &Value) -> Vec<u8> {
    let answer = json!({
        "output": { "message": { "role": "assistant", "content": content } },
        "stopReason": "end_turn",
        "usage": { "inputTokens": 60, "outputTokens": 200, "totalTokens": 260 },
        "metrics": { "latencyMs": 1200 },
    });
    answer.to_string().into_bytes()
}

fn read_answer(json: &[u8]) -> pb::ConverseResponse {
    message("ConverseResponse", json, &mut Vec::new()).expect("is an answer")
}

fn frame(event_type: &str, payload: &Value) -> Vec<u8> {
    let header =
        |name: &str, value: &str| Header::new(name.to_owned(), HeaderValue::String(value.to_owned().into()));
    let message = Message::new(payload.to_string().into_bytes())
        .add_header(header(":event-type", event_type))
        .add_header(header(":content-type", "application/json"))
        .add_header(header(":message-type", "event"));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("a Vec takes everything");
    bytes
}

/// Decodes frame by frame, as a model sends them, and counts the events.
fn read_stream(stream: &[Vec<u8>]) -> u64 {
    let (mut decoder, mut unknown, mut events) = (EventStreamDecoder::default(), Vec::new(), 0);
    for frame in stream {
        decoder.push(frame);
        while let Some(event) = decoder.next(&mut unknown).expect("is an event") {
            black_box(event);
            events += 1;
        }
    }
    events
}
