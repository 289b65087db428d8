//! `cargo xtask language`: phrases and names that the project has replaced and that must not come back.
//!
//! - A sentence of a comment must not begin with "The same" and a comma or a full stop: it refers to the item
//!   before, and says something else as soon as another item is inserted between the two.
//! - An item must not be defined under a name of [`names`], because the field has a standard term for it.
//!   Only definitions count, so that methods of other crates may have such a name.
mod names;

use crate::{
    shell::{Result, Shell},
    source::{self, Files},
};
use names::{CONSTANTS, FUNCTIONS, MODULES, Name, TYPES, VARIANTS};
use syn::{
    Ident, ImplItemConst, ImplItemFn, Item, TraitItemFn, Variant,
    visit::{self, Visit},
};

const FOLDERS: [&str; 7] = ["server", "client", "simulator", "tests", "xtask", "proto", "deploy"];

const EXTENSIONS: [&str; 7] = [".rs", ".proto", ".toml", ".py", ".ts", ".go", ".java"];

const PHRASES: [&str; 2] = ["The same,", "The same."];

/// Fails if a phrase or a name is left, and shows each.
pub(crate) fn check(shell: &Shell) -> Result {
    eprintln!("checking comments and names for terms that the project has replaced");
    let mut found = Vec::new();
    for folder in FOLDERS {
        let files = source::read(&shell.root, folder, &EXTENSIONS)?;
        found.extend(phrases(&files));
        found.extend(replaced_names(&files)?);
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(format!("{} term(s) that the project has replaced:\n{}", found.len(), found.join("\n")).into())
}

/// Where a phrase is left in a comment.
fn phrases(files: &Files) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files {
        for (line, comment) in comments(path, text) {
            if PHRASES.iter().any(|phrase| comment.contains(phrase)) {
                let comment = comment.trim();
                found.push(format!("{path}:{line}: say what is meant instead of \"The same\": {comment}"));
            }
        }
    }
    found
}

/// Every line of a comment with its number. A marker inside a string counts too.
fn comments<'a>(path: &str, text: &'a str) -> Vec<(usize, &'a str)> {
    let find = match path.rsplit_once('.') {
        Some((_, "py")) => python_comment,
        Some((_, "toml")) => hash_comment,
        _ => slash_comment,
    };
    let mut inside = false;
    let lines = text.lines().enumerate();
    lines.filter_map(|(index, line)| Some((index + 1, find(line, &mut inside)?))).collect()
}

/// `//` up to the end of the line, and `/* … */` over several lines. The two slashes of an address are no
/// comment.
fn slash_comment<'a>(line: &'a str, inside: &mut bool) -> Option<&'a str> {
    if *inside {
        *inside = !line.contains("*/");
        return Some(line);
    }
    let starts = line.match_indices("//").map(|(start, _)| start);
    let slashes = starts.filter(|start| !line[..*start].ends_with(':')).min();
    let block = line.find("/*").filter(|block| slashes.is_none_or(|slashes| *block < slashes));
    let start = block.or(slashes)?;
    *inside = block.is_some() && !line[start..].contains("*/");
    line.get(start..)
}

fn hash_comment<'a>(line: &'a str, _: &mut bool) -> Option<&'a str> {
    line.find('#').and_then(|start| line.get(start..))
}

/// `#` up to the end of the line, and documentation between `"""`.
fn python_comment<'a>(line: &'a str, inside: &mut bool) -> Option<&'a str> {
    let marks = line.matches("\"\"\"").count();
    let was_inside = *inside;
    *inside ^= marks % 2 == 1;
    if was_inside || marks > 0 { Some(line) } else { hash_comment(line, inside) }
}

/// Where an item is defined under a name that has been replaced.
fn replaced_names(files: &Files) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".rs")) {
        if !names::FOLDERS.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        let file = syn::parse_file(text).map_err(|error| format!("{path}: cannot parse: {error}"))?;
        let mut visitor = Visitor { path, found: Vec::new() };
        visitor.visit_file(&file);
        found.extend(visitor.found);
    }
    Ok(found)
}

struct Visitor<'a> {
    path: &'a str,
    found: Vec<String>,
}

