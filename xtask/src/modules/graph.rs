//! A directed graph of named nodes whose edges remember the imports that make them.
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::{self, Display, Formatter, Write as _},
};

/// A line that refers to something in another file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) file: String,
    pub(crate) line: usize,
    /// As it is written, e.g. `crate::route::Skip`.
    pub(crate) path: String,
}

#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// By the node that imports, then by the node that is imported. Every node is a key.
    edges: BTreeMap<String, BTreeMap<String, BTreeSet<Import>>>,
}

/// Nodes that all depend on each other, directly or through others.
pub(crate) type Knot = BTreeSet<String>;

impl Graph {
    pub(crate) fn add_node(&mut self, name: &str) {
        self.edges.entry(name.to_owned()).or_default();
    }

    pub(crate) fn add_edge(&mut self, from: &str, to: &str, import: Import) {
        self.add_node(to);
        self.edges.entry(from.to_owned()).or_default().entry(to.to_owned()).or_default().insert(import);
    }

    fn targets(&self, node: &str) -> impl Iterator<Item = &String> {
        self.edges.get(node).into_iter().flat_map(BTreeMap::keys)
    }

    fn imports(&self, from: &str, to: &str) -> impl Iterator<Item = &Import> {
        self.edges.get(from).and_then(|targets| targets.get(to)).into_iter().flatten()
    }

    fn reachable(&self, from: &str) -> BTreeSet<&String> {
        let mut found = BTreeSet::new();
        let mut waiting: Vec<_> = self.targets(from).collect();
        while let Some(node) = waiting.pop() {
            if found.insert(node) {
                waiting.extend(self.targets(node));
            }
        }
        found
    }

    /// Every cycle is inside one of these. Empty for an acyclic graph.
    pub(crate) fn knots(&self) -> Vec<Knot> {
        let reachable: BTreeMap<_, _> = self.edges.keys().map(|node| (node, self.reachable(node))).collect();
        let knots =
            reachable.iter().filter(|(node, reached)| reached.contains(*node)).map(|(node, reached)| {
                let returns =
                    |other: &&&String| reachable.get(**other).is_some_and(|back| back.contains(*node));
                reached.iter().filter(returns).map(|other| (*other).clone()).collect::<Knot>()
            });
        knots.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The shortest way from a node of the knot back to itself. The first node is not repeated at the end.
    fn shortest_cycle(&self, knot: &Knot) -> Vec<String> {
        let cycles = knot.iter().filter_map(|start| self.shortest_way_back(start));
        cycles.min_by_key(Vec::len).unwrap_or_default()
    }

    fn shortest_way_back(&self, start: &str) -> Option<Vec<String>> {
        let mut seen = BTreeSet::new();
        let mut waiting = VecDeque::from([vec![start.to_owned()]]);
        while let Some(way) = waiting.pop_front() {
            let Some(last) = way.last() else { continue };
            for next in self.targets(last) {
                if next == start {
                    return Some(way.clone());
                }
                if seen.insert(next) {
                    waiting.push_back(way.iter().chain([next]).cloned().collect());
                }
            }
        }
        None
    }

    /// The nodes floor by floor, the ground floor first. A node stands one floor above the highest node it
    /// imports; the members of a knot share a floor.
    fn floors(&self) -> Vec<BTreeSet<String>> {
        let knots = self.knots();
        let together = |a: &String, b: &String| knots.iter().any(|knot| knot.contains(a) && knot.contains(b));
        let mut floors: Vec<BTreeSet<String>> = Vec::new();
        let mut left: BTreeSet<&String> = self.edges.keys().collect();
        while !left.is_empty() {
            let rests = |node: &String| {
                let mut below = self.reachable(node).into_iter().filter(|other| !together(node, other));
                below.all(|other| !left.contains(other))
            };
            let floor: BTreeSet<String> =
                left.iter().filter(|node| rests(node)).map(|node| (*node).clone()).collect();
            left.retain(|node| !floor.contains(*node));
            floors.push(floor);
        }
        floors
    }

    /// Describes a knot: its shortest cycle, then every import inside it, the rarest connection first.
    pub(crate) fn describe(&self, knot: &Knot) -> String {
        let mut text = String::new();
        let cycle = self.shortest_cycle(knot);
        let (start, names) = (cycle.first().cloned().unwrap_or_default(), cycle.join(" -> "));
        let _ = writeln!(text, "import cycle: {names} -> {start}");
        if knot.len() > cycle.len() {
            let members: Vec<_> = knot.iter().map(String::as_str).collect();
            let _ = writeln!(text, "  one of several among {} nodes: {}", knot.len(), members.join(", "));
        }
        let mut edges: Vec<_> = knot
            .iter()
            .flat_map(|from| self.targets(from).filter(|to| knot.contains(*to)).map(move |to| (from, to)))
            .collect();
        edges.sort_by_key(|(from, to)| self.imports(from, to).count());
        for (from, to) in edges {
            let _ = writeln!(text, "  {from} -> {to}");
            for Import { file, line, path } in self.imports(from, to) {
                let _ = writeln!(text, "    {file}:{line} -> {path}");
            }
        }
        text
    }
}

/// The highest floor first, each node with what it imports directly.
impl Display for Graph {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (number, floor) in self.floors().iter().enumerate().rev() {
            for (position, node) in floor.iter().enumerate() {
                let label = if position == 0 { format!("{number:>3}") } else { "   ".to_owned() };
                let targets: Vec<_> = self.targets(node).map(String::as_str).collect();
                let arrow = if targets.is_empty() { "" } else { " -> " };
                writeln!(f, "{label}  {node}{arrow}{}", targets.join(", "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        for (line, (from, to)) in edges.iter().enumerate() {
            let import = Import { file: format!("{from}.rs"), line: line + 1, path: format!("crate::{to}") };
            graph.add_edge(from, to, import);
        }
        graph
    }

    #[test]
    fn an_acyclic_graph_is_printed_floor_by_floor() {
        let graph = graph(&[("a", "b"), ("a", "c"), ("b", "c"), ("d", "c")]);
        assert!(graph.knots().is_empty());
        assert_eq!(graph.to_string(), "  2  a -> b, c\n  1  b -> c\n     d -> c\n  0  c\n");
    }

    #[test]
    fn a_knot_shares_a_floor_and_shows_its_shortest_cycle() {
        let graph = graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "b"), ("d", "a"), ("b", "e")]);
        let knots = graph.knots();
        assert_eq!(knots.len(), 1);
        let text = graph.describe(&knots[0]);
        assert!(
            text.starts_with("import cycle: b -> c -> b\n  one of several among 3 nodes: a, b, c\n"),
            "{text}"
        );
        assert!(text.contains("  c -> a\n    c.rs:3 -> crate::a\n"), "{text}");
        assert!(!text.contains("crate::e"));
        assert_eq!(graph.floors().len(), 3);
    }
}
