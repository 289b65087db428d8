//! The callers: each makes one call, and holds what comes of it against what the simulator is bound to answer.
use crate::{
    faults::ACCOUNT,
    plan::{Patience, Plan, QUESTIONS},
    setup::{Stage, WELL},
};
use bedrock_sim::{FaultRule, Handle};
use pb::{Outcome, content_block_delta::Delta};
use std::{collections::HashMap, mem, time::Duration};
use switchboard_client::{Collected, Collector, Error, ErrorKind, Event, Switchboard, ask, pb};
use tokio::time::{Instant, timeout, timeout_at};
use tonic_types::StatusExt as _;

/// Longer than any call may take: then it hangs.
const HANGS: Duration = Duration::from_secs(30);

/// Connections that the callers share.
const CONNECTIONS: usize = 4;

/// What callers share.
#[derive(Debug)]
pub(crate) struct Callers {
    connections: Vec<Switchboard>,
    address: String,
    simulator: Handle,
    /// What is answered to each question after the mark with the model's id: by the well model, and by the ills.
    answers: HashMap<(&'static str, bool), String>,
}

/// What became of a call.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) plan: Plan,
    pub(crate) end: End,
    /// The first model failed before any content, in a way that another model need not share.
    pub(crate) could_be_rescued: bool,
    /// The fault was seen, in the way in which it shows.
    pub(crate) attempt_failed: bool,
    pub(crate) has_unknown: bool,
    pub(crate) rescue: Rescue,
    pub(crate) complaints: Vec<String>,
}

/// What was done for a call beyond asking one model after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rescue {
    /// A model was passed over, for it had failed too often.
    pub(crate) passed_over: bool,
    /// A second model was asked beside the first.
    pub(crate) hedged: bool,
    /// A second model began anew after content of the first.
    pub(crate) restarted: bool,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    ByFirst,
    BySecond,
    Failed(String),
    Left,
    Hung,
}

/// What a caller heard, until the end or until it left.
#[derive(Debug, Default)]
struct Heard {
    route: Option<pb::Route>,
    words: String,
    collector: Collector,
    is_whole: bool,
    has_unknown: bool,
    restarted: bool,
    complaints: Vec<String>,
}

enum Ended {
    Whole(Box<Collected>),
    Failed(Error),
    Left,
}

// === impl Callers ===

