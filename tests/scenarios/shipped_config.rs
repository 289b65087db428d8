//! The shipped configuration is valid and has every key of the program, as a setting or as a commented-out
//! setting.
//!
//! The list of keys is not kept by hand. Each table of the configuration refuses unknown keys, and the error
//! of serde lists the known ones. So an unknown key is put into each table in turn, and the keys that the
//! error lists are compared with the keys of the table.
use std::collections::BTreeSet;
use switchboard_server::config::Config;
use toml::{Table, Value};

const SHIPPED: &str = include_str!("../../deploy/switchboard.toml");

/// Marks a line as a setting that is off by default.
const MARK: &str = "#: ";

/// A key that no table has.
const UNKNOWN: &str = "a_key_that_no_table_has";

/// Tables whose keys are names chosen by the operator.
const NAMED_BY_OPERATORS: [&str; 2] = ["models", "tasks"];

/// Tables with the keys of `[deadline]`. The file explains these keys once, in `[deadline]`.
const DEADLINES: [&str; 2] = ["models.*.deadline", "tasks.*.deadline"];

#[test]
fn is_valid() {
    let config = Config::parse(SHIPPED).expect("is valid");
    assert!(config.tasks.contains_key("default"));
}

#[test]
fn is_valid_with_every_setting_that_is_off_by_default() {
    let config = Config::parse(&with_all_settings()).expect("is valid");
    assert!(config.bedrock.assume_role_arn.is_some() && config.bedrock.endpoint_url.is_some());
}

#[test]
fn has_every_key_in_its_table() {
    let missing = missing(&all_settings());
    assert!(missing.is_empty(), "deploy/switchboard.toml has no line for {missing:?}");
}

/// Removes each key of the file in turn. If no other table of its kind has the key, it must be reported as
/// missing.
#[test]
fn a_missing_key_is_found() {
    let whole = all_settings();
    let (mut optional, mut required) = (0, 0);
    for path in paths(&whole) {
        let mut without = whole.clone();
        remove(&mut without, &path);
        let kind = kind(&path);
        if paths(&without).iter().any(|other| self::kind(other) == kind) {
            continue;
        }
        let error = Config::parse(&toml::to_string(&without).expect("is TOML")).err();
        let key = path.last().expect("is not the whole");
        if error.is_some_and(|error| error.problem == format!("missing field `{key}`")) {
            required += 1; // the file is not valid without it, which the tests above find
        } else {
            assert!(missing(&without).contains(&kind), "{kind} is removed and not reported");
            optional += 1;
        }
    }
    assert!(
        optional > 60 && required > 0,
        "only {optional} optional and {required} required keys were removed"
    );
}

#[test]
fn a_key_in_the_wrong_table_is_found() {
    let moved = with_all_settings().replace("[retry]\n", "[retry]\ndrain_delay = \"0s\"\n");
    let error = Config::parse(&moved).expect_err("has a key of [server] in [retry]");
    assert!(error.problem.contains("unknown field `drain_delay`"), "{error:?}");
}

/// The file with the mark taken off every setting.
fn with_all_settings() -> String {
    SHIPPED.lines().map(|line| line.strip_prefix(MARK).unwrap_or(line).to_owned() + "\n").collect()
}

fn all_settings() -> Table {
    with_all_settings().parse().expect("is TOML")
}

// === keys of the program ===

/// Keys of the program that the configuration does not have, as "breaker.window" or "models.*.ladder.region".
/// Tables of the same kind complete each other: one model with the key is enough.
fn missing(config: &Table) -> BTreeSet<String> {
    let present: BTreeSet<_> = paths(config).iter().map(|path| kind(path)).collect();
    let mut known = BTreeSet::new();
    for table in tables(config) {
        let keys = keys_of_program(config, &table);
        known.extend(keys.into_iter().map(|key| kind(&[table.as_slice(), &[key]].concat())));
    }
    &known - &present
}

/// The keys that the program knows in this table of the configuration.
fn keys_of_program(config: &Table, table: &[String]) -> Vec<String> {
    let mut probe = config.clone();
    descend(&mut probe, table).insert(UNKNOWN.to_owned(), Value::Boolean(true));
    let probe = toml::to_string(&probe).expect("is TOML");
    let Err(error) = Config::parse(&probe) else { panic!("{table:?} does not refuse unknown keys") };
    let (_, known) = error
        .problem
        .split_once(&format!("unknown field `{UNKNOWN}`, expected "))
        .unwrap_or_else(|| panic!("{table:?}: another error than that of an unknown key: {}", error.problem));
    let keys: Vec<_> = known.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(!keys.is_empty(), "{table:?}: the error lists no key: {known}");
    keys
}

// === paths in the configuration ===
//
// A path is the list of keys from the top. An element of a list has its position as key.

/// The kind of a path: without positions, with "*" for names that operators choose, and with `deadline` for a
/// table that has its keys.
fn kind(path: &[String]) -> String {
    let is_named = |position: usize| position == 1 && NAMED_BY_OPERATORS.contains(&path[0].as_str());
    let keys = path.iter().enumerate().filter(|(_, key)| key.parse::<usize>().is_err());
    let keys = keys.map(|(position, key)| if is_named(position) { "*" } else { key.as_str() });
    let kind = keys.collect::<Vec<_>>().join(".");
    let within = |table: &&&str| kind.starts_with(&format!("{table}."));
    match DEADLINES.iter().find(within) {
        Some(table) => kind.replacen(table, "deadline", 1),
        None => kind,
    }
}

/// Paths of all tables whose keys are the program's, the whole configuration included.
fn tables(config: &Table) -> Vec<Vec<String>> {
    let whole = Value::Table(config.clone());
    let nested = nested(&whole);
    let tables = nested.into_iter().filter(|(_, value)| value.is_table()).map(|(path, _)| path);
    tables.filter(|path| !(path.len() == 1 && NAMED_BY_OPERATORS.contains(&path[0].as_str()))).collect()
}

/// Paths of all keys.
fn paths(config: &Table) -> Vec<Vec<String>> {
    let whole = Value::Table(config.clone());
    let nested = nested(&whole);
    let paths = nested.into_iter().map(|(path, _)| path);
    paths.filter(|path| path.last().is_some_and(|key| key.parse::<usize>().is_err())).collect()
}

/// The value and all values inside it, each with its path.
fn nested(value: &Value) -> Vec<(Vec<String>, &Value)> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let inner = inner.into_iter().flat_map(|(key, value)| {
        nested(value).into_iter().map(move |(path, value)| ([vec![key.clone()], path].concat(), value))
    });
    std::iter::once((Vec::new(), value)).chain(inner).collect()
}

/// The table at a path that leads to one.
fn descend<'a>(config: &'a mut Table, path: &[String]) -> &'a mut Table {
    let Some((first, mut rest)) = path.split_first() else { return config };
    let mut value = config.get_mut(first).expect("is there");
    while let (Some((position, after)), true) = (rest.split_first(), value.is_array()) {
        let position: usize = position.parse().expect("is a position");
        value = value.as_array_mut().and_then(|list| list.get_mut(position)).expect("is there");
        rest = after;
    }
    descend(value.as_table_mut().expect("is a table"), rest)
}

fn remove(config: &mut Table, path: &[String]) {
    let (key, table) = path.split_last().expect("is not the whole");
    descend(config, table).remove(key);
}
