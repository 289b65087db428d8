//! Configuration: one struct for each table of `deploy/switchboard.toml`, valid once parsed.
//!
//! Without a file there is the default table of the contract: two models, of which reasoning, coding, analysis and
//! everything unnamed go to the first, summarization and classification to the second, each falling back to the other.
mod health;
mod telemetry;

pub use health::{AfterContent, Breaker, Floor, Force, Hedging};
pub use telemetry::{GenAi, Telemetry};

use bytesize::ByteSize;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    num::NonZeroU32,
    ops::{Range, RangeInclusive},
    path::PathBuf,
    time::Duration,
};
use toml::Spanned;

/// The model of hard tasks, where nothing else is set.
pub const DEFAULT_PRIMARY: &str = "us.anthropic.claude-opus-4-8";
/// The model of light tasks, where nothing else is set.
pub const DEFAULT_FALLBACK: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

/// Everything that can be set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[admission]`.
    pub admission: Admission,
    /// `[bedrock]`.
    pub bedrock: Bedrock,
    /// `[routing]`.
    pub routing: Routing,
    /// `[deadline]`: the clocks of tasks that set none of their own.
    pub deadline: Deadline,
    /// `[retry]`.
    pub retry: Retry,
    /// `[breaker]`.
    pub breaker: Breaker,
    /// `[hedging]`.
    pub hedging: Hedging,
    /// `[catalogue]`.
    pub catalogue: Catalogue,
    /// `[feedback]`.
    pub feedback: Feedback,
    /// `[telemetry]`.
    pub telemetry: Telemetry,
    /// `[models.NAME]`.
    pub models: BTreeMap<String, Model>,
    /// `[tasks.NAME]`.
    pub tasks: BTreeMap<String, Task>,
}

/// `[server]`: where and how we listen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// The address. `SWITCHBOARD_LISTEN` comes before it.
    pub listen: SocketAddr,
    /// The largest request. Bedrock takes documents of 4.5 MB, five to a message, in base64.
    pub max_request_size: ByteSize,
    /// How long streams may go on once draining has begun; then they are cut.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// How long new calls are still taken after health says NOT_SERVING, so that load balancers can notice.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// Whether the server describes itself to tools such as `grpcurl`.
    pub reflection: bool,
    /// How long a request may take to arrive, beyond what its call may take: a caller who opens calls and sends nothing
    /// must not hold their permits for ever.
    #[serde(with = "humantime_serde")]
    pub upload_timeout: Duration,
    /// Calls at once on one connection, health's too. Those beyond it wait at the caller, unseen; so it is more than
    /// `[admission] max_calls`, and what is too much is shed.
    pub max_calls_per_connection: NonZeroU32,
    /// The largest metadata of a call, as HTTP/2 counts it: 32 bytes over name and value for each entry.
    pub max_header_size: ByteSize,
    /// How much of a request may be on its way. A call receives this much in each round trip, no more.
    pub call_window: ByteSize,
    /// The same for all calls of a connection together, and the most that a connection may have sent unread.
    pub connection_window: ByteSize,
    /// How often a connection is asked for a sign of life, so that callers who vanished, or whose headers never end, do
    /// not hold their places. Zero: never.
    #[serde(with = "humantime_serde")]
    pub keepalive_interval: Duration,
    /// How long that sign may take; then the connection is closed.
    #[serde(with = "humantime_serde")]
    pub keepalive_timeout: Duration,
    /// After how long a caller is asked to connect anew, give or take a tenth, so that calls spread over new instances
    /// behind a balancer of connections. What runs is finished. Zero: never.
    #[serde(with = "humantime_serde")]
    pub max_connection_age: Duration,
}

/// `[admission]`: how much is carried at once. What is too much is shed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Admission {
    /// Calls of the `ConverseService`, each until its answer's end.
    pub max_calls: NonZeroU32,
    /// How many of them may be streams. Absent: all.
    pub max_streams: Option<NonZeroU32>,
}

