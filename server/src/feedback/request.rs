//! What a judgement must be: everything that is wrong with one is told at once.
use super::{Judgement, Score};
use crate::error::{CallError, Violations};
use switchboard_proto::v1 as pb;

/// The criterion where none is named.
const OVERALL: &str = "overall";
/// Longest words that name or class something.
const MAX_WORD: usize = 64;
/// Longest id of a judge, in characters.
const MAX_JUDGE: usize = 128;
/// Longest comment, in characters.
const MAX_COMMENT: usize = 4000;

/// The judgement that a request brings.
///
/// # Errors
/// [`CallError::Invalid`] with every field that is wrong.
pub(super) fn judgement(request: &pb::RecordFeedbackRequest) -> Result<Judgement, CallError> {
    let mut wrong = Validator(Violations::default());
    if request.request_id.is_empty() {
        wrong.field("request_id", "is missing: set the request_id of the answer's route");
    }
    let (judge_kind, judge_id) = wrong.judge(request.judge.as_ref());
    let judgement = Judgement {
        judge_kind,
        judge_id,
        criterion: wrong.word("criterion", request.criterion.as_ref()).unwrap_or_else(|| OVERALL.to_owned()),
        thumb: wrong.thumb(request.thumb),
        score: request.score.as_ref().and_then(|score| wrong.score(score)),
        label: wrong.word("label", request.label.as_ref()),
        comment: wrong.comment(request.comment.as_ref()),
        task_success: request.task_success,
    };
    let says_nothing = request.thumb == i32::from(pb::Thumb::Unspecified)
        && request.score.is_none()
        && request.label.is_none()
        && request.comment.is_none()
        && request.task_success.is_none();
    if says_nothing {
        wrong.field(
            "thumb",
            "or another judgement is missing: set one of thumb, score, label, comment, task_success",
        );
    }
    wrong.0.into_result().map(|()| judgement)
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
            self.field("judge", "is missing: say who judges, by kind and id");
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
        if length == 0 || length > MAX_JUDGE || id.chars().any(char::is_control) {
            self.field("judge.id", format!("must be 1 to {MAX_JUDGE} characters that can be seen"));
        }
        (kind.to_owned(), id.clone())
    }

    /// A word that becomes an attribute of metrics.
    fn word(&mut self, field: &str, word: Option<&String>) -> Option<String> {
        let word = word?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if word.is_empty() || word.len() > MAX_WORD || !word.bytes().all(fits) {
            self.field(field, format!("must be 1 to {MAX_WORD} of [a-zA-Z0-9_.-]"));
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
                "is not more than score.min: set the worst and the best that can be given",
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
    fn a_judgement_without_a_criterion_is_of_the_whole() {
        let judgement = judgement(&valid()).expect("is valid");
        assert_eq!((judgement.criterion.as_str(), judgement.thumb), ("overall", Some(true)));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
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
    fn a_scale_has_two_ends_and_points_lie_between() {
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
