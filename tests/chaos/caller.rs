//! The callers: each makes one call and compares the result with the answer that the simulator must give.
use crate::{
    faults::ACCOUNT,
    plan::{Plan, QUESTIONS, Stay},
    setup::{HEALTHY, Setup},
};
use bedrock_sim::{FaultRule, Handle};
use pb::{Outcome, content_block_delta::Delta};
use std::{collections::HashMap, mem, time::Duration};
use switchboard_client::{Collected, Collector, Error, ErrorKind, Event, Switchboard, ask, pb};
use tokio::time::{Instant, timeout, timeout_at};
use tonic_types::StatusExt as _;

/// Longer than any call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Number of connections that the callers share.
const CONNECTIONS: usize = 4;

/// State that all callers share.
#[derive(Debug)]
pub(crate) struct Callers {
    connections: Vec<Switchboard>,
    address: String,
    simulator: Handle,
    /// The answer to each question, after the prefix with the model id: of the healthy model (`true`) and of
    /// the faulty ones.
    answers: HashMap<(&'static str, bool), String>,
}

/// The result of a call.
#[derive(Debug)]
pub(crate) struct CallResult {
    pub(crate) plan: Plan,
    pub(crate) end: End,
    /// True if the first model failed before any content, with a failure that another model need not share.
    pub(crate) could_fall_back: bool,
    /// True if the first attempt failed.
    pub(crate) attempt_failed: bool,
    pub(crate) has_unknown: bool,
    pub(crate) measures: Measures,
    pub(crate) errors: Vec<String>,
}

/// What happened in a call besides plain fallback.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measures {
    /// A model was skipped because its breaker was open.
    pub(crate) skipped: bool,
    /// A second model was called in parallel to the first.
    pub(crate) hedged: bool,
    /// A second model restarted the stream after content of the first.
    pub(crate) restarted: bool,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    ByFirst,
    BySecond,
    Failed(String),
    Cancelled,
    Hung,
}

/// What a caller received until the end or until it cancelled.
#[derive(Debug, Default)]
struct Received {
    route: Option<pb::Route>,
    text: String,
    collector: Collector,
    is_complete: bool,
    has_unknown: bool,
    restarted: bool,
    errors: Vec<String>,
}

enum Ended {
    Complete(Box<Collected>),
    Failed(Error),
    Cancelled,
}

// === impl Callers ===

impl Callers {
    pub(crate) async fn of(setup: &Setup) -> Self {
        let address = setup.address();
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let switchboard = Switchboard::connect(address.as_str()).await.expect("connects");
            switchboard.text("healthy", QUESTIONS[0]).await.expect("answers"); // also opens the connection to Bedrock
            connections.push(switchboard);
        }
        let (mut answers, simulator) = (HashMap::new(), setup.simulator());
        for question in QUESTIONS {
            for model in [HEALTHY, setup.faulty()] {
                let answer = setup.answer(model, question).await;
                let text = answer.strip_prefix(&prefix(model)).expect("has the prefix").to_owned();
                answers.insert((question, model == HEALTHY), text);
            }
        }
        Self { connections, address, simulator, answers }
    }

    pub(crate) async fn call(&self, plan: Plan) -> CallResult {
        if let Some(fault) = plan.dynamic.as_ref().and_then(|faulty| faulty.fault.clone()) {
            self.simulator.inject(FaultRule::on(plan.faulty.model_id(), fault).times(1));
        }
        let mut received = Received::default();
        let ended = timeout(CALL_TIMEOUT, self.make_call(&plan, &mut received)).await;
        self.check(plan, ended.ok(), received)
    }

    async fn make_call(&self, plan: &Plan, received: &mut Received) -> Ended {
        let cancels_at = plan.stay.cancels_after(plan.streamed).map(|time| Instant::now() + time);
        let call = async {
            let mut switchboard = if plan.own_connection {
                Switchboard::connect(self.address.as_str()).await?
            } else {
                self.connections[plan.number as usize % CONNECTIONS].clone()
            };
            if let Stay::Deadline(deadline) = plan.stay {
                switchboard = switchboard.with_deadline(deadline);
            }
            let request_metadata = [("call".to_owned(), plan.number.to_string())].into();
            let request = pb::ConverseRequest { request_metadata, ..ask(&plan.task, plan.question) };
            if plan.streamed {
                received.read_stream(switchboard, request, plan.stay).await
            } else {
                Ok(Some(switchboard.converse(request).await?.into()))
            }
        };
        let ended = match cancels_at {
            Some(cancels_at) => timeout_at(cancels_at, call).await.unwrap_or(Ok(None)),
            None => call.await,
        };
        match ended {
            Ok(Some(collected)) => Ended::Complete(Box::new(collected)),
            Ok(None) => Ended::Cancelled,
            Err(error) => Ended::Failed(error),
        }
    }

    fn check(&self, plan: Plan, ended: Option<Ended>, mut received: Received) -> CallResult {
        if let Some(route) = &received.route {
            let (text, expected) = (&received.text, self.expected(&route.model_id, plan.question));
            if !expected.starts_with(text) || (received.is_complete && *text != expected) {
                received.errors.push(format!("received {text:?} of {expected:?}"));
            }
        }
        let end = self.end(&plan, ended, &mut received);
        let attempts = received.route.map(|route| route.attempts).unwrap_or_default();
        let first = attempts.first().map_or(Outcome::Unspecified, pb::Attempt::outcome);
        let passed =
            matches!(first, Outcome::Ok | Outcome::Unspecified | Outcome::Cancelled | Outcome::Skipped);
        let attempt_failed = !passed;
        let started = attempts.iter().filter(|attempt| attempt.outcome() != Outcome::Cancelled).count();
        let was_interrupted = end == End::Failed("STREAM_INTERRUPTED".to_owned()) && started == 1;
        let measures = Measures {
            skipped: attempts.iter().any(|attempt| attempt.reason() == pb::ErrorReason::NoHealthyModel),
            hedged: attempts.iter().any(|attempt| attempt.hedge),
            restarted: received.restarted,
        };
        let could_fall_back =
            attempt_failed && first != Outcome::Rejected && !was_interrupted && plan.stay == Stay::ToTheEnd;
        let describe = |it| format!("call {} ({}): {it}", plan.number, plan.task);
        let errors = received.errors.into_iter().map(describe).collect();
        let has_unknown = received.has_unknown;
        CallResult { end, could_fall_back, attempt_failed, has_unknown, measures, errors, plan }
    }

    /// How the call ended. The route at the end replaces an earlier one.
    fn end(&self, plan: &Plan, ended: Option<Ended>, received: &mut Received) -> End {
        match ended {
            None => {
                received.errors.push(format!("not ended after {CALL_TIMEOUT:?}"));
                End::Hung
            }
            Some(Ended::Cancelled) => End::Cancelled,
            Some(Ended::Complete(collected)) => {
                let (text, route) = (collected.text(), collected.route.unwrap_or_default());
                let expected = self.expected(&route.model_id, plan.question);
                if text != expected {
                    received.errors.push(format!("the answer is {text:?}, not {expected:?}"));
                }
                let by_second = route.fallback_used;
                received.route = Some(route);
                if by_second { End::BySecond } else { End::ByFirst }
            }
            Some(Ended::Failed(error)) => {
                received.errors.extend(status_error(&error, plan.stay));
                received.route = error.route().cloned().or(received.route.take());
                match error.reason_text() {
                    "" => End::Failed(format!("{:?} at the client", error.kind())),
                    reason => End::Failed(reason.to_owned()),
                }
            }
        }
    }

    /// The only answer that this model may give.
    fn expected(&self, model_id: &str, question: &'static str) -> String {
        prefix(model_id) + &self.answers[&(question, model_id == HEALTHY)]
    }
}

