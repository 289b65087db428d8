//! Configuration: one struct for each table of `deploy/switchboard.toml`, valid once parsed.
//!
//! Without a file the configuration has two models: the first serves `reasoning`, `coding`, `analysis` and
//! `default`, the second `summarization` and `classification`, and each is the fallback of the other.
mod deadline;
mod duration;
mod invalid;
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

use crate::catalogue::most_similar;
use duration::shown;
use invalid::{Invalid, InvalidIn};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf, time::Duration};

/// Model of the hard tasks if nothing else is configured.
pub const DEFAULT_PRIMARY: &str = "us.anthropic.claude-opus-4-8";
/// Model of the light tasks if nothing else is configured.
pub const DEFAULT_FALLBACK: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

/// The whole configuration.
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
    /// `[deadline]`: timeouts of tasks and models that set none of their own.
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

/// `[bedrock]`: connection to Amazon Bedrock. Absent values are found as by every AWS SDK.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bedrock {
    /// Region of models that name none. Absent: `AWS_REGION`, then the region of the AWS profile.
    pub region: Option<String>,
    /// Profile in the AWS configuration files. Absent: `AWS_PROFILE`.
    pub profile: Option<String>,
    /// Endpoint URL of a VPC endpoint or a simulator. Absent: `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`, then the
    /// public endpoint of the region.
    pub endpoint_url: Option<String>,
    /// Role to assume. Absent: none.
    pub assume_role_arn: Option<String>,
    /// External id that the trust policy of the role requires. Absent: none.
    pub assume_role_external_id: Option<String>,
    /// Timeout for opening a connection.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// Engine that sends requests.
    pub engine: Engine,
    /// Number of connections to each region that are opened before the first call. 0: none.
    pub warm_connections: u8,
    /// Interval at which idle connections are used, so that the service does not close them. Zero: never.
    #[serde(with = "duration")]
    pub keep_warm: Duration,
    /// True for the endpoint of a simulator: requests are signed with made-up credentials. Not a key of the
    /// file, so that no deployment can enable it by mistake.
    #[serde(skip)]
    pub simulated: bool,
}

/// Engine that sends requests to Bedrock.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Switchboard's own, built from parts of the AWS SDK.
    #[default]
    Direct,
    /// The client of the AWS SDK.
    Sdk,
}

/// `[routing]`: rules for all tasks.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// Treatment of task types without a table.
    pub unknown_tasks: UnknownTasks,
    /// Fallback cap of tasks that set none: largest share of a task's calls, from 0 to 1, that models other
    /// than its first may serve.
    pub max_fallback_share: f64,
}

/// Treatment of task types without a table.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum UnknownTasks {
    /// The task `default` serves them.
    #[default]
    Default,
    /// They are refused.
    Refuse,
}

/// `[catalogue]`: a catalogue file in addition to the built-in catalogue.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalogue {
    /// Catalogue file in the format of `deploy/models.toml`; a relative path is relative to the configuration
    /// file. Its models replace built-in ones. Absent: none.
    pub file: Option<PathBuf>,
    /// True if only the file is used, not the built-in catalogue.
    pub replace: bool,
}

/// `[feedback]`: how long answers accept feedback.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Feedback {
    /// SQLite file; a relative path is relative to the configuration file. Absent: in memory, lost when the
    /// process ends.
    pub file: Option<PathBuf>,
    /// Time for which an answer accepts feedback and its feedback is kept.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Maximum number of answers, and of judgements, that are kept; the oldest are removed first.
    pub max_answers: NonZeroU32,
}

// === impl Config ===

impl Config {
    /// Parses a configuration file.
    ///
    /// # Errors
    /// For invalid TOML, unknown keys, values out of bounds, and tasks that name models which do not exist.
    pub fn parse(toml: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(toml).map_err(|error| ConfigError::from_toml(toml, &error))?;
        config.check().map_err(|invalid| ConfigError::new(toml, invalid.span(toml), invalid.message()))?;
        config.check_whole().map_err(|problem| ConfigError::new(toml, None, problem))?;
        for (name, task) in &config.tasks {
            config.check_models_of(toml, name, task)?;
        }
        Ok(config)
    }

