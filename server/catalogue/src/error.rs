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

    /// A file that is not TOML, or whose keys or values have no meaning.
    #[must_use]
    pub fn from_toml(toml: &str, error: &toml::de::Error) -> Self {
        Self::new(toml, error.span(), error.message().replace('\n', " "))
    }
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
