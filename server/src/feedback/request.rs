//! Validation of feedback requests. One error names every wrong field.
use super::{Judgement, Score};
use crate::error::{CallError, Violations};
use switchboard_proto::v1 as pb;

/// Criterion of requests that name none.
const OVERALL: &str = "overall";
/// Longest criterion or label, in bytes.
const MAX_WORD: usize = 64;
/// Longest id of a judge, in characters.
const MAX_JUDGE_ID: usize = 128;
/// Longest comment, in characters.
const MAX_COMMENT: usize = 4000;

/// Returns the judgement of a request.
///
/// # Errors
/// [`CallError::Invalid`] with every field that is wrong.
pub(super) fn judgement(request: &pb::RecordFeedbackRequest) -> Result<Judgement, CallError> {
    let mut validator = Validator(Violations::default());
    if request.request_id.is_empty() {
        validator.field("request_id", "is missing: set the request_id of the answer's route");
    }
    let (judge_kind, judge_id) = validator.judge(request.judge.as_ref());
    let judgement = Judgement {
        judge_kind,
        judge_id,
        criterion: validator
            .word("criterion", request.criterion.as_ref())
            .unwrap_or_else(|| OVERALL.to_owned()),
        thumb: validator.thumb(request.thumb),
        score: request.score.as_ref().and_then(|score| validator.score(score)),
        label: validator.word("label", request.label.as_ref()),
        comment: validator.comment(request.comment.as_ref()),
        task_success: request.task_success,
    };
    let is_empty = request.thumb == i32::from(pb::Thumb::Unspecified)
        && request.score.is_none()
        && request.label.is_none()
        && request.comment.is_none()
        && request.task_success.is_none();
    if is_empty {
        validator.field(
            "thumb",
            "is missing, and no other judgement is set: set at least one of thumb, score, label, comment, task_success",
        );
    }
    validator.0.into_result().map(|()| judgement)
}

/// Collects the violations of a request.
struct Validator(Violations);

// === impl Validator ===

impl Validator {
    fn field(&mut self, field: &str, problem: impl Into<String>) {
        self.0.add(field, problem);
    }

    fn judge(&mut self, judge: Option<&pb::Judge>) -> (String, String) {
        let Some(pb::Judge { kind, id }) = judge else {
            self.field("judge", "is missing: set the kind and the id of the judge");
            return Default::default();
        };
        let kind = match pb::JudgeKind::try_from(*kind) {
            Ok(pb::JudgeKind::Human) => "human",
            Ok(pb::JudgeKind::Model) => "model",
            Ok(pb::JudgeKind::Check) => "check",
            Ok(pb::JudgeKind::Unspecified) | Err(_) => {
                self.field("judge.kind", "must be JUDGE_KIND_HUMAN, JUDGE_KIND_MODEL or JUDGE_KIND_CHECK");
                ""
            }
        };
        let length = id.chars().count();
        if length == 0 || length > MAX_JUDGE_ID || id.chars().any(char::is_control) {
            self.field("judge.id", format!("must be 1 to {MAX_JUDGE_ID} printable characters"));
        }
        (kind.to_owned(), id.clone())
    }

    /// A word that is used as an attribute of metrics.
    fn word(&mut self, field: &str, word: Option<&String>) -> Option<String> {
        let word = word?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if word.is_empty() || word.len() > MAX_WORD || !word.bytes().all(fits) {
            self.field(field, format!("must be 1 to {MAX_WORD} characters of [a-zA-Z0-9_.-]"));
        }
        Some(word.clone())
    }

    fn thumb(&mut self, thumb: i32) -> Option<bool> {
        match pb::Thumb::try_from(thumb) {
            Ok(pb::Thumb::Up) => Some(true),
            Ok(pb::Thumb::Down) => Some(false),
            Ok(pb::Thumb::Unspecified) => None,
            Err(_) => {
                self.field("thumb", "must be THUMB_UP or THUMB_DOWN");
                None
            }
        }
    }

    fn score(&mut self, &pb::Score { value, min, max }: &pb::Score) -> Option<Score> {
        if !(min.is_finite() && max.is_finite() && min < max) {
            self.field(
                "score.max",
                "is not greater than score.min: set the worst and the best possible score",
            );
            return None;
        }
        if !(min..=max).contains(&value) {
            self.field("score.value", format!("is not on the scale: use {min} to {max}"));
        }
        Some(Score { value, min, max })
    }

    fn comment(&mut self, comment: Option<&String>) -> Option<String> {
        let comment = comment?;
        let length = comment.chars().count();
        if length > MAX_COMMENT {
            self.field("comment", format!("has {length} characters: use at most {MAX_COMMENT}"));
        }
        Some(comment.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> pb::RecordFeedbackRequest {
        pb::RecordFeedbackRequest {
            request_id: "r".to_owned(),
            judge: Some(pb::Judge { kind: pb::JudgeKind::Human.into(), id: "alice".to_owned() }),
            thumb: pb::Thumb::Up.into(),
            ..Default::default()
        }
    }

    fn wrong_fields(request: &pb::RecordFeedbackRequest) -> Vec<String> {
        match judgement(request) {
            Err(CallError::Invalid(violations)) => violations.into_iter().map(|it| it.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_default_criterion_is_overall() {
        let judgement = judgement(&valid()).expect("is valid");
        assert_eq!((judgement.criterion.as_str(), judgement.thumb), ("overall", Some(true)));
    }

    #[test]
    fn one_error_names_every_wrong_field() {
        let request = pb::RecordFeedbackRequest {
            judge: Some(pb::Judge { kind: 99, id: "x".repeat(129) }),
            criterion: Some("how good".to_owned()),
            thumb: 99,
            score: Some(pb::Score { value: 6.0, min: 1.0, max: 5.0 }),
            label: Some(String::new()),
            comment: Some("x".repeat(4001)),
            ..Default::default()
        };
        let expected =
            ["request_id", "judge.kind", "judge.id", "criterion", "thumb", "score.value", "label", "comment"];
        assert_eq!(wrong_fields(&request), expected);
        assert_eq!(wrong_fields(&pb::RecordFeedbackRequest::default()), ["request_id", "judge", "thumb"]);
    }

    #[test]
    fn a_score_lies_on_a_finite_scale() {
        let scored = |value, min, max| {
            let score = Some(pb::Score { value, min, max });
            judgement(&pb::RecordFeedbackRequest { score, ..valid() })
        };
        for (value, min, max) in [(1.0, 1.0, 5.0), (5.0, 1.0, 5.0), (0.0, f64::MIN, f64::MAX)] {
            assert!(scored(value, min, max).is_ok(), "{value} of {min} to {max}");
        }
        for (value, min, max) in [
            (1.0, 1.0, 1.0),
            (1.0, 5.0, 1.0),
            (0.9, 1.0, 5.0),
            (f64::NAN, 0.0, 1.0),
            (0.0, f64::NAN, 1.0),
            (0.0, 0.0, f64::INFINITY),
        ] {
            assert!(scored(value, min, max).is_err(), "{value} of {min} to {max}");
        }
    }
}
