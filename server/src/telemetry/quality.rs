//! Quality metrics: feedback on answers, by task, model and judge.
use crate::{
    feedback::{Judged, Judgement, JudgementSink, LogJudgements},
    semconv::{attribute as a, bounds, metric as m},
    snapshot::Snapshots,
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter},
};

/// Counts judgements, beside their lines in the log.
#[derive(Debug)]
pub(super) struct QualityMetrics {
    score: Histogram<f64>,
    judgements: Counter<u64>,
    snapshots: Snapshots,
}

// === impl QualityMetrics ===

impl QualityMetrics {
    pub(super) fn new(meter: &Meter, snapshots: Snapshots) -> Self {
        let (score, score_unit) = m::QUALITY;
        let (feedback, feedback_unit) = m::FEEDBACK;
        let score =
            meter.f64_histogram(score).with_unit(score_unit).with_boundaries(bounds::QUALITY.to_vec());
        let judgements = meter.u64_counter(feedback).with_unit(feedback_unit).build();
        Self { score: score.build(), judgements, snapshots }
    }

    /// Attributes of a judgement. An answer may be older than the configuration: a task or model that the
    /// current one does not name has no label, so that the number of series is bounded.
    fn labels(&self, judged: &Judged) -> Vec<KeyValue> {
        let snapshot = self.snapshots.borrow();
        let answer = &judged.answer;
        let task = snapshot.routes.tasks().find(|task| task.name == answer.task_type);
        let model = snapshot.routes.deployments().find(|deployment| deployment.shown_id == answer.model_id);
        let mut labels = Vec::with_capacity(5);
        labels.extend(task.map(|task| task.state().label.clone()));
        labels.extend(model.map(|deployment| deployment.labels().model.clone()));
        if !answer.variant.is_empty() {
            labels.push(KeyValue::new(a::VARIANT, answer.variant.clone()));
        }
        labels.push(KeyValue::new(a::JUDGE, judged.judgement.judge_kind.clone()));
        labels
    }
}

impl JudgementSink for QualityMetrics {
    fn judged(&self, judged: &Judged) {
        LogJudgements.judged(judged);
        let mut labels = self.labels(judged);
        if let Some(score) = judged.judgement.normalized_score() {
            self.score.record(score, &labels);
        }
        for kind in kinds(&judged.judgement) {
            labels.push(KeyValue::new(a::KIND, kind));
            self.judgements.add(1, &labels);
            labels.pop();
        }
    }
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
