//! Fallback: before the first content, every failure that another model may not share falls back, and no
//! other does.
use crate::harness::*;
use std::time::Duration;
use switchboard_proto::v1::{self as pb, converse_stream_response::Event};
use switchboard_server::failure::FailureKind;
use tokio::time::Instant;
use tonic::Code;

/// The failures that the next model would share, so that none falls back. (`ContextTooLong` does if a model
/// is known to have a larger context.)
const CAUSED_BY_THE_REQUEST: [FailureKind; 4] =
    [FailureKind::ModelRefused, FailureKind::ContextTooLong, FailureKind::Invalid, FailureKind::Conflict];

fn two_models(first: Behaviour, second: Behaviour) -> ScenarioServer {
    Scenario::new()
        .route("summarization", ["sonnet", "haiku"])
        .model("sonnet", first)
        .model("haiku", second)
        .start()
}

#[tokio::test(start_paused = true)]
async fn a_throttled_model_is_replaced_before_the_first_token() {
    let switchboard = two_models(throttled(), says("Done."));

    let received = switchboard.converse_stream("summarization", "Shorten this.").await;

    assert_eq!(received.text(), "Done.");
    assert_eq!(attempts(received.route()), ["sonnet THROTTLED", "haiku OK"]);
    assert!(received.route().fallback_used);
    assert_eq!(reason_name(received.route().attempts[0].reason()), "BEDROCK_THROTTLED");
    assert!(received.metadata().is_some() && received.status.is_none());
}