impl Visitor<'_> {
    fn defined(&mut self, kind: &str, names: &[Name], ident: &Ident) {
        let is_meant = |name: &&Name| ident == name.old && self.path.starts_with(name.folder);
        if let Some(Name { old, new, .. }) = names.iter().find(is_meant) {
            let line = ident.span().start().line;
            self.found.push(format!("{}:{line}: {kind} `{old}`: call it {new}", self.path));
        }
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Struct(item) => self.defined("struct", TYPES, &item.ident),
            Item::Enum(item) => self.defined("enum", TYPES, &item.ident),
            Item::Trait(item) => self.defined("trait", TYPES, &item.ident),
            Item::Type(item) => self.defined("type", TYPES, &item.ident),
            Item::Fn(item) => self.defined("function", FUNCTIONS, &item.sig.ident),
            Item::Const(item) => self.defined("constant", CONSTANTS, &item.ident),
            Item::Static(item) => self.defined("static", CONSTANTS, &item.ident),
            Item::Mod(item) => self.defined("module", MODULES, &item.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.defined("method", FUNCTIONS, &item.sig.ident);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.defined("method", FUNCTIONS, &item.sig.ident);
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_impl_item_const(&mut self, item: &'ast ImplItemConst) {
        self.defined("constant", CONSTANTS, &item.ident);
        visit::visit_impl_item_const(self, item);
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        self.defined("variant", VARIANTS, &variant.ident);
        visit::visit_variant(self, variant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(path: &str, text: &str) -> Files {
        [(path.to_owned(), text.to_owned())].into()
    }

    #[test]
    fn a_sentence_that_refers_to_the_item_before_is_found() {
        let phrase = "The same"; // apart from its comma, or this file would be found
        for (path, text) in [
            ("a.rs", format!("fn f() {{}}\n    /// {phrase}, of a call.")),
            ("a.rs", format!("let a = 1;\nlet b = 2; // Here. {phrase}.")),
            ("a.proto", format!("// One.\n// {phrase}, but another.")),
            ("a.java", format!("/**\n * {phrase}, but later.\n */")),
            ("a.ts", format!("const url = 'https://x';\n/* {phrase}. */")),
            ("a.go", format!("package a\n// {phrase}, again.")),
            ("a.toml", format!("a = 1\nb = 2 # {phrase}, in seconds")),
            ("a.py", format!("def f():\n    \"\"\"{phrase}, not waited for.\"\"\"")),
            ("a.py", format!("a = 1\nb = 2  # {phrase}.")),
        ] {
            let found = phrases(&files(path, &text));
            assert_eq!(found.len(), 1, "{path}: {text}");
            assert!(found[0].starts_with(&format!("{path}:2: ")), "{}", found[0]);
        }
    }

    #[test]
    fn other_sentences_and_code_are_not_found() {
        let phrase = "The same";
        for (path, text) in [
            ("a.rs", format!("// {phrase} limits apply to every call.")),
            ("a.rs", "// Every call has the same, fixed limits.".to_owned()),
            ("a.rs", format!("let text = \"{phrase}, as https://x says\";")),
            ("a.py", format!("print('{phrase}, again')\n\"\"\"One.\"\"\"\nprint('{phrase}.')")),
        ] {
            assert!(phrases(&files(path, &text)).is_empty(), "{path}: {text}");
        }
    }

    #[test]
    fn a_definition_under_a_replaced_name_is_found() {
        let find = |path: &str, text| replaced_names(&files(path, text)).unwrap();
        assert_eq!(
            find("server/src/a.rs", "mod a {\n  pub(crate) struct Joined<T>(T);\n}"),
            ["server/src/a.rs:2: struct `Joined`: call it CoalescingIo"]
        );
        for text in [
            "fn f() { enum Gate {} }",
            "impl A { fn step_back(&self) {} }",
            "trait A { fn keep_home(); }",
            "enum A { Ill }",
            "impl A { const PIECE: u8 = 1; }",
            "mod so_far;",
            "#[cfg(test)] mod tests { struct SoFar; }",
        ] {
            assert_eq!(find("server/src/a.rs", text).len(), 1, "{text}");
        }
        for text in ["fn f() { a.round(); Joined::new() }", "// Joined\nstruct JoinedUp;", "struct Line;"] {
            assert!(find("server/src/a.rs", text).is_empty(), "{text}");
        }
        assert_eq!(find("server/src/bedrock/direct/a.rs", "struct Line;").len(), 1);
        assert!(find("simulator/src/a.rs", "struct Joined;").is_empty());
    }
}
