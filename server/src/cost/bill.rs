//! Bills: what an attempt will cost once its usage is known, and what it may have cost if it never is.
use super::{Cost, Used, cost_of, estimate, price_usage};
use crate::{
    catalogue::{ModelFacts, ServiceTier},
    route::Candidate,
};
use std::sync::Arc;
use switchboard_proto::v1 as pb;

/// One attempt's.
#[derive(Clone, Debug)]
pub struct Bill {
    facts: Arc<ModelFacts>,
    priced_as: String,
    /// Absent: one whose prices nobody knows.
    tier: Option<ServiceTier>,
    /// The latency-optimized form has prices of its own, which the catalogue does not have.
    optimized: bool,
    /// Bytes of text.
    sent: u64,
    /// Bytes of text.
    received: u64,
}

/// All of a call's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bills {
    sum: Option<Cost>,
    unpriced: usize,
}

// === impl Bill ===

impl Bill {
    /// Of a request as it is sent to a model.
    #[must_use]
    pub fn of(candidate: &Candidate, request: &pb::ConverseRequest) -> Self {
        let mut bill = Self {
            facts: Arc::clone(&candidate.facts),
            priced_as: candidate.priced_as.clone(),
            tier: Some(ServiceTier::Default)
                .filter(|_| is_charged_by_the_token(&candidate.deployment.key.model_id)),
            optimized: false,
            sent: estimate::text_bytes(request),
            received: 0,
        };
        bill.served_in(request.service_tier.as_ref(), request.performance_config.as_ref());
        bill
    }

    /// So many bytes of the answer's text have come.
    pub fn received(&mut self, bytes: u64) {
        self.received = self.received.saturating_add(bytes);
    }

