//! Configuration: one struct for each table of `deploy/switchboard.toml`, valid once parsed.
//!
//! Without a file there is the default table of the contract: two models, of which reasoning, coding, analysis and
//! everything unnamed go to the first, summarization and classification to the second, each falling back to the other.
mod deadline;
mod resilience;
mod server;
mod tasks;
mod telemetry;

pub use crate::{catalogue::ConfigError, units::MaxTokens};
pub use deadline::{Deadline, Retry, TaskDeadline};
pub use resilience::{AfterContent, Breaker, Floor, Force, Hedging};
pub use server::{Admission, Server};
pub use tasks::{Model, Residency, Rung, Task, Unsupported};
pub use telemetry::{GenAi, Telemetry};

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, num::NonZeroU32, ops::Range, path::PathBuf, time::Duration};

/// The model of hard tasks, where nothing else is set.
pub const DEFAULT_PRIMARY: &str = "us.anthropic.claude-opus-4-8";
/// The model of light tasks, where nothing else is set.
pub const DEFAULT_FALLBACK: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

/// Everything that can be set.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
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

/// `[bedrock]`: how Bedrock is reached, over what the AWS SDK finds by itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
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
    /// What sends requests.
    pub engine: Engine,
    /// How many connections to each region are open before the first call. 0: none.
    pub warm_connections: u8,
    /// How often those that no call uses are used, so that they stay open. Zero: never.
    #[serde(with = "humantime_serde")]
    pub keep_warm: Duration,
    /// The endpoint is a simulator's: sign with made-up credentials. Not a key of the file, so that no deployment can
    /// slip into it.
    #[serde(skip)]
    pub simulated: bool,
}

/// What sends requests to Bedrock.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Our own, made of the SDK's parts.
    #[default]
    Direct,
    /// The AWS SDK's client.
    Sdk,
}

/// `[routing]`: what holds for all tasks.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// What happens to a task type without a table of its own.
    pub unknown_tasks: UnknownTasks,
    /// The largest share of a task's calls that may go to models other than its first, from 0 to 1, unless the task sets
    /// its own.
    pub max_fallback_share: f64,
}

/// What happens to a task type without a table of its own.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum UnknownTasks {
    /// It is served as `default`.
    #[default]
    Default,
    /// It is refused.
    Refuse,
}

/// `[catalogue]`: what is known of models, over what is compiled in.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalogue {
    /// A file in the form of `deploy/models.toml`, beside the configuration unless its path is absolute. Its models come
    /// before those compiled in. Absent: none.
    pub file: Option<PathBuf>,
    /// Whether only the file counts.
    pub replace: bool,
}

/// `[feedback]`: which answers are remembered, so that they can be judged.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
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

// === impl Config ===

impl Config {
    /// Reads TOML.
    ///
    /// # Errors
    /// For TOML that is none, unknown keys, values out of bounds, and tasks that name models which do not exist.
    pub fn parse(toml: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(toml).map_err(|error| ConfigError::from_toml(toml, &error))?;
        config.check().map_err(|(span, problem)| ConfigError::new(toml, span, problem))?;
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
        self.bedrock.check().map_err(|problem| (None, format!("[bedrock] {problem}")))?;
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
            engine: Engine::default(),
            warm_connections: 4,
            keep_warm: Duration::from_secs(30),
            simulated: false,
        }
    }
}

impl Bedrock {
    /// Settings for a simulator at `endpoint_url`. Connections are opened by calls alone: there is no handshake to save
    /// on loopback, and a test that counts sockets or pauses its clock should meet nothing that it did not cause.
    #[must_use]
    pub fn simulated_at(endpoint_url: String) -> Self {
        Self {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(endpoint_url),
            warm_connections: 0,
            keep_warm: Duration::ZERO,
            simulated: true,
            ..Self::default()
        }
    }

    /// Connections that wait longer than 90 s are closed, so keeping them warm less often would be in vain.
    const RAREST: Duration = Duration::from_secs(60);
    /// More often, it would be traffic for its own sake.
    const OFTENEST: Duration = Duration::from_secs(1);

    fn check(&self) -> Result<(), String> {
        let bounds = Self::OFTENEST..=Self::RAREST;
        if !self.keep_warm.is_zero() && !bounds.contains(&self.keep_warm) {
            return Err(format!(
                "keep_warm is {:?}: use \"0s\" or something from \"1s\" to \"1m\"",
                self.keep_warm
            ));
        }
        Ok(())
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
            ("[bedrock]\nkeep_warm = \"2m\"", "[bedrock] keep_warm is 120s"),
            ("[bedrock]\nengine = \"curl\"", "expected `direct` or `sdk`"),
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
