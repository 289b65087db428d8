//! Terminal output: the answer goes to standard output, everything else to standard error.

use super::{Failure, args::Color};
use anstyle::{AnsiColor, Style};
use std::io::{self, IsTerminal, Write};

const DIM: Style = Style::new().dimmed();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const ERROR: Style = AnsiColor::Red.on_default().bold();

pub(super) struct Terminal {
    is_colored: bool,
    is_quiet: bool,
    stderr_is_terminal: bool,
    stdout_is_terminal: bool,
}

// === impl Terminal ===

impl Terminal {
    pub(super) fn new(color: Color, no_color: bool, is_quiet: bool) -> Self {
        let stderr_is_terminal = io::stderr().is_terminal();
        let is_colored = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => stderr_is_terminal && !no_color,
        };
        Self { is_colored, is_quiet, stderr_is_terminal, stdout_is_terminal: io::stdout().is_terminal() }
    }

    /// True if a person reads standard output; false if it is a pipe or a file.
    pub(super) fn stdout_is_terminal(&self) -> bool {
        self.stdout_is_terminal
    }

    /// Writes part of the answer and flushes it.
    pub(super) fn answer(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = match self.stdout_is_terminal {
            true => stdout.write_all(without_control_characters(text).as_bytes()),
            false => stdout.write_all(text.as_bytes()),
        };
        written.and_then(|()| stdout.flush()).map_err(Failure::Output)
    }

    /// Writes text that is not part of the answer. Ignores a closed standard error.
    pub(super) fn aside(&self, text: &str) {
        let text = if self.stderr_is_terminal { without_control_characters(text) } else { text.to_owned() };
        let _ = write!(io::stderr(), "{}", self.styled(DIM, &text));
    }

    /// Writes a line that is not part of the answer.
    pub(super) fn note(&self, line: &str) {
        self.aside(line);
        let _ = writeln!(io::stderr());
    }

    /// Writes the line after an answer, unless `--quiet` is set.
    pub(super) fn closing(&self, line: &str) {
        if !self.is_quiet {
            self.note(line);
        }
    }

    /// Writes a warning.
    pub(super) fn warn(&self, line: &str) {
        let line = without_control_characters(line).replace('\n', " ");
        let _ = writeln!(io::stderr(), "{} {line}", self.styled(WARNING, "converse: warning:"));
    }

    /// Writes an error in one line and each hint in a line of its own.
    pub(super) fn error(&self, headline: &str, hints: &[String]) {
        let headline = without_control_characters(headline).replace('\n', " ");
        let _ = writeln!(io::stderr(), "{} {headline}", self.styled(ERROR, "converse:"));
        for hint in hints {
            let _ = writeln!(io::stderr(), "  {}", without_control_characters(hint).replace('\n', " "));
        }
    }

    /// Writes the prompt for the next line of input.
    pub(super) fn prompt(&self) {
        if io::stdin().is_terminal() && self.stderr_is_terminal {
            self.aside("> ");
        }
    }

    /// Shows that a call is running.
    pub(super) fn show_waiting(&self) {
        if self.stderr_is_terminal {
            self.aside("…");
        }
    }

    /// Removes the sign that a call is running.
    pub(super) fn clear_waiting(&self) {
        if self.stderr_is_terminal {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }

    fn styled(&self, style: Style, text: &str) -> String {
        match self.is_colored {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }
}

/// Removes control characters: output of a model must not control the terminal.
fn without_control_characters(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}
