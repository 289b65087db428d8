//! Finds every path of more than one segment in a module's code: in types, expressions, patterns, macro
//! arguments and the strings of attributes such as `#[serde(with = "crate::units::duration")]`.
use super::tree::{self, Brings, Use};
use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::{
    Attribute, Block, Item, ItemMod, ItemUse, Macro, Meta, Path, Stmt, Visibility,
    visit::{self, Visit},
};

/// A path as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
    /// True for the path of a `use` statement.
    pub(super) is_use: bool,
    /// True for `use path::*`.
    pub(super) is_glob: bool,
    /// True if the last segment means an item rather than a module of the same name.
    pub(super) prefer_item: bool,
    /// What `use` statements inside the functions around it bring into scope.
    pub(super) local: Vec<Use>,
}

impl Reference {
    pub(super) fn of_use(item: &Use) -> Self {
        let Use { path, line, module_only, brings } = item.clone();
        let is_glob = brings == Brings::Everything;
        Self { path, line, is_use: true, is_glob, prefer_item: !module_only, local: Vec::new() }
    }
}

pub(super) fn of(items: &[Item]) -> Vec<Reference> {
    let mut visitor = Visitor::default();
    items.iter().for_each(|item| visitor.visit_item(item));
    visitor.found
}

#[derive(Default)]
struct Visitor {
    local: Vec<Use>,
    found: Vec<Reference>,
}

impl Visitor {
    fn found(&mut self, path: Vec<String>, line: usize) {
        if path.len() > 1 {
            self.found.push(Reference {
                path,
                line,
                is_use: false,
                is_glob: false,
                prefer_item: true,
                local: self.local.clone(),
            });
        }
    }

    fn tokens(&mut self, tokens: TokenStream, strings: bool) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream(), strings),
                TokenTree::Literal(literal) if strings => {
                    self.string(&literal.to_string(), literal.span().start().line);
                }
                TokenTree::Ident(ident) => {
                    let line = ident.span().start().line;
                    let mut path = vec![tree::name_of(&ident)];
                    while is_colon(tokens.peek(), Spacing::Joint) {
                        tokens.next();
                        tokens.next(); // the second colon
                        match tokens.next() {
                            Some(TokenTree::Ident(ident)) => path.push(tree::name_of(&ident)),
                            Some(TokenTree::Group(group)) => self.tokens(group.stream(), strings),
                            _ => break,
                        }
                    }
                    self.found(path, line);
                }
                _ => {}
            }
        }
    }

    /// A path in a string literal, as derive macros take them.
    fn string(&mut self, literal: &str, line: usize) {
        let Some(text) = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return };
        if let Ok(path) = syn::parse_str::<Path>(text) {
            self.found(segments(&path), line);
        }
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_block(&mut self, block: &'ast Block) {
        let outside = self.local.len();
        for statement in &block.stmts {
            if let Stmt::Item(Item::Use(item)) = statement {
                self.local.extend(tree::flatten(item));
            }
        }
        visit::visit_block(self, block);
        self.local.truncate(outside);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.found.extend(tree::flatten(item).iter().map(Reference::of_use));
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let line = path.segments.first().map_or(0, |segment| segment.ident.span().start().line);
        self.found(segments(path), line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone(), true);
        }
    }

    /// `pub(in path)` names a module without using anything of it.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    /// A module inside a function: none of ours has one, and its scope is not the function's.
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}
}

fn segments(path: &Path) -> Vec<String> {
    let start = path.leading_colon.is_some().then(String::new);
    start.into_iter().chain(path.segments.iter().map(|segment| tree::name_of(&segment.ident))).collect()
}

fn is_colon(token: Option<&TokenTree>, spacing: Spacing) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':' && punct.spacing() == spacing)
}