    /// What Bedrock says of how it served; where it is silent, it did as it was asked.
    pub fn served_in(
        &mut self,
        tier: Option<&pb::ServiceTier>,
        performance: Option<&pb::PerformanceConfiguration>,
    ) {
        if let Some(tier) = tier {
            self.tier = self.tier.and_then(|_| ServiceTier::named(&tier.r#type));
        }
        if let Some(latency) = performance.and_then(|performance| performance.latency.as_ref()) {
            self.optimized = latency != "standard";
        }
    }

    /// What `usage` costs. Absent: unknown.
    #[must_use]
    pub fn cost(&self, usage: &pb::TokenUsage) -> Option<Cost> {
        let tier = self.tier.filter(|_| !self.optimized)?;
        cost_of(&self.facts, &self.priced_as, tier, usage)
    }

    /// What it may have cost so far: the whole request was read, and what we received was written. Absent: unknown.
    #[must_use]
    pub fn estimate(&self) -> Option<Cost> {
        let tier = self.tier.filter(|_| !self.optimized)?;
        let (input, output) = (estimate::tokens(self.sent), estimate::tokens(self.received));
        let price = self.facts.price_of(&self.priced_as, tier, input.0)?;
        let used = Used { input, output, ..Used::default() };
        price_usage(price, &used).map(|cost| Cost { estimated: true, ..cost })
    }
}

/// Whether tokens have a price behind this id. Provisioned throughput is paid by the hour, what models of one's own cost
/// no list says, and a router chooses a model that we do not know of.
fn is_charged_by_the_token(model_id: &str) -> bool {
    let charged =
        [":foundation-model/", ":inference-profile/", ":application-inference-profile/", ":prompt/"];
    !model_id.starts_with("arn:") || charged.iter().any(|kind| model_id.contains(kind))
}

// === impl Bills ===

impl Bills {
    /// An attempt has ended. Absent: it is to be paid, and nobody knows what.
    pub fn add(&mut self, cost: Option<Cost>) {
        let sum = match (cost, self.sum) {
            (Some(cost), Some(sum)) => sum.plus(&cost),
            (cost, None) => cost,
            (None, Some(_)) => None,
        };
        match sum {
            Some(sum) => self.sum = Some(sum),
            None => self.unpriced += 1,
        }
    }

    /// What they come to. Absent: there is none, or nobody knows what one of them is.
    #[must_use]
    pub fn total(&self) -> Option<Cost> {
        self.sum.filter(|_| self.unpriced == 0)
    }

    /// How many attempts are to be paid, and nobody knows what.
    #[must_use]
    pub fn unpriced(&self) -> usize {
        self.unpriced
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalogue::Catalogue, config::Config, snapshot::Snapshot, units::PicoUsd};

    const HAIKU: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

    fn candidate(model_id: &str, base_model: Option<&str>) -> Candidate {
        let mut config = Config::for_two_models(model_id, HAIKU);
        config.models.get_mut("primary").expect("is there").base_model = base_model.map(str::to_owned);
        let snapshot = Snapshot::build(&config, &Catalogue::built_in(), "us-east-1", &Default::default());
        snapshot.routes.plan("coding").expect("is a task").candidates[0].clone()
    }

    fn asks(text: &str) -> pb::ConverseRequest {
        let block = pb::ContentBlock { block: Some(pb::content_block::Block::Text(text.to_owned())) };
        let message = pb::Message { role: "user".to_owned(), content: vec![block] };
        pb::ConverseRequest { messages: vec![message], ..Default::default() }
    }

    fn usage() -> pb::TokenUsage {
        pb::TokenUsage { input_tokens: 10, output_tokens: 2, total_tokens: 12, ..Default::default() }
    }

    #[test]
    fn what_was_never_counted_is_estimated_from_what_was_sent_and_received() {
        let mut bill = Bill::of(&candidate(HAIKU, None), &asks(&"x".repeat(41)));
        bill.received(4); // 1 token
        bill.received(5); // 9 bytes in all, 3 tokens
        let cost = bill.estimate().expect("has a price");
        assert!(cost.estimated);
        assert_eq!((cost.input, cost.output), (PicoUsd(11 * 1_100_000), PicoUsd(3 * 5_500_000)));
    }

    #[test]
    fn an_id_that_hides_its_model_is_charged_as_the_configuration_says() {
        let arn = |kind: &str| format!("arn:aws:bedrock:us-east-1:123456789012:{kind}");
        let cost = |id: &str, base| Bill::of(&candidate(id, base), &asks("x")).cost(&usage());
        let profile = arn("application-inference-profile/abc");
        let expected = Some(PicoUsd(10 * 1_100_000 + 2 * 5_500_000));
        assert_eq!(cost(&profile, Some(HAIKU)).and_then(|cost| cost.total()), expected);
        assert_eq!(cost(&profile, None), None, "nobody knows what is behind it");
        assert_eq!(cost(&arn("provisioned-model/abc"), Some(HAIKU)), None, "it is paid by the hour");
        assert_eq!(cost(&arn("default-prompt-router/abc"), Some(HAIKU)), None);
        assert_eq!(cost("test.unheard-of", None), None);
    }

    #[test]
    fn the_tier_that_served_counts_and_not_the_one_that_was_asked_for() {
        let tier = |word: &str| pb::ServiceTier { r#type: word.to_owned() };
        let nova = candidate("us.amazon.nova-2-lite-v1:0", None);
        let asked = |word: &str| pb::ConverseRequest { service_tier: Some(tier(word)), ..asks("x") };
        let input = |bill: &Bill| bill.cost(&usage()).map(|cost| cost.input.0 / 10);
        let mut bill = Bill::of(&nova, &asked("priority"));
        assert_eq!(input(&bill), Some(577_500), "Bedrock was silent, and did as it was asked");
        bill.served_in(Some(&tier("default")), None);
        assert_eq!(input(&bill), Some(330_000));
        for unpriced in ["flex", "reserved", "tomorrow's"] {
            bill.served_in(Some(&tier(unpriced)), None);
            assert_eq!((input(&bill), bill.estimate()), (None, None), "{unpriced}");
            bill = Bill::of(&nova, &asks("x"));
        }
        let fast = pb::PerformanceConfiguration { latency: Some("optimized".to_owned()) };
        bill.served_in(None, Some(&fast));
        assert_eq!(input(&bill), None, "the catalogue has no prices of the latency-optimized form");
    }

    #[test]
    fn one_attempt_without_a_price_makes_the_sum_unknown() {
        let known = Cost { input: PicoUsd(1), ..Cost::default() };
        let guessed = Cost { output: PicoUsd(2), estimated: true, ..Cost::default() };
        let mut bills = Bills::default();
        assert_eq!(bills.total(), None, "nothing to pay is not a price of zero");
        bills.add(Some(known));
        bills.add(Some(guessed));
        let sum = bills.total().expect("is known");
        assert_eq!((sum.total(), sum.estimated), (Some(PicoUsd(3)), true));
        bills.add(None);
        assert_eq!((bills.total(), bills.unpriced()), (None, 1));
    }
}
