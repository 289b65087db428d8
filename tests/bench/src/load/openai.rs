//! A gateway with OpenAI's JSON API and server-sent events.
use super::{Load, Recorder, Target};
use crate::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, Uri,
    header::{HeaderName, HeaderValue},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::json;
use tokio::time::Instant;

pub(super) struct OpenAi {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    stream: bool,
}

impl OpenAi {
    pub(super) fn new(load: &Load) -> Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let messages = load.conversation.texts().map(|text| json!({ "role": "user", "content": text }));
        let messages: Vec<_> = messages.collect();
        let body =
            json!({ "model": load.model, "messages": messages, "max_tokens": 1024, "stream": load.stream });
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in load.header() {
            headers.insert(name.parse::<HeaderName>()?, value.parse()?);
        }
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            uri: format!("{}/v1/chat/completions", load.url).parse()?,
            headers,
            body: body.to_string().into(),
            stream: load.stream,
        })
    }
}

impl Target for OpenAi {
    async fn call(&self, recorder: &Recorder, due: Instant) -> Result {
        let mut request = Request::post(self.uri.clone()).body(Full::new(self.body.clone()))?;
        request.headers_mut().clone_from(&self.headers);
        let response = self.client.request(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        if !self.stream || !status.is_success() {
            let whole = body.collect().await?.to_bytes();
            let text = String::from_utf8_lossy(&whole);
            let is_answer = status.is_success() && text.contains("A token of the answer");
            return if is_answer { Ok(()) } else { Err(format!("{status}: {text}").into()) };
        }
        let mut events = 0;
        let mut rest = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            rest.extend_from_slice(&data);
            while let Some(end) = rest.windows(2).position(|pair| pair == b"\n\n") {
                let line = String::from_utf8_lossy(&rest[..end]).into_owned();
                rest.drain(..end + 2);
                if line.contains("\"content\":\" token\"") {
                    events += 1;
                    if events == 1 {
                        recorder.first(due);
                    }
                }
                recorder.event(None);
            }
        }
        if events == 0 { Err("a stream without content".into()) } else { Ok(()) }
    }
}
