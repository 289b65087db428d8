//! Errors in the TOML files of an operator, with the line.
use std::{fmt, ops::Range};

/// Why a file is not valid, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The line, from 1. Absent: the problem concerns the whole file.
    pub line: Option<usize>,
    /// What is wrong and how to fix it.
    pub problem: String,
}

impl ConfigError {
    /// A problem with the text in `span`. Absent: with the whole file.
    #[must_use]
    pub fn new(toml: &str, span: Option<Range<usize>>, problem: impl Into<String>) -> Self {
        Self { line: span.map(|span| line(toml, &span)), problem: problem.into() }
    }

    /// An error of the TOML parser: invalid TOML, or a key or value that has no meaning. The problem names
    /// the key, contains serde's message about unknown keys, and suggests the most similar key.
    #[must_use]
    pub fn from_toml(toml: &str, error: &toml::de::Error) -> Self {
        let message = error.message().replace('\n', " ");
        Self::new(toml, error.span(), explained(toml, error.span(), message))
    }
}

/// Adds the key and the fix to a message of the parser.
fn explained(toml: &str, span: Option<Range<usize>>, message: String) -> String {
    let value = span.clone().and_then(|span| toml.get(span)).unwrap_or_default();
    if message == "duplicate key" {
        return format!("{value} is defined twice: remove one");
    }
    if let Some(suggestion) = suggestion(&message) {
        return format!("{message}; did you mean `{suggestion}`?");
    }
    let Some(key) = span.and_then(|span| key_of_value(toml, span.start)) else { return message };
    match message {
        _ if message.starts_with("missing field") || message.starts_with("unknown field") => message,
        _ if message.ends_with("expected a duration") => {
            format!("{key} is {value}: write a duration such as \"30s\", \"5m\" or \"1h 30m\"")
        }
        _ if message.contains("socket address") => {
            format!("{key} is {value}: write an IP address and a port, such as \"127.0.0.1:50051\"")
        }
        _ => format!("{key}: {message}"),
    }
}

/// The known word that is most similar to the unknown one of a message such as "unknown field `x`, expected
/// `y`".
fn suggestion(message: &str) -> Option<&str> {
    let mut words = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    most_similar(words.next()?, words)
}

/// The key of the value that starts at `start`: the word before the equals sign in the same line.
fn key_of_value(toml: &str, start: usize) -> Option<&str> {
    let before = toml.get(..start)?.lines().next_back()?.trim_end().strip_suffix('=')?.trim_end();
    before.rsplit([' ', '\t', ',', '{', '.']).next().filter(|key| !key.is_empty())
}

/// Least similarity (Jaro-Winkler, from 0 to 1) of a word that is suggested for an unknown one.
const MIN_SIMILARITY: f64 = 0.8;

/// Returns the candidate that is most similar to a word. `None`: none is similar.
pub fn most_similar<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let rated = candidates.into_iter().map(|candidate| (strsim::jaro_winkler(candidate, word), candidate));
    let similar = rated.filter(|(similarity, _)| *similarity >= MIN_SIMILARITY);
    similar.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// Returns the line in which a span starts, from 1.
fn line(toml: &str, span: &Range<usize>) -> usize {
    toml.as_bytes().iter().take(span.start).filter(|&&byte| byte == b'\n').count() + 1
}
