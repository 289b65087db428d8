//! Before the first content everything falls back that another model may do better, and nothing else does.
use crate::harness::*;
use std::time::Duration;
use switchboard_proto::v1::{self as pb, converse_stream_response::Event};
use switchboard_server::failure::FailureKind;
use tokio::time::Instant;
use tonic::Code;

fn two_models(first: Behaviour, second: Behaviour) -> Running {
    Scenario::new()
        .route("summarization", ["sonnet", "haiku"])
        .model("sonnet", first)
        .model("haiku", second)
        .start()
}

#[tokio::test(start_paused = true)]
async fn a_throttled_model_is_replaced_before_the_first_token() {
    let switchboard = two_models(throttled(), says("Done."));

    let heard = switchboard.converse_stream("summarization", "Shorten this.").await;

    assert_eq!(heard.text(), "Done.");
    assert_eq!(attempts(heard.route()), ["sonnet THROTTLED", "haiku OK"]);
    assert!(heard.route().fallback_used);
    assert_eq!(reason_name(heard.route().attempts[0].reason()), "BEDROCK_THROTTLED");
    assert!(heard.metadata().is_some() && heard.status.is_none());
}

#[tokio::test(start_paused = true)]
async fn every_failure_that_another_model_may_not_share_falls_back_in_both_rpcs() {
    for kind in FailureKind::ALL.into_iter().filter(|kind| kind.row().try_next) {
        let switchboard = two_models(fails(kind), says("Done."));

        let whole = switchboard.converse("summarization", "Shorten this.").await.expect("answers");
        let streamed = switchboard.converse_stream("summarization", "Shorten this.").await;

        let route = whole.route.expect("has a route");
        assert_eq!((route.model_id.as_str(), route.fallback_used), ("test.haiku", true), "{kind:?}");
        let with_new_credentials = usize::from(kind == FailureKind::ExpiredCredentials);
        let attempts = streamed.route().attempts.len() - with_new_credentials;
        assert_eq!((streamed.text().as_str(), attempts), ("Done.", 2), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_mistakes_never_fall_back() {
    for kind in FailureKind::ALL.into_iter().filter(|kind| !kind.row().try_next) {
        let switchboard = two_models(fails_saying(kind, "ValidationException: no"), says("Done."));

        let whole = switchboard.converse("summarization", "Shorten this.").await.expect_err("is refused");
        let streamed = switchboard.converse_stream("summarization", "Shorten this.").await;

        for status in [&whole, streamed.status()] {
            assert_eq!(status.code(), Code::InvalidArgument, "{kind:?}");
            assert!(status.message().contains("no"), "{kind:?}: {}", status.message());
            let mut expected = vec!["sonnet REJECTED"];
            if kind == FailureKind::ContextTooLong {
                expected.push("haiku SKIPPED"); // nobody knows that its context is larger
            }
            assert_eq!(attempts(&route_of(status).expect("has a route")), expected, "{kind:?}");
        }
        assert_eq!(switchboard.models_asked(), ["sonnet", "sonnet"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_opens_and_then_fails_falls_back_unseen() {
    for first in [
        begins_and_fails(FailureKind::Internal),
        begins_and_fails(FailureKind::UnknownException),
        begins_and_fails(FailureKind::Protocol),
        says_nothing_and_fails(FailureKind::ModelError),
    ] {
        let switchboard = two_models(first, says("Done."));
        let heard = switchboard.converse_stream("summarization", "Shorten this.").await;
        assert_eq!((heard.text().as_str(), heard.status.is_none()), ("Done.", true));
        assert_eq!(heard.route().model_id, "test.haiku");
        assert_eq!(heard.events.iter().filter(|event| matches!(event, Event::MessageStart(_))).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_before_any_content_falls_back() {
    let switchboard = two_models(begins_and_hangs().without_its_last_step(), says("Done."));
    let heard = switchboard.converse_stream("summarization", "Shorten this.").await;
    assert_eq!(attempts(heard.route()), ["sonnet MODEL_ERROR", "haiku OK"]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_hangs_is_given_up_after_its_clock_and_not_before() {
    for first in [hangs(), begins_and_hangs()] {
        let switchboard = Scenario::new()
            .route("summarization", ["sonnet", "haiku"])
            .deadline(|clocks| clocks.first_content = Duration::from_secs(4))
            .model("sonnet", first)
            .model("haiku", says("Done."))
            .start();
        let began = Instant::now();

        let heard = switchboard.converse_stream("summarization", "Shorten this.").await;

        assert_eq!(attempts(heard.route()), ["sonnet TIMEOUT", "haiku OK"]);
        assert_eq!(heard.text(), "Done.");
        assert_eq!(began.elapsed().as_secs(), 4);
        assert_eq!(switchboard.open_streams(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_asked_for_whole_has_a_clock_of_its_own() {
    let switchboard = Scenario::new()
        .route("summarization", ["sonnet", "haiku"])
        .deadline(|clocks| clocks.attempt = Duration::from_secs(9))
        .model("sonnet", hangs())
        .model("haiku", says("Done."))
        .start();
    let began = Instant::now();

    let reply = switchboard.converse("summarization", "Shorten this.").await.expect("answers");

    assert_eq!(attempts(&reply.route.expect("has a route")), ["sonnet TIMEOUT", "haiku OK"]);
    assert_eq!(began.elapsed().as_secs(), 9);
}

#[tokio::test(start_paused = true)]
async fn any_number_of_candidates_is_tried_in_order() {
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
async fn when_every_model_fails_the_caller_learns_what_waiting_can_cure() {
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
            "Bedrock's words are not for callers: {}",
            status.message()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn max_tokens_is_always_sent_and_never_above_the_models_limit() {
    let switchboard = Scenario::new().route("reasoning", ["one"]).model("one", says("Yes.")).start();
    let with = |max_tokens: Option<i32>| {
        let inference = max_tokens
            .map(|tokens| pb::InferenceConfiguration { max_tokens: Some(tokens), ..Default::default() });
        pb::ConverseRequest { inference_config: inference, ..asking("reasoning", "Why?") }
    };
    for asked in [None, Some(5), Some(2_000_000)] {
        switchboard.caller().converse(with(asked)).await.expect("answers");
    }
    let sent: Vec<_> = switchboard.asked().iter().map(|asked| asked.inference.max_tokens).collect();
    assert_eq!(sent, [Some(1000), Some(5), Some(1000)]);
}

#[tokio::test(start_paused = true)]
async fn a_count_falls_back_unless_it_is_in_the_form_of_one_model() {
    use pb::count_tokens_input::Input;
    let conversation =
        pb::ConverseTokensRequest { messages: vec![turn("user", "Shorten this.")], ..Default::default() };
    let body = pb::InvokeModelTokensRequest { body: "{}".into() };
    for (input, expected) in
        [(Input::Converse(conversation), &["sonnet", "haiku"][..]), (Input::InvokeModel(body), &["sonnet"])]
    {
        let switchboard = two_models(throttled(), says("Done."));
        let input = Some(pb::CountTokensInput { input: Some(input) });
        let request = pb::CountTokensRequest { task_type: "summarization".to_owned(), input };
        let counted = switchboard.caller().count_tokens(request).await;
        assert_eq!(
            (counted.is_ok(), switchboard.models_asked()),
            (expected.len() == 2, expected.iter().map(ToString::to_string).collect())
        );
    }
}
