//! Inference parameters, and the repair of a request after a refusal that the catalogue did not predict.
use super::{Action, Draft, ShapeInput, Shaped};
use crate::{
    catalogue::{Effort, Sampling},
    route::Candidate,
};
use prost::Message as _;
use switchboard_proto::v1::{self as pb, content_block::Block, system_content_block, tool as tool_entry};

impl Draft<'_, '_> {
    pub(super) fn shape_parameters(&mut self, input: ShapeInput<'_>, candidate: &Candidate) {
        self.limit_tokens(input, candidate);
        self.limit_sampling();
        self.limit_effort();
    }

    /// Sets `max_tokens`. It is always sent: without it Bedrock reserves the model's whole output limit from
    /// the account's token quota. Reasoning counts as output, so a reasoning budget is added to the default.
    fn limit_tokens(&mut self, input: ShapeInput<'_>, candidate: &Candidate) {
        let requested = self.shaped.inference.max_tokens;
        let budget = ["thinking", "reasoning_config"]
            .into_iter()
            .find_map(|name| self.shaped.thinking(name)?.budget_tokens);
        let reasoning = budget.and_then(|budget| i32::try_from(budget).ok()).unwrap_or(0);
        let default = input.task.max_tokens.get().saturating_add(reasoning);
        let limit = candidate.max_output_tokens().map_or(i32::MAX, |limit| limit.get());
        let sent = requested.unwrap_or(default).min(limit);
        self.shaped.inference.max_tokens = Some(sent);
        match requested {
            None => self.note(
                "inference_config.max_tokens",
                Action::Added,
                format!("the default of the task is {sent}"),
            ),
            Some(requested) if requested > sent => {
                self.note(
                    "inference_config.max_tokens",
                    Action::Lowered,
                    format!("the limit of the model is {sent}"),
                );
            }
            Some(_) => {}
        }
    }

    /// Sets the service tier of a rung of the model's ladder.
    pub(super) fn shape_tier(&mut self, candidate: &Candidate) {
        if let Some(tier) = &candidate.deployment.key.service_tier {
            self.shaped.request.to_mut().service_tier = Some(pb::ServiceTier { r#type: tier.clone() });
            self.note(
                "service_tier",
                Action::Added,
                format!("the rung of the model's ladder has the tier {tier}"),
            );
        }
    }

    fn limit_sampling(&mut self) {
        let inference = &mut self.shaped.inference;
        match self.facts.sampling {
            Sampling::All => {}
            Sampling::One => {
                if inference.temperature.is_some() && inference.top_p.take().is_some() {
                    self.note(
                        "inference_config.top_p",
                        Action::Removed,
                        "the model accepts only one of temperature and top_p",
                    );
                }
            }
            Sampling::None => {
                let taken =
                    [("temperature", inference.temperature.take()), ("top_p", inference.top_p.take())];
                for (name, _) in taken.into_iter().filter(|(_, value)| value.is_some()) {
                    self.note(
                        format!("inference_config.{name}"),
                        Action::Removed,
                        "the model does not accept sampling parameters",
                    );
                }
                self.shaped.remove_extra("top_k", "the model does not accept sampling parameters");
            }
        }
    }

    fn limit_effort(&mut self) {
        let requested = self.request().output_config.as_ref().and_then(|output| output.effort.as_deref());
        let (Some(requested), Some(max)) = (requested.and_then(Effort::named), self.facts.max_effort) else {
            return;
        };
        if requested > max {
            if let Some(output) = &mut self.shaped.request.to_mut().output_config {
                output.effort = Some(max.name().to_owned());
            }
            self.note(
                "output_config.effort",
                Action::Lowered,
                format!("the highest effort of the model is {:?}", max.name()),
            );
        }
    }
}

/// A part of a request that a model refused although the catalogue did not predict it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// `inference_config.temperature`.
    Temperature,
    /// `inference_config.top_p`.
    TopP,
    /// `top_k` among the additional fields.
    TopK,
    /// `inference_config.stop_sequences`.
    StopSequences,
    /// `strict` of every tool.
    Strict,
    /// Every cache point.
    CachePoints,
    /// All reasoning in the history.
    Reasoning,
}

impl Repair {
    /// Returns the part that Bedrock's refusal names, if it can be removed. For "temperature and top_p cannot
    /// both be specified" it is top_p.
    #[must_use]
    pub fn named_in(message: &str) -> Option<Self> {
        let contains_any = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if contains_any(&["cannot both be specified"]) {
            return Some(Self::TopP);
        }
        let names: [(&[&str], Self); 7] = [
            (&["`temperature`", "temperature is", "temperature:"], Self::Temperature),
            (&["`top_p`", "top_p is", "top_p:", "`topP`", "topP is"], Self::TopP),
            (&["top_k"], Self::TopK),
            (&["stopSequences", "stop_sequences", "stop sequences"], Self::StopSequences),
            (&["strict"], Self::Strict),
            (&["cachePoint", "cache_control", "prompt caching"], Self::CachePoints),
            (&["`thinking` block", "thinking blocks", "reasoningContent", "signature"], Self::Reasoning),
        ];
        names.into_iter().find(|(words, _)| contains_any(words)).map(|(_, repair)| repair)
    }
}

impl Shaped<'_> {
    /// Removes the part that `repair` names. `None`: the request does not have it, so removing it cannot
    /// help.
    #[must_use]
    pub fn repaired(&self, repair: Repair) -> Option<Self> {
        let mut shaped = self.clone();
        let path = shaped.remove(repair)?;
        shaped.note(path, Action::Removed, "the model refused the field");
        if let Some(last) = shaped.adjustments.last_mut() {
            last.learned = true;
        }
        Some(shaped)
    }