/// `[bedrock]`: how Bedrock is reached, over what the AWS SDK finds by itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bedrock {
    /// The region of models that name none. Absent: `AWS_REGION`, else the profile's.
    pub region: Option<String>,
    /// The profile in AWS's configuration files. Absent: `AWS_PROFILE`.
    pub profile: Option<String>,
    /// Another endpoint: a VPC endpoint, a simulator. Absent: `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`, else the region's.
    pub endpoint_url: Option<String>,
    /// The role to assume. Absent: none.
    pub assume_role_arn: Option<String>,
    /// The external id that the role asks for. Absent: none.
    pub assume_role_external_id: Option<String>,
    /// How long a new connection may take.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// The endpoint is a simulator's: sign with made-up credentials. Not a key of the file, so that no deployment can
    /// slip into it.
    #[serde(skip)]
    pub simulated: bool,
}

/// `[routing]`: what holds for all tasks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// What happens to a task type without a table of its own.
    pub unknown_tasks: UnknownTasks,
    /// The largest share of a task's calls that may go to models other than its first, from 0 to 1, unless the task sets
    /// its own.
    pub max_fallback_share: f64,
}

/// What happens to a task type without a table of its own.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum UnknownTasks {
    /// It is served as `default`.
    #[default]
    Default,
    /// It is refused.
    Refuse,
}

/// `[deadline]`: how long we wait, in the order in which the waits happen. A caller's own deadline bounds them all.
///
/// The first of the waits, for a new connection, is [`Bedrock::connect_timeout`]: connections belong to all calls.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Deadline {
    /// From an attempt's start to Bedrock's accepting a stream; then the next model is tried. Absent: `first_content`
    /// bounds that too.
    #[serde(with = "humantime_serde")]
    pub headers: Option<Duration>,
    /// From an attempt's start to the first content of a stream; then the next model is tried.
    #[serde(with = "humantime_serde")]
    pub first_content: Duration,
    /// Between two events of a stream.
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
    /// A whole attempt of `Converse`; then the next model is tried.
    #[serde(with = "humantime_serde")]
    pub attempt: Duration,
    /// The whole call, all attempts included.
    #[serde(with = "humantime_serde")]
    pub call: Duration,
    /// The least speed of a stream's beginning; a slower model is given up before anything is sent. Absent: any.
    pub floor: Option<Floor>,
    /// How long a caller may take nothing of an answer that is ready; then it is given up. May be longer than `call`, which
    /// then comes first.
    #[serde(with = "humantime_serde")]
    pub reader: Duration,
}

/// `[retry]`: when every model of a task has failed in a way that may pass.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How often they are asked again; 0: never.
    pub rounds: u32,
    /// The longest pause before the first time; it doubles with each. The pause is random below it, but never shorter than
    /// what Bedrock asks for.
    #[serde(with = "humantime_serde")]
    pub base_delay: Duration,
    /// The longest pause of all.
    #[serde(with = "humantime_serde")]
    pub max_delay: Duration,
    /// How many retries all calls of a model share.
    pub budget: u32,
    /// How much of a retry each answer of the model gives back, from 0 to 1.
    pub refill: f64,
}

/// `[catalogue]`: what is known of models, over what is compiled in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalogue {
    /// A file in the form of `deploy/models.toml`, beside the configuration unless its path is absolute. Its models come
    /// before those compiled in. Absent: none.
    pub file: Option<PathBuf>,
    /// Whether only the file counts.
    pub replace: bool,
}

/// `[feedback]`: which answers are remembered, so that they can be judged.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Feedback {
    /// The SQLite file, beside the configuration unless its path is absolute. Absent: in memory, until the process ends.
    pub file: Option<PathBuf>,
    /// For how long an answer can be judged, and what was said of it is kept.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Answers that are remembered at most, and judgements; the oldest go first.
    pub max_answers: NonZeroU32,
}

/// `[models.NAME]`: a model, under the name by which tasks call it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What Bedrock calls it: a model id, an inference profile's id or any ARN that Converse takes.
    pub id: String,
    /// The region to call. Absent: `[bedrock] region`.
    pub region: Option<String>,
    /// Most tokens that it may generate. Absent: what the catalogue says, and nothing is cut where it is silent.
    pub max_output_tokens: Option<MaxTokens>,
    /// The id under which the catalogue knows it, where `id` does not tell: an application inference profile, a
    /// provisioned model. Absent: `id` tells.
    pub base_model: Option<String>,
    /// Other ways to the same model, tried in this order before another model is. Empty: none.
    #[serde(default)]
    pub ladder: Vec<Rung>,
    /// What decides whether it is asked: `auto`, or for an operator who knows better `open` (never) or `closed` (always).
    #[serde(default)]
    pub breaker: Force,
    /// Clocks of its own. Those absent are the task's; one that the task sets itself comes before these.
    #[serde(default)]
    pub deadline: TaskDeadline,
}

