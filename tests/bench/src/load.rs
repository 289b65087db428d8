//! One load: a closed loop, in which each caller makes its next call when the last one is answered, or an
//! open loop, in which calls arrive at a rate.
//!
//! In an open loop, the time of a call counts from the moment at which it should have started: a server that
//! pauses also delays the calls that wait, and the result must show that (no coordinated omission).
mod direct;
mod grpc;
mod openai;
mod raw;

use crate::{Result, cpu, upstream::now};
use clap::{Args, ValueEnum};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::{cell::RefCell, rc::Rc, time::Duration};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// The system to call, and its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// Bedrock, through the AWS SDK with its defaults
    Direct,
    /// Bedrock, through an HTTP client alone and unsigned: the limit of the upstream itself
    Raw,
    /// Switchboard, through its generated stubs
    Grpc,
    /// A gateway with OpenAI's JSON API
    Openai,
}

#[derive(Clone, Debug, Args)]
#[command(args_override_self = true)] // options of a measurement override the common ones
pub(crate) struct Load {
    #[arg(long)]
    system: System,
    /// http://ADDRESS:PORT
    #[arg(long)]
    url: String,
    /// Stream the answers
    #[arg(long)]
    stream: bool,
    /// The task or the model
    #[arg(long, default_value = "plain")]
    model: String,
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Open loop: calls per second, whether or not earlier ones are answered
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// End after this number of calls instead of a time
    #[arg(long)]
    calls: Option<u64>,
    /// The process whose CPU time is measured; by default this one
    #[arg(long)]
    process: Option<u32>,
    /// Open this number of streams, which are silent after their first event, and measure the memory of the
    /// process
    #[arg(long)]
    open: Option<usize>,
    #[command(flatten)]
    conversation: Conversation,
    /// NAME=VALUE of a header
    #[arg(long)]
    header: Vec<String>,
}

/// Size of the request.
#[derive(Clone, Copy, Debug, Args)]
struct Conversation {
    /// Bytes of each message
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    #[arg(long, default_value_t = 1)]
    messages: usize,
    #[arg(long, default_value_t = 0)]
    tools: usize,
}

/// Results of a load. Times are in microseconds where not stated otherwise.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) calls: u64,
    pub(crate) events: u64,
    pub(crate) failed: u64,
    pub(crate) seconds: f64,
    /// CPU time of the measured process, in seconds.
    pub(crate) cpu: f64,
    /// Time from the moment at which a call should have started to its end.
    pub(crate) call: Quantiles,
    /// Time from the same moment to the first content.
    pub(crate) first: Quantiles,
    /// Time from the creation of an event to its arrival, for paced streams.
    pub(crate) event: Quantiles,
    /// Resident memory of the process, in bytes: before, with, and some time after the open streams.
    pub(crate) memory: Option<[u64; 3]>,
    /// Share of the machine's CPU time that its host gave to others meanwhile (steal time).
    #[serde(default)]
    pub(crate) stolen: f64,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// A system that is called.
trait Target: 'static {
    /// Makes one call and reads it to its end.
    async fn call(&self, recorder: &Recorder, began: Instant) -> Result;
}

/// The progress of one stream.
struct StreamProgress<'a> {
    recorder: &'a Recorder,
    due: Instant,
    /// True if content has arrived.
    content: bool,
    /// True if the last event of a complete stream has arrived.
    end: bool,
}

/// Results of all callers so far.
#[derive(Debug)]
pub(crate) struct Recorder {
    counted: RefCell<Counted>,
}

#[derive(Debug)]
struct Counted {
    measuring: bool,
    calls: u64,
    events: u64,
    failed: Vec<String>,
    call: Histogram<u64>,
    first: Histogram<u64>,
    event: Histogram<u64>,
}

impl Load {
    pub(crate) async fn run(self) -> Result {
        crate::program::allow_many_files()?;
        let measured = match self.system {
            System::Direct => self.clone().against(direct::Direct::new(&self)).await?,
            System::Raw => self.clone().against(raw::Raw::new(&self)?).await?,
            System::Grpc => self.clone().against(grpc::Grpc::connect(&self).await?).await?,
            System::Openai => self.clone().against(openai::OpenAi::new(&self)?).await?,
        };
        println!("{}", serde_json::to_string(&measured)?);
        Ok(())
    }

