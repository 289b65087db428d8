//! What an attempt requests: a whole answer, the beginning of a stream, or a number of tokens.
use super::{Begun, deadline::Timeout, min_throughput};
use crate::{
    failure::{Failure, FailureKind},
    model::{Answer, Counted, ModelEvent, ModelRequest, Models},
    route::Candidate,
    rpc::Method,
};
use futures_util::StreamExt as _;
use std::future::Future;
use switchboard_proto::v1::{self as pb, content_block_delta::Delta};
use tokio::time::timeout;

/// Most events before the first content. A stream that sends more without content counts as answered: it must
/// not fill our memory.
const MAX_HEAD_EVENTS: usize = 64;

/// One request to one model.
#[derive(Clone, Copy)]
pub(super) struct AttemptContext<'a, M> {
    pub(super) models: &'a M,
    pub(super) candidate: &'a Candidate,
    pub(super) request: ModelRequest<'a>,
    pub(super) timeout: Timeout,
}

/// One kind of attempt, until there is something for the caller.
pub(super) trait Operation<M: Models>: Sync {
    type Reply: Send;
    /// The RPC that the attempt serves.
    const METHOD: Method;

    fn run(
        &self,
        context: AttemptContext<'_, M>,
    ) -> impl Future<Output = Result<Self::Reply, Failure>> + Send;

    fn request_id(reply: &Self::Reply) -> &str;
}

/// A whole answer.
pub(super) struct Unary;

impl<M: Models> Operation<M> for Unary {
    type Reply = Answer;
    const METHOD: Method = Method::Converse;

    async fn run(&self, context: AttemptContext<'_, M>) -> Result<Answer, Failure> {
        let AttemptContext { models, candidate, request, timeout: limit } = context;
        let answer = timeout(limit.duration, models.converse(candidate, request)).await;
        answer.unwrap_or_else(|_elapsed| Err(limit.failure("answer")))
    }

    fn request_id(reply: &Answer) -> &str {
        &reply.request_id
    }
}

/// A stream, up to its first content.
pub(super) struct Stream;

impl<M: Models> Operation<M> for Stream {
    type Reply = Begun<M::Events>;
    const METHOD: Method = Method::ConverseStream;

    async fn run(&self, context: AttemptContext<'_, M>) -> Result<Self::Reply, Failure> {
        let (limit, floor) = (context.timeout, context.candidate.deadline.floor);
        let begun = timeout(limit.duration, begin(context)).await;
        let mut begun = begun.unwrap_or_else(|_elapsed| Err(limit.failure("content")))?;
        if let Some(floor) = floor {
            min_throughput::check(&mut begun, floor).await?;
        }
        Ok(begun)
    }

    fn request_id(reply: &Self::Reply) -> &str {
        &reply.request_id
    }
}

/// A number of tokens.
pub(super) struct CountTokens<'a>(pub(super) &'a pb::CountTokensRequest);

impl<M: Models> Operation<M> for CountTokens<'_> {
    type Reply = Counted;
    const METHOD: Method = Method::CountTokens;

    async fn run(&self, context: AttemptContext<'_, M>) -> Result<Counted, Failure> {
        let AttemptContext { models, candidate, request, timeout: limit } = context;
        let request = self.request(request.request);
        let counted = timeout(limit.duration, models.count_tokens(candidate, &request)).await;
        counted.unwrap_or_else(|_elapsed| Err(limit.failure("count")))
    }

    fn request_id(reply: &Counted) -> &str {
        &reply.request_id
    }
}

impl CountTokens<'_> {
    /// False for a body of InvokeModel, which has the form of one model family: only the task's first model
    /// understands it.
    pub(super) fn is_conversation(&self) -> bool {
        use pb::count_tokens_input::Input;
        matches!(self.0.input.as_ref().and_then(|input| input.input.as_ref()), Some(Input::Converse(_)))
    }

    /// The request of this attempt.
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

async fn begin<M: Models>(context: AttemptContext<'_, M>) -> Result<Begun<M::Events>, Failure> {
    let timeouts = &context.candidate.deadline;
    let opening = context.models.converse_stream(context.candidate, context.request);
    let opened = match timeouts.headers {
        None => opening.await?,
        Some(limit) => timeout(limit, opening).await.unwrap_or_else(|_elapsed| {
            Err(Failure::new(FailureKind::HeadersTimeout, format!("not accepted within {limit:?}")))
        })?,
    };
    let (mut rest, request_id, mut head) = (opened.events, opened.request_id, Vec::new());
    loop {
        let Some(event) = rest.next().await.transpose()? else {
            let early = Failure::new(FailureKind::EndedEarly, "the stream ended before any content");
            return Err(early.of_request(&request_id));
        };
        head.push(event);
        if head.last().is_some_and(is_content) || head.len() >= MAX_HEAD_EVENTS {
            return Ok(Begun { head, rest, request_id, idle: timeouts.idle });
        }
    }
}

/// True for text, and for the end of a block or of the turn. Starts of blocks and empty deltas are no
/// content.
fn is_content(event: &ModelEvent) -> bool {
    match event {
        ModelEvent::ContentBlockDelta(event) => {
            match event.delta.as_ref().and_then(|delta| delta.delta.as_ref()) {
                Some(Delta::Text(text)) => !text.is_empty(),
                Some(Delta::ToolUse(delta)) => !delta.input.is_empty(),
                Some(_) => true,
                None => false,
            }
        }
        ModelEvent::ContentBlockStop(_) | ModelEvent::MessageStop(_) | ModelEvent::Metadata(_) => true,
        _ => false,
    }
}