/// `[[models.NAME.ladder]]`: another way to the same model. What it does not set is as in the model itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// Another id, such as an inference profile of more regions.
    pub id: Option<String>,
    /// Another region.
    pub region: Option<String>,
    /// A service tier: "priority", "default", "flex" or "reserved". A caller who names one itself gets no such attempt.
    pub service_tier: Option<String>,
}

/// `[tasks.NAME]`: a kind of work, and the models that serve it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What it is for, shown by `ListTasks`.
    #[serde(default)]
    pub description: String,
    /// Names of `[models]`, in the order in which they are tried.
    pub models: Spanned<Vec<Spanned<String>>>,
    /// Most tokens generated when the caller sets no `max_tokens`.
    #[serde(default)]
    pub max_tokens: MaxTokens,
    /// What happens to a request that a model accepts only with changes.
    #[serde(default)]
    pub unsupported: Unsupported,
    /// Clocks of its own. Those absent are the model's, or else the ones of `[deadline]`.
    #[serde(default)]
    pub deadline: TaskDeadline,
    /// How long the first model may take, to the first content or to the whole answer, before the next is asked beside it.
    /// Absent: it never is.
    #[serde(with = "humantime_serde", default)]
    pub hedge_after: Option<Duration>,
    /// What happens when a stream breaks after content has been sent.
    #[serde(default)]
    pub after_content: AfterContent,
    /// The largest share of calls that may go to models other than the first. Absent: `[routing] max_fallback_share`.
    pub max_fallback_share: Option<f64>,
    /// Whether its models may process what they are sent in a wider geography than the first one does.
    #[serde(default)]
    pub residency: Residency,
}

/// `[tasks.NAME] residency`: where a task's requests may be processed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Residency {
    /// Where the first model processes them: no model and no rung may leave its geography.
    #[default]
    Same,
    /// Anywhere.
    Any,
}

/// What happens to a request that a model accepts only with changes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Unsupported {
    /// They are made, and told in the route.
    #[default]
    Adjust,
    /// The model is skipped; with no other left the call is refused.
    Reject,
}

/// `[tasks.NAME.deadline]`: see [`Deadline`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each is the field of the same name of `Deadline`")]
pub struct TaskDeadline {
    #[serde(with = "humantime_serde")]
    pub first_content: Option<Duration>,
    #[serde(with = "humantime_serde")]
    pub idle: Option<Duration>,
    #[serde(with = "humantime_serde")]
    pub attempt: Option<Duration>,
    #[serde(with = "humantime_serde")]
    pub call: Option<Duration>,
    pub floor: Option<Floor>,
    #[serde(with = "humantime_serde")]
    pub headers: Option<Duration>,
    #[serde(with = "humantime_serde")]
    pub reader: Option<Duration>,
}

/// A number of tokens that may be generated: at least one, and what fits Bedrock's 32-bit integer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "i64")]
pub struct MaxTokens(i32);

/// Why a configuration is not valid, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The line, from 1. Absent: the problem is with the whole.
    pub line: Option<usize>,
    /// What is wrong and how to mend it.
    pub problem: String,
}

// === impl Config ===

impl Config {
    /// Reads TOML.
    ///
    /// # Errors
    /// For TOML that is none, unknown keys, values out of bounds, and tasks that name models which do not exist.
    pub fn parse(toml: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(toml).map_err(|error| ConfigError {
            line: error.span().map(|span| line(toml, &span)),
            problem: error.message().replace('\n', " "),
        })?;
        config
            .check()
            .map_err(|(span, problem)| ConfigError { line: span.map(|span| line(toml, &span)), problem })?;
        Ok(config)
    }

