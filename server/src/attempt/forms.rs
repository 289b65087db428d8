//! What is tried: an answer whole, the beginning of a stream, a count of tokens.
mod floor;

use super::{
    Begun,
    deadline::Clock,
    failure::{Failure, FailureKind},
    targets::Trial,
};
use crate::{
    bedrock::{Answer, Ask, Counted, ModelEvent, Models},
    route::Candidate,
    shape::Form,
};
use futures_util::StreamExt as _;
use std::future::Future;
use switchboard_proto::v1::{self as pb, content_block_delta::Delta};
use tokio::time::timeout;

/// An answer that stalls before its content must not fill our memory either.
const MAX_HEAD: usize = 64;

/// Who is asked what, for how long.
#[derive(Clone, Copy)]
pub(super) struct On<'a, M> {
    pub(super) models: &'a M,
    pub(super) candidate: &'a Candidate,
    pub(super) ask: Ask<'a>,
    pub(super) clock: Clock,
}

/// One try of one model, until there is something that can be given to the caller.
pub(super) trait Attempt<M: Models>: Sync {
    type Reply: Send;
    /// What is asked for.
    const FORM: Form;

    fn attempt(&self, on: On<'_, M>) -> impl Future<Output = Result<Self::Reply, Failure>> + Send;

    fn request_id(reply: &Self::Reply) -> &str;

    /// The answer takes the trial with it, or ends it.
    fn hand_over(&self, _: &mut Self::Reply, trial: Trial) {
        trial.ended_well();
    }
}

/// Until the answer is there as a whole.
pub(super) struct Whole;

impl<M: Models> Attempt<M> for Whole {
    type Reply = Answer;
    const FORM: Form = Form::Whole;

    async fn attempt(&self, on: On<'_, M>) -> Result<Answer, Failure> {
        let answer = timeout(on.clock.patience, on.models.converse(on.candidate, on.ask)).await;
        answer.unwrap_or_else(|_elapsed| Err(on.clock.ran_out("answer")))
    }

    fn request_id(reply: &Answer) -> &str {
        &reply.request_id
    }
}

/// Until the first content is there.
pub(super) struct Streamed;

impl<M: Models> Attempt<M> for Streamed {
    type Reply = Begun<M::Events>;
    const FORM: Form = Form::Streamed;

    async fn attempt(&self, on: On<'_, M>) -> Result<Self::Reply, Failure> {
        let (clock, floor) = (on.clock, on.candidate.deadline.floor);
        let begun = timeout(clock.patience, begin(on)).await;
        let mut begun = begun.unwrap_or_else(|_elapsed| Err(clock.ran_out("content")))?;
        if let Some(floor) = floor {
            floor::hold(&mut begun, floor).await?;
        }
        Ok(begun)
    }

    fn request_id(reply: &Self::Reply) -> &str {
        &reply.request_id
    }

    fn hand_over(&self, reply: &mut Self::Reply, trial: Trial) {
        reply.trial = Some(trial);
    }
}

/// Until the count is there.
pub(super) struct Counting<'a>(pub(super) &'a pb::CountTokensRequest);

impl<M: Models> Attempt<M> for Counting<'_> {
    type Reply = Counted;
    const FORM: Form = Form::Counted;

    async fn attempt(&self, on: On<'_, M>) -> Result<Counted, Failure> {
        let request = self.request(on.ask.request);
        let counted = timeout(on.clock.patience, on.models.count_tokens(on.candidate, &request)).await;
        counted.unwrap_or_else(|_elapsed| Err(on.clock.ran_out("count")))
    }

    fn request_id(reply: &Counted) -> &str {
        &reply.request_id
    }
}

impl Counting<'_> {
    /// A body of InvokeModel, which is not one, has the form of one family of models: only the task's first model can
    /// understand it.
    pub(super) fn is_conversation(&self) -> bool {
        use pb::count_tokens_input::Input;
        matches!(self.0.input.as_ref().and_then(|input| input.input.as_ref()), Some(Input::Converse(_)))
    }

    /// What is counted, as this attempt would send it.
    fn request(&self, sent: &pb::ConverseRequest) -> pb::CountTokensRequest {
        use pb::{
            converse_request::AdditionalRequestFields as Sent,
            converse_tokens_request::AdditionalRequestFields as Extra, count_tokens_input::Input,
        };
        if !self.is_conversation() {
            return self.0.clone();
        }
        let conversation = pb::ConverseTokensRequest {
            messages: sent.messages.clone(),
            system: sent.system.clone(),
            tool_config: sent.tool_config.clone(),
            additional_request_fields: sent.additional_request_fields.clone().map(|fields| match fields {
                Sent::AdditionalModelRequestFields(fields) => Extra::AdditionalModelRequestFields(fields),
                Sent::AdditionalModelRequestFieldsJson(json) => Extra::AdditionalModelRequestFieldsJson(json),
            }),
        };
        let input = Some(pb::CountTokensInput { input: Some(Input::Converse(conversation)) });
        pb::CountTokensRequest { input, ..self.0.clone() }
    }
}

async fn begin<M: Models>(on: On<'_, M>) -> Result<Begun<M::Events>, Failure> {
    let clocks = &on.candidate.deadline;
    let opening = on.models.converse_stream(on.candidate, on.ask);
    let opened = match clocks.headers {
        None => opening.await?,
        Some(patience) => timeout(patience, opening).await.unwrap_or_else(|_elapsed| {
            Err(Failure::new(FailureKind::HeadersTimeout, format!("not accepted within {patience:?}")))
        })?,
    };
    let (mut rest, request_id, mut head) = (opened.events, opened.request_id, Vec::new());
    loop {
        let Some(event) = rest.next().await.transpose()? else {
            let nothing = Failure::new(FailureKind::EndedEarly, "the stream ended before any content");
            return Err(nothing.of_request(&request_id));
        };
        head.push(event);
        if head.last().is_some_and(is_content) || head.len() >= MAX_HEAD {
            return Ok(Begun { head, rest, request_id, idle: clocks.idle, trial: None });
        }
    }
}

/// Whether a caller could use it: words, or the end of a block or of the turn. Beginnings and empty pieces are nothing.
fn is_content(event: &ModelEvent) -> bool {
    match event {
        ModelEvent::ContentBlockDelta(piece) => {
            match piece.delta.as_ref().and_then(|delta| delta.delta.as_ref()) {
                Some(Delta::Text(text)) => !text.is_empty(),
                Some(Delta::ToolUse(piece)) => !piece.input.is_empty(),
                Some(_) => true,
                None => false,
            }
        }
        ModelEvent::ContentBlockStop(_) | ModelEvent::MessageStop(_) | ModelEvent::Metadata(_) => true,
        _ => false,
    }
}
