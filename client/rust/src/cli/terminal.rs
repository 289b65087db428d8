//! Where words go: the answer to standard output, the rest to standard error.

use super::{Failure, args::Color};
use anstyle::{AnsiColor, Style};
use std::io::{self, IsTerminal, Write};

const DIM: Style = Style::new().dimmed();
const ALARM: Style = AnsiColor::Red.on_default().bold();

pub(super) struct Terminal {
    is_colored: bool,
    is_watched: bool,
    is_quiet: bool,
    answer_is_watched: bool,
}

// === impl Terminal ===

impl Terminal {
    pub(super) fn new(color: Color, no_color: bool, is_quiet: bool) -> Self {
        let is_watched = io::stderr().is_terminal();
        let is_colored = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_watched && !no_color,
        };
        Self { is_colored, is_watched, is_quiet, answer_is_watched: io::stdout().is_terminal() }
    }

    /// Whether words on standard output are read by a person, who sees a note about a restart, or by a program.
    pub(super) fn answer_is_watched(&self) -> bool {
        self.answer_is_watched
    }

    /// A piece of the answer, at once.
    pub(super) fn answer(&self, words: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let done = match self.answer_is_watched {
            true => stdout.write_all(harmless(words).as_bytes()),
            false => stdout.write_all(words.as_bytes()),
        };
        done.and_then(|()| stdout.flush()).map_err(Failure::Output)
    }

    /// A piece of something beside the answer. Nobody to read it is no failure.
    pub(super) fn aside(&self, words: &str) {
        let words = if self.is_watched { harmless(words) } else { words.to_owned() };
        let _ = write!(io::stderr(), "{}", self.styled(DIM, &words));
    }

    /// A line beside the answer.
    pub(super) fn note(&self, line: &str) {
        self.aside(line);
        let _ = writeln!(io::stderr());
    }

    /// The line after an answer, unless `--quiet`.
    pub(super) fn closing(&self, line: &str) {
        if !self.is_quiet {
            self.note(line);
        }
    }

    /// What went wrong, in one line, and what may help, a line each.
    pub(super) fn alarm(&self, headline: &str, hints: &[String]) {
        let headline = harmless(headline).replace('\n', " ");
        let _ = writeln!(io::stderr(), "{} {headline}", self.styled(ALARM, "converse:"));
        for hint in hints {
            let _ = writeln!(io::stderr(), "  {}", harmless(hint).replace('\n', " "));
        }
    }

    /// The sign that the next line is the user's.
    pub(super) fn invite(&self) {
        if io::stdin().is_terminal() && self.is_watched {
            self.aside("> ");
        }
    }

    /// Shows that something is under way.
    pub(super) fn wait(&self) {
        if self.is_watched {
            self.aside("…");
        }
    }

    /// Takes that sign away.
    pub(super) fn stop_waiting(&self) {
        if self.is_watched {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }

    fn styled(&self, style: Style, words: &str) -> String {
        match self.is_colored {
            true => format!("{style}{words}{style:#}"),
            false => words.to_owned(),
        }
    }
}

/// Without control characters: a model's words must not steer the reader's terminal.
fn harmless(words: &str) -> String {
    words.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}
