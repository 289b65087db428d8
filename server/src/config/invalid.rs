//! Values that are out of bounds or contradict each other, and the line of their key.
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// A value that is not valid.
#[derive(Debug)]
pub(super) struct Invalid {
    /// The key below its table; dots separate the keys of nested tables.
    key: String,
    /// What is wrong with the value and how to fix it; the predicate of a sentence about the key.
    problem: String,
}

/// A value that is not valid, and its table.
#[derive(Debug)]
pub(super) struct InvalidIn {
    /// Keys of the tables around the value, from the top.
    pub(super) table: Vec<String>,
    pub(super) value: Invalid,
}

impl Invalid {
    pub(super) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }

    /// Names the key relative to the table around `table`.
    pub(super) fn below(self, table: &str) -> Self {
        Self { key: format!("{table}.{}", self.key), ..self }
    }

    /// Adds the table, by the keys that lead to it.
    pub(super) fn within(self, table: &[&str]) -> InvalidIn {
        InvalidIn { table: table.iter().map(|&key| key.to_owned()).collect(), value: self }
    }
}

impl InvalidIn {
    /// The message: `[table] key problem`.
    pub(super) fn message(&self) -> String {
        let Self { table, value: Invalid { key, problem } } = self;
        format!("[{}] {key} {problem}", table.join("."))
    }

    /// Position of the key in the file; if the file does not have it, of the innermost table that it has.
    pub(super) fn span(&self, toml: &str) -> Option<Range<usize>> {
        let document = DeTable::parse(toml).ok()?;
        let mut table = document.get_ref();
        let mut found = None;
        for name in self.table.iter().map(String::as_str).chain(self.value.key.split('.')) {
            let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else { break };
            found = Some(key.span());
            let DeValue::Table(inner) = value.get_ref() else { break };
            table = inner;
        }
        found
    }
}

/// Largest budget of retries or hedges.
const MAX_BUDGET: u32 = 1_000_000;

/// Checks a budget of retries or hedges.
pub(super) fn check_budget(budget: u32, refill: f64) -> Result<(), Invalid> {
    if !(0.0..=1.0).contains(&refill) {
        return Err(Invalid::new("refill", format!("is {refill}: use a number from 0 to 1")));
    }
    if budget > MAX_BUDGET {
        return Err(Invalid::new("budget", format!("is {budget}: use at most {MAX_BUDGET}")));
    }
    Ok(())
}
