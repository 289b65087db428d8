//! Tables of the documentation that are made from the program, each between two comments of a Markdown file.
//!
//! An example of the server prints the rows as a JSON array of objects, so that xtask, which builds the
//! server, does not depend on it. A cell is a text, a boolean, or null for "does not apply".
use crate::shell::{Result, Shell};
use serde_json::Value;
use std::fs;

struct Table {
    file: &'static str,
    /// Name of the table in the two comments around it.
    name: &'static str,
    /// Example of switchboard-server that prints the rows.
    example: &'static str,
    /// Heading of each column, and the member of a row that has its cell.
    columns: &'static [(&'static str, &'static str)],
}

const TABLES: [Table; 1] = [Table {
    file: "docs/fallback.md",
    name: "failures",
    example: "failures",
    columns: &[
        ("what happened", "what_happened"),
        ("next model", "next_model"),
        ("same model again", "same_model_again"),
        ("health", "health"),
        ("status if it was the last", "status"),
        ("reason", "reason"),
    ],
}];

pub(crate) fn generate(shell: &Shell, check: bool) -> Result {
    TABLES.iter().try_for_each(|table| table.generate(shell, check))
}

// === impl Table ===

impl Table {
    fn generate(&self, shell: &Shell, check: bool) -> Result {
        let Self { file, name, example, .. } = self;
        let path = shell.root.join(file);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{file}, which has the generated table of {name}: {error}"))?;
        let rows =
            shell.capture(&format!("cargo run --quiet --package switchboard-server --example {example}"))?;
        let generated = self.replace(&text, &self.markdown(&rows)?)?;
        if generated == text {
            Ok(())
        } else if check {
            Err(format!("{file}: the table of {name} is out of date: run `cargo xtask generate`").into())
        } else {
            Ok(fs::write(path, generated)?)
        }
    }

    /// Puts the table between the two comments.
    fn replace(&self, text: &str, table: &str) -> Result<String> {
        let [begin, end] = ["begin", "end"].map(|edge| format!("<!-- {}: {edge} -->", self.name));
        let parts =
            text.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
        match parts {
            Some((before, after)) => Ok(format!("{before}{begin}\n{table}{end}{after}")),
            None => Err(format!("{} has no line {begin} with a line {end} after it", self.file).into()),
        }
    }

    fn markdown(&self, rows: &str) -> Result<String> {
        let unreadable =
            |problem: String| format!("the example {} printed no table: {problem}", self.example);
        let rows: Vec<Value> = serde_json::from_str(rows).map_err(|error| unreadable(error.to_string()))?;
        let headings: Vec<_> = self.columns.iter().map(|(heading, _)| *heading).collect();
        let mut table = format!("| {} |\n|{}\n", headings.join(" | "), "---|".repeat(headings.len()));
        for row in &rows {
            let cells = self.columns.iter().map(|(_, member)| {
                let cell = row.get(*member).and_then(cell);
                cell.ok_or_else(|| unreadable(format!("no text, boolean or null called {member} in {row}")))
            });
            let cells: Vec<_> = cells.collect::<std::result::Result<_, _>>()?;
            table += &format!("| {} |\n", cells.join(" | "));
        }
        Ok(table)
    }
}

fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => Some("–".to_owned()),
        Value::Bool(true) => Some("yes".to_owned()),
        Value::String(text) => Some(text.replace('|', "\\|")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table =
        Table { file: "a.md", name: "things", example: "things", columns: &[("a", "a"), ("b c", "b_c")] };

    #[test]
    fn rows_become_a_table() {
        let rows = r#"[{"a": "x|y", "b_c": true}, {"b_c": false, "a": null, "more": 1}]"#;
        assert_eq!(TABLE.markdown(rows).unwrap(), "| a | b c |\n|---|---|\n| x\\|y | yes |\n| – | – |\n");
    }

    #[test]
    fn a_row_without_a_cell_is_an_error() {
        for (rows, problem) in [
            (r#"[{"a": "x"}]"#, "no text, boolean or null called b_c in {\"a\":\"x\"}"),
            (r#"[{"a": 1, "b_c": "x"}]"#, "no text, boolean or null called a"),
            ("", "EOF while parsing"),
        ] {
            let error = TABLE.markdown(rows).unwrap_err().to_string();
            assert!(error.starts_with("the example things printed no table: "), "{error}");
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn only_the_text_between_the_comments_is_replaced() {
        let text = "before\n<!-- things: begin -->\nold\n<!-- things: end -->\nafter\n";
        let replaced = TABLE.replace(text, "new\n").unwrap();
        assert_eq!(replaced, text.replace("old", "new"));
        let error = TABLE.replace("<!-- things: begin -->", "new\n").unwrap_err().to_string();
        assert!(error.starts_with("a.md has no line <!-- things: begin --> with"), "{error}");
    }

    #[test]
    fn a_missing_document_is_named() {
        let root = std::env::temp_dir().join("switchboard-no-such-folder");
        let shell = Shell { root, ..Shell::default() };
        let error = TABLE.generate(&shell, true).unwrap_err().to_string();
        assert!(error.starts_with("a.md, which has the generated table of things: "), "{error}");
    }
}