    /// The table for two models, as `PRIMARY_MODEL_ID` and `FALLBACK_MODEL_ID` set it.
    #[must_use]
    pub fn for_two_models(primary: &str, fallback: &str) -> Self {
        let models = [("primary", Model::new(primary)), ("fallback", Model::new(fallback))];
        let tasks = [
            ("reasoning", "hard questions, answered with care", ["primary", "fallback"]),
            ("coding", "writing, changing and explaining code", ["primary", "fallback"]),
            ("analysis", "judging and comparing material", ["primary", "fallback"]),
            ("default", "everything that names no task", ["primary", "fallback"]),
            ("summarization", "shortening text", ["fallback", "primary"]),
            ("classification", "sorting text into kinds", ["fallback", "primary"]),
        ];
        // Whoever names these two has said that each may stand in for the other.
        let task = |description, models| Task { residency: Residency::Any, ..Task::new(description, models) };
        Self {
            models: models.map(|(name, model)| (name.to_owned(), model)).into(),
            tasks: tasks
                .map(|(name, description, models)| (name.to_owned(), task(description, models)))
                .into(),
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), (Option<Range<usize>>, String)> {
        self.server.check().map_err(|problem| (None, format!("[server] {problem}")))?;
        self.admission.check().map_err(|problem| (None, format!("[admission] {problem}")))?;
        self.deadline.check().map_err(|problem| (None, format!("[deadline] {problem}")))?;
        self.retry.check().map_err(|problem| (None, format!("[retry] {problem}")))?;
        self.breaker.check().map_err(|problem| (None, format!("[breaker] {problem}")))?;
        self.hedging.check().map_err(|problem| (None, format!("[hedging] {problem}")))?;
        check_share(self.routing.max_fallback_share)
            .map_err(|problem| (None, format!("[routing] {problem}")))?;
        self.feedback.check().map_err(|problem| (None, format!("[feedback] {problem}")))?;
        if self.catalogue.replace && self.catalogue.file.is_none() {
            return Err((None, "[catalogue] replace needs a file to replace it with: set file".to_owned()));
        }
        if self.tasks.is_empty() {
            return Err((None, "there is no task: add [tasks.default] with models = [\"…\"]".to_owned()));
        }
        if self.routing.unknown_tasks == UnknownTasks::Default && !self.tasks.contains_key("default") {
            let problem = "unknown tasks go to \"default\", which does not exist: add [tasks.default], or set \
                           [routing] unknown_tasks = \"refuse\"";
            return Err((None, problem.to_owned()));
        }
        for (name, model) in &self.models {
            model.check().map_err(|problem| (None, format!("[models.{name}] {problem}")))?;
            let deadline = model.deadline.over(Deadline { call: Duration::MAX, ..self.deadline });
            deadline.check().map_err(|problem| (None, format!("[models.{name}.deadline] {problem}")))?;
        }
        self.tasks.iter().try_for_each(|(name, task)| self.check_task(name, task))
    }

    fn check_task(&self, name: &str, task: &Task) -> Result<(), (Option<Range<usize>>, String)> {
        let whole = || Some(task.models.span());
        if task.models.get_ref().is_empty() {
            return Err((
                whole(),
                format!("[tasks.{name}] names no model: list at least one of {}", self.names()),
            ));
        }
        for (position, model) in task.models.get_ref().iter().enumerate() {
            let span = || Some(model.span());
            if !self.models.contains_key(model.get_ref()) {
                let problem = format!(
                    "[tasks.{name}] names the model \"{}\", which does not exist: use one of {}, or add [models.{}]",
                    model.get_ref(),
                    self.names(),
                    model.get_ref()
                );
                return Err((span(), problem));
            }
            if task.models.get_ref()[..position].contains(model) {
                let problem =
                    format!("[tasks.{name}] names the model \"{}\" twice: remove one", model.get_ref());
                return Err((span(), problem));
            }
        }
        if let Some(share) = task.max_fallback_share {
            check_share(share).map_err(|problem| (whole(), format!("[tasks.{name}] {problem}")))?;
        }
        let clocks = task.deadline.over(self.deadline); // a model's may be longer than the call: the call bounds them
        clocks.check().map_err(|problem| (whole(), format!("[tasks.{name}.deadline] {problem}")))?;
        if task.hedge_after.is_some_and(|after| after >= clocks.call) {
            let problem = format!("[tasks.{name}] hedge_after is not shorter than the call's clock");
            return Err((whole(), problem));
        }
        Ok(())
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.models.keys().map(|name| format!("\"{name}\"")).collect();
        if names.is_empty() { "no models, for there are none yet".to_owned() } else { names.join(", ") }
    }
}

fn check_share(share: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    Err(format!("max_fallback_share is {share}: use a number from 0 (never fall back) to 1 (always)"))
}

/// The line of a span's beginning, from 1.
pub(crate) fn line(toml: &str, span: &Range<usize>) -> usize {
    toml.as_bytes().iter().take(span.start).filter(|&&byte| byte == b'\n').count() + 1
}

// === impl Server ===

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 50051)),
            max_request_size: ByteSize::mib(32),
            drain_timeout: Duration::from_secs(30),
            drain_delay: Duration::ZERO,
            reflection: true,
            upload_timeout: Duration::from_secs(5 * 60),
            max_calls_per_connection: const { NonZeroU32::new(2048).expect("is not zero") },
            max_header_size: ByteSize::kib(16),
            call_window: ByteSize::mib(4),
            connection_window: ByteSize::mib(16),
            keepalive_interval: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
            max_connection_age: Duration::from_secs(30 * 60),
        }
    }
}