    /// The configuration of a start without a file, with the models of `PRIMARY_MODEL_ID` and
    /// `FALLBACK_MODEL_ID`.
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
        // An operator who names these two models allows each to replace the other, wherever it is processed.
        let task = |description, models| Task { residency: Residency::Any, ..Task::new(description, models) };
        Self {
            models: models.map(|(name, model)| (name.to_owned(), model)).into(),
            tasks: tasks
                .map(|(name, description, models)| (name.to_owned(), task(description, models)))
                .into(),
            ..Self::default()
        }
    }

    /// Checks the values of each table.
    fn check(&self) -> Result<(), InvalidIn> {
        for (table, result) in [
            ("server", self.server.check()),
            ("bedrock", self.bedrock.check()),
            ("admission", self.admission.check()),
            ("deadline", self.deadline.check()),
            ("retry", self.retry.check()),
            ("breaker", self.breaker.check()),
            ("hedging", self.hedging.check()),
            ("routing", check_share(self.routing.max_fallback_share)),
            ("feedback", self.feedback.check()),
            ("catalogue", self.catalogue.check()),
        ] {
            result.map_err(|invalid| invalid.within(&[table]))?;
        }
        for (name, model) in &self.models {
            model.check().map_err(|invalid| invalid.within(&["models", name]))?;
        }
        for (name, task) in &self.tasks {
            task.check(self.deadline).map_err(|invalid| invalid.within(&["tasks", name]))?;
        }
        Ok(())
    }

    /// Checks which tasks there are.
    fn check_whole(&self) -> Result<(), String> {
        if self.tasks.is_empty() {
            return Err("the configuration has no task: add [tasks.default] with models = [\"…\"]".to_owned());
        }
        if self.routing.unknown_tasks == UnknownTasks::Default && !self.tasks.contains_key("default") {
            let problem = "unknown tasks are served by the task \"default\", which does not exist: add [tasks.default], \
                           or set [routing] unknown_tasks = \"refuse\"";
            return Err(problem.to_owned());
        }
        Ok(())
    }

    /// Checks the models that a task names.
    fn check_models_of(&self, toml: &str, name: &str, task: &Task) -> Result<(), ConfigError> {
        let models = task.models.get_ref();
        if models.is_empty() {
            let problem = format!("[tasks.{name}] models is empty: list at least one of {}", self.names());
            return Err(ConfigError::new(toml, Some(task.models.span()), problem));
        }
        for (position, model) in models.iter().enumerate() {
            let invalid = |problem: String| ConfigError::new(toml, Some(model.span()), problem);
            let model = model.get_ref();
            if !self.models.contains_key(model) {
                let similar = most_similar(model, self.models.keys().map(String::as_str));
                let hint =
                    similar.map(|similar| format!("; did you mean \"{similar}\"?")).unwrap_or_default();
                return Err(invalid(format!(
                    "[tasks.{name}] names the model \"{model}\", which does not exist: use one of {}, or add \
                     [models.{model}]{hint}",
                    self.names(),
                )));
            }
            if models[..position].iter().any(|earlier| earlier.get_ref() == model) {
                return Err(invalid(format!("[tasks.{name}] names the model \"{model}\" twice: remove one")));
            }
        }
        Ok(())
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.models.keys().map(|name| format!("\"{name}\"")).collect();
        if names.is_empty() { "no models, because none is configured".to_owned() } else { names.join(", ") }
    }
}

fn check_share(share: f64) -> Result<(), Invalid> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    let problem = format!("is {share}: use a number from 0 (never fall back) to 1 (no limit)");
    Err(Invalid::new("max_fallback_share", problem))
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
    /// Settings for a simulator at `endpoint_url`. No connections are opened in advance: loopback has no
    /// handshake to save, and tests that count sockets or pause the clock should see only what they cause.
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

    /// Shortest interval. A shorter one would only cause traffic.
    const MIN_KEEP_WARM: Duration = Duration::from_secs(1);
    /// Longest interval. Connections that are idle for 90 s are closed, so a longer one would not keep them
    /// open.
    const MAX_KEEP_WARM: Duration = Duration::from_secs(60);

    fn check(&self) -> Result<(), Invalid> {
        if let Some(url) = &self.endpoint_url
            && !is_http_url(url)
        {
            let problem = format!("is \"{url}\": write a URL, such as \"http://127.0.0.1:9009\"");
            return Err(Invalid::new("endpoint_url", problem));
        }
        let bounds = Self::MIN_KEEP_WARM..=Self::MAX_KEEP_WARM;
        if !self.keep_warm.is_zero() && !bounds.contains(&self.keep_warm) {
            let problem =
                format!("is {}: use \"0s\", or a duration from \"1s\" to \"1m\"", shown(self.keep_warm));
            return Err(Invalid::new("keep_warm", problem));
        }
        Ok(())
    }
}

