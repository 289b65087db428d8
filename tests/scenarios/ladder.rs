//! The ladder: other rungs of a model are tried before the next model, and none leaves the geography of the
//! task's first model.
use crate::harness::*;
use switchboard_proto::v1 as pb;
use switchboard_server::{
    config::{Config, Residency, Rung},
    failure::FailureKind,
};

fn rung(id: Option<&str>, region: Option<&str>, service_tier: Option<&str>) -> Rung {
    let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
    Rung { id: owned(id), region: owned(region), service_tier: owned(service_tier) }
}

/// Two models, of which the first has the given id and ladder.
fn scenario(id: &'static str, ladder: Vec<Rung>) -> Scenario {
    Scenario::new().route("coding", ["one", "two"]).model("two", says("Done.")).configure(move |config| {
        let one = config.models.get_mut("one").expect("is a model");
        (one.id, one.ladder) = (id.to_owned(), ladder);
    })
}

/// The attempts, such as `us us-east-1 priority OK`.
fn rungs(route: &pb::Route) -> Vec<String> {
    let rung = |attempt: &pb::Attempt| {
        let outcome = attempt.outcome().as_str_name().trim_start_matches("OUTCOME_");
        let id = attempt.model_id.split_once('.').map_or("", |(prefix, _)| prefix);
        [id, &attempt.region, &attempt.service_tier, outcome]
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    route.attempts.iter().map(rung).collect()
}

#[tokio::test(start_paused = true)]
async fn another_region_and_another_tier_come_before_another_model() {
    let ladder = vec![rung(None, Some("us-west-2"), None), rung(None, None, Some("priority"))];
    let switchboard = scenario("test.one", ladder).model("one", fails(FailureKind::Unavailable)).start();

    let reply = switchboard.converse("coding", "Write a program.").await.expect("answers");

    let route = reply.route.expect("has a route");
    assert_eq!(
        rungs(&route),
        [
            "test us-east-1 UNAVAILABLE",
            "test us-west-2 UNAVAILABLE",
            "test us-east-1 priority UNAVAILABLE",
            "test us-east-1 OK"
        ]
    );
    assert_eq!(route.model_id, "test.two");
}

#[tokio::test(start_paused = true)]
async fn another_rung_of_the_first_model_is_not_a_fallback() {
    let ladder = vec![rung(None, Some("us-west-2"), None)];
    let once = recovers_after(1, FailureKind::Unavailable, "Done.");
    let switchboard = scenario("test.one", ladder).model("one", once).start();
    let reply = switchboard.converse("coding", "Write a program.").await.expect("answers");
    let route = reply.route.expect("has a route");
    assert_eq!((route.region.as_str(), route.fallback_used), ("us-west-2", false));
}

#[tokio::test(start_paused = true)]
async fn a_rungs_tier_is_requested_and_reported_and_yields_to_the_callers() {
    let ladder = vec![rung(None, None, Some("priority"))];
    let once = recovers_after(1, FailureKind::Unavailable, "Done.");
    let switchboard = scenario("test.one", ladder).model("one", once).start();
    let reply = switchboard.converse("coding", "Write a program.").await.expect("answers");
    assert_eq!(switchboard.model_calls()[1].service_tier.as_deref(), Some("priority"));
    let changes = &reply.route.expect("has a route").attempts[1].adjustments;
    assert!(changes.iter().any(|change| change.path == "service_tier"), "{changes:?}");

    let ladder = vec![rung(None, None, Some("priority"))];
    let failing = scenario("test.one", ladder).model("one", fails(FailureKind::Unavailable)).start();
    let service_tier = Some(pb::ServiceTier { r#type: "flex".to_owned() });
    let request = pb::ConverseRequest { service_tier, ..chat_request("coding", "Write a program.") };
    let reply = failing.caller().converse(request).await.expect("answers").into_inner();
    let route = reply.route.expect("has a route");
    assert_eq!(attempts(&route), ["one UNAVAILABLE", "one SKIPPED", "two OK"]);
    let tiers: Vec<_> = failing.model_calls().iter().map(|call| call.service_tier.clone()).collect();
    assert_eq!(tiers, [Some("flex".to_owned()), Some("flex".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn no_rung_and_no_model_leaves_the_geography() {
    let wider = || vec![rung(Some("global.test.one"), None, None)];
    let european = |config: &mut Config| {
        config.models.get_mut("one").expect("is a model").region = Some("eu-west-1".to_owned());
        config.models.get_mut("two").expect("is a model").region = Some("eu-central-1".to_owned());
    };
    let once = || recovers_after(1, FailureKind::Unavailable, "Done.");
    let switchboard = scenario("eu.test.one", wider()).model("one", once()).configure(european).start();
    let reply = switchboard.converse("coding", "Write a program.").await.expect("answers");
    let route = reply.route.expect("has a route");
    assert_eq!(
        rungs(&route),
        ["eu eu-west-1 UNAVAILABLE", "global eu-west-1 SKIPPED", "test eu-central-1 OK"]
    );
    assert!(route.attempts[1].unmet_requirement.contains("\"global\""), "{route:?}");

    let anywhere = |config: &mut Config| {
        european(config);
        config.tasks.get_mut("coding").expect("is a task").residency = Residency::Any;
    };
    let switchboard = scenario("eu.test.one", wider()).model("one", once()).configure(anywhere).start();
    let reply = switchboard.converse("coding", "Write a program.").await.expect("answers");
    assert_eq!(
        rungs(&reply.route.expect("has a route")),
        ["eu eu-west-1 UNAVAILABLE", "global eu-west-1 OK"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_model_in_another_geography_is_never_called() {
    let abroad = |config: &mut Config| {
        config.models.get_mut("two").expect("is a model").id = "us.test.two".to_owned();
        config.models.get_mut("one").expect("is a model").region = Some("eu-west-1".to_owned());
    };
    let failing = fails(FailureKind::Unavailable);
    let switchboard = scenario("eu.test.one", vec![]).model("one", failing).configure(abroad).start();
    let status = switchboard.converse("coding", "Write a program.").await.expect_err("fails");
    assert_eq!(reason(&status), "BEDROCK_UNAVAILABLE");
    assert_eq!(switchboard.called_models(), ["one"]);
}
