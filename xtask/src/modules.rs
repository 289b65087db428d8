//! `cargo xtask modules`: the import graph of a crate, which has to be acyclic.
//!
//! Two graphs are checked, for the library and for each program of the crate apart:
//!
//! - Top-level modules (`attempt` is attempt.rs and attempt/**, the root file is a node of its own). An
//!   import counts for the module that it names, except that a re-export in the root file counts for the
//!   module behind it.
//! - The files of one top-level module. An import counts for the file that defines the item, found through
//!   `pub use`, and for any other file that re-exports it on the way. A file may import what a module around
//!   it defines, so that a child can use an item of its parent; between siblings there is no exception.
//!
//! Tests are left out. Only names are followed: a method call on a value says nothing about where its type is
//! defined.
mod graph;
mod paths;
mod resolve;
mod tree;

use crate::{
    shell::{Result, Shell},
    source::{self, Files},
};
use clap::Args;
use graph::{Graph, Import};
use paths::Reference;
use resolve::Target;
use std::collections::BTreeMap;
use tree::{Id, ROOT, Tree};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print the files of this top-level module instead of the whole crate
    #[arg(value_name = "MODULE")]
    module: Option<String>,
    /// Source folder of the crate to check
    #[arg(long, default_value = "server/src", value_name = "FOLDER")]
    source: String,
}

/// Prints the graphs floor by floor, then fails if one of them has a cycle.
pub(crate) fn modules(shell: &Shell, options: &Options) -> Result {
    let files = source::read(&shell.root, &options.source, &[".rs"])?;
    let crates = read(&files, &options.source)?;
    match &options.module {
        Some(module) => {
            let graphs: Vec<_> = crates.iter().filter_map(|graphs| graphs.files.get(module)).collect();
            if graphs.is_empty() {
                return Err(format!("{} has no top-level module {module}", options.source).into());
            }
            graphs.iter().for_each(|graph| print!("{graph}"));
        }
        None => crates.iter().for_each(|graphs| print!("{}\n{}", graphs.root, graphs.modules)),
    }
    verdict(&crates)
}

/// Crates whose modules `cargo xtask lint` checks.
const CHECKED: [&str; 4] = ["server/src", "server/catalogue/src", "server/prices/src", "xtask/src"];

/// Fails if modules, or the files of one module, form a cycle.
pub(crate) fn check(shell: &Shell) -> Result {
    for source in CHECKED {
        eprintln!("checking the modules of {source} for import cycles");
        verdict(&read(&source::read(&shell.root, source, &[".rs"])?, source)?)?;
    }
    Ok(())
}

fn verdict(crates: &[Graphs]) -> Result {
    let cycles: Vec<_> = crates.iter().flat_map(Graphs::cycles).collect();
    if cycles.is_empty() {
        return Ok(());
    }
    Err(format!("{} import cycle(s); see `cargo xtask modules`\n\n{}", cycles.len(), cycles.join("\n"))
        .into())
}

/// The graphs of one crate.
#[derive(Debug)]
struct Graphs {
    /// The root file.
    root: String,
    modules: Graph,
    /// By top-level module.
    files: BTreeMap<String, Graph>,
}

/// The library and the programs that Cargo finds in a source folder.
fn read(files: &Files, source: &str) -> Result<Vec<Graphs>> {
    let is_root = |path: &str| {
        let inside = path.strip_prefix(source).and_then(|path| path.strip_prefix('/')).unwrap_or_default();
        let parts: Vec<_> = inside.split('/').collect();
        matches!(*parts, ["lib.rs" | "main.rs"] | ["bin", _] | ["bin", _, "main.rs"])
    };
    let roots: Vec<_> = files.keys().filter(|path| is_root(path)).collect();
    if roots.is_empty() {
        return Err(format!("{source} has neither lib.rs nor main.rs").into());
    }
    roots.into_iter().map(|root| Graphs::read(files, root)).collect()
}

// === impl Graphs ===

impl Graphs {
    fn read(files: &Files, root: &str) -> Result<Self> {
        let tree = Tree::read(files, root)?;
        let mut graphs = Self { root: root.to_owned(), modules: Graph::default(), files: BTreeMap::new() };
        for id in 0..tree.modules.len() {
            graphs.add_module(&tree, id);
        }
        Ok(graphs)
    }

    fn add_module(&mut self, tree: &Tree, id: Id) {
        let Some(module) = tree.modules.get(id) else { return };
        self.modules.add_node(node(tree, id));
        if let Some(top) = tree.top(id) {
            self.files.entry(top.to_owned()).or_default().add_node(&module.file);
        }
        for item in &module.uses {
            self.add_import(tree, id, &Reference::of_use(item));
        }
        // The first segment of `CallError::Internal` came in through a `use`, which has been counted.
        let is_counted = |reference: &Reference| {
            let first =
                reference.path.get(..1).and_then(|first| tree.resolve(id, &reference.local, first, false));
            !reference.is_use && matches!(first, Some((Target::ItemOf(_) | Target::Foreign(_), _)))
        };
        for reference in paths::of(&module.items).iter().filter(|reference| !is_counted(reference)) {
            self.add_import(tree, id, reference);
        }
    }

    fn add_import(&mut self, tree: &Tree, from: Id, reference: &Reference) {
        let Some(file) = tree.modules.get(from).map(|module| module.file.clone()) else { return };
        let Some((target, trail)) =
            tree.resolve(from, &reference.local, &reference.path, reference.prefer_item)
        else {
            return;
        };
        let import = Import { file, line: reference.line, path: reference.path.join("::") };
        let (Target::Module(last) | Target::ItemOf(last) | Target::Foreign(last)) = target;
        let is_item = target != Target::Module(last);

        let named = trail.entered.iter().copied().find(|id| tree.top(*id).is_some());
        let of_root = reference.is_glob || target == Target::ItemOf(last);
        let named = if tree.top(last).is_none() { Some(last).filter(|_| of_root) } else { named };
        if let Some(named) = named.filter(|named| tree.top(*named) != tree.top(from)) {
            self.modules.add_edge(node(tree, from), node(tree, named), import.clone());
        }

        if is_item || reference.is_glob {
            let faces = trail.faces.iter().copied().filter(|face| !tree.is_around(*face, last));
            for to in faces.chain([last]) {
                self.add_file_edge(tree, from, to, import.clone());
            }
        }
    }

    fn add_file_edge(&mut self, tree: &Tree, from: Id, to: Id, import: Import) {
        let (Some(importer), Some(imported)) = (tree.modules.get(from), tree.modules.get(to)) else { return };
        let Some(top) = tree.top(from).filter(|top| tree.top(to) == Some(top)) else { return };
        if importer.file != imported.file && !tree.is_around(to, from) {
            let graph = self.files.entry(top.to_owned()).or_default();
            graph.add_edge(&importer.file, &imported.file, import);
        }
    }

    /// A description of each.
    fn cycles(&self) -> Vec<String> {
        let graphs = [&self.modules].into_iter().chain(self.files.values());
        graphs.flat_map(|graph| graph.knots().into_iter().map(|knot| graph.describe(&knot))).collect()
    }
}

/// The node of the module graph that a module belongs to.
fn node(tree: &Tree, id: Id) -> &str {
    let root = tree.modules.get(ROOT).map(|root| root.file.rsplit('/').next().unwrap_or_default());
    tree.top(id).or(root).unwrap_or_default()
}

#[cfg(test)]
mod tests;