impl Server {
    /// HTTP/2 begins with a window of 65,535 bytes, and knows none larger than 31 bits can count.
    const WINDOWS: RangeInclusive<ByteSize> = ByteSize::kib(64)..=ByteSize::b(i32::MAX as u64);
    /// Below, a token and a trace context do not fit; above, every call could cost what a prompt does.
    const HEADERS: RangeInclusive<ByteSize> = ByteSize::kib(4)..=ByteSize::mib(1);

    fn check(&self) -> Result<(), String> {
        for (name, size, bounds) in [
            ("max_header_size", self.max_header_size, Self::HEADERS),
            ("call_window", self.call_window, Self::WINDOWS),
            ("connection_window", self.connection_window, Self::WINDOWS),
        ] {
            if !bounds.contains(&size) {
                return Err(format!("{name} is {size}: use {} to {}", bounds.start(), bounds.end()));
            }
        }
        if self.call_window > self.connection_window {
            return Err(format!(
                "call_window ({}) is larger than connection_window ({}), which holds for all calls together",
                self.call_window, self.connection_window
            ));
        }
        if self.keepalive_timeout.is_zero() {
            return Err("keepalive_timeout is zero: no sign of life could come in time".to_owned());
        }
        Ok(())
    }
}

// === impl Admission ===

impl Default for Admission {
    fn default() -> Self {
        Self { max_calls: const { NonZeroU32::new(1024).expect("is not zero") }, max_streams: None }
    }
}

impl Admission {
    fn check(&self) -> Result<(), String> {
        match self.max_streams {
            Some(streams) if streams > self.max_calls => {
                Err(format!("max_streams ({streams}) is more than max_calls ({}): lower it", self.max_calls))
            }
            _ => Ok(()),
        }
    }
}

// === impl Bedrock ===

impl Default for Bedrock {
    fn default() -> Self {
        Self {
            region: None,
            profile: None,
            endpoint_url: None,
            assume_role_arn: None,
            assume_role_external_id: None,
            connect_timeout: Duration::from_secs(3),
            simulated: false,
        }
    }
}

impl Bedrock {
    /// Settings for a simulator at `endpoint_url`.
    #[must_use]
    pub fn simulated_at(endpoint_url: String) -> Self {
        let region = Some("us-east-1".to_owned());
        Self { region, endpoint_url: Some(endpoint_url), simulated: true, ..Self::default() }
    }
}

// === impl Routing ===

impl Default for Routing {
    fn default() -> Self {
        Self { unknown_tasks: UnknownTasks::default(), max_fallback_share: 1.0 }
    }
}

// === impl Feedback ===

impl Default for Feedback {
    fn default() -> Self {
        Self {
            file: None,
            retention: Duration::from_secs(7 * 24 * 60 * 60),
            max_answers: const { NonZeroU32::new(100_000).expect("is not zero") },
        }
    }
}

impl Feedback {
    /// Longer, it would be an archive, which is someone else's.
    const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

    fn check(&self) -> Result<(), String> {
        if self.retention.is_zero() || self.retention > Self::LONGEST {
            return Err(format!(
                "retention is {:?}: use more than nothing and at most ten years",
                self.retention
            ));
        }
        Ok(())
    }
}

// === impl Retry ===

impl Default for Retry {
    fn default() -> Self {
        Self {
            rounds: 1,
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(10),
            budget: 10,
            refill: 0.1,
        }
    }
}

