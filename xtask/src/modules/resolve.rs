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

/// A longer chain of re-exports is a circle of them.
const MAX_HOPS: usize = 32;

impl Tree {
    /// Follows `path` as written in module `from`, with `local` brought into scope by `use` inside a
    /// function. `None`: it leads out of the crate, or to a name that only the compiler can resolve. With
    /// `prefer_item`, a last segment that names both an item and a module means the item.
    pub(super) fn resolve(
        &self,
        from: Id,
        local: &[Use],
        path: &[String],
        prefer_item: bool,
    ) -> Option<(Target, Trail)> {
        let mut trail = Trail::default();
        let target = self.follow(from, local, path, prefer_item, &mut trail, 0)?;
        Some((target, trail))
    }

    fn follow(
        &self,
        from: Id,
        local: &[Use],
        path: &[String],
        prefer_item: bool,
        trail: &mut Trail,
        hops: usize,
    ) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let mut target = match first.as_str() {
            "" | "Self" => return None,
            "crate" => Target::Module(ROOT),
            "self" => Target::Module(from),
            "super" => Target::Module(self.modules.get(from)?.parent?),
            name => self.in_scope(from, local, name, prefer_item && rest.is_empty(), trail, hops)?,
        };
        for (position, name) in rest.iter().enumerate() {
            let Target::Module(module) = target else { break };
            if name == "super" {
                target = Target::Module(self.modules.get(module)?.parent?);
                continue;
            }
            trail.entered.push(module);
            let item_here = prefer_item && position + 1 == rest.len();
            target = self.member(module, name, item_here, trail, hops).unwrap_or(Target::ItemOf(module));
        }
        match target {
            Target::Module(module) | Target::ItemOf(module) | Target::Foreign(module) => {
                trail.entered.push(module)
            }
        }
        Some(target)
    }

    /// The first segment of a path: what a function imports hides what its module has.
    fn in_scope(
        &self,
        from: Id,
        local: &[Use],
        name: &str,
        prefer_item: bool,
        trail: &mut Trail,
        hops: usize,
    ) -> Option<Target> {
        let named = |item: &&Use| matches!(&item.brings, Brings::Name(brought) if brought == name);
        if let Some(item) = local.iter().rev().find(named).filter(|_| hops < MAX_HOPS) {
            return self.follow(from, &[], &item.path, prefer_item && !item.module_only, trail, hops + 1);
        }
        self.member(from, name, prefer_item, trail, hops)
    }

    /// What `name` means in `module`. `None`: nothing, or something of another crate.
    fn member(
        &self,
        module: Id,
        name: &str,
        prefer_item: bool,
        trail: &mut Trail,
        hops: usize,
    ) -> Option<Target> {
        let data = self.modules.get(module)?;
        let item = data.defined.contains(name).then_some(Target::ItemOf(module));
        let child = data.children.get(name).copied().map(Target::Module);
        if hops >= MAX_HOPS {
            return item.or(child);
        }
        let own = if prefer_item { item.or(child) } else { child.or(item) };
        own.or_else(|| self.imported(module, data, name, prefer_item, trail, hops))
    }

    fn imported(
        &self,
        module: Id,
        data: &Module,
        name: &str,
        prefer_item: bool,
        trail: &mut Trail,
        hops: usize,
    ) -> Option<Target> {
        let mut foreign = None;
        for item in &data.uses {
            if !matches!(&item.brings, Brings::Name(brought) if brought == name) {
                continue;
            }
            foreign = Some(Target::Foreign(module));
            if item.path == [name] {
                continue;
            }
            let mut further = Trail::default();
            if let Some(target) =
                self.follow(module, &[], &item.path, prefer_item && !item.module_only, &mut further, hops + 1)
            {
                trail.pass(module, further);
                return Some(target);
            }
        }
        for item in data.uses.iter().filter(|item| item.brings == Brings::Everything) {
            let mut further = Trail::default();
            let found = self.follow(
                module,
                &[],
                &item.path,
                prefer_item && !item.module_only,
                &mut further,
                hops + 1,
            );
            if let Some(Target::Module(open)) = found.filter(|found| *found != Target::Module(module))
                && let Some(target) = self.member(open, name, prefer_item, &mut further, hops + 1)
            {
                trail.pass(module, further);
                return Some(target);
            }
        }
        foreign
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

impl Trail {
    fn pass(&mut self, face: Id, further: Self) {
        self.faces.push(face);
        self.entered.extend(further.entered);
        self.faces.extend(further.faces);
    }
}