fn is_http_url(url: &str) -> bool {
    let url = url.parse::<http::Uri>();
    url.is_ok_and(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some())
}

// === impl Routing ===

impl Default for Routing {
    fn default() -> Self {
        Self { unknown_tasks: UnknownTasks::default(), max_fallback_share: 1.0 }
    }
}

// === impl Catalogue ===

impl Catalogue {
    fn check(&self) -> Result<(), Invalid> {
        if self.replace && self.file.is_none() {
            return Err(Invalid::new("replace", "is true without a file to use instead: set file"));
        }
        Ok(())
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
    /// Longest retention. The store is not an archive.
    const MAX_RETENTION: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

    fn check(&self) -> Result<(), Invalid> {
        if self.retention.is_zero() || self.retention > Self::MAX_RETENTION {
            let problem = format!("is {}: use more than zero and at most ten years", shown(self.retention));
            return Err(Invalid::new("retention", problem));
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
    fn a_task_takes_missing_timeouts_from_the_deadline_table() {
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
    fn an_unknown_model_is_an_error_with_its_line_and_the_known_names() {
        let (line, problem) = error(&VALID.replace("[\"opus\"]", "[\n  \"opus\",\n  \"opsu\",\n]"));
        assert_eq!(line, Some(8));
        assert!(problem.contains("\"opsu\"") && problem.contains("use one of \"opus\""), "{problem}");
    }

    #[test]
    fn refuses_invalid_values() {
        for (toml, expected) in [
            ("", "has no task"),
            (
                "[models.a]\nid = \"x\"\n[tasks.other]\nmodels = [\"a\"]",
                "unknown tasks are served by the task \"default\"",
            ),
            ("[models.a]\nid = \" \"\n[tasks.default]\nmodels = [\"a\"]", "[models.a] id is empty"),
            ("[models.a]\nid = \"x\"\n[tasks.default]\nmodels = []", "[tasks.default] models is empty"),
            ("[models.a]\nid = \"x\"\n[tasks.default]\nmodels = [\"a\", \"a\"]", "twice"),
            ("[deadline]\nreader = \"0s\"", "[deadline] reader is zero"),
            (
                "[deadline]\nidle = \"10m\"\n[models.a]\nid = \"x\"\n[tasks.default]\nmodels = [\"a\"]",
                "[deadline] idle (10m) is longer than call (5m)",
            ),
            ("[admission]\nmax_calls = 0", "nonzero"),
            (
                "[admission]\nmax_calls = 8\nmax_streams = 9",
                "[admission] max_streams (9) is more than max_calls (8)",
            ),
            ("[server]\ncall_window = \"1 KiB\"", "[server] call_window is 1.0 KiB: use 64.0 KiB to 2.0 GiB"),
            ("[server]\nconnection_window = \"1 MiB\"", "which all calls of a connection share"),
            ("[server]\nmax_header_size = \"1 GiB\"", "[server] max_header_size"),
            ("[server]\nkeepalive_timeout = \"0s\"", "[server] keepalive_timeout is zero"),
            ("[bedrock]\nkeep_warm = \"2m\"", "[bedrock] keep_warm is 2m"),
            ("[bedrock]\nengine = \"curl\"", "expected `direct` or `sdk`"),
            ("[feedback]\nretention = \"0s\"", "[feedback] retention is 0s"),
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
    fn errors_name_the_key_that_was_written_and_its_line() {
        for (toml, line, expected) in [
            (
                format!("[deadline]\ncall = \"1m\"\nfirst_content = \"10m\"\n{VALID}"),
                3,
                "[deadline] first_content (10m) is longer than call (1m): shorten it, or lengthen call",
            ),
            (
                format!("{VALID}deadline = {{ call = \"10s\" }}\n"),
                7,
                "[tasks.default] deadline.call (10s) is shorter than first_content (30s), which is taken from [deadline]",
            ),
            (
                format!("{VALID}[tasks.default.deadline]\nidle = \"0s\"\n"),
                8,
                "[tasks.default] deadline.idle is zero",
            ),
            (
                format!("[bedrock]\nendpoint_url = \"127.0.0.1:9009\"\n{VALID}"),
                2,
                "[bedrock] endpoint_url is \"127.0.0.1:9009\": write a URL",
            ),
            (
                format!("{VALID}hedge_after = \"1h\"\n"),
                7,
                "hedge_after (1h) must be shorter than the timeout call (5m)",
            ),
            (format!("{VALID}max_fallback_share = 50\n"), 7, "[tasks.default] max_fallback_share is 50"),
            (
                VALID.replace("[tasks", "ladder = [{ service_tier = \"prio\" }]\n[tasks"),
                5,
                "[models.opus] ladder rung 1 has the service tier \"prio\": use \"priority\"",
            ),
            (
                format!("[server]\nlisten = \"localhost:50061\"\n{VALID}"),
                2,
                "listen is \"localhost:50061\": write an IP address and a port",
            ),
            (
                format!("[deadline]\nidle = \"30\"\n{VALID}"),
                2,
                "idle is \"30\": write a duration such as \"30s\"",
            ),
            (format!("[deadline]\nidle = 30\n{VALID}"), 2, "idle is 30: write a duration such as \"30s\""),
            (
                format!("{VALID}deadline = {{ idle = \"30 seks\" }}\n"),
                7,
                "idle is \"30 seks\": write a duration",
            ),
            (VALID.replace("id =", "regoin = \"eu-west-1\"\nid ="), 3, "did you mean `region`?"),
            (VALID.replace("[\"opus\"]", "[\"opsu\"]"), 6, "did you mean \"opus\"?"),
            (format!("{VALID}[tasks.default]\n"), 7, "default is defined twice"),
        ] {
            let (found, problem) = error(&toml);
            assert!(problem.contains(expected), "{toml}: {problem}");
            assert_eq!(found, Some(line), "{toml}: {problem}");
        }
    }

    /// A sum of a duration and a point in time must not overflow. Every duration of the shipped file is
    /// replaced in turn.
    #[test]
    fn every_duration_has_an_upper_bound() {
        let shipped = include_str!("../../deploy/switchboard.toml").replace("\n#: ", "\n");
        Config::parse(&shipped).expect("is valid");
        let mut keys = std::collections::BTreeSet::new();
        for (start, _) in shipped.match_indices(" = \"") {
            let value = start + " = \"".len();
            let length = shipped[value..].find('"').expect("is closed");
            if humantime_serde::re::humantime::parse_duration(&shipped[value..value + length]).is_err() {
                continue;
            }
            let key = shipped[..start].rsplit(['\n', ' ', '{']).next().expect("has a key");
            for absurd in ["11y", "500000000000y", "18446744073709551615s", "99999999999999999999s"] {
                let toml = format!("{}{absurd}{}", &shipped[..value], &shipped[value + length..]);
                let (line, problem) = error(&toml);
                assert!(problem.contains(key), "{key} = {absurd}: {problem}");
                assert_eq!(line, Some(shipped[..start].lines().count()), "{key} = {absurd}: {problem}");
            }
            keys.insert(key);
        }
        let fields = concat!(
            include_str!("config.rs"),
            include_str!("config/deadline.rs"),
            include_str!("config/resilience.rs"),
            include_str!("config/server.rs"),
            include_str!("config/tasks.rs"),
        );
        let fields = fields.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": "));
        let durations = fields.filter(|(_, kind)| ["Duration,", "Option<Duration>,"].contains(kind));
        assert_eq!(keys, durations.map(|(key, _)| key).collect());
    }

    #[test]
    fn without_a_file_the_fallback_model_serves_light_tasks() {
        let config = Config::for_two_models("a", "b");
        let first = |task: &str| config.tasks[task].models.get_ref()[0].get_ref().clone();
        assert_eq!([first("coding"), first("summarization")], ["primary", "fallback"]);
        assert!(config.check().is_ok() && config.check_whole().is_ok());
    }
}