impl Retry {
    fn check(&self) -> Result<(), String> {
        if self.base_delay > self.max_delay {
            return Err(format!(
                "base_delay ({:?}) is longer than max_delay ({:?})",
                self.base_delay, self.max_delay
            ));
        }
        if !(0.0..=1.0).contains(&self.refill) {
            return Err(format!("refill is {}: use a number from 0 to 1", self.refill));
        }
        if self.budget > 1_000_000 {
            return Err(format!("budget is {}: use at most 1000000", self.budget));
        }
        Ok(())
    }
}

// === impl Deadline ===

impl Default for Deadline {
    fn default() -> Self {
        Self {
            headers: None,
            floor: None,
            first_content: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            attempt: Duration::from_secs(120),
            call: Duration::from_secs(300),
            reader: Duration::from_secs(60),
        }
    }
}

impl Deadline {
    fn check(&self) -> Result<(), String> {
        let Self { headers, first_content, idle, attempt, call, floor, reader } = self;
        let headers = headers.as_ref().unwrap_or(first_content);
        if let Some(floor) = floor {
            floor.check()?;
        }
        let clocks =
            [("headers", headers), ("first_content", first_content), ("idle", idle), ("attempt", attempt)];
        for (name, clock) in clocks {
            if clock.is_zero() {
                return Err(format!("{name} is zero: nothing could ever answer"));
            }
            if clock > call {
                return Err(format!(
                    "{name} ({clock:?}) is longer than call ({call:?}): shorten it or lengthen call"
                ));
            }
        }
        if reader.is_zero() {
            return Err("reader is zero: no answer could ever be read".to_owned());
        }
        Ok(())
    }
}

impl TaskDeadline {
    /// The clocks of a task, over those of all.
    #[must_use]
    pub fn over(&self, all: Deadline) -> Deadline {
        Deadline {
            first_content: self.first_content.unwrap_or(all.first_content),
            idle: self.idle.unwrap_or(all.idle),
            attempt: self.attempt.unwrap_or(all.attempt),
            call: self.call.unwrap_or(all.call),
            floor: self.floor.or(all.floor),
            headers: self.headers.or(all.headers),
            reader: self.reader.unwrap_or(all.reader),
        }
    }
}

// === impl Model ===

impl Model {
    /// A model with the defaults of everything but its id.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            region: None,
            max_output_tokens: None,
            base_model: None,
            ladder: Vec::new(),
            breaker: Force::default(),
            deadline: TaskDeadline::default(),
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.id.trim().is_empty() {
            return Err("id is empty: set the model id that Bedrock knows".to_owned());
        }
        if self.deadline.call.is_some() || self.deadline.reader.is_some() {
            let problem = "deadline.call and deadline.reader are clocks of a whole call: set them in a task or in [deadline]";
            return Err(problem.to_owned());
        }
        for (rung, position) in self.ladder.iter().zip(1..) {
            let Rung { id, region, service_tier } = rung;
            if [id, region, service_tier].into_iter().all(Option::is_none) {
                return Err(format!(
                    "ladder rung {position} changes nothing: set id, region or service_tier"
                ));
            }
            if [id, region].into_iter().flatten().any(|text| text.trim().is_empty()) {
                return Err(format!("ladder rung {position} has an empty id or region: leave it out"));
            }
            if let Some(tier) = service_tier
                && !["priority", "default", "flex", "reserved"].contains(&tier.as_str())
            {
                return Err(format!(
                    "ladder rung {position} has the service tier \"{tier}\": use priority, default, flex or reserved"
                ));
            }
        }
        Ok(())
    }
}

// === impl Task ===

impl Task {
    /// A task with the defaults of everything but its models.
    #[must_use]
    pub fn new(description: &str, models: impl IntoIterator<Item = &'static str>) -> Self {
        let models = models.into_iter().map(|name| Spanned::new(0..0, name.to_owned())).collect();
        Self {
            description: description.to_owned(),
            models: Spanned::new(0..0, models),
            max_tokens: MaxTokens::default(),
            unsupported: Unsupported::default(),
            deadline: TaskDeadline::default(),
            hedge_after: None,
            after_content: AfterContent::default(),
            max_fallback_share: None,
            residency: Residency::default(),
        }
    }
}

// === impl MaxTokens ===

impl MaxTokens {
    /// In tokens, from 1.
    #[must_use]
    pub fn get(self) -> i32 {
        self.0
    }
}

