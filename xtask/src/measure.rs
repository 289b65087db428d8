//! `cargo xtask measure`: sizes of files and functions, and how much of the source is comment.
//!
//! Tests are left out: files of tests, and what exists only under `cfg(test)`. A function is measured from
//! the first line of its signature to its closing brace.
use crate::{
    shell::{Result, Shell},
    source,
};
use clap::Args;
use proc_macro2::{TokenStream, TokenTree};
use std::fmt::{self, Display, Formatter};
use syn::{
    Block, ExprMethodCall, ImplItemFn, ItemFn, Macro, Signature, TraitItemFn,
    spanned::Spanned as _,
    visit::{self, Visit},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fail if the functions of server/src are longer than the project allows
    #[arg(long)]
    check: bool,
}

const SOURCES: [&str; 6] = [
    "server/src",
    "server/catalogue/src",
    "server/prices/src",
    "client/rust/src",
    "simulator/src",
    "xtask/src",
];

/// Largest share of functions with more than 50 lines that `--check` accepts in the server.
const MAX_SHARE_OVER_50: f64 = 0.004;

/// Largest 99th percentile of function lengths, in lines, that `--check` accepts in the server.
const MAX_P99_LINES: usize = 40;

pub(crate) fn measure(shell: &Shell, options: &Options) -> Result {
    print!("{HEAD}");
    for folder in SOURCES {
        print!("{}", Measured::of(shell, folder)?);
    }
    if options.check { check(shell) } else { Ok(()) }
}

/// Fails if functions of the server are too long.
pub(crate) fn check(shell: &Shell) -> Result {
    let server = Measured::of(shell, "server/src")?;
    let (share, p99) = (server.share_over(50), percentile(&server.lengths(), 99));
    if share <= MAX_SHARE_OVER_50 && p99 <= MAX_P99_LINES {
        return Ok(());
    }
    let longest: Vec<_> = server.functions.iter().rev().take_while(|function| function.lines > 50).collect();
    let longest: Vec<_> = longest.iter().map(|function| format!("\n  {function}")).collect();
    Err(format!(
        "functions of server/src are too long: {:.2} % have more than 50 lines (allowed: {:.2} %), the 99th \
         percentile is {p99} lines (allowed: {MAX_P99_LINES}){}",
        100.0 * share,
        100.0 * MAX_SHARE_OVER_50,
        longest.concat()
    )
    .into())
}

/// A function with its length.
#[derive(Debug)]
struct Function {
    lines: usize,
    file: String,
    /// First line of its signature.
    line: usize,
    name: String,
}

/// Figures of one source folder.
#[derive(Debug, Default)]
struct Measured {
    folder: String,
    /// Lines of each file, sorted.
    files: Vec<usize>,
    /// The shortest first.
    functions: Vec<Function>,
    comment_lines: usize,
    /// Calls of `unwrap` and `expect`.
    unwraps: usize,
    /// Files that begin with a `//!` comment.
    with_header: usize,
}

const HEAD: &str = "\
| source | files | kloc | lines per file: median, p90, max | functions \
| lines per function: median, p90, p99, max | over 50 | over 30 | comments | unwrap + expect per kloc \
| `//!` header |
|---|---|---|---|---|---|---|---|---|---|---|
";

// === impl Measured ===

impl Measured {
    fn of(shell: &Shell, folder: &str) -> Result<Self> {
        let mut measured = Self { folder: folder.to_owned(), ..Self::default() };
        for (path, text) in source::read(&shell.root, folder, &[".rs"])? {
            if !source::is_test_file(&path) {
                measured.add(&path, &text)?;
            }
        }
        measured.files.sort_unstable();
        measured.functions.sort_by_key(|function| function.lines);
        Ok(measured)
    }

    fn add(&mut self, path: &str, text: &str) -> Result {
        let parsed = source::parse(path, text)?;
        let lines = text.lines().enumerate().filter(|(index, _)| !parsed.test_lines.contains(&(index + 1)));
        let lines: Vec<_> = lines.map(|(_, line)| line.trim_start()).collect();
        self.files.push(lines.len());
        self.comment_lines += lines.iter().filter(|line| line.starts_with("//")).count();
        self.with_header += usize::from(text.starts_with("//!"));
        let mut visitor = Visitor { file: path, functions: Vec::new(), unwraps: 0 };
        visitor.visit_file(&parsed.file);
        self.functions.extend(visitor.functions);
        self.unwraps += visitor.unwraps;
        Ok(())
    }

