//! `converse feedback`: records feedback on an answer.

use super::{
    Failure,
    args::{Args, Feedback},
    connect, json,
};
use std::io::{self, Write as _};
use switchboard_client::pb;

/// Sends the feedback.
pub(super) async fn record(args: &Args, feedback: &Feedback) -> Result<(), Failure> {
    let reply = connect(args).await?.record_feedback(request(feedback)).await?;
    if args.output.json {
        return json::print("RecordFeedbackResponse", &reply);
    }
    let verb = if reply.replaced { "replaced your earlier feedback" } else { "recorded feedback" };
    let pb::RecordFeedbackResponse { task_type, model_id, .. } = &reply;
    writeln!(io::stdout(), "{verb} on {model_id} (task {task_type})").map_err(Failure::Output)
}

fn request(feedback: &Feedback) -> pb::RecordFeedbackRequest {
    let score = feedback.score.zip(feedback.scale);
    pb::RecordFeedbackRequest {
        request_id: feedback.request_id.clone(),
        judge: Some(feedback.by.clone()),
        criterion: feedback.criterion.clone(),
        thumb: feedback.thumb.map_or(pb::Thumb::Unspecified, pb::Thumb::from).into(),
        score: score.map(|(value, (min, max))| pb::Score { value, min, max }),
        label: feedback.label.clone(),
        comment: feedback.comment.clone(),
        task_success: feedback.success,
    }
}
