//! Arguments. The doc comments are the texts of `--help`.

use super::Failure;
use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use switchboard_client::{DEFAULT_ADDRESS, Options, pb, task};

const AFTER_HELP: &str = "\
Examples:
  converse \"What is a monad?\"
  converse -t summarization < report.txt
  git diff | converse -t coding \"Review this change.\"
  converse -s \"Answer in French.\" --max-tokens 200 Hello there
  converse --request body.json --json        a Bedrock Converse body, with taskType
  converse chat -t reasoning
  converse tasks
  converse feedback 3f1c… --thumb up --by human:alice
  converse -- tasks                          a prompt; `--` ends options and subcommands

The answer goes to standard output, everything else to standard error.

Exit codes:
  0    success
  1    the call failed at Bedrock or Switchboard
  2    invalid arguments
  3    the request was rejected: it is invalid, or the caller is not allowed to make it
  4    could not connect
  5    the deadline passed
  130  interrupted";

const USAGE: &str = "converse [OPTIONS] [PROMPT]...\n       converse [OPTIONS] <COMMAND>";

/// Call a model through Switchboard.
///
/// The prompt comes from the arguments, from --file or from standard input. If there are both arguments and a
/// file or a pipe, the content of the file or pipe follows the prompt. Choose the kind of work with --task;
/// Switchboard chooses the model.
#[derive(Parser)]
#[command(name = "converse", version, override_usage = USAGE, after_help = AFTER_HELP)]
#[command(disable_help_subcommand = true)] // "help" is a word that prompts begin with
pub(crate) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) ask: Ask,
    #[command(flatten)]
    pub(super) connection: Connection,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the tasks and the models that serve them
    Tasks,
    /// Show what a call for a task would do now: models, limits and timeouts. Calls no model
    Explain {
        /// The task
        task: String,
    },
    /// Record feedback on an answer. Later feedback by the same judge replaces the earlier one
    Feedback(Feedback),
    /// Start an interactive chat: each line is a turn
    #[command(after_help = super::chat::HELP)]
    Chat(Generation),
}

/// Feedback on an answer.
#[derive(Group)]
#[group(id = "judgement")]
pub(super) struct Feedback {
    /// Request id of the answer; --json prints it in the route
    pub(super) request_id: String,
    /// Source of the feedback: human:ID, model:ID or check:ID
    #[arg(long, env = "SWITCHBOARD_JUDGE", value_name = "KIND:ID", value_parser = judge)]
    pub(super) by: pb::Judge,
    /// Judged quality, such as helpfulness [default: overall]
    #[arg(long, value_name = "WORD")]
    pub(super) criterion: Option<String>,
    /// Thumb up or down
    #[arg(long)]
    pub(super) thumb: Option<Thumb>,
    /// Score on the scale
    #[arg(long, value_name = "X", requires = "scale", allow_negative_numbers = true)]
    pub(super) score: Option<f64>,
    /// Lowest and highest possible score, such as 1..5
    #[arg(long, value_name = "MIN..MAX", requires = "score", value_parser = scale, allow_hyphen_values = true)]
    pub(super) scale: Option<(f64, f64)>,
    /// Category, such as relevant
    #[arg(long, value_name = "WORD")]
    pub(super) label: Option<String>,
    /// Explanation
    #[arg(long, value_name = "TEXT")]
    pub(super) comment: Option<String>,
    /// Whether the work that the answer was used for succeeded
    #[arg(long, value_name = "BOOL")]
    pub(super) success: Option<bool>,
}

/// Parts of one request.
#[derive(Group)]
pub(super) struct Ask {
    /// Prompt; several arguments are joined with spaces
    #[arg(value_name = "PROMPT")]
    pub(super) prompt: Vec<String>,
    /// Read the prompt, or the content that follows it, from a file; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Send a complete ConverseRequest in protobuf JSON: a Bedrock Converse body with taskType; `-` is
    /// standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "file"])]
    pub(super) request: Option<PathBuf>,
    #[command(flatten)]
    pub(super) generation: Generation,
    /// Wait for the complete answer instead of streaming it
    #[arg(long)]
    pub(super) no_stream: bool,
    /// Show the model's reasoning on standard error
    #[arg(long)]
    pub(super) show_reasoning: bool,
}