#[tokio::test(start_paused = true)]
async fn failures_that_another_model_may_not_share_fall_back_in_both_rpcs() {
    for kind in FailureKind::ALL.into_iter().filter(|kind| !CAUSED_BY_THE_REQUEST.contains(kind)) {
        let switchboard = two_models(fails(kind), says("Done."));

        let unary = switchboard.converse("summarization", "Shorten this.").await.expect("answers");
        let streamed = switchboard.converse_stream("summarization", "Shorten this.").await;

        let route = unary.route.expect("has a route");
        assert_eq!((route.model_id.as_str(), route.fallback_used), ("test.haiku", true), "{kind:?}");
        let renewals = usize::from(kind == FailureKind::ExpiredCredentials);
        let attempts = streamed.route().attempts.len() - renewals;
        assert_eq!((streamed.text().as_str(), attempts), ("Done.", 2), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_that_the_request_caused_do_not_fall_back() {
    for kind in CAUSED_BY_THE_REQUEST {
        let switchboard = two_models(fails_with_message(kind, "ValidationException: no"), says("Done."));

        let unary = switchboard.converse("summarization", "Shorten this.").await.expect_err("is refused");
        let streamed = switchboard.converse_stream("summarization", "Shorten this.").await;

        for status in [&unary, streamed.status()] {
            assert_eq!(status.code(), Code::InvalidArgument, "{kind:?}");
            assert!(status.message().contains("no"), "{kind:?}: {}", status.message());
            let mut expected = vec!["sonnet REJECTED"];
            if kind == FailureKind::ContextTooLong {
                expected.push("haiku SKIPPED"); // its context is not known to be larger
            }
            assert_eq!(attempts(&route_of(status).expect("has a route")), expected, "{kind:?}");
        }
        assert_eq!(switchboard.called_models(), ["sonnet", "sonnet"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_before_content_falls_back_invisibly() {
    for first in [
        starts_and_fails(FailureKind::Internal),
        starts_and_fails(FailureKind::UnknownException),
        starts_and_fails(FailureKind::Protocol),
        sends_empty_content_and_fails(FailureKind::ModelError),
    ] {
        let switchboard = two_models(first, says("Done."));
        let received = switchboard.converse_stream("summarization", "Shorten this.").await;
        assert_eq!((received.text().as_str(), received.status.is_none()), ("Done.", true));
        assert_eq!(received.route().model_id, "test.haiku");
        assert_eq!(received.events.iter().filter(|event| matches!(event, Event::MessageStart(_))).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_before_any_content_falls_back() {
    let switchboard = two_models(starts_and_hangs().without_last_step(), says("Done."));
    let received = switchboard.converse_stream("summarization", "Shorten this.").await;
    assert_eq!(attempts(received.route()), ["sonnet MODEL_ERROR", "haiku OK"]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_hangs_times_out_exactly_after_first_content() {
    for first in [hangs(), starts_and_hangs()] {
        let switchboard = Scenario::new()
            .route("summarization", ["sonnet", "haiku"])
            .deadline(|timeouts| timeouts.first_content = Duration::from_secs(4))
            .model("sonnet", first)
            .model("haiku", says("Done."))
            .start();
        let began = Instant::now();

        let received = switchboard.converse_stream("summarization", "Shorten this.").await;

        assert_eq!(attempts(received.route()), ["sonnet TIMEOUT", "haiku OK"]);
        assert_eq!(received.text(), "Done.");
        assert_eq!(began.elapsed().as_secs(), 4);
        assert_eq!(switchboard.open_streams(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_unary_attempt_times_out_after_the_attempt_timeout() {
    let switchboard = Scenario::new()
        .route("summarization", ["sonnet", "haiku"])
        .deadline(|timeouts| timeouts.attempt = Duration::from_secs(9))
        .model("sonnet", hangs())
        .model("haiku", says("Done."))
        .start();
    let began = Instant::now();

    let reply = switchboard.converse("summarization", "Shorten this.").await.expect("answers");

    assert_eq!(attempts(&reply.route.expect("has a route")), ["sonnet TIMEOUT", "haiku OK"]);
    assert_eq!(began.elapsed().as_secs(), 9);
}

#[tokio::test(start_paused = true)]
async fn all_candidates_are_tried_in_order() {
    let switchboard = Scenario::new()
        .route("reasoning", ["one", "two", "three", "four"])
        .model("one", throttled())
        .model("two", fails(FailureKind::Unavailable))
        .model("three", fails(FailureKind::AccessDenied))
        .model("four", says("At last."))
        .start();

    let reply = switchboard.converse("reasoning", "Why?").await.expect("answers");

    let route = reply.route.expect("has a route");
    assert_eq!(attempts(&route), ["one THROTTLED", "two UNAVAILABLE", "three MISCONFIGURED", "four OK"]);
    assert_eq!(route.attempts[0].bedrock_request_id, "bedrock-request");
}

#[tokio::test(start_paused = true)]
async fn when_every_model_fails_the_status_prefers_a_failure_that_may_pass() {
    for (first, second, code, expected, retry) in [
        (
            FailureKind::Throttled,
            FailureKind::AccessDenied,
            Code::ResourceExhausted,
            "BEDROCK_THROTTLED",
            true,
        ),
        (FailureKind::AccessDenied, FailureKind::Unavailable, Code::Unavailable, "BEDROCK_UNAVAILABLE", true),
        (FailureKind::DailyQuota, FailureKind::DailyQuota, Code::ResourceExhausted, "BEDROCK_QUOTA", false),
        (
            FailureKind::ModelTimeout,
            FailureKind::ModelTimeout,
            Code::DeadlineExceeded,
            "MODEL_TIMEOUT",
            false,
        ),
        (
            FailureKind::NotFound,
            FailureKind::AccessDenied,
            Code::FailedPrecondition,
            "MODEL_ACCESS_DENIED",
            false,
        ),
    ] {
        let switchboard = two_models(fails(first), fails(second));
        let status = switchboard.converse("summarization", "Shorten this.").await.expect_err("fails");
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected));
        let retry_info = tonic_types::StatusExt::get_details_retry_info(&status);
        assert_eq!(retry_info.is_some(), retry, "{first:?}, {second:?}");
        assert_eq!(route_of(&status).expect("has a route").attempts.len(), 2);
        assert!(
            !status.message().contains("injected"),
            "Bedrock's message is not passed on: {}",
            status.message()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn max_tokens_is_always_sent_and_at_most_the_models_limit() {
    let switchboard = Scenario::new().route("reasoning", ["one"]).model("one", says("Yes.")).start();
    let with = |max_tokens: Option<i32>| {
        let inference = max_tokens
            .map(|tokens| pb::InferenceConfiguration { max_tokens: Some(tokens), ..Default::default() });
        pb::ConverseRequest { inference_config: inference, ..chat_request("reasoning", "Why?") }
    };
    for max_tokens in [None, Some(5), Some(2_000_000)] {
        switchboard.caller().converse(with(max_tokens)).await.expect("answers");
    }
    let sent: Vec<_> = switchboard.model_calls().iter().map(|call| call.inference.max_tokens).collect();
    assert_eq!(sent, [Some(1000), Some(5), Some(1000)]);
}

#[tokio::test(start_paused = true)]
async fn counting_falls_back_unless_the_input_is_for_one_model() {
    use pb::count_tokens_input::Input;
    let conversation = pb::ConverseTokensRequest {
        messages: vec![text_message("user", "Shorten this.")],
        ..Default::default()
    };
    let body = pb::InvokeModelTokensRequest { body: "{}".into() };
    for (input, expected) in
        [(Input::Converse(conversation), &["sonnet", "haiku"][..]), (Input::InvokeModel(body), &["sonnet"])]
    {
        let switchboard = two_models(throttled(), says("Done."));
        let input = Some(pb::CountTokensInput { input: Some(input) });
        let request = pb::CountTokensRequest { task_type: "summarization".to_owned(), input };
        let counted = switchboard.caller().count_tokens(request).await;
        assert_eq!(
            (counted.is_ok(), switchboard.called_models()),
            (expected.len() == 2, expected.iter().map(ToString::to_string).collect())
        );
    }
}
