//! The calls themselves: metadata, deadline, and the one retry that is always safe.

use crate::{Collected, Error, EventStream, Options, Result, connect::MAX_MESSAGE_BYTES, pb, request};
use pb::{
    converse_service_client::ConverseServiceClient, feedback_service_client::FeedbackServiceClient,
    routing_service_client::RoutingServiceClient,
};
use std::{fmt, future::Future, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

/// A connection to Switchboard. Clones share it; calls run side by side.
#[derive(Clone)]
pub struct Switchboard {
    channel: Channel,
    address: Arc<str>,
    token: Option<MetadataValue<Ascii>>,
    deadline: Option<Duration>,
}

// === impl Switchboard ===

impl Switchboard {
    pub(crate) fn new(
        channel: Channel,
        address: String,
        token: Option<MetadataValue<Ascii>>,
        deadline: Option<Duration>,
    ) -> Self {
        Self { channel, address: address.into(), token, deadline }
    }

    /// Opens a connection; an address alone will do.
    pub async fn connect(options: impl Into<Options>) -> Result<Self> {
        options.into().connect().await
    }

    /// Begins with an address and adds the rest: `Switchboard::builder(address).bearer_token(token).connect()`.
    pub fn builder(address: impl Into<String>) -> Options {
        Options::new(address)
    }

    /// The same connection with another deadline for each call.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Asks one question and returns the words of the answer. [`converse`](Self::converse) also says why they ended.
    pub async fn text(&self, task: &str, prompt: &str) -> Result<String> {
        let response = self.converse(request::ask(task, prompt)).await?;
        Ok(Collected::from(response).text())
    }

    /// Asks for an answer, whole.
    pub async fn converse(&self, request: pb::ConverseRequest) -> Result<pb::ConverseResponse> {
        let call = |request| {
            let mut stub = self.converse_stub();
            async move { stub.converse(request).await }
        };
        self.send(request, self.ends_at(), call).await
    }

    /// Counts the tokens of a request, free of charge.
    pub async fn count_tokens(&self, request: pb::CountTokensRequest) -> Result<pb::CountTokensResponse> {
        let call = |request| {
            let mut stub = self.converse_stub();
            async move { stub.count_tokens(request).await }
        };
        self.send(request, self.ends_at(), call).await
    }

    /// Asks for an answer while it is generated. Dropping the stream cancels the call, at Bedrock too.
    pub async fn stream(&self, request: pb::ConverseRequest) -> Result<EventStream> {
        let ends_at = self.ends_at();
        let call = |request| {
            let mut stub = self.converse_stub();
            async move { stub.converse_stream(request).await }
        };
        Ok(EventStream::new(self.send(request, ends_at, call).await?, ends_at))
    }

    /// Every task that the configuration names, and the models that serve it.
    pub async fn tasks(&self) -> Result<pb::ListTasksResponse> {
        let call = |request| {
            let mut stub = self.routing_stub();
            async move { stub.list_tasks(request).await }
        };
        self.send(pb::ListTasksRequest {}, self.ends_at(), call).await
    }

    /// What a call for this task would do now. Calls no model.
    pub async fn explain(&self, task: &str) -> Result<pb::ExplainRouteResponse> {
        let call = |request| {
            let mut stub = self.routing_stub();
            async move { stub.explain_route(request).await }
        };
        let question = pb::ExplainRouteRequest { task_type: task.to_owned(), request: None };
        self.send(question, self.ends_at(), call).await
    }

    /// Says what became of an answer, which the request id of its route names. Said again by the same judge it takes the
    /// place of what was said before.
    pub async fn record_feedback(
        &self,
        feedback: pb::RecordFeedbackRequest,
    ) -> Result<pb::RecordFeedbackResponse> {
        let call = |request| {
            let mut stub = FeedbackServiceClient::new(self.channel.clone());
            async move { stub.record_feedback(request).await }
        };
        self.send(feedback, self.ends_at(), call).await
    }

    /// Sends once, and once more if the connection was closing and gave the call back untouched, which costs nothing.
    /// Every other failure is the caller's to judge, since Switchboard has tried every model by then.
    async fn send<T, R, F>(
        &self,
        message: T,
        ends_at: Option<Instant>,
        call: impl Fn(Request<T>) -> F,
    ) -> Result<R>
    where
        T: Clone,
        F: Future<Output = std::result::Result<Response<R>, Status>>,
    {
        let mut is_second = false;
        loop {
            match self.attempt(message.clone(), ends_at, &call).await {
                Err(error) if error.was_never_begun() && !is_second => is_second = true,
                answered => return answered,
            }
        }
    }

    async fn attempt<T, R, F>(
        &self,
        message: T,
        ends_at: Option<Instant>,
        call: impl Fn(Request<T>) -> F,
    ) -> Result<R>
    where
        F: Future<Output = std::result::Result<Response<R>, Status>>,
    {
        let mut request = Request::new(message);
        if let Some(ends_at) = ends_at {
            request.set_timeout(ends_at.saturating_duration_since(Instant::now()));
        }
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        let reply = async { call(request).await.map_err(|status| Error::ended(&self.address, status)) };
        Ok(bounded(ends_at, reply).await?.into_inner())
    }

    fn ends_at(&self) -> Option<Instant> {
        self.deadline.map(|deadline| Instant::now() + deadline)
    }

    fn converse_stub(&self) -> ConverseServiceClient<Channel> {
        ConverseServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn routing_stub(&self) -> RoutingServiceClient<Channel> {
        RoutingServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

impl fmt::Debug for Switchboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switchboard")
            .field("address", &self.address)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

async fn bounded<T>(ends_at: Option<Instant>, work: impl Future<Output = Result<T>>) -> Result<T> {
    match ends_at {
        Some(ends_at) => timeout_at(ends_at, work).await.unwrap_or_else(|_| Err(Error::deadline())),
        None => work.await,
    }
}
