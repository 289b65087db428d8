//! Table of scenarios by language, for the terminal and for docs/conformance.md.
use crate::{programs, scenario::Mode};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fmt, fs,
};

/// Page with the table.
const PAGE: &str = "docs/conformance.md";
/// Variable that makes the test write the table.
const UPDATE: &str = "UPDATE_DOCS";
const BEGIN: &str = "<!-- conformance: begin -->\n";
const END: &str = "<!-- conformance: end -->";

/// Results of every client in every scenario.
#[derive(Debug, Default)]
pub(crate) struct Table {
    clients: Vec<String>,
    rows: Vec<(String, String)>,
    results: BTreeMap<(String, String), BTreeMap<Mode, Result<(), String>>>,
    skipped: BTreeSet<String>,
}

// === impl Table ===

impl Table {
    pub(crate) fn new(rows: Vec<(String, String)>) -> Self {
        Self { rows, ..Self::default() }
    }

    pub(crate) fn skip(&mut self, client: &str, missing: &str) {
        self.skipped.insert(format!("{client} needs {missing}, which is not on PATH"));
    }

    pub(crate) fn record(&mut self, client: &str, scenario: &str, mode: Mode, result: Result<(), String>) {
        if !self.clients.iter().any(|known| known == client) {
            self.clients.push(client.to_owned());
        }
        let cell = self.results.entry((client.to_owned(), scenario.to_owned())).or_default();
        cell.insert(mode, result);
    }

    /// Returns a line for each failure.
    pub(crate) fn failures(&self) -> Vec<String> {
        let cells = self.results.iter().flat_map(|((client, scenario), cell)| {
            let failed = cell.iter().filter_map(|(mode, result)| Some((mode, result.as_ref().err()?)));
            failed.map(move |(mode, problem)| format!("{client} ({mode:?}), {scenario}: {problem}"))
        });
        cells.collect()
    }

    /// Compares the table of docs/conformance.md with this one, or writes it if `UPDATE_DOCS` is set.
    pub(crate) fn check_docs(&self) -> Result<(), String> {
        let file = programs::root().join(PAGE);
        let page = fs::read_to_string(&file).map_err(|error| format!("{PAGE}: {error}"))?;
        let expected = with_table(&page, &self.to_string())?;
        match (page == expected, env::var_os(UPDATE)) {
            (true, _) => Ok(()),
            (false, Some(_)) => fs::write(file, expected).map_err(|error| format!("{PAGE}: {error}")),
            (false, None) => {
                Err(format!("the table of {PAGE} is out of date: run this test with {UPDATE}=1"))
            }
        }
    }

    fn cell(&self, client: &str, scenario: &str) -> &'static str {
        let cell = self.results.get(&(client.to_owned(), scenario.to_owned()));
        let of = |mode| cell.and_then(|cell| cell.get(&mode)).map(Result::is_ok);
        match (of(Mode::Layer), of(Mode::Plain)) {
            (Some(true), Some(true)) => "✓ ✓",
            (Some(true), None) => "✓ –",
            (None, Some(true)) => "– ✓",
            (Some(true), Some(false)) => "✓ ✗",
            (Some(false), Some(true)) => "✗ ✓",
            (Some(false), _) | (_, Some(false)) => "✗ ✗",
            (None, None) => "",
        }
    }
}

/// Markdown.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| scenario | {} |", self.clients.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(self.clients.len()))?;
        for (scenario, title) in &self.rows {
            let cells = self.clients.iter().map(|client| self.cell(client, scenario));
            writeln!(f, "| {title} | {} |", cells.collect::<Vec<_>>().join(" | "))?;
        }
        self.skipped.iter().try_for_each(|line| writeln!(f, "\nskipped: {line}"))
    }
}

/// Returns the page with this table between its marks.
fn with_table(page: &str, table: &str) -> Result<String, String> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or(format!("{PAGE} needs the lines\n{BEGIN}{END}"))?;
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_both_modes_and_skipped_clients() {
        let rows = [("a", "First"), ("b", "Second")];
        let mut table = Table::new(rows.map(|(name, title)| (name.to_owned(), title.to_owned())).into());
        table.record("Rust", "a", Mode::Layer, Ok(()));
        table.record("Rust", "a", Mode::Plain, Ok(()));
        table.record("Rust", "b", Mode::Layer, Err("it differs".to_owned()));
        table.skip("Java", "mvn");

        let expected = "| scenario | Rust |\n|---|---|\n| First | ✓ ✓ |\n| Second | ✗ ✗ |\n\n\
                     skipped: Java needs mvn, which is not on PATH\n";
        assert_eq!(table.to_string(), expected);
        assert_eq!(table.failures(), ["Rust (Layer), b: it differs"]);
    }

    #[test]
    fn replaces_the_table_between_the_marks() {
        let page = format!("before\n{BEGIN}old\n{END}\nafter\n");

        assert_eq!(with_table(&page, "new\n"), Ok(format!("before\n{BEGIN}new\n{END}\nafter\n")));
        assert!(with_table("no marks", "new\n").is_err());
    }
}
