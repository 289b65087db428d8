//! What can be typed. The texts of `--help` are the comments here.

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
  converse -- tasks                          asks the model; `--` ends options and subcommands

The answer goes to standard output, everything else to standard error.

Exit codes:
  0    answered
  1    the call failed at Bedrock's or Switchboard's side
  2    wrong usage of this command
  3    the request was refused as it stands: invalid, or not allowed to this caller
  4    could not connect
  5    the deadline passed
  130  interrupted";

const USAGE: &str = "converse [OPTIONS] [PROMPT]...\n       converse [OPTIONS] <COMMAND>";

/// Asks a model through Switchboard.
///
/// The prompt is what stands on the command line, in --file or on standard input; with both a prompt and a file or a
/// pipe, the file or pipe is the material and follows the prompt. You name a kind of work with --task; Switchboard
/// chooses the model.
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
    /// Lists the tasks and the models that serve them
    Tasks,
    /// Says what a call for a task would do now: models, limits, deadlines; asks no model
    Explain {
        /// The task
        task: String,
    },
    /// Says how good an answer was, or what became of it; said again by the same judge it replaces what was said before
    Feedback(Feedback),
    /// Talks: each line is a turn, and the conversation is kept
    #[command(after_help = super::chat::HELP)]
    Chat(Generation),
}

/// What is said of an answer.
#[derive(Group)]
#[group(id = "judgement")]
pub(super) struct Feedback {
    /// The request id of the answer, which --json prints in its route
    pub(super) request_id: String,
    /// Who judges: human:ID, model:ID or check:ID
    #[arg(long, env = "SWITCHBOARD_JUDGE", value_name = "KIND:ID", value_parser = judge)]
    pub(super) by: pb::Judge,
    /// What is judged, such as helpfulness [default: overall]
    #[arg(long, value_name = "WORD")]
    pub(super) criterion: Option<String>,
    /// A thumb
    #[arg(long, value_parser = ["up", "down"])]
    pub(super) thumb: Option<String>,
    /// Points on the scale
    #[arg(long, value_name = "X", requires = "scale", allow_negative_numbers = true)]
    pub(super) score: Option<f64>,
    /// The worst and the best that can be given, such as 1..5
    #[arg(long, value_name = "MIN..MAX", requires = "score", value_parser = scale, allow_hyphen_values = true)]
    pub(super) scale: Option<(f64, f64)>,
    /// One of a few words, such as relevant
    #[arg(long, value_name = "WORD")]
    pub(super) label: Option<String>,
    /// Why, in words
    #[arg(long, value_name = "TEXT")]
    pub(super) comment: Option<String>,
    /// Whether the work that the answer was for succeeded
    #[arg(long, value_name = "BOOL")]
    pub(super) success: Option<bool>,
}

/// What makes one request.
#[derive(Group)]
pub(super) struct Ask {
    /// The prompt; several words are joined with spaces
    #[arg(value_name = "PROMPT")]
    pub(super) prompt: Vec<String>,
    /// Reads the prompt, or the material that follows it, from a file; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Sends a whole ConverseRequest in protobuf JSON: a Bedrock Converse body with taskType; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "file"])]
    pub(super) request: Option<PathBuf>,
    #[command(flatten)]
    pub(super) generation: Generation,
    /// Waits for the whole answer instead of showing it as it comes
    #[arg(long)]
    pub(super) no_stream: bool,
    /// Shows what the model thinks, on standard error
    #[arg(long)]
    pub(super) show_reasoning: bool,
}

/// How to generate; with --request these replace what the file says.
#[derive(Group)]
pub(super) struct Generation {
    /// The kind of work; `converse tasks` lists them [default: default]
    #[arg(short, long)]
    pub(super) task: Option<String>,
    /// Instructions for the whole conversation
    #[arg(short, long, value_name = "TEXT")]
    pub(super) system: Option<String>,
    /// Most tokens to generate [default: the task's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(super) max_tokens: Option<i32>,
    /// Randomness, from 0 to 1; many models accept none [default: the model's]
    #[arg(long, value_name = "X")]
    pub(super) temperature: Option<f64>,
    /// Share of the likeliest tokens to choose from, from 0 to 1 [default: the model's]
    #[arg(long, value_name = "X")]
    pub(super) top_p: Option<f64>,
    /// A text that ends the answer; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub(super) stop: Vec<String>,
}

/// How to reach Switchboard.
#[derive(Group)]
#[command(next_help_heading = "Connection")]
pub(super) struct Connection {
    /// Where Switchboard listens: http://host:port, https://host:port or host:port
    #[arg(long, global = true, env = "SWITCHBOARD_ADDRESS", value_name = "URL", default_value = DEFAULT_ADDRESS)]
    address: String,
    /// How long a call may take, such as 30s or 2m [default: the task's]
    #[arg(long, global = true, value_name = "TIME", value_parser = humantime::parse_duration)]
    deadline: Option<Duration>,
    /// A bearer token; better in the environment, where other users cannot see it
    #[arg(long, global = true, env = "SWITCHBOARD_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Trusts the certificates in this PEM file instead of the system's
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Shows this certificate (PEM) to the server; needs --key
    #[arg(long, global = true, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The key (PEM) of --cert
    #[arg(long, global = true, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// What to print, and how.
#[derive(Group)]
#[command(next_help_heading = "Output")]
pub(super) struct Output {
    /// Prints protobuf JSON: one object, or one line for each event of a stream
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Leaves out the closing line about model, tokens and time
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Colors on standard error; auto means on a terminal where NO_COLOR is not set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

// === impl Ask ===

impl Ask {
    /// Whether nothing of a prompt was given, as must be with a subcommand.
    pub(super) fn is_empty(&self) -> bool {
        let Self { prompt, file, request, generation, no_stream, show_reasoning } = self;
        let named = file.is_some() || request.is_some() || *no_stream || *show_reasoning;
        prompt.is_empty() && !named && generation.is_empty()
    }
}

// === impl Feedback ===

fn judge(word: &str) -> Result<pb::Judge, String> {
    let (kind, id) = word.split_once(':').ok_or("write KIND:ID, such as human:alice")?;
    let kind = match kind {
        "human" => pb::JudgeKind::Human,
        "model" => pb::JudgeKind::Model,
        "check" => pb::JudgeKind::Check,
        _ => return Err("KIND must be human, model or check".to_owned()),
    };
    Ok(pb::Judge { kind: kind.into(), id: id.to_owned() })
}

fn scale(word: &str) -> Result<(f64, f64), String> {
    let ends = word.split_once("..").and_then(|(min, max)| Some((min.parse().ok()?, max.parse().ok()?)));
    ends.ok_or_else(|| "write MIN..MAX, such as 1..5".to_owned())
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
            _ => Err(Failure::Usage("--cert and --key go together".to_owned())),
        }
    }
}

fn read_pem(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}