impl Callers {
    pub(crate) async fn of(stage: &Stage) -> Self {
        let address = stage.address();
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let switchboard = Switchboard::connect(address.as_str()).await.expect("connects");
            switchboard.text("well", QUESTIONS[0]).await.expect("answers"); // and opens the way to Bedrock
            connections.push(switchboard);
        }
        let (mut answers, simulator) = (HashMap::new(), stage.simulator());
        for question in QUESTIONS {
            for model in [WELL, stage.ill()] {
                let answer = stage.answer(model, question).await;
                let words = answer.strip_prefix(&mark(model)).expect("is marked").to_owned();
                answers.insert((question, model == WELL), words);
            }
        }
        Self { connections, address, simulator, answers }
    }

    pub(crate) async fn call(&self, plan: Plan) -> Called {
        if let Some(fault) = plan.weather.as_ref().and_then(|ill| ill.fault.clone()) {
            self.simulator.inject(FaultRule::on(plan.ill.model_id(), fault).times(1));
        }
        let mut heard = Heard::default();
        let ended = timeout(HANGS, self.ask(&plan, &mut heard)).await;
        self.judge(plan, ended.ok(), heard)
    }

    async fn ask(&self, plan: &Plan, heard: &mut Heard) -> Ended {
        let leaves_at = plan.patience.leaves_after(plan.streamed).map(|time| Instant::now() + time);
        let asked = async {
            let mut switchboard = if plan.alone {
                Switchboard::connect(self.address.as_str()).await?
            } else {
                self.connections[plan.number as usize % CONNECTIONS].clone()
            };
            if let Patience::Deadline(deadline) = plan.patience {
                switchboard = switchboard.with_deadline(deadline);
            }
            let request_metadata = [("call".to_owned(), plan.number.to_string())].into();
            let request = pb::ConverseRequest { request_metadata, ..ask(&plan.task, plan.question) };
            if plan.streamed {
                heard.listen(switchboard, request, plan.patience).await
            } else {
                Ok(Some(switchboard.converse(request).await?.into()))
            }
        };
        let ended = match leaves_at {
            Some(leaves_at) => timeout_at(leaves_at, asked).await.unwrap_or(Ok(None)),
            None => asked.await,
        };
        match ended {
            Ok(Some(collected)) => Ended::Whole(Box::new(collected)),
            Ok(None) => Ended::Left,
            Err(error) => Ended::Failed(error),
        }
    }

    fn judge(&self, plan: Plan, ended: Option<Ended>, mut heard: Heard) -> Called {
        if let Some(route) = &heard.route {
            let (words, expected) = (&heard.words, self.expected(&route.model_id, plan.question));
            if !expected.starts_with(words) || (heard.is_whole && *words != expected) {
                heard.complaints.push(format!("heard {words:?} of {expected:?}"));
            }
        }
        let end = self.end(&plan, ended, &mut heard);
        let attempts = heard.route.map(|route| route.attempts).unwrap_or_default();
        let first = attempts.first().map_or(Outcome::Unspecified, pb::Attempt::outcome);
        let passed =
            matches!(first, Outcome::Ok | Outcome::Unspecified | Outcome::Cancelled | Outcome::Skipped);
        let attempt_failed = !passed;
        let asked = attempts.iter().filter(|attempt| attempt.outcome() != Outcome::Cancelled).count();
        let broke_off = end == End::Failed("STREAM_INTERRUPTED".to_owned()) && asked == 1;
        let rescue = Rescue {
            passed_over: attempts.iter().any(|attempt| attempt.reason() == pb::ErrorReason::NoHealthyModel),
            hedged: attempts.iter().any(|attempt| attempt.hedge),
            restarted: heard.restarted,
        };
        let could_be_rescued =
            attempt_failed && first != Outcome::Rejected && !broke_off && plan.patience == Patience::ToTheEnd;
        let complain = |it| format!("call {} ({}): {it}", plan.number, plan.task);
        let complaints = heard.complaints.into_iter().map(complain).collect();
        let has_unknown = heard.has_unknown;
        Called { end, could_be_rescued, attempt_failed, has_unknown, rescue, complaints, plan }
    }

    /// How it ended; the route of the end is the one that counts.
    fn end(&self, plan: &Plan, ended: Option<Ended>, heard: &mut Heard) -> End {
        match ended {
            None => {
                heard.complaints.push(format!("not over after {HANGS:?}"));
                End::Hung
            }
            Some(Ended::Left) => End::Left,
            Some(Ended::Whole(collected)) => {
                let (words, route) = (collected.text(), collected.route.unwrap_or_default());
                let expected = self.expected(&route.model_id, plan.question);
                if words != expected {
                    heard.complaints.push(format!("the answer is {words:?}, not {expected:?}"));
                }
                let by_second = route.fallback_used;
                heard.route = Some(route);
                if by_second { End::BySecond } else { End::ByFirst }
            }
            Some(Ended::Failed(error)) => {
                heard.complaints.extend(complaint_of(&error, plan.patience));
                heard.route = error.route().cloned().or(heard.route.take());
                match error.reason_text() {
                    "" => End::Failed(format!("{:?} at the client", error.kind())),
                    reason => End::Failed(reason.to_owned()),
                }
            }
        }
    }

    /// What this model answers: nothing else may come from it.
    fn expected(&self, model_id: &str, question: &'static str) -> String {
        mark(model_id) + &self.answers[&(question, model_id == WELL)]
    }
}

/// How every answer of the simulator's begins. A route shows an ARN without the account in it.
fn mark(model_id: &str) -> String {
    let account = if model_id.starts_with("application-inference-profile/") { ACCOUNT } else { "" };
    format!("[simulated {account}{model_id}] ")
}

/// A status must be Switchboard's own and say why. Only a caller who set a deadline may be the first to notice that it
/// has passed.
fn complaint_of(error: &Error, patience: Patience) -> Option<String> {
    if error.kind() == ErrorKind::Deadline && matches!(patience, Patience::Deadline(_)) {
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

impl Heard {
    /// To the end, or until the caller has heard enough.
    async fn listen(
        &mut self,
        switchboard: Switchboard,
        request: pb::ConverseRequest,
        patience: Patience,
    ) -> Result<Option<Collected>, Error> {
        let mut events = switchboard.stream(request).await?;
        let mut count = 0;
        while let Some(event) = events.next().await {
            self.hear(event?);
            count += 1;
            if patience == Patience::LeavesAfterEvents(count) {
                return Ok(None);
            }
        }
        mem::take(&mut self.collector).finish().map(Some)
    }

    fn hear(&mut self, event: Event) {
        if self.is_whole {
            self.complaints.push(format!("after the metadata: {event:?}"));
        }
        match &event {
            Event::Route(route) => {
                let earlier = self.route.replace(route.clone());
                if earlier.is_some() {
                    self.complaints.push("two routes without a restart".to_owned());
                }
            }
            Event::Restart(_) => {
                let complaints = mem::take(&mut self.complaints);
                *self = Self { complaints, restarted: true, ..Self::default() };
            }
            other if self.route.is_none() => self.complaints.push(format!("before the route: {other:?}")),
            Event::ContentBlockDelta(piece) => {
                match piece.delta.as_ref().and_then(|delta| delta.delta.as_ref()) {
                    Some(Delta::Text(words)) => self.words.push_str(words),
                    Some(Delta::UnknownJson(_)) => self.has_unknown = true,
                    other => self.complaints.push(format!("a piece of another kind: {other:?}")),
                }
            }
            Event::Unknown(_) => self.has_unknown = true,
            Event::Metadata(_) => self.is_whole = true,
            _ => {}
        }
        self.collector.push(event);
    }
}
