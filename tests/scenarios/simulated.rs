//! Every fault of the simulator over real sockets, as the caller sees it.
//!
//! Two models of the simulator serve the task, and the first has the fault. If the second is healthy, a fault
//! before the first content shows only in the route. If both have the fault, or after the first content, it
//! is a typed status.
use crate::{engine, harness::*};
use bedrock_sim::{Fault, FaultRule, Handle, Simulator};
use std::{ops::Deref, time::Duration};
use switchboard_proto::v1::{self as pb, converse_stream_response::Event};
use switchboard_server::{bedrock::Bedrock, config::Config};
use tokio::time::sleep;
use tonic::Code;

const FIRST: &str = "us.anthropic.claude-sonnet-4-6";
const SECOND: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

/// Long enough for a healthy model on a busy machine, short enough to wait for.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// A simulator without delays, and a server on it with short timeouts: these tests run in real time.
pub(crate) struct Simulated {
    server: TestServer,
    simulator: Simulator,
}

impl Deref for Simulated {
    type Target = TestServer;

    fn deref(&self) -> &TestServer {
        &self.server
    }
}

impl Simulated {
    async fn start() -> Self {
        let mut config = Config::for_two_models(FIRST, SECOND);
        config.retry.rounds = 0;
        config.breaker.enabled = false; // one fault must not affect the next call
        config.deadline.first_content = TIMEOUT;
        config.deadline.attempt = TIMEOUT;
        config.deadline.idle = TIMEOUT;
        Self::serving(config).await
    }

    /// A server with this configuration, on a simulator of its own.
    pub(crate) async fn serving(mut config: Config) -> Self {
        let simulator = Simulator::start(bedrock_sim::Config { speed: 0.0, ..Default::default() });
        let simulator = simulator.await.expect("starts");
        config.bedrock = engine::simulated_at(simulator.endpoint_url());
        let bedrock = Bedrock::connect(&config.bedrock, ["us-east-1".to_owned()]).await.expect("connects");
        Self { server: TestServer::start(config, bedrock), simulator }
    }

    pub(crate) fn handle(&self) -> Handle {
        self.simulator.handle()
    }

    async fn with(fault: Fault) -> Self {
        let simulated = Self::start().await;
        simulated.handle().inject(FaultRule::on(FIRST, fault));
        simulated
    }

    async fn with_on_both(fault: Fault) -> Self {
        let simulated = Self::start().await;
        simulated.handle().inject(FaultRule::all(fault));
        simulated
    }
}

fn model_error(original_status: u16) -> Fault {
    let Fault::Error { name, message, status, resource, retry_after, .. } =
        Fault::error("ModelErrorException")
    else {
        unreachable!("is an error")
    };
    Fault::Error { name, message, status, original_status: Some(original_status), resource, retry_after }
}

/// An error frame of the event-stream protocol, which Bedrock's model does not have: code and message are
/// headers.
fn error_frame(after_events: u32) -> Fault {
    Fault::ErrorFrame { after_events, code: "InternalFailure".to_owned(), message: "injected".to_owned() }
}

