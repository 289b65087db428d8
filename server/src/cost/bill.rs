//! Cost of an attempt: from its usage, or estimated from its text if the usage never arrives; and the sum of
//! a call.
use super::{Cost, Used, cost_of, estimate, price_usage};
use crate::{
    catalogue::{ModelFacts, ServiceTier},
    route::Candidate,
};
use std::sync::Arc;
use switchboard_proto::v1 as pb;

/// The bill of one attempt.
#[derive(Clone, Debug)]
pub struct Bill {
    facts: Arc<ModelFacts>,
    /// Model id whose price applies.
    priced_as: String,
    /// Service tier that served the attempt. Absent: a tier without known prices.
    tier: Option<ServiceTier>,
    /// True if latency-optimized inference served the attempt; the catalogue does not have its prices.
    optimized: bool,
    /// Text of the request, in bytes.
    sent: u64,
    /// Text of the answer so far, in bytes.
    received: u64,
}

/// The bills of all attempts of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bills {
    sum: Option<Cost>,
    unpriced: usize,
}

// === impl Bill ===

impl Bill {
    /// The bill of a request as it is sent to a model.
    #[must_use]
    pub fn of(candidate: &Candidate, request: &pb::ConverseRequest) -> Self {
        let mut bill = Self {
            facts: Arc::clone(&candidate.facts),
            priced_as: candidate.priced_as.clone(),
            tier: Some(ServiceTier::Default)
                .filter(|_| is_charged_per_token(&candidate.deployment.key.model_id)),
            optimized: false,
            sent: estimate::text_bytes(request),
            received: 0,
        };
        bill.served_in(request.service_tier.as_ref(), request.performance_config.as_ref());
        bill
    }

    /// Adds text of the answer, in bytes.
    pub fn received(&mut self, bytes: u64) {
        self.received = self.received.saturating_add(bytes);
    }

    /// Sets how Bedrock served the attempt. Absent values: as requested.
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

    /// Cost of `usage`. Absent: unknown.
    #[must_use]
    pub fn cost(&self, usage: &pb::TokenUsage) -> Option<Cost> {
        let tier = self.tier.filter(|_| !self.optimized)?;
        cost_of(&self.facts, &self.priced_as, tier, usage)
    }

    /// Estimated cost so far: the whole request as input, the received text as output. Absent: unknown.
    #[must_use]
    pub fn estimate(&self) -> Option<Cost> {
        let tier = self.tier.filter(|_| !self.optimized)?;
        let (input, output) = (estimate::tokens(self.sent), estimate::tokens(self.received));
        let price = self.facts.price_of(&self.priced_as, tier, input.0)?;
        let used = Used { input, output, ..Used::default() };
        price_usage(price, &used).map(|cost| Cost { estimated: true, ..cost })
    }
}

/// True if calls of this id are charged per token at a known price. Provisioned throughput is charged per
/// hour, custom models have no public price, and a prompt router does not reveal the model that it chooses.
fn is_charged_per_token(model_id: &str) -> bool {
    let charged =
        [":foundation-model/", ":inference-profile/", ":application-inference-profile/", ":prompt/"];
    !model_id.starts_with("arn:") || charged.iter().any(|kind| model_id.contains(kind))
}

// === impl Bills ===

impl Bills {
    /// Adds the cost of an attempt. Absent: the attempt is charged, and its cost is unknown.
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

    /// Sum of all attempts. Absent: no attempt was charged, or the cost of one is unknown.
    #[must_use]
    pub fn total(&self) -> Option<Cost> {
        self.sum.filter(|_| self.unpriced == 0)
    }

    /// Number of attempts whose cost is unknown.
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

    fn request(text: &str) -> pb::ConverseRequest {
        let block = pb::ContentBlock { block: Some(pb::content_block::Block::Text(text.to_owned())) };
        let message = pb::Message { role: "user".to_owned(), content: vec![block] };
        pb::ConverseRequest { messages: vec![message], ..Default::default() }
    }

    fn usage() -> pb::TokenUsage {
        pb::TokenUsage { input_tokens: 10, output_tokens: 2, total_tokens: 12, ..Default::default() }
    }

    #[test]
    fn the_estimate_counts_the_sent_and_received_text() {
        let mut bill = Bill::of(&candidate(HAIKU, None), &request(&"x".repeat(41)));
        bill.received(4); // 1 token
        bill.received(5); // 9 bytes in all, 3 tokens
        let cost = bill.estimate().expect("has a price");
        assert!(cost.estimated);
        assert_eq!((cost.input, cost.output), (PicoUsd(11 * 1_100_000), PicoUsd(3 * 5_500_000)));
    }

    #[test]
    fn the_configuration_names_the_price_of_an_id_that_hides_its_model() {
        let arn = |kind: &str| format!("arn:aws:bedrock:us-east-1:123456789012:{kind}");
        let cost = |id: &str, base| Bill::of(&candidate(id, base), &request("x")).cost(&usage());
        let profile = arn("application-inference-profile/abc");
        let expected = Some(PicoUsd(10 * 1_100_000 + 2 * 5_500_000));
        assert_eq!(cost(&profile, Some(HAIKU)).and_then(|cost| cost.total()), expected);
        assert_eq!(cost(&profile, None), None, "its model is unknown");
        assert_eq!(cost(&arn("provisioned-model/abc"), Some(HAIKU)), None, "it is charged per hour");
        assert_eq!(cost(&arn("default-prompt-router/abc"), Some(HAIKU)), None);
        assert_eq!(cost("test.unheard-of", None), None);
    }

    #[test]
    fn the_price_is_that_of_the_tier_that_served() {
        let tier = |word: &str| pb::ServiceTier { r#type: word.to_owned() };
        let nova = candidate("us.amazon.nova-2-lite-v1:0", None);
        let asked = |word: &str| pb::ConverseRequest { service_tier: Some(tier(word)), ..request("x") };
        let input = |bill: &Bill| bill.cost(&usage()).map(|cost| cost.input.0 / 10);
        let mut bill = Bill::of(&nova, &asked("priority"));
        assert_eq!(input(&bill), Some(577_500), "Bedrock reported no tier: it served the requested one");
        bill.served_in(Some(&tier("default")), None);
        assert_eq!(input(&bill), Some(330_000));
        for unpriced in ["flex", "reserved", "tomorrow's"] {
            bill.served_in(Some(&tier(unpriced)), None);
            assert_eq!((input(&bill), bill.estimate()), (None, None), "{unpriced}");
            bill = Bill::of(&nova, &request("x"));
        }
        let fast = pb::PerformanceConfiguration { latency: Some("optimized".to_owned()) };
        bill.served_in(None, Some(&fast));
        assert_eq!(input(&bill), None, "the catalogue has no prices of latency-optimized inference");
    }

    #[test]
    fn one_unknown_cost_makes_the_sum_unknown() {
        let known = Cost { input: PicoUsd(1), ..Cost::default() };
        let estimated = Cost { output: PicoUsd(2), estimated: true, ..Cost::default() };
        let mut bills = Bills::default();
        assert_eq!(bills.total(), None, "no charged attempt is not a cost of zero");
        bills.add(Some(known));
        bills.add(Some(estimated));
        let sum = bills.total().expect("is known");
        assert_eq!((sum.total(), sum.estimated), (Some(PicoUsd(3)), true));
        bills.add(None);
        assert_eq!((bills.total(), bills.unpriced()), (None, 1));
    }
}