    fn remove(&mut self, repair: Repair) -> Option<&'static str> {
        let inference = &mut self.inference;
        match repair {
            Repair::Temperature => inference.temperature.take().map(|_| "inference_config.temperature"),
            Repair::TopP => inference.top_p.take().map(|_| "inference_config.top_p"),
            Repair::StopSequences => (!std::mem::take(&mut inference.stop_sequences).is_empty())
                .then_some("inference_config.stop_sequences"),
            Repair::TopK => self.take_extra("top_k").then_some("additional_model_request_fields.top_k"),
            Repair::Strict => self.remove_strict(),
            Repair::CachePoints => {
                self.remove_blocks("cache_point", |block| matches!(block, Block::CachePoint(_)))
            }
            Repair::Reasoning => {
                self.remove_blocks("reasoning_content", |block| matches!(block, Block::ReasoningContent(_)))
            }
        }
    }

    fn remove_strict(&mut self) -> Option<&'static str> {
        let mut any = false;
        for entry in self.request.to_mut().tool_config.iter_mut().flat_map(|config| &mut config.tools) {
            if let Some(tool_entry::Tool::ToolSpec(spec)) = &mut entry.tool {
                any |= spec.strict.take().is_some();
            }
        }
        any.then_some("tool_config.tools.tool_spec.strict")
    }

    fn remove_blocks(&mut self, path: &'static str, is_removed: fn(&Block) -> bool) -> Option<&'static str> {
        let before = self.request.encoded_len();
        let request = self.request.to_mut();
        for message in &mut request.messages {
            message.content.retain(|entry| !entry.block.as_ref().is_some_and(is_removed));
        }
        request.messages.retain(|message| !message.content.is_empty());
        if path == "cache_point" {
            request
                .system
                .retain(|entry| !matches!(entry.block, Some(system_content_block::Block::CachePoint(_))));
            if let Some(config) = &mut request.tool_config {
                config.tools.retain(|entry| !matches!(entry.tool, Some(tool_entry::Tool::CachePoint(_))));
            }
        }
        (self.request.encoded_len() < before).then_some(path)
    }
}
