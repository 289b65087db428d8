//! Rust source files as syntax trees, with the tests removed.
use crate::shell::Result;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use syn::{
    Attribute, Block, File, ImplItem, Item, ItemImpl, ItemMod, ItemTrait, Meta, Stmt, TraitItem,
    punctuated::Punctuated,
    spanned::Spanned,
    visit_mut::{self, VisitMut},
};

/// Text of every file, by its path from the root of the checkout with `/` between folders.
pub(crate) type Files = BTreeMap<String, String>;

/// Reads every file under `folder` whose name ends with one of `extensions`. Folders that hold build output
/// or downloaded packages are skipped.
pub(crate) fn read(root: &Path, folder: &str, extensions: &[&str]) -> Result<Files> {
    const SKIPPED: [&str; 6] = ["target", "node_modules", ".venv", "__pycache__", "dist", "build"];
    let mut files = Files::new();
    let entries = fs::read_dir(root.join(folder)).map_err(|error| format!("{folder}: {error}"))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}/{name}");
        if entry.file_type()?.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                files.extend(read(root, &path, extensions)?);
            }
        } else if extensions.iter().any(|extension| name.ends_with(extension)) {
            let text = fs::read_to_string(entry.path()).map_err(|error| format!("{path}: {error}"))?;
            files.insert(path, text);
        }
    }
    Ok(files)
}

/// True if the file holds nothing but tests, judged by its path: `tests.rs` or anything below a `tests`
/// folder.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

/// A parsed file without the items and statements that exist only under `cfg(test)`.
pub(crate) struct Parsed {
    pub(crate) file: File,
    /// Line numbers that the removed tests took, counted from 1.
    pub(crate) test_lines: BTreeSet<usize>,
}

pub(crate) fn parse(path: &str, text: &str) -> Result<Parsed> {
    let mut file = syn::parse_file(text)
        .map_err(|error| format!("{path}:{}: cannot parse: {error}", error.span().start().line))?;
    let mut remove = RemoveTests::default();
    remove.visit_file_mut(&mut file);
    Ok(Parsed { file, test_lines: remove.lines })
}

#[derive(Default)]
struct RemoveTests {
    lines: BTreeSet<usize>,
}

impl RemoveTests {
    /// Decides about one item, and notes its lines if it goes.
    fn keep(&mut self, attributes: &[Attribute], item: &impl Spanned) -> bool {
        let remove = is_test(attributes);
        if remove {
            let span = item.span();
            self.lines.extend(span.start().line..=span.end().line);
        }
        !remove
    }
}

impl VisitMut for RemoveTests {
    fn visit_file_mut(&mut self, file: &mut File) {
        file.items.retain(|item| self.keep(item_attributes(item), item));
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(|item| self.keep(item_attributes(item), item));
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, block: &mut ItemImpl) {
        block.items.retain(|item| match item {
            ImplItem::Fn(item) => self.keep(&item.attrs, item),
            ImplItem::Const(item) => self.keep(&item.attrs, item),
            ImplItem::Type(item) => self.keep(&item.attrs, item),
            _ => true,
        });
        visit_mut::visit_item_impl_mut(self, block);
    }

    fn visit_item_trait_mut(&mut self, block: &mut ItemTrait) {
        block.items.retain(|item| match item {
            TraitItem::Fn(item) => self.keep(&item.attrs, item),
            TraitItem::Const(item) => self.keep(&item.attrs, item),
            TraitItem::Type(item) => self.keep(&item.attrs, item),
            _ => true,
        });
        visit_mut::visit_item_trait_mut(self, block);
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        block.stmts.retain(|statement| match statement {
            Stmt::Item(item) => self.keep(item_attributes(item), item),
            Stmt::Local(local) => self.keep(&local.attrs, local),
            Stmt::Macro(call) => self.keep(&call.attrs, call),
            Stmt::Expr(..) => true,
        });
        visit_mut::visit_block_mut(self, block);
    }
}

/// True for `#[test]`, `#[tokio::test]`, `#[cfg(test)]` and `#[cfg(all(test, …))]`.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.segments.last().is_some_and(|last| last.ident == "test"),
        meta @ Meta::List(list) if list.path.is_ident("cfg") => requires_test(meta),
        Meta::List(list) => list.path.segments.last().is_some_and(|last| last.ident == "test"),
        Meta::NameValue(_) => false,
    })
}

fn requires_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") || list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, syn::Token![,]>::parse_terminated)
            .is_ok_and(|conditions| conditions.iter().any(requires_test)),
        _ => false,
    }
}

fn item_attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_removed_wherever_they_stand() {
        let text = "
            fn kept() { #[cfg(test)] let gone = 1; #[cfg(test)] fn gone() {} kept(); }
            #[cfg(all(test, unix))] mod gone {}
            #[tokio::test(start_paused = true)] async fn gone() {}
            #[cfg(not(test))] fn kept_too() {}
            impl A { #[cfg(test)] fn gone() {} fn kept() {} }
            mod inner { #[test] fn gone() {} fn kept() {} }
        ";
        struct Names(Vec<String>);
        impl<'ast> syn::visit::Visit<'ast> for Names {
            fn visit_ident(&mut self, ident: &'ast syn::Ident) {
                self.0.push(ident.to_string());
            }
        }

        let parsed = parse("a.rs", text).unwrap();

        let mut names = Names(Vec::new());
        syn::visit::Visit::visit_file(&mut names, &parsed.file);
        assert!(!names.0.contains(&"gone".to_owned()), "{:?}", names.0);
        assert_eq!(names.0.iter().filter(|name| name.starts_with("kept")).count(), 5);
        assert_eq!(parsed.test_lines.into_iter().collect::<Vec<_>>(), [2, 3, 4, 6, 7]);
    }

    #[test]
    fn a_file_that_does_not_parse_is_named_with_its_line() {
        let error = parse("server/src/a.rs", "fn a() {}\nfn {").err().unwrap();
        assert!(error.to_string().starts_with("server/src/a.rs:2: cannot parse"), "{error}");
    }
}