    async fn against<T: Target>(self, target: T) -> Result<Measured> {
        let (target, recorder) = (Rc::new(target), Rc::new(Recorder::new()));
        if let Some(open) = self.open {
            return self.hold_open(target, &recorder, open).await;
        }
        if let Some(calls) = self.calls {
            for _ in 0..calls {
                target.call(&recorder, Instant::now()).await?;
            }
            return Ok(Measured { calls, ..recorder.measured() });
        }
        let mut callers = JoinSet::new();
        match self.rate {
            Some(rate) => drop(callers.spawn_local(arrive(Rc::clone(&target), Rc::clone(&recorder), rate))),
            None => (0..self.in_flight).for_each(|_| {
                callers.spawn_local(ask_again(Rc::clone(&target), Rc::clone(&recorder)));
            }),
        }
        sleep(Duration::from_secs_f64(self.warm_up)).await;
        let process = self.process.unwrap_or_else(std::process::id);
        let (began, before) = (Instant::now(), cpu::computed(process)?);
        recorder.counted.borrow_mut().measuring = true;
        sleep(Duration::from_secs_f64(self.seconds)).await;
        let (took, after) = (began.elapsed(), cpu::computed(process)?);
        recorder.counted.borrow_mut().measuring = false;
        if let Some(error) = recorder.counted.borrow().failed.first() {
            eprintln!("a call failed: {error}");
        }
        let cpu = after.saturating_sub(before).as_secs_f64();
        Ok(Measured { seconds: took.as_secs_f64(), cpu, ..recorder.measured() })
    }

    /// Opens the streams, waits, and closes them.
    async fn hold_open<T: Target>(
        self,
        target: Rc<T>,
        recorder: &Rc<Recorder>,
        open: usize,
    ) -> Result<Measured> {
        let process = self.process.ok_or("--open needs --process")?;
        recorder.counted.borrow_mut().measuring = true;
        let before = cpu::resident(process)?;
        let mut streams = JoinSet::new();
        for opened in 0..open {
            streams.spawn_local(ask_once(Rc::clone(&target), Rc::clone(recorder)));
            while recorder.firsts() + 200 < opened as u64 && recorder.counted.borrow().failed.is_empty() {
                sleep(Duration::from_millis(1)).await; // do not measure a backlog of connections
            }
        }
        let patience = Instant::now() + Duration::from_secs(60);
        while recorder.firsts() < open as u64 && Instant::now() < patience {
            sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_secs(2)).await;
        let began = cpu::computed(process)?;
        sleep(Duration::from_secs(1)).await;
        let (with, cpu) = (cpu::resident(process)?, cpu::computed(process)?.saturating_sub(began));
        streams.shutdown().await;
        sleep(Duration::from_secs(5)).await;
        let memory = Some([before, with, cpu::resident(process)?]);
        let failed = open as u64 - recorder.firsts();
        if let Some(error) = recorder.counted.borrow().failed.first() {
            eprintln!("a stream failed: {error}");
        }
        Ok(Measured {
            memory,
            failed,
            calls: recorder.firsts(),
            cpu: cpu.as_secs_f64(),
            seconds: 1.0,
            ..recorder.measured()
        })
    }

    fn header(&self) -> impl Iterator<Item = (&str, &str)> {
        self.header.iter().filter_map(|header| header.split_once('='))
    }
}

async fn ask_again<T: Target>(target: Rc<T>, recorder: Rc<Recorder>) {
    loop {
        recorder.ask(&*target, Instant::now()).await;
    }
}

async fn ask_once<T: Target>(target: Rc<T>, recorder: Rc<Recorder>) {
    recorder.ask(&*target, Instant::now()).await;
}

/// Arrival times of calls of independent callers: the time between two is exponentially distributed. A thread
/// keeps the time, because the timer of the runtime has a resolution of a millisecond.
async fn arrive<T: Target>(target: Rc<T>, recorder: Rc<Recorder>, rate: f64) {
    let (come, mut coming) = mpsc::unbounded_channel();
    let clock = std::thread::spawn(move || {
        let mut due = Instant::now();
        loop {
            due += Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if come.send(due).is_err() {
                return;
            }
        }
    });
    let mut calls = JoinSet::new();
    while let Some(due) = coming.recv().await {
        let (target, recorder) = (Rc::clone(&target), Rc::clone(&recorder));
        calls.spawn_local(async move { recorder.ask(&*target, due).await });
        while calls.try_join_next().is_some() {}
    }
    drop(clock);
}

// === impl StreamProgress ===

impl<'a> StreamProgress<'a> {
    /// A stream of a call that should have started at `due`.
    fn of(recorder: &'a Recorder, due: Instant) -> Self {
        Self { recorder, due, content: false, end: false }
    }

    /// Counts an event, with its text if it is a delta.
    fn event(&mut self, text: Option<&str>) {
        if text.is_some() && !std::mem::replace(&mut self.content, true) {
            self.recorder.first(self.due);
        }
        self.recorder.event(text);
    }

    fn done(&self) -> Result {
        if self.end { Ok(()) } else { Err("a stream without its end".into()) }
    }
}

// === impl Recorder ===

impl Recorder {
    fn new() -> Self {
        let histogram = || {
            let minutes = nanos(Duration::from_secs(600));
            Histogram::new_with_bounds(100, minutes, 3)
                .unwrap_or_else(|error| unreachable!("in bounds: {error}"))
        };
        let (call, first, event) = (histogram(), histogram(), histogram());
        let counted =
            Counted { measuring: false, calls: 0, events: 0, failed: Vec::new(), call, first, event };
        Self { counted: RefCell::new(counted) }
    }