/// Generation parameters. They replace the values of --request.
#[derive(Group)]
pub(super) struct Generation {
    /// Kind of work; `converse tasks` lists the tasks [default: default]
    #[arg(short, long)]
    pub(super) task: Option<String>,
    /// System prompt: instructions for the whole conversation
    #[arg(short, long, value_name = "TEXT")]
    pub(super) system: Option<String>,
    /// Maximum number of tokens to generate [default: the task's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(super) max_tokens: Option<i32>,
    /// Randomness, from 0 to 1; many models do not support it [default: the model's]
    #[arg(long, value_name = "X")]
    pub(super) temperature: Option<f64>,
    /// Share of the most likely tokens to sample from, from 0 to 1 [default: the model's]
    #[arg(long, value_name = "X")]
    pub(super) top_p: Option<f64>,
    /// Text at which generation stops; can be repeated
    #[arg(long, value_name = "TEXT")]
    pub(super) stop: Vec<String>,
}

/// Connection to Switchboard.
#[derive(Group)]
#[command(next_help_heading = "Connection")]
pub(super) struct Connection {
    /// Address of Switchboard: http://host:port, https://host:port or host:port
    #[arg(long, global = true, env = "SWITCHBOARD_ADDRESS", value_name = "URL", default_value = DEFAULT_ADDRESS)]
    address: String,
    /// Deadline of a call, such as 30s or 2m [default: the task's]
    #[arg(long, global = true, value_name = "TIME", value_parser = humantime::parse_duration)]
    deadline: Option<Duration>,
    /// Bearer token; prefer the environment variable, which other users cannot see
    #[arg(long, global = true, env = "SWITCHBOARD_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Trust only the certificates in this PEM file
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Client certificate (PEM); requires --key
    #[arg(long, global = true, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Key (PEM) of --cert
    #[arg(long, global = true, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Output format.
#[derive(Group)]
#[command(next_help_heading = "Output")]
pub(super) struct Output {
    /// Print protobuf JSON: one object, or one line for each event of a stream
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Omit the closing line with model, tokens, cost and time
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Colors on standard error; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Thumb {
    Up,
    Down,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

// === impl Ask ===

impl Ask {
    /// True if no option of a prompt was given. A subcommand requires that.
    pub(super) fn is_empty(&self) -> bool {
        let Self { prompt, file, request, generation, no_stream, show_reasoning } = self;
        let has_option = file.is_some() || request.is_some() || *no_stream || *show_reasoning;
        prompt.is_empty() && !has_option && generation.is_empty()
    }
}

// === impl Feedback ===

fn judge(argument: &str) -> Result<pb::Judge, String> {
    let (kind, id) = argument.split_once(':').unwrap_or((argument, ""));
    let kind = match kind {
        "human" => pb::JudgeKind::Human,
        "model" => pb::JudgeKind::Model,
        "check" => pb::JudgeKind::Check,
        _ => pb::JudgeKind::Unspecified,
    };
    if kind == pb::JudgeKind::Unspecified || id.is_empty() {
        return Err("use human:ID, model:ID or check:ID, such as human:alice".to_owned());
    }
    Ok(pb::Judge { kind: kind.into(), id: id.to_owned() })
}

fn scale(argument: &str) -> Result<(f64, f64), String> {
    let ends = argument.split_once("..").and_then(|(min, max)| Some((min.parse().ok()?, max.parse().ok()?)));
    ends.ok_or_else(|| "use MIN..MAX, such as 1..5".to_owned())
}

impl From<Thumb> for pb::Thumb {
    fn from(thumb: Thumb) -> Self {
        match thumb {
            Thumb::Up => Self::Up,
            Thumb::Down => Self::Down,
        }
    }
}

// === impl Generation ===

impl Generation {
    pub(super) fn task(&self) -> &str {
        self.task.as_deref().unwrap_or(task::DEFAULT)
    }

    fn is_empty(&self) -> bool {
        let Self { task, system, max_tokens, temperature, top_p, stop } = self;
        let numbers = max_tokens.is_some() || temperature.is_some() || top_p.is_some();
        task.is_none() && system.is_none() && !numbers && stop.is_empty()
    }
}

// === impl Connection ===

impl Connection {
    pub(super) fn options(&self) -> Result<Options, Failure> {
        let mut options = Options::new(&self.address);
        if let Some(deadline) = self.deadline {
            options = options.deadline(deadline);
        }
        if let Some(token) = &self.token {
            options = options.bearer_token(token);
        }
        if let Some(ca) = &self.ca {
            options = options.ca_certificate(read_pem(ca)?);
        }
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Ok(options.client_certificate(read_pem(cert)?, read_pem(key)?)),
            (None, None) => Ok(options),
            _ => Err(Failure::Usage("--cert and --key require each other".to_owned())),
        }
    }
}

fn read_pem(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}