/// Faults before the first content, with the attempt's outcome in the route, and the status if all models
/// fail.
fn early_faults() -> Vec<(Fault, &'static str, Code, &'static str)> {
    let error = Fault::error;
    vec![
        (Fault::throttle(), "THROTTLED", Code::ResourceExhausted, "BEDROCK_THROTTLED"),
        (error("ThrottlingException"), "THROTTLED", Code::ResourceExhausted, "BEDROCK_THROTTLED"),
        (error("ServiceQuotaExceededException"), "THROTTLED", Code::ResourceExhausted, "BEDROCK_QUOTA"),
        (error("ModelNotReadyException"), "UNAVAILABLE", Code::Unavailable, "MODEL_NOT_READY"),
        (error("ServiceUnavailableException"), "UNAVAILABLE", Code::Unavailable, "BEDROCK_UNAVAILABLE"),
        (error("InternalServerException"), "UNAVAILABLE", Code::Unavailable, "BEDROCK_UNAVAILABLE"),
        (error("ModelTimeoutException"), "TIMEOUT", Code::DeadlineExceeded, "MODEL_TIMEOUT"),
        (model_error(500), "MODEL_ERROR", Code::Unavailable, "MODEL_ERROR"),
        (error("AccessDeniedException"), "MISCONFIGURED", Code::FailedPrecondition, "MODEL_ACCESS_DENIED"),
        (error("ExpiredTokenException"), "MISCONFIGURED", Code::FailedPrecondition, "MODEL_ACCESS_DENIED"),
        (error("ResourceNotFoundException"), "MISCONFIGURED", Code::FailedPrecondition, "MODEL_NOT_FOUND"),
        (Fault::Hang, "TIMEOUT", Code::DeadlineExceeded, "MODEL_TIMEOUT"),
        (
            Fault::slow_first_token(Duration::from_secs(30)),
            "TIMEOUT",
            Code::DeadlineExceeded,
            "MODEL_TIMEOUT",
        ),
    ]
}

/// Faults of streams alone, as the first frame or right after `messageStart`, with the attempt's outcome.
fn early_stream_faults() -> Vec<(Fault, &'static str)> {
    vec![
        (Fault::stall(0), "TIMEOUT"),
        (Fault::stall(1), "TIMEOUT"),
        (Fault::cut(0), "UNAVAILABLE"),
        (Fault::cut(1), "UNAVAILABLE"),
        (Fault::exception(0, "ThrottlingException"), "THROTTLED"),
        (Fault::exception(1, "InternalServerException"), "UNAVAILABLE"),
        (Fault::exception(1, "ModelStreamErrorException"), "MODEL_ERROR"),
        (Fault::exception(1, "ServiceUnavailableException"), "UNAVAILABLE"),
        (Fault::exception(1, "BrandNewException"), "MODEL_ERROR"),
        (error_frame(1), "UNAVAILABLE"),
        (Fault::BadCrc { at_event: 0 }, "MODEL_ERROR"),
        (Fault::BadCrc { at_event: 1 }, "MODEL_ERROR"),
    ]
}

/// Faults after content, which end the stream.
fn late_faults() -> Vec<Fault> {
    vec![
        Fault::stall(5),
        Fault::cut(5),
        Fault::Cut { after_events: 5, mid_frame: true },
        Fault::exception(5, "ThrottlingException"),
        Fault::exception(5, "InternalServerException"),
        Fault::exception(5, "ModelStreamErrorException"),
        Fault::exception(5, "ServiceUnavailableException"),
        Fault::exception(5, "ValidationException"),
        Fault::exception(5, "BrandNewException"),
        error_frame(5),
        Fault::BadCrc { at_event: 5 },
        Fault::EndWithoutMessageStop,
        Fault::EndWithoutMetadata,
    ]
}

/// True if the model is called once more, with new credentials.
fn expired(fault: &Fault) -> bool {
    matches!(fault, Fault::Error { name, .. } if name == "ExpiredTokenException")
}

