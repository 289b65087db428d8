//! Parameters: how much and how freely a model generates; and the one repair of what the catalogue did not know.
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

    /// Always sent: without it Bedrock reserves the model's whole limit of the account's quota. A model that reasons with
    /// a budget needs room for an answer behind it.
    fn limit_tokens(&mut self, input: ShapeInput<'_>, candidate: &Candidate) {
        let wanted = self.shaped.inference.max_tokens;
        let budget = ["thinking", "reasoning_config"]
            .into_iter()
            .find_map(|name| self.shaped.thinking(name)?.budget_tokens);
        let room = budget.and_then(|budget| i32::try_from(budget).ok()).unwrap_or(0);
        let default = input.task.max_tokens.get().saturating_add(room);
        let limit = candidate.max_output_tokens().map_or(i32::MAX, |limit| limit.get());
        let sent = wanted.unwrap_or(default).min(limit);
        self.shaped.inference.max_tokens = Some(sent);
        match wanted {
            None => {
                self.note("inference_config.max_tokens", Action::Added, format!("the task's default, {sent}"))
            }
            Some(wanted) if wanted > sent => {
                self.note(
                    "inference_config.max_tokens",
                    Action::Lowered,
                    format!("the model generates at most {sent}"),
                );
            }
            Some(_) => {}
        }
    }

    /// A rung of a model's ladder may be a service tier.
    pub(super) fn shape_tier(&mut self, candidate: &Candidate) {
        if let Some(tier) = &candidate.deployment.key.service_tier {
            self.shaped.request.to_mut().service_tier = Some(pb::ServiceTier { r#type: tier.clone() });
            self.note(
                "service_tier",
                Action::Added,
                format!("this rung of the model's ladder asks for {tier}"),
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
                        "the model takes it or the temperature, not both",
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
                        "the model takes no sampling parameters",
                    );
                }
                self.shaped.remove_extra("top_k", "the model takes no sampling parameters");
            }
        }
    }

    fn limit_effort(&mut self) {
        let requested = self.request().output_config.as_ref().and_then(|output| output.effort.as_deref());
        let (Some(requested), Some(most)) = (requested.and_then(Effort::named), self.facts.max_effort) else {
            return;
        };
        if requested > most {
            if let Some(output) = &mut self.shaped.request.to_mut().output_config {
                output.effort = Some(most.name().to_owned());
            }
            self.note(
                "output_config.effort",
                Action::Lowered,
                format!("the model's highest is {:?}", most.name()),
            );
        }
    }
}

/// A parameter that a model turned out not to take.
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
    /// What Bedrock's refusal names, if it is something that can be left out. Both parameters of "temperature and top_p
    /// cannot both be specified" are named; the second goes.
    #[must_use]
    pub fn named_in(message: &str) -> Option<Self> {
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if says(&["cannot both be specified"]) {
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
        names.into_iter().find(|(words, _)| says(words)).map(|(_, repair)| repair)
    }
}

impl Shaped<'_> {
    /// Leaves out what `repair` names. `None`: it was not there, so leaving it out cannot help.
    #[must_use]
    pub fn repaired(&self, repair: Repair) -> Option<Self> {
        let mut shaped = self.clone();
        let path = shaped.leave_out(repair)?;
        shaped.note(path, Action::Removed, "the model refused it");
        if let Some(last) = shaped.adjustments.last_mut() {
            last.learned = true;
        }
        Some(shaped)
    }

    fn leave_out(&mut self, repair: Repair) -> Option<&'static str> {
        let inference = &mut self.inference;
        match repair {
            Repair::Temperature => inference.temperature.take().map(|_| "inference_config.temperature"),
            Repair::TopP => inference.top_p.take().map(|_| "inference_config.top_p"),
            Repair::StopSequences => (!std::mem::take(&mut inference.stop_sequences).is_empty())
                .then_some("inference_config.stop_sequences"),
            Repair::TopK => self.leave_out_extra("top_k").then_some("additional_model_request_fields.top_k"),
            Repair::Strict => self.leave_out_strict(),
            Repair::CachePoints => {
                self.leave_out_blocks("cache_point", |block| matches!(block, Block::CachePoint(_)))
            }
            Repair::Reasoning => self
                .leave_out_blocks("reasoning_content", |block| matches!(block, Block::ReasoningContent(_))),
        }
    }

    fn leave_out_strict(&mut self) -> Option<&'static str> {
        let mut any = false;
        for entry in self.request.to_mut().tool_config.iter_mut().flat_map(|config| &mut config.tools) {
            if let Some(tool_entry::Tool::ToolSpec(spec)) = &mut entry.tool {
                any |= spec.strict.take().is_some();
            }
        }
        any.then_some("tool_config.tools.tool_spec.strict")
    }

    fn leave_out_blocks(&mut self, path: &'static str, goes: fn(&Block) -> bool) -> Option<&'static str> {
        let before = self.request.encoded_len();
        let request = self.request.to_mut();
        for message in &mut request.messages {
            message.content.retain(|entry| !entry.block.as_ref().is_some_and(goes));
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
