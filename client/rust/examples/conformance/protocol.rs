//! Protocol between the runner and the driver.
use crate::{Result, json};
use prost::Message;
use serde_json::{Map, Value};
use std::time::Duration;
use switchboard_client::{names::code_name, pb};
use tonic::Code;

/// Call that the runner requests.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) rpc: String,
    pub(crate) request: Value,
    pub(crate) deadline: Option<Duration>,
    /// Number of events after which a stream is cancelled. 0: at once. `None`: never.
    pub(crate) cancel_after_events: Option<usize>,
    /// True: send the answer back as history, and report the second answer.
    pub(crate) then_history: bool,
    /// Span of the caller, as in the header `traceparent`.
    pub(crate) traceparent: Option<String>,
}

/// Result of a call. Empty members are omitted.
#[derive(Debug, Default)]
pub(crate) struct Reply(Map<String, Value>);

// === impl Call ===

impl Call {
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let mut line: Value = serde_json::from_str(line)?;
        let events = line["cancel_after_events"].as_u64();
        Ok(Self {
            rpc: line["rpc"].as_str().ok_or("a call without rpc")?.to_owned(),
            request: line["request"].take(),
            deadline: line["deadline_ms"].as_u64().map(Duration::from_millis),
            cancel_after_events: events.map(usize::try_from).transpose()?,
            then_history: line["then"] == "history",
            traceparent: line["traceparent"].as_str().map(str::to_owned),
        })
    }
}

// === impl Reply ===

impl Reply {
    pub(crate) fn response<M: Message>(name: &str, response: &M) -> Result<Self> {
        let mut reply = Self::default();
        reply.set("response", json::write(name, response)?);
        Ok(reply)
    }

    pub(crate) fn cancelled() -> Self {
        let mut reply = Self::default();
        reply.set_error(Code::Cancelled, "cancelled by the driver");
        reply
    }

    pub(crate) fn set(&mut self, member: &str, value: impl Into<Value>) {
        self.0.insert(member.to_owned(), value.into());
    }

    pub(crate) fn push_event(&mut self, event: &pb::ConverseStreamResponse) -> Result<()> {
        let event = json::write("ConverseStreamResponse", event)?;
        let events = self.0.entry("events").or_insert_with(|| Value::Array(Vec::new()));
        events.as_array_mut().ok_or("events are a list")?.push(event);
        Ok(())
    }

    pub(crate) fn set_error(&mut self, code: Code, message: &str) {
        let error = Map::from_iter([
            ("code".to_owned(), Value::from(code_name(code))),
            ("message".to_owned(), Value::from(message)),
        ]);
        self.set("error", error);
    }

    /// Adds a member to the error that was set before, unless it is empty.
    pub(crate) fn add_to_error(&mut self, member: &str, value: impl Into<Value>) {
        let value = value.into();
        let is_empty = value.is_null() || value == "" || value == Value::Array(Vec::new());
        if let (false, Some(Value::Object(error))) = (is_empty, self.0.get_mut("error")) {
            error.insert(member.to_owned(), value);
        }
    }

    pub(crate) fn to_line(&self) -> String {
        format!("{}\n", Value::Object(self.0.clone()))
    }
}