    fn lines(&self) -> usize {
        self.files.iter().sum()
    }

    fn lengths(&self) -> Vec<usize> {
        self.functions.iter().map(|function| function.lines).collect()
    }

    /// Share of functions with more than `lines` lines.
    fn share_over(&self, lines: usize) -> f64 {
        let over = self.functions.iter().filter(|function| function.lines > lines).count();
        ratio(over, self.functions.len())
    }
}

/// A row of the table.
impl Display for Measured {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (files, lengths, lines) = (&self.files, &self.lengths(), self.lines());
        let at = |values: &[usize], percentiles: &[usize]| {
            percentiles.iter().map(|p| percentile(values, *p).to_string()).collect::<Vec<_>>().join(", ")
        };
        write!(f, "| {} | {} | {:.1} ", self.folder, files.len(), ratio(lines, 1000))?;
        write!(
            f,
            "| {} | {} | {} ",
            at(files, &[50, 90, 100]),
            lengths.len(),
            at(lengths, &[50, 90, 99, 100])
        )?;
        write!(f, "| {:.2} % | {:.1} % ", 100.0 * self.share_over(50), 100.0 * self.share_over(30))?;
        write!(f, "| {:.1} % ", 100.0 * ratio(self.comment_lines, lines))?;
        write!(f, "| {:.2} ", 1000.0 * ratio(self.unwraps, lines))?;
        writeln!(f, "| {:.0} % |", 100.0 * ratio(self.with_header, files.len()))
    }
}

impl Display for Function {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}: {} lines", self.file, self.line, self.name, self.lines)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of lines are far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The smallest value that at least `percent` of the sorted values do not exceed; 0 without values.
fn percentile(sorted: &[usize], percent: usize) -> usize {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

struct Visitor<'a> {
    file: &'a str,
    functions: Vec<Function>,
    unwraps: usize,
}

impl Visitor<'_> {
    fn function(&mut self, signature: &Signature, body: &Block) {
        let line = signature.span().start().line;
        let lines = body.span().end().line + 1 - line;
        let name = signature.ident.to_string();
        self.functions.push(Function { lines, file: self.file.to_owned(), line, name });
    }

    /// Counts method calls in the arguments of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut after_dot = false;
        for token in tokens {
            if let TokenTree::Group(group) = &token {
                self.tokens(group.stream());
            }
            let is_unwrap = matches!(&token, TokenTree::Ident(name) if name == "unwrap" || name == "expect");
            self.unwraps += usize::from(after_dot && is_unwrap);
            after_dot = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '.');
        }
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.unwraps += usize::from(call.method == "unwrap" || call.method == "expect");
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occur() {
        let values: Vec<_> = (1..=10).collect();
        assert_eq!([50, 90, 99, 100].map(|percent| percentile(&values, percent)), [5, 9, 10, 10]);
        assert_eq!([percentile(&[7], 50), percentile(&[], 50)], [7, 0]);
    }

    #[test]
    fn functions_are_measured_from_signature_to_brace_without_tests() {
        let text = "\
//! A header.
/// Documentation is not part of a function.
pub fn three(
) {
}
trait T {
    fn none();
    fn two() {
        dbg!(a.unwrap()); b.expect(\"\"); }
}
#[cfg(test)]
mod tests {
    fn gone() { a.unwrap() }
}
";
        let mut measured = Measured::default();
        measured.add("a.rs", text).unwrap();
        assert_eq!(measured.lengths(), [3, 2]);
        assert_eq!(measured.functions[0].to_string(), "a.rs:3 three: 3 lines");
        let Measured { files, comment_lines, unwraps, with_header, .. } = measured;
        assert_eq!((files, comment_lines, unwraps, with_header), (vec![10], 2, 2, 1));
    }
}