#[tokio::test]
async fn a_fault_before_the_first_content_shows_only_in_the_route() {
    for (fault, outcome, ..) in early_faults() {
        let switchboard = Simulated::with(fault.clone()).await;

        let unary = switchboard.converse("reasoning", "What is a monad?").await;
        let unary = unary.unwrap_or_else(|status| panic!("{fault:?}: {status:?}"));
        let received = switchboard.converse_stream("reasoning", "What is a monad?").await;

        let mut expected = vec![format!("{FIRST} {outcome}"), format!("{SECOND} OK")];
        if expired(&fault) {
            expected.insert(0, expected[0].clone());
        }
        assert_eq!(attempts(&unary.route.expect("has a route")), expected, "{fault:?}");
        assert_eq!(attempts(received.route()), expected, "{fault:?}");
        assert!(
            received.text().starts_with(&format!("[simulated {SECOND}]")),
            "{fault:?}: {}",
            received.text()
        );
        assert!(received.metadata().is_some() && received.status.is_none(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_stream_fault_before_the_first_content_shows_only_in_the_route() {
    for (fault, outcome) in early_stream_faults() {
        let switchboard = Simulated::with(fault.clone()).await;
        let received = switchboard.converse_stream("reasoning", "What is a monad?").await;
        assert_eq!(
            attempts(received.route()),
            [format!("{FIRST} {outcome}"), format!("{SECOND} OK")],
            "{fault:?}"
        );
        assert!(received.metadata().is_some() && received.status.is_none(), "{fault:?}");
    }
}

#[tokio::test]
async fn if_all_models_fail_the_caller_gets_a_typed_status() {
    for (fault, outcome, code, expected) in early_faults() {
        let switchboard = Simulated::with_on_both(fault.clone()).await;
        let unary = switchboard.converse("reasoning", "What is a monad?").await.expect_err("fails");
        let streamed = switchboard.converse_stream("reasoning", "What is a monad?").await;
        for status in [&unary, streamed.status()] {
            assert_eq!((status.code(), reason(status).as_str()), (code, expected), "{fault:?}");
            let route = route_of(status).expect("has a route");
            let times = if expired(&fault) { 2 } else { 1 };
            let each = |model| std::iter::repeat_n(format!("{model} {outcome}"), times);
            assert_eq!(attempts(&route), each(FIRST).chain(each(SECOND)).collect::<Vec<_>>(), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_fault_after_content_ends_the_stream_with_a_partial_answer_and_a_typed_status() {
    for fault in late_faults() {
        let switchboard = Simulated::with(fault.clone()).await;
        let received = switchboard.converse_stream("reasoning", "What is a monad?").await;
        assert!(received.text().starts_with("[simulated"), "{fault:?}: {}", received.text());
        assert!(received.metadata().is_none(), "{fault:?}");
        assert_eq!(
            (received.status().code(), reason(received.status()).as_str()),
            (Code::Unavailable, "STREAM_INTERRUPTED")
        );
        assert_eq!(route_of(received.status()).expect("has a route").attempts.len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_request_that_bedrock_rejects_is_not_sent_to_another_model() {
    for fault in [Fault::error("ValidationException"), model_error(400)] {
        let switchboard = Simulated::with(fault.clone()).await;
        let status = switchboard.converse("reasoning", "What is a monad?").await.expect_err("is refused");
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::InvalidArgument, "MODEL_REJECTED"),
            "{fault:?}"
        );
        assert_eq!(switchboard.handle().calls().len(), 1);
    }
}

#[tokio::test]
async fn a_guardrail_intervention_is_an_answer_and_does_not_fall_back() {
    let switchboard = Simulated::start().await;
    let guardrail = pb::GuardrailConfiguration {
        guardrail_identifier: Some("guard".to_owned()),
        guardrail_version: Some("1".to_owned()),
        trace: Some("enabled".to_owned()),
        ..Default::default()
    };
    let request = pb::ConverseRequest {
        guardrail_config: Some(guardrail),
        ..chat_request("reasoning", "Please guardrail-block this.")
    };
    let reply = switchboard.caller().converse(request).await.expect("answers").into_inner();
    assert_eq!(reply.stop_reason(), pb::StopReason::GuardrailIntervened);
    assert!(reply.trace.and_then(|trace| trace.guardrail).is_some());
    assert_eq!(switchboard.handle().calls().len(), 1);
}

#[tokio::test]
async fn bedrocks_retry_after_reaches_the_caller() {
    let Fault::Throttle { calls_per_second, probability, daily, .. } = Fault::throttle() else {
        unreachable!("is a throttle")
    };
    let retry_after = Some(Duration::from_secs(7));
    let fault = Fault::Throttle { calls_per_second, probability, daily, retry_after };
    let status =
        Simulated::with_on_both(fault).await.converse("reasoning", "Hello").await.expect_err("fails");
    let retry = tonic_types::StatusExt::get_details_retry_info(&status).expect("has a RetryInfo");
    assert_eq!(retry.retry_delay, retry_after);
}

#[tokio::test]
async fn a_daily_quota_is_distinguished_from_throttling() {
    let Fault::Throttle { calls_per_second, probability, retry_after, .. } = Fault::throttle() else {
        unreachable!("is a throttle")
    };
    let fault = Fault::Throttle { calls_per_second, probability, daily: true, retry_after };
    let status =
        Simulated::with_on_both(fault).await.converse("reasoning", "Hello").await.expect_err("fails");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "BEDROCK_QUOTA"));
    assert!(
        tonic_types::StatusExt::get_details_retry_info(&status).is_none(),
        "waiting seconds does not help"
    );
}

#[tokio::test]
async fn unknown_events_and_deltas_are_passed_on() {
    let switchboard = Simulated::with(Fault::UnknownEvent { after_events: 3 }).await;
    let received = switchboard.converse_stream("reasoning", "What is a monad?").await;
    let unknown = received.events.iter().find_map(|event| match event {
        Event::Unknown(unknown) => Some(unknown),
        _ => None,
    });
    assert!(unknown.is_some_and(|it| !it.event_type.is_empty() && it.json.starts_with('{')), "{unknown:?}");
    assert!(received.status.is_none());

    let switchboard = Simulated::with(Fault::UnknownDelta { after_events: 3 }).await;
    let received = switchboard.converse_stream("reasoning", "What is a monad?").await;
    let unknown = received.events.iter().find_map(|event| match event {
        Event::ContentBlockDelta(delta) => match delta.delta.as_ref()?.delta.as_ref()? {
            pb::content_block_delta::Delta::UnknownJson(json) => Some(json.clone()),
            _ => None,
        },
        _ => None,
    });
    assert!(unknown.is_some_and(|json| json.starts_with('{')), "{:?}", received.events);
    assert!(received.status.is_none());
}

#[tokio::test]
async fn cancelling_ends_bedrocks_request_within_a_second() {
    let switchboard = Simulated::with(Fault::stall(5)).await;
    let mut stream = switchboard
        .caller()
        .converse_stream(chat_request("reasoning", "Go on."))
        .await
        .expect("begins")
        .into_inner();
    stream.message().await.expect("continues");
    drop(stream);
    for _ in 0..100 {
        if switchboard.handle().calls()[0].hung_up {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("Bedrock's request still runs after the call was cancelled: {:?}", switchboard.handle().calls());
}

#[tokio::test]
async fn a_conversation_with_a_system_prompt_continues_over_several_turns() {
    let switchboard = Simulated::start().await;
    let system = pb::SystemContentBlock {
        block: Some(pb::system_content_block::Block::Text("Answer in one sentence.".to_owned())),
    };
    let mut messages = vec![text_message("user", "What is a monad?")];
    for question in ["And a functor?", "And a comonad?"] {
        let request = pb::ConverseRequest {
            task_type: "classification".to_owned(),
            messages: messages.clone(),
            system: vec![system.clone()],
            ..Default::default()
        };
        let reply = switchboard.caller().converse(request).await.expect("answers").into_inner();
        assert_eq!(reply.route.map(|route| route.model_id), Some(SECOND.to_owned()));
        let Some(pb::converse_output::Output::Message(answer)) =
            reply.output.and_then(|output| output.output)
        else {
            panic!("has no message")
        };
        messages.push(answer);
        messages.push(text_message("user", question));
    }
    let bodies: Vec<_> = switchboard.handle().calls().into_iter().map(|call| call.body).collect();
    assert_eq!(bodies[1]["messages"].as_array().map(Vec::len), Some(3));
    assert_eq!(bodies[1]["system"][0]["text"], "Answer in one sentence.");
    assert_eq!(bodies[1]["inferenceConfig"]["maxTokens"], 4096);
}