impl Default for MaxTokens {
    fn default() -> Self {
        Self(4096)
    }
}

impl TryFrom<i64> for MaxTokens {
    type Error = String;

    fn try_from(tokens: i64) -> Result<Self, String> {
        match i32::try_from(tokens) {
            Ok(tokens) if tokens >= 1 => Ok(Self(tokens)),
            _ => Err(format!("{tokens} is not a number of tokens: use 1 to {}", i32::MAX)),
        }
    }
}

// === impl ConfigError ===

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = r#"
[models.opus]
id = "us.anthropic.claude-opus-4-8"

[tasks.default]
models = ["opus"]
"#;

    fn error(toml: &str) -> (Option<usize>, String) {
        let ConfigError { line, problem } = Config::parse(toml).expect_err("is not valid");
        (line, problem)
    }

    #[test]
    fn a_task_takes_the_clocks_that_it_does_not_set_from_the_common_table() {
        let config = Config::parse(&format!("{VALID}deadline = {{ idle = \"5s\" }}\n")).expect("is valid");
        let deadline = config.tasks["default"].deadline.over(config.deadline);
        assert_eq!((deadline.idle, deadline.call), (Duration::from_secs(5), Duration::from_secs(300)));
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        let (line, problem) = error(&VALID.replace("id =", "ident = \"x\"\nid ="));
        assert_eq!(line, Some(3));
        assert!(problem.contains("unknown field `ident`") && problem.contains("`id`"), "{problem}");
    }

    #[test]
    fn a_model_that_does_not_exist_is_an_error_with_its_line_and_the_names_there_are() {
        let (line, problem) = error(&VALID.replace("[\"opus\"]", "[\n  \"opus\",\n  \"opsu\",\n]"));
        assert_eq!(line, Some(8));
        assert!(problem.contains("\"opsu\"") && problem.contains("use one of \"opus\""), "{problem}");
    }

    #[test]
    fn what_contradicts_itself_is_an_error() {
        for (toml, expected) in [
            ("", "there is no task"),
            ("[models.a]\nid = \"x\"\n[tasks.other]\nmodels = [\"a\"]", "unknown tasks go to \"default\""),
            ("[models.a]\nid = \" \"\n[tasks.default]\nmodels = [\"a\"]", "[models.a] id is empty"),
            ("[models.a]\nid = \"x\"\n[tasks.default]\nmodels = []", "names no model"),
            ("[models.a]\nid = \"x\"\n[tasks.default]\nmodels = [\"a\", \"a\"]", "twice"),
            ("[deadline]\nreader = \"0s\"", "[deadline] reader is zero"),
            (
                "[deadline]\nidle = \"10m\"\n[models.a]\nid = \"x\"\n[tasks.default]\nmodels = [\"a\"]",
                "longer than call",
            ),
            ("[admission]\nmax_calls = 0", "nonzero"),
            (
                "[admission]\nmax_calls = 8\nmax_streams = 9",
                "[admission] max_streams (9) is more than max_calls (8)",
            ),
            ("[server]\ncall_window = \"1 KiB\"", "[server] call_window is 1.0 KiB: use 64.0 KiB to 2.0 GiB"),
            ("[server]\nconnection_window = \"1 MiB\"", "holds for all calls together"),
            ("[server]\nmax_header_size = \"1 GiB\"", "[server] max_header_size"),
            ("[server]\nkeepalive_timeout = \"0s\"", "no sign of life"),
            ("[feedback]\nretention = \"0s\"", "[feedback] retention is 0ns"),
            ("[feedback]\nretention = \"20y\"", "at most ten years"),
            ("[feedback]\nmax_answers = 0", "nonzero"),
            (
                "[models.a]\nid = \"x\"\n[tasks.default]\nmodels = [\"a\"]\nmax_tokens = 0",
                "not a number of tokens",
            ),
        ] {
            let (_, problem) = error(toml);
            assert!(problem.contains(expected), "{toml}: {problem}");
        }
    }

    #[test]
    fn without_a_file_light_tasks_go_to_the_fallback_model() {
        let config = Config::for_two_models("a", "b");
        let first = |task: &str| config.tasks[task].models.get_ref()[0].get_ref().clone();
        assert_eq!([first("coding"), first("summarization")], ["primary", "fallback"]);
        assert!(config.check().is_ok());
    }
}
