use super::*;

fn graphs(files: &[(&str, &str)]) -> Vec<Graphs> {
    let files = files.iter().map(|(path, text)| (format!("src/{path}"), (*text).to_owned())).collect();
    read(&files, "src").unwrap()
}

fn cycles(files: &[(&str, &str)]) -> Vec<String> {
    graphs(files).iter().flat_map(Graphs::cycles).collect()
}

/// The graph of top-level modules as it is printed.
fn floors(files: &[(&str, &str)]) -> String {
    graphs(files)[0].modules.to_string()
}

#[test]
fn a_cycle_of_modules_is_reported_with_the_imports_that_form_it() {
    let cycles = cycles(&[
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b::B;\npub struct A(B);"),
        ("b.rs", "mod inner;\npub struct B;"),
        ("b/inner.rs", "fn f() {}\n\nfn g() -> crate::c::C { crate::c::C }"),
        ("c.rs", "pub use crate::a::A; pub struct C;"),
        ("d.rs", "use crate::a::A; fn f(_: A) {}"),
    ]);

    assert_eq!(
        cycles,
        ["import cycle: a -> b -> c -> a\n\
          \x20 a -> b\n    src/a.rs:1 -> crate::b::B\n\
          \x20 b -> c\n    src/b/inner.rs:3 -> crate::c::C\n\
          \x20 c -> a\n    src/c.rs:1 -> crate::a::A\n"]
    );
}

#[test]
fn imports_of_tests_form_no_cycle() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; } #[cfg(test)] mod more;"),
        ("a/more.rs", "use crate::b::B;"),
        ("b.rs", "use crate::a::A; pub struct B(A); mod tests;"),
        ("b/tests.rs", "use crate::nowhere::X;"),
    ];
    assert_eq!(floors(&files), "  1  b -> a\n  0  a\n     lib.rs\n");
    assert!(cycles(&files).is_empty());
}

#[test]
fn every_form_of_a_path_counts() {
    for code in [
        "use crate::{x::Y, b::{self as other, deep::{C, D as E}}};",
        "use crate::b::*;",
        "use crate::b::Trait as _;",
        "use super::b;",
        "fn f() { use crate::b::C; }",
        "fn f() { use crate::b as other; other::f() }",
        "fn f(_: crate::b::C) {}",
        "fn f(_: Vec<Option<crate::b::C>>) {}",
        "fn f() { super::b::f::<u8>() }",
        "fn f() { println!(\"{}\", 1 + crate::b::f(2)) }",
        "fn f() { crate::b::a_macro!() }",
        "#[serde(with = \"crate::b::duration\")] struct S;",
        "#[serde(default = \"super::b::duration\")] struct S;",
        "impl crate::b::C { fn f() {} }",
        "impl<T: crate::b::Trait> Clone for S<T> {}",
        "#[derive(crate::b::Derive)] struct S;",
        "mod inner { use super::super::b::C; }",
        "fn f(x: u8) { match x { crate::b::LIMIT => {} _ => {} } }",
    ] {
        let floors =
            floors(&[("lib.rs", "mod a; mod b; mod x;"), ("a.rs", code), ("b.rs", ""), ("x.rs", "")]);
        assert!(floors.contains("a -> b"), "{code}\n{floors}");
    }
}

#[test]
fn names_that_are_not_of_this_crate_do_not_count() {
    for code in [
        "use ::b::C;",
        "use b_crate::b::C;",
        "fn f() { http::b::f() }",
        "pub(in crate::b) fn f() {}",
        "/// See [`crate::b::C`].\nfn f() {}",
        "fn f() { let b = 1; b.c(); }",
    ] {
        let floors = floors(&[("lib.rs", "mod a; mod b;"), ("a.rs", code), ("b.rs", "")]);
        assert_eq!(floors, "  0  a\n     b\n     lib.rs\n", "{code}");
    }
}

#[test]
fn a_reexport_in_a_parent_makes_no_cycle_with_its_children() {
    assert!(
        cycles(&[
            ("lib.rs", "mod a; pub use a::Item;"),
            ("a.rs", "mod one; mod two; pub use one::Item; pub struct Own; fn f() { two::f() }"),
            ("a/one.rs", "use super::Own; pub struct Item(Own);"),
            ("a/two.rs", "use super::Item; use crate::a::Item as Same; pub fn f() { crate::a::one::g() }"),
        ])
        .is_empty()
    );
}

#[test]
fn a_cycle_of_siblings_is_found_through_the_faces_of_their_parent() {
    let cycles = cycles(&[
        ("lib.rs", "mod a;"),
        ("a.rs", "mod one; mod two; pub use {one::One, two::Two as Renamed};"),
        ("a/one.rs", "use super::Renamed; pub struct One(Renamed);"),
        ("a/two.rs", "pub struct Two; fn f(_: crate::a::One) {}"),
    ]);

    assert_eq!(
        cycles,
        ["import cycle: src/a/one.rs -> src/a/two.rs -> src/a/one.rs\n\
          \x20 src/a/one.rs -> src/a/two.rs\n    src/a/one.rs:1 -> super::Renamed\n\
          \x20 src/a/two.rs -> src/a/one.rs\n    src/a/two.rs:1 -> crate::a::One\n"]
    );
}

