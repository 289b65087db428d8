//! The accounting stage: what is sent of an answer goes into the call's record, its attempt and the metadata
//! event.
use super::received::ReceivedCounter;
use crate::{
    attempt::AttemptGuard,
    error::CallError,
    failure::Failure,
    model::ModelEvent,
    record::{CallRecord, Report},
};
use switchboard_proto::v1 as pb;
use tokio::time::Instant;
use tonic::Status;

/// The account of one model's answer.
#[derive(Debug)]
pub(super) struct Account {
    /// Absent: the answer is complete, or broke.
    attempt: Option<AttemptGuard>,
    /// Absent: a restart has it.
    record: Option<CallRecord>,
    received: ReceivedCounter,
    /// Time of the last delta. Absent: there was none yet.
    last_delta: Option<Instant>,
}

// === impl Account ===

impl Account {
    pub(super) fn new(attempt: AttemptGuard, record: CallRecord) -> Self {
        let (attempt, record) = (Some(attempt), Some(record));
        Self { attempt, record, received: ReceivedCounter::default(), last_delta: None }
    }

    /// Accounts for an event that is about to be sent, and completes the metadata event.
    pub(super) fn event(&mut self, event: &mut ModelEvent) {
        let text_bytes = self.received.count(event);
        if let Some(record) = &mut self.record {
            record.saw_event(event);
        }
        let Some(attempt) = &mut self.attempt else { return };
        match event {
            ModelEvent::ContentBlockDelta(_) => {
                let now = Instant::now();
                let since = self.last_delta.replace(now).map(|last| now - last);
                attempt.record.saw_delta(event, text_bytes, since);
            }
            ModelEvent::MessageStop(stop) => attempt.record.saw_stop(&stop.raw_stop_reason),
            ModelEvent::Metadata(metadata) => self.complete(metadata),
            _ => {}
        }
    }

    fn complete(&mut self, metadata: &mut pb::ConverseStreamMetadataEvent) {
        if let Some(attempt) = self.attempt.take() {
            attempt.completed(Report {
                usage: metadata.usage.as_ref(),
                tier: metadata.service_tier.as_ref(),
                performance: metadata.performance_config.as_ref(),
            });
        }
        if let Some(record) = &mut self.record {
            record.saw_usage(metadata.usage.as_ref());
            metadata.latency = Some(record.latency());
            metadata.cost = record.cost();
            metadata.route = Some(record.route());
            record.completed();
        }
    }

    /// The model's stream broke.
    pub(super) fn failed(&mut self, failure: &Failure) {
        if let Some(attempt) = self.attempt.take() {
            attempt.failed(failure);
        }
        if let Some(record) = &mut self.record {
            record.sent(self.received.clone().into());
        }
    }

    /// The call fails.
    ///
    /// Returns the status for the caller. `None`: the call has ended before.
    pub(super) fn end(&mut self, error: CallError) -> Option<Status> {
        if let Some(attempt) = self.attempt.take() {
            attempt.call_failed(error.reason());
        }
        let record = self.record.as_mut()?;
        record.sent(self.received.clone().into());
        Some(record.failed(error))
    }

    /// Number of attempts that called a model.
    pub(super) fn attempts(&self) -> usize {
        self.record.as_ref().map_or(0, CallRecord::attempts)
    }

    /// Takes the record back from a restart that failed.
    pub(super) fn restore_record(&mut self, record: CallRecord) {
        self.record = Some(record);
    }

    /// Gives the record to a restart.
    pub(super) fn take_record(&mut self) -> Option<CallRecord> {
        self.record.take()
    }
}

impl Drop for Account {
    /// The caller may have left: then what was sent is part of the cost. The attempt ends before the record
    /// does.
    fn drop(&mut self) {
        if let Some(record) = &mut self.record {
            record.sent(self.received.clone().into());
        }
        drop(self.attempt.take());
    }
}