/// Prefix of every answer of the simulator. A route shows an ARN without its account.
fn prefix(model_id: &str) -> String {
    let account = if model_id.starts_with("application-inference-profile/") { ACCOUNT } else { "" };
    format!("[simulated {account}{model_id}] ")
}

/// A status must be Switchboard's own, with a reason. Only a caller who set a deadline may notice first that
/// it has passed.
fn status_error(error: &Error, stay: Stay) -> Option<String> {
    if error.kind() == ErrorKind::Deadline && matches!(stay, Stay::Deadline(_)) {
        return None;
    }
    let info = error.status().and_then(tonic::Status::get_details_error_info);
    let is_ours = info.is_some_and(|info| info.domain == "switchboard");
    let is_known = error.reason().is_some_and(|reason| {
        use pb::ErrorReason as R;
        !matches!(
            reason,
            R::Unspecified | R::Internal | R::InvalidField | R::UnknownTask | R::NoEligibleModel
        )
    });
    let is_typed = error.kind() == ErrorKind::Status && is_ours && is_known && error.route().is_some();
    (!is_typed).then(|| format!("ended with {error:?}"))
}

// === impl Heard ===

impl Received {
    /// Reads to the end, or until the caller cancels.
    async fn read_stream(
        &mut self,
        switchboard: Switchboard,
        request: pb::ConverseRequest,
        stay: Stay,
    ) -> Result<Option<Collected>, Error> {
        let mut events = switchboard.stream(request).await?;
        let mut count = 0;
        while let Some(event) = events.next().await {
            self.receive(event?);
            count += 1;
            if stay == Stay::CancelsAfterEvents(count) {
                return Ok(None);
            }
        }
        mem::take(&mut self.collector).finish().map(Some)
    }

    fn receive(&mut self, event: Event) {
        if self.is_complete {
            self.errors.push(format!("after the metadata: {event:?}"));
        }
        match &event {
            Event::Route(route) => {
                let earlier = self.route.replace(route.clone());
                if earlier.is_some() {
                    self.errors.push("two routes without a restart".to_owned());
                }
            }
            Event::Restart(_) => {
                let errors = mem::take(&mut self.errors);
                *self = Self { errors, restarted: true, ..Self::default() };
            }
            other if self.route.is_none() => self.errors.push(format!("before the route: {other:?}")),
            Event::ContentBlockDelta(delta) => {
                match delta.delta.as_ref().and_then(|delta| delta.delta.as_ref()) {
                    Some(Delta::Text(text)) => self.text.push_str(text),
                    Some(Delta::UnknownJson(_)) => self.has_unknown = true,
                    other => self.errors.push(format!("an unexpected delta: {other:?}")),
                }
            }
            Event::Unknown(_) => self.has_unknown = true,
            Event::Metadata(_) => self.is_complete = true,
            _ => {}
        }
        self.collector.push(event);
    }
}