#[test]
fn a_cycle_through_globs_is_found() {
    let with_one = |one| {
        cycles(&[
            ("lib.rs", "mod a;"),
            ("a.rs", "mod one; mod two;"),
            ("a/one.rs", one),
            ("a/two.rs", "use super::one::*;"),
        ])
    };
    assert_eq!(with_one("use crate::a::two::*;").len(), 1);
    assert_eq!(with_one("fn f() { use super::two::*; }").len(), 1);
    assert!(with_one("use super::*;").is_empty());
}

#[test]
fn a_cycle_of_cousins_is_found() {
    let cycles = cycles(&[
        ("lib.rs", "mod a;"),
        ("a.rs", "mod one; mod two;"),
        ("a/one.rs", "mod deep; pub struct One(deep::Deep);"),
        ("a/one/deep.rs", "pub struct Deep(super::super::two::Two);"),
        ("a/two.rs", "pub struct Two; fn f(_: crate::a::one::One) {}"),
    ]);
    assert_eq!(cycles.len(), 1);
    assert!(cycles[0].starts_with("import cycle: src/a/one.rs -> src/a/one/deep.rs -> src/a/two.rs"));
}

#[test]
fn a_module_can_use_what_the_root_reexports_but_not_what_it_defines() {
    let with_root = |root| cycles(&[("lib.rs", root), ("a.rs", "use crate::X;"), ("b.rs", "pub struct X;")]);
    assert!(with_root("mod a; mod b; pub use b::X; fn f() { a::f() }").is_empty());
    assert!(with_root("mod a; mod b; pub use other_crate::X; fn f() { a::f() }").is_empty());
    let cycles = with_root("mod a; mod b; pub struct X; fn f() { a::f() }");
    assert_eq!(
        cycles,
        ["import cycle: a -> lib.rs -> a\n\
          \x20 a -> lib.rs\n    src/a.rs:1 -> crate::X\n\
          \x20 lib.rs -> a\n    src/lib.rs:1 -> a::f\n"]
    );
}

#[test]
fn programs_are_graphs_of_their_own() {
    let graphs = graphs(&[
        ("lib.rs", "mod a;"),
        ("a.rs", "mod b;"),
        ("a/b.rs", ""),
        ("main.rs", "mod args;"),
        ("args.rs", ""),
        ("bin/tool.rs", ""),
        ("bin/other/main.rs", "mod part;"),
        ("bin/other/part.rs", "use server::a;"),
    ]);
    let roots: Vec<_> = graphs.iter().map(|graphs| graphs.root.as_str()).collect();
    assert_eq!(roots, ["src/bin/other/main.rs", "src/bin/tool.rs", "src/lib.rs", "src/main.rs"]);
}

#[test]
fn a_circle_of_reexports_ends() {
    let files =
        [("lib.rs", "mod a; mod b;"), ("a.rs", "pub use crate::b::X;"), ("b.rs", "pub use crate::a::X;")];
    assert_eq!(cycles(&files).len(), 1);
}

#[test]
fn names_that_a_glob_reexports_lead_to_their_definition() {
    let graph = floors(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::X; fn f() { use super::c::deep as alias; alias::f() }"),
        ("b.rs", "mod deep; mod other; pub use deep::*; pub use other::*;"),
        ("b/deep.rs", "pub use super::other::*;"),
        ("b/other.rs", "pub use super::deep::*; pub struct X;"),
        ("c.rs", "pub mod deep;"),
        ("c/deep.rs", "pub fn f() {}"),
    ]);
    assert_eq!(graph, "  1  a -> b, c\n  0  b\n     c\n     lib.rs\n");
}

#[test]
fn a_missing_file_is_an_error() {
    let files = [("src/lib.rs".to_owned(), "mod a;".to_owned())].into();
    assert_eq!(read(&files, "src").unwrap_err().to_string(), "src/lib.rs: there is no file for `mod a;`");
    let error = read(&Files::new(), "src").unwrap_err();
    assert_eq!(error.to_string(), "src has neither lib.rs nor main.rs");
}

#[test]
fn a_module_and_a_function_can_share_a_name() {
    let with_a = |a| floors(&[("lib.rs", "mod a; mod b; fn b() {}"), ("a.rs", a), ("b.rs", "pub struct B;")]);
    let module = "  1  a -> b\n  0  b\n     lib.rs\n";
    assert_eq!(with_a("use crate::b::{self, B}; fn f() { b::f() }"), module);
    assert_eq!(with_a("fn f() { crate::b::f() }"), module);
    assert_eq!(with_a("fn f() { crate::b() }"), "  1  a -> lib.rs\n  0  b\n     lib.rs\n");
}
