//! The current OpenTelemetry span is sent with every call.

use crate::{
    events::says,
    fake::{Answer, Fake},
};
use opentelemetry::{
    Context, global,
    trace::{FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use switchboard_client::ask;

#[tokio::test]
async fn sends_the_current_span() {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let fake = Fake::playing([Answer::Events(says(&["a"])), Answer::Events(says(&["b"]))]).await;
    let client = fake.client().await;
    let span = SpanContext::new(
        TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap(),
        SpanId::from_hex("b7ad6b7169203331").unwrap(),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );

    let context = Context::new().with_remote_span_context(span);
    client.stream(ask("default", "Hi")).with_context(context).await.unwrap();
    client.stream(ask("default", "Hi")).await.unwrap();

    let sent: Vec<_> = fake.seen().iter().map(|seen| seen.metadata.get("traceparent").cloned()).collect();
    assert_eq!(sent[0].as_ref().unwrap(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(sent[1], None);
}
