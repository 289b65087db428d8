//! The upstream through an HTTP client alone, unsigned and without decoding: its own limit.
use super::{Load, Recorder, Target};
use crate::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Uri};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::json;
use tokio::time::Instant;

pub(super) struct Raw {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    body: Bytes,
}

impl Raw {
    pub(super) fn new(load: &Load) -> Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let action = if load.stream { "converse-stream" } else { "converse" };
        let messages: Vec<_> = load.conversation.texts().map(|text| json!({ "text": text })).collect();
        let body = json!({ "messages": [{ "role": "user", "content": messages }] }).to_string();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            uri: format!("{}/model/{}/{action}", load.url, load.model).parse()?,
            body: body.into(),
        })
    }
}

impl Target for Raw {
    async fn call(&self, recorder: &Recorder, due: Instant) -> Result {
        let request = Request::post(self.uri.clone()).header("content-type", "application/json");
        let response = self.client.request(request.body(Full::new(self.body.clone()))?).await?;
        let mut body = response.into_body();
        let mut progress = false;
        while let Some(frame) = body.frame().await {
            frame?;
            if !std::mem::replace(&mut progress, true) {
                recorder.first(due);
            }
            recorder.event(None);
        }
        Ok(())
    }
}
