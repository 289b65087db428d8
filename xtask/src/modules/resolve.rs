//! Finds where the item that a path names is defined, through re-exports and renames.
use super::tree::{Brings, Id, Module, ROOT, Tree, Use};

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Module(Id),
    /// An item that this module defines.
    ItemOf(Id),
    /// An item of another crate that this module imports.
    Foreign(Id),
}

/// How a path was followed.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// Modules in which a segment was looked up, in order, then the last one. `super` is no look-up.
    pub(super) entered: Vec<Id>,
    /// Modules that only pass the item on with `use`.
    pub(super) faces: Vec<Id>,
}

/// Longest chain of imports that is followed. A longer one is a circle of re-exports.
const MAX_HOPS: usize = 8;

impl Tree {
    /// Follows `path` as written in module `from`, with `local` brought into scope by `use` inside a
    /// function. With `prefer_item`, a last segment that names both an item and a module means the item.
    /// `None`: the path leads out of the crate, or to a name that only the compiler can resolve.
    pub(super) fn resolve(
        &self,
        from: Id,
        local: &[Use],
        path: &[String],
        prefer_item: bool,
    ) -> Option<(Target, Trail)> {
        let mut walk = Walk { tree: self, hops: 0, trail: Trail::default() };
        let target = walk.follow(from, local, path, prefer_item)?;
        Some((target, walk.trail))
    }

    /// The module just below the root that holds `module`, `None` for the root itself.
    pub(super) fn top(&self, module: Id) -> Option<&str> {
        self.modules.get(module)?.path.first().map(String::as_str)
    }

    /// True if `upper` is `lower` or one of the modules around it.
    pub(super) fn is_around(&self, upper: Id, lower: Id) -> bool {
        let path = |id: Id| self.modules.get(id).map(|module| module.path.as_slice()).unwrap_or_default();
        path(lower).starts_with(path(upper))
    }
}

/// A path on its way to its target.
struct Walk<'t> {
    tree: &'t Tree,
    /// Number of imports that led here.
    hops: usize,
    trail: Trail,
}

/// A segment of a path.
#[derive(Clone, Copy)]
struct Name<'a> {
    text: &'a str,
    prefer_item: bool,
}

impl<'t> Walk<'t> {
    fn follow(&mut self, from: Id, local: &[Use], path: &[String], prefer_item: bool) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let mut target = match first.as_str() {
            "" | "Self" => return None,
            "crate" => Target::Module(ROOT),
            "self" => Target::Module(from),
            "super" => self.parent(from)?,
            text => self.in_scope(from, local, Name { text, prefer_item: prefer_item && rest.is_empty() })?,
        };
        for (position, text) in rest.iter().enumerate() {
            let Target::Module(module) = target else { break };
            if text == "super" {
                target = self.parent(module)?;
                continue;
            }
            self.trail.entered.push(module);
            let name = Name { text, prefer_item: prefer_item && position + 1 == rest.len() };
            target = self.member(module, name).unwrap_or(Target::ItemOf(module));
        }
        let (Target::Module(last) | Target::ItemOf(last) | Target::Foreign(last)) = target;
        self.trail.entered.push(last);
        Some(target)
    }

    fn parent(&self, module: Id) -> Option<Target> {
        self.tree.modules.get(module)?.parent.map(Target::Module)
    }

    /// What the first segment of a path means. An import of a function hides a name of its module.
    fn in_scope(&mut self, from: Id, local: &[Use], name: Name<'_>) -> Option<Target> {
        match local.iter().rev().find(|item| item.brings_name(name.text)) {
            Some(item) => self.through(from, item, name),
            None => self.member(from, name),
        }
    }

    /// What `name` means in `module`. `None`: nothing.
    fn member(&mut self, module: Id, name: Name<'_>) -> Option<Target> {
        let data = self.tree.modules.get(module)?;
        let item = data.defined.contains(name.text).then_some(Target::ItemOf(module));
        let child = data.children.get(name.text).copied().map(Target::Module);
        let own = if name.prefer_item { item.or(child) } else { child.or(item) };
        own.or_else(|| self.imported(module, data, name))
    }

    fn imported(&mut self, module: Id, data: &'t Module, name: Name<'_>) -> Option<Target> {
        let mut named = data.uses.iter().filter(|item| item.brings_name(name.text)).peekable();
        if named.peek().is_some() {
            return named.find_map(|item| self.through(module, item, name)).or(Some(Target::Foreign(module)));
        }
        let mut globs = data.uses.iter().filter(|item| item.brings == Brings::Everything);
        globs.find_map(|item| self.through_glob(module, item, name))
    }

    /// Follows an import of `module` that brings `name`.
    fn through(&mut self, module: Id, item: &Use, name: Name<'_>) -> Option<Target> {
        let mut further = self.hop().filter(|_| item.path != [name.text])?;
        let target = further.follow(module, &[], &item.path, name.prefer_item && !item.module_only)?;
        self.pass(module, further.trail);
        Some(target)
    }

    /// Looks for `name` in the module whose names the import brings.
    fn through_glob(&mut self, module: Id, item: &Use, name: Name<'_>) -> Option<Target> {
        let mut further = self.hop()?;
        let Target::Module(open) = further.follow(module, &[], &item.path, false)? else { return None };
        let target = further.member(open, name).filter(|_| open != module)?;
        self.pass(module, further.trail);
        Some(target)
    }

    fn hop(&self) -> Option<Self> {
        let hops = self.hops + 1;
        (hops <= MAX_HOPS).then(|| Self { tree: self.tree, hops, trail: Trail::default() })
    }

    /// Adds the trail of an import of `face`.
    fn pass(&mut self, face: Id, further: Trail) {
        self.trail.faces.push(face);
        self.trail.entered.extend(further.entered);
        self.trail.faces.extend(further.faces);
    }
}
