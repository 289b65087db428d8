//! The modules of one crate: which file each is in, what it defines and what it imports.
use crate::{
    shell::Result,
    source::{self, Files},
};
use std::collections::{BTreeMap, BTreeSet};
use syn::{Attribute, Expr, Item, ItemMod, ItemUse, Lit, Meta, UseTree, spanned::Spanned as _};

/// Position of a module in [`Tree::modules`].
pub(super) type Id = usize;

/// The root module of the crate.
pub(super) const ROOT: Id = 0;

/// Modules of one crate, reached from its root file through `mod`.
pub(super) struct Tree {
    pub(super) modules: Vec<Module>,
}

pub(super) struct Module {
    /// From the root, which is empty.
    pub(super) path: Vec<String>,
    /// Absent: this is the root.
    pub(super) parent: Option<Id>,
    pub(super) file: String,
    pub(super) children: BTreeMap<String, Id>,
    /// Names of the items that the module defines itself.
    pub(super) defined: BTreeSet<String>,
    pub(super) uses: Vec<Use>,
    /// All items but `mod` and `use`.
    pub(super) items: Vec<Item>,
}

/// One name of a `use` statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Use {
    /// Segments as written. A leading `::` is an empty first segment.
    pub(super) path: Vec<String>,
    pub(super) brings: Brings,
    /// True for `path::{self}`, which brings a module and no function of the same name.
    pub(super) module_only: bool,
    pub(super) line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Brings {
    Name(String),
    /// `use path::*`
    Everything,
    /// `use path as _`
    Nothing,
}

impl Use {
    pub(super) fn brings_name(&self, name: &str) -> bool {
        matches!(&self.brings, Brings::Name(brought) if brought == name)
    }
}

impl Tree {
    /// Reads the modules from `root`, a path in `files`. A module in a file of tests is left out.
    pub(super) fn read(files: &Files, root: &str) -> Result<Self> {
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let mut tree = Self { modules: Vec::new() };
        let items = parse(files, root)?;
        tree.add(files, Place { parent: None, path: Vec::new(), file: root.to_owned(), folder }, items)?;
        Ok(tree)
    }

    fn add(&mut self, files: &Files, place: Place, items: Vec<Item>) -> Result<Id> {
        let id = self.modules.len();
        let (mut kept, mut inner, mut uses) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Mod(module) => inner.push(module),
                Item::Use(item) => uses.extend(flatten(&item)),
                other => kept.push(other),
            }
        }
        self.modules.push(Module {
            path: place.path.clone(),
            parent: place.parent,
            file: place.file.clone(),
            children: BTreeMap::new(),
            defined: kept.iter().filter_map(defined_name).collect(),
            uses,
            items: kept,
        });
        for module in inner {
            self.add_child(files, id, &place, module)?;
        }
        Ok(id)
    }

    fn add_child(&mut self, files: &Files, parent: Id, above: &Place, module: ItemMod) -> Result {
        let name = name_of(&module.ident);
        let folder = format!("{}/{name}", above.folder);
        let (file, items) = match module.content {
            Some((_, items)) => (above.file.clone(), items),
            None => {
                let file = file_of(files, above, &folder, &module.attrs)
                    .ok_or_else(|| format!("{}: there is no file for `mod {name};`", above.file))?;
                if source::is_test_file(&file) {
                    return Ok(());
                }
                let items = parse(files, &file)?;
                (file, items)
            }
        };
        let path = above.path.iter().cloned().chain([name.clone()]).collect();
        let child = self.add(files, Place { parent: Some(parent), path, file, folder }, items)?;
        if let Some(module) = self.modules.get_mut(parent) {
            module.children.insert(name, child);
        }
        Ok(())
    }
}

/// Where a module is.
struct Place {
    parent: Option<Id>,
    path: Vec<String>,
    file: String,
    /// The folder of the files of its children.
    folder: String,
}

fn parse(files: &Files, path: &str) -> Result<Vec<Item>> {
    let text = files.get(path).ok_or_else(|| format!("there is no {path}"))?;
    Ok(source::parse(path, text)?.file.items)
}

/// The file of a module that is declared with `mod name;`, honouring `#[path]`.
fn file_of(files: &Files, above: &Place, folder: &str, attributes: &[Attribute]) -> Option<String> {
    if let Some(path) = attributes.iter().find_map(path_attribute) {
        let beside = above.file.rsplit_once('/').map_or("", |(folder, _)| folder);
        return Some(format!("{beside}/{path}"));
    }
    [format!("{folder}.rs"), format!("{folder}/mod.rs")].into_iter().find(|file| files.contains_key(file))
}

fn path_attribute(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(path) => Some(path.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn defined_name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name_of(ident))
}

/// The name without `r#`.
pub(super) fn name_of(ident: &syn::Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(ToOwned::to_owned).unwrap_or(name)
}

/// The names of a `use` statement, nested groups and renames included.
pub(super) fn flatten(item: &ItemUse) -> Vec<Use> {
    let mut uses = Vec::new();
    let start = if item.leading_colon.is_some() { vec![String::new()] } else { Vec::new() };
    flatten_tree(&item.tree, &start, &mut uses);
    uses
}

fn flatten_tree(tree: &UseTree, before: &[String], uses: &mut Vec<Use>) {
    let with = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
    let line = tree.span().start().line;
    let (mut path, brings) = match tree {
        UseTree::Path(path) => return flatten_tree(&path.tree, &with(name_of(&path.ident)), uses),
        UseTree::Group(group) => return group.items.iter().for_each(|tree| flatten_tree(tree, before, uses)),
        UseTree::Glob(_) => (before.to_vec(), Brings::Everything),
        UseTree::Name(name) if name.ident == "self" => {
            (with(name_of(&name.ident)), before.last().cloned().map_or(Brings::Nothing, Brings::Name))
        }
        UseTree::Name(name) => (with(name_of(&name.ident)), Brings::Name(name_of(&name.ident))),
        UseTree::Rename(rename) if rename.rename == "_" => (with(name_of(&rename.ident)), Brings::Nothing),
        UseTree::Rename(rename) => (with(name_of(&rename.ident)), Brings::Name(name_of(&rename.rename))),
    };
    // `a::{self}` means the module `a`.
    let module_only = path.len() > 1 && path.last().is_some_and(|last| last == "self");
    if module_only {
        path.pop();
    }
    uses.push(Use { path, brings, module_only, line });
}
