//! `FeedbackService`: collects feedback on answers.
use crate::{
    error::Context,
    feedback::{Feedback, Judged},
};
use switchboard_proto::v1::{self as pb, feedback_service_server::FeedbackService};
use tonic::{Request, Response, Status};

/// Records judgements.
#[derive(Debug)]
pub(crate) struct Judgements(pub(crate) Feedback);

#[tonic::async_trait]
impl FeedbackService for Judgements {
    async fn record_feedback(
        &self,
        request: Request<pb::RecordFeedbackRequest>,
    ) -> Result<Response<pb::RecordFeedbackResponse>, Status> {
        let recorded = self.0.record(request.into_inner()).await;
        let Judged { answer, replaced, .. } =
            recorded.map_err(|error| error.into_status(&Context::default()))?;
        Ok(Response::new(pb::RecordFeedbackResponse {
            replaced,
            task_type: answer.task_type,
            model_id: answer.model_id,
            variant: answer.variant,
        }))
    }
}
