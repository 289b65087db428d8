//! Calls: metadata, deadline and the resending of unprocessed calls.

use crate::{Collected, Error, EventStream, Options, Result, connect::MAX_MESSAGE_BYTES, pb, request, trace};
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

/// Connection to Switchboard. Clones share the connection, and calls can run concurrently.
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

    /// Opens a connection. The options can be an address.
    pub async fn connect(options: impl Into<Options>) -> Result<Self> {
        options.into().connect().await
    }

    /// Begins with an address and adds the rest:
    /// `Switchboard::builder(address).bearer_token(token).connect()`.
    pub fn builder(address: impl Into<String>) -> Options {
        Options::new(address)
    }

    /// Returns a client with the same connection and another deadline for each call.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sends one prompt and returns the text of the answer. [`converse`](Self::converse) also returns the
    /// stop reason.
    pub async fn text(&self, task: &str, prompt: &str) -> Result<String> {
        let response = self.converse(request::ask(task, prompt)).await?;
        Ok(Collected::from(response).text())
    }

    /// Generates an answer and returns it when it is complete.
    pub async fn converse(&self, request: pb::ConverseRequest) -> Result<pb::ConverseResponse> {
        let call = |request| {
            let mut stub = self.converse_stub();
            async move { stub.converse(request).await }
        };
        self.send(request, self.ends_at(), call).await
    }

    /// Counts the input tokens of a request, free of charge.
    pub async fn count_tokens(&self, request: pb::CountTokensRequest) -> Result<pb::CountTokensResponse> {
        let call = |request| {
            let mut stub = self.converse_stub();
            async move { stub.count_tokens(request).await }
        };
        self.send(request, self.ends_at(), call).await
    }

    /// Generates an answer and streams it. Dropping the stream cancels the call, also at Bedrock.
    pub async fn stream(&self, request: pb::ConverseRequest) -> Result<EventStream> {
        let ends_at = self.ends_at();
        let call = |request| {
            let mut stub = self.converse_stub();
            async move { stub.converse_stream(request).await }
        };
        Ok(EventStream::new(self.send(request, ends_at, call).await?, ends_at))
    }

    /// Lists every task of the configuration and the models that serve it.
    pub async fn tasks(&self) -> Result<pb::ListTasksResponse> {
        let call = |request| {
            let mut stub = self.routing_stub();
            async move { stub.list_tasks(request).await }
        };
        self.send(pb::ListTasksRequest {}, self.ends_at(), call).await
    }

    /// Describes what a call for this task would do now. Calls no model.
    pub async fn explain(&self, task: &str) -> Result<pb::ExplainRouteResponse> {
        let call = |request| {
            let mut stub = self.routing_stub();
            async move { stub.explain_route(request).await }
        };
        let question = pb::ExplainRouteRequest { task_type: task.to_owned(), request: None };
        self.send(question, self.ends_at(), call).await
    }

    /// Records feedback on the answer with the request id of its route. A later judgement by the same judge
    /// for the same criterion replaces the earlier one.
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

    /// Sends a call. If a closing connection returned it unprocessed, sends it once more on a new connection.
    /// Other failures are not retried: Switchboard has already tried every model.
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
        let mut is_resent = false;
        loop {
            match self.attempt(message.clone(), ends_at, &call).await {
                Err(error) if error.was_not_processed() && !is_resent => is_resent = true,
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
        trace::inject(request.metadata_mut());
        let reply = async { call(request).await.map_err(|status| Error::from_status(&self.address, status)) };
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