    async fn ask<T: Target>(&self, target: &T, due: Instant) {
        let result = target.call(self, due).await;
        let failed = result.is_err();
        self.answered(result, due);
        if failed {
            sleep_until(Instant::now() + Duration::from_millis(10)).await; // do not repeat failing calls without a pause
        }
    }

    fn answered(&self, result: Result, due: Instant) {
        let mut counted = self.counted.borrow_mut();
        if let Err(error) = result {
            counted.failed.push(error.to_string());
        } else if counted.measuring {
            counted.calls += 1;
            counted.call.saturating_record(nanos(due.elapsed()));
        }
    }

    /// Counts the first content of a call that should have started at `due`.
    fn first(&self, due: Instant) {
        let mut counted = self.counted.borrow_mut();
        if counted.measuring {
            counted.first.saturating_record(nanos(due.elapsed()));
        }
    }

    /// Counts an event, with its text if it is a delta.
    fn event(&self, text: Option<&str>) {
        let mut counted = self.counted.borrow_mut();
        if counted.measuring {
            counted.events += 1;
            if let Some(made) = text.and_then(|text| text.parse().ok()) {
                let took = now().saturating_sub(Duration::from_nanos(made));
                counted.event.saturating_record(nanos(took));
            }
        }
    }

    fn firsts(&self) -> u64 {
        self.counted.borrow().first.len()
    }

    fn measured(&self) -> Measured {
        let counted = self.counted.borrow();
        Measured {
            calls: counted.calls,
            events: counted.events,
            failed: counted.failed.len() as u64,
            call: Quantiles::of(&counted.call),
            first: Quantiles::of(&counted.first),
            event: Quantiles::of(&counted.event),
            ..Measured::default()
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

// === impl Quantiles ===

impl Quantiles {
    #[expect(clippy::cast_precision_loss, reason = "three digits are enough")]
    fn of(nanos: &Histogram<u64>) -> Self {
        let micros = |quantile| nanos.value_at_quantile(quantile) as f64 / 1000.0;
        Self { p50: micros(0.5), p99: micros(0.99), p999: micros(0.999), max: micros(1.0) }
    }
}

// === impl Conversation ===

impl Conversation {
    /// The texts of the messages. The first is the user's, then the roles alternate.
    fn texts(self) -> impl Iterator<Item = String> {
        let text = "Tell me of the sea. ".repeat(self.bytes / 20 + 1);
        (0..self.messages).map(move |_| text[..self.bytes].to_owned())
    }

    /// The names of the tools, and a schema of about a kilobyte.
    fn tools(self) -> impl Iterator<Item = (String, String)> {
        let property =
            |n| format!(r#""field_{n}":{{"type":"string","description":"What the field {n} is about"}}"#);
        let properties = (0..12).map(property).collect::<Vec<_>>().join(",");
        let schema = format!(r#"{{"type":"object","properties":{{{properties}}},"required":["field_0"]}}"#);
        (0..self.tools).map(move |n| (format!("tool_{n}"), schema.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measuring() -> Recorder {
        let recorder = Recorder::new();
        recorder.counted.borrow_mut().measuring = true;
        recorder
    }

    fn ago(millis: u64) -> Instant {
        Instant::now() - Duration::from_millis(millis)
    }

    #[test]
    fn the_time_of_a_call_counts_from_when_it_should_have_started() {
        let recorder = measuring();
        recorder.first(ago(300));
        recorder.answered(Ok(()), ago(500));
        let measured = recorder.measured();
        assert!(measured.first.max >= 299_000.0, "{measured:?}");
        assert!(measured.call.max >= 499_000.0, "{measured:?}");
        assert_eq!((measured.calls, measured.failed), (1, 0));
    }

    #[test]
    fn a_failure_is_counted_and_is_not_a_call() {
        let recorder = measuring();
        recorder.answered(Err("refused".into()), ago(1));
        assert_eq!((recorder.measured().calls, recorder.measured().failed), (0, 1));
    }

    #[test]
    fn nothing_counts_during_the_warm_up() {
        let recorder = Recorder::new();
        recorder.answered(Ok(()), ago(1));
        recorder.event(Some("1"));
        assert_eq!((recorder.measured().calls, recorder.measured().events), (0, 0));
    }

    #[test]
    fn a_stream_without_its_end_has_failed() {
        let recorder = measuring();
        let mut progress = StreamProgress::of(&recorder, ago(1));
        progress.event(None);
        progress.event(Some("text"));
        progress.event(Some("more"));
        assert!(progress.done().is_err());
        progress.end = true;
        assert!(progress.done().is_ok());
        assert_eq!((recorder.firsts(), recorder.measured().events), (1, 3));
    }

    #[test]
    fn a_message_has_the_requested_length() {
        let conversation = Conversation { bytes: 1234, messages: 3, tools: 2 };
        assert!(conversation.texts().map(|text| text.len()).eq([1234; 3]));
        assert_eq!(conversation.tools().count(), 2);
        assert!(
            conversation
                .tools()
                .all(|(_, schema)| serde_json::from_str::<serde_json::Value>(&schema).is_ok())
        );
    }
}
