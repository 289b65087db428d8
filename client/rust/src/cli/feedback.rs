//! `converse feedback`: what became of an answer.

use super::{
    Failure,
    args::{Args, Feedback},
    connect, json,
};
use std::io::{self, Write as _};
use switchboard_client::pb;

/// Sends what is said of an answer.
pub(super) async fn record(args: &Args, said: &Feedback) -> Result<(), Failure> {
    let reply = connect(args).await?.record_feedback(request(said)).await?;
    if args.output.json {
        return json::print("RecordFeedbackResponse", &reply);
    }
    let how = if reply.replaced { "in the place of what was said before" } else { "for the first time" };
    let pb::RecordFeedbackResponse { task_type, model_id, .. } = &reply;
    writeln!(io::stdout(), "recorded {how}: {model_id} for {task_type}").map_err(Failure::Output)
}

fn request(said: &Feedback) -> pb::RecordFeedbackRequest {
    let points = said.score.zip(said.scale);
    pb::RecordFeedbackRequest {
        request_id: said.request_id.clone(),
        judge: Some(said.by.clone()),
        criterion: said.criterion.clone(),
        thumb: match said.thumb.as_deref() {
            Some("up") => pb::Thumb::Up,
            Some(_) => pb::Thumb::Down,
            None => pb::Thumb::Unspecified,
        }
        .into(),
        score: points.map(|(value, (min, max))| pb::Score { value, min, max }),
        label: said.label.clone(),
        comment: said.comment.clone(),
        task_success: said.success,
    }
}
