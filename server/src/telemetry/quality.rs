//! Quality: what people and programs said of answers, as metrics.
use super::names::{attribute as a, bounds, metric as m};
use crate::{
    feedback::{Judged, Judgement, LogJudged, OnJudged},
    route::Routes,
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter},
};
use std::collections::{BTreeMap, BTreeSet};

/// Counts judgements, beside their lines in the log.
#[derive(Debug)]
pub(super) struct Judgements {
    score: Histogram<f64>,
    judgements: Counter<u64>,
    tasks: BTreeSet<String>,
    /// The configuration's name of each model id.
    models: BTreeMap<String, String>,
}

// === impl Judgements ===

impl Judgements {
    pub(super) fn new(meter: &Meter, routes: &Routes) -> Self {
        let (score, score_unit) = m::QUALITY;
        let (feedback, feedback_unit) = m::FEEDBACK;
        let score =
            meter.f64_histogram(score).with_unit(score_unit).with_boundaries(bounds::QUALITY.to_vec());
        let named = |target: &crate::route::Target| (target.model_id.clone(), target.name.clone());
        Self {
            score: score.build(),
            judgements: meter.u64_counter(feedback).with_unit(feedback_unit).build(),
            tasks: routes.tasks().map(|task| task.name.clone()).collect(),
            models: routes.targets().iter().map(named).collect(),
        }
    }

    /// Whose answer, and who judged. An answer may be older than the configuration; what that no longer names has no label.
    fn labels(&self, judged: &Judged) -> Vec<KeyValue> {
        let task = self.tasks.get(&judged.answer.task_type);
        let mut labels = Vec::with_capacity(5);
        labels.extend(task.map(|task| KeyValue::new(a::TASK, task.clone())));
        let model = self.models.get(&judged.answer.model_id);
        labels.extend(model.map(|model| KeyValue::new(a::MODEL, model.clone())));
        if !judged.answer.variant.is_empty() {
            labels.push(KeyValue::new(a::VARIANT, judged.answer.variant.clone()));
        }
        labels.push(KeyValue::new(a::JUDGE, judged.judgement.judge_kind.clone()));
        labels
    }
}

impl OnJudged for Judgements {
    fn judged(&self, judged: &Judged) {
        LogJudged.judged(judged);
        let mut labels = self.labels(judged);
        if let Some(score) = from_0_to_1(&judged.judgement) {
            self.score.record(score, &labels);
        }
        for kind in kinds(&judged.judgement) {
            labels.push(KeyValue::new(a::KIND, kind));
            self.judgements.add(1, &labels);
            labels.pop();
        }
    }
}

/// How good it was; of a thumb or a success, all or nothing. Absent: it says no such thing.
fn from_0_to_1(judgement: &Judgement) -> Option<f64> {
    let all_or_nothing = |good: bool| if good { 1.0 } else { 0.0 };
    let score = judgement.score.filter(|score| score.max > score.min);
    score
        .map(|score| (score.value - score.min) / (score.max - score.min))
        .or(judgement.thumb.map(all_or_nothing))
        .or(judgement.task_success.map(all_or_nothing))
}

fn kinds(judgement: &Judgement) -> impl Iterator<Item = &'static str> {
    let said = [
        ("thumb", judgement.thumb.is_some()),
        ("score", judgement.score.is_some()),
        ("label", judgement.label.is_some()),
        ("comment", judgement.comment.is_some()),
        ("task_success", judgement.task_success.is_some()),
    ];
    said.into_iter().filter_map(|(kind, is_said)| is_said.then_some(kind))
}
