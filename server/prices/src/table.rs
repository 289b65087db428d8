//! The prices that were read, by model and way to call it; settled, and written as the catalogue writes them.
use super::usage_type::Kind;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use switchboard_catalogue::{Date, ModelFacts, Price, ServiceTier, units::PicoUsd};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Value};

/// What a price is for, but for who calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    pub(super) facts: &'a Arc<ModelFacts>,
    pub(super) tier: ServiceTier,
    /// In tokens of the prompt.
    pub(super) above: u32,
    pub(super) kind: Kind,
}

/// All prices that were read.
#[derive(Debug, Default)]
pub(super) struct Table<'a> {
    facts: BTreeMap<&'a str, &'a Arc<ModelFacts>>,
    entries: BTreeMap<(&'a str, Way), BTreeMap<Kind, Vec<Entry>>>,
    rows: BTreeMap<&'a str, BTreeMap<Way, Kinds>>,
}

/// A way to call a model that has prices of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    above: u32,
    tier: ServiceTier,
    profile: String,
}

type Kinds = BTreeMap<Kind, PicoUsd>;

#[derive(Clone, Debug)]
struct Entry {
    price: PicoUsd,
    sku: String,
    /// It is the region's, and gives way to one of the geography's.
    gives_way: bool,
}

// === impl Table ===

impl<'a> Table<'a> {
    /// Adds what a row says. `profiles`: whose price it is, and whether it gives way to one that says so more exactly.
    pub(super) fn add(&mut self, slot: Slot<'a>, profiles: &[(String, bool)], price: PicoUsd, sku: &str) {
        let Slot { facts, tier, above, kind } = slot;
        self.facts.insert(&facts.id, facts);
        for (profile, gives_way) in profiles {
            let way = Way { above, tier, profile: profile.clone() };
            let entry = Entry { price, sku: sku.to_owned(), gives_way: *gives_way };
            self.entries.entry((&facts.id, way)).or_default().entry(kind).or_default().push(entry);
        }
    }

    /// Chooses among what was added; returns what is left over, by SKU, with the reason.
    pub(super) fn settle(&mut self) -> BTreeMap<String, String> {
        let mut used = BTreeSet::new();
        let mut left_over = BTreeMap::new();
        for ((id, way), kinds) in std::mem::take(&mut self.entries) {
            let mut chosen = BTreeMap::new();
            for (kind, entries) in kinds {
                if let Some(entries) = choose(entries, &mut left_over) {
                    chosen.insert(kind, entries);
                }
            }
            let skus =
                |entries: &Vec<Entry>| entries.iter().map(|entry| entry.sku.clone()).collect::<Vec<_>>();
            if let Some(lacks) = [Kind::Input, Kind::Output].iter().find(|kind| !chosen.contains_key(kind)) {
                let why = format!("there is no price of {lacks:?} beside it").to_lowercase();
                left_over.extend(chosen.values().flat_map(skus).map(|sku| (sku, why.clone())));
                continue;
            }
            used.extend(chosen.values().flat_map(skus));
            let prices =
                chosen.into_iter().filter_map(|(kind, entries)| Some((kind, entries.first()?.price)));
            self.rows.entry(id).or_default().insert(way, prices.collect());
        }
        left_over.retain(|sku, _| !used.contains(sku));
        left_over
    }

    /// How many models have a price.
    pub(super) fn models(&self) -> usize {
        self.rows.len()
    }

    /// The models that have a price, as `catalogue` writes them but for their prices.
    pub(super) fn write(&self, catalogue: &str, source: &str, as_of: Option<Date>) -> Result<String, String> {
        let document: DocumentMut = catalogue.parse().map_err(|error| format!("{error}"))?;
        let models = document.get("model").and_then(Item::as_array_of_tables);
        let mut written = ArrayOfTables::new();
        for model in models.into_iter().flatten() {
            let Some(id) = model.get("id").and_then(Item::as_str) else { continue };
            let Some((rows, facts)) = self.rows.get(id).zip(self.facts.get(id)) else { continue };
            let mut model = model.clone();
            let rest = facts.source.as_ref().map(|rest| format!("; the rest: {rest}")).unwrap_or_default();
            model.insert("prices", Item::Value(Value::Array(prices(&merged(facts, rows)))));
            model.insert("source", format!("{source}{rest}").into());
            if let Some(as_of) = as_of {
                model.insert("as_of", as_of.to_string().into());
            }
            model.decor_mut().set_prefix("\n");
            written.push(model);
        }
        let mut file = DocumentMut::new();
        file.insert("model", Item::ArrayOfTables(written));
        Ok(file.to_string().trim_start().to_owned() + "\n")
    }
}

/// Those of a kind that agree. `None`: they contradict each other.
fn choose(entries: Vec<Entry>, left_over: &mut BTreeMap<String, String>) -> Option<Vec<Entry>> {
    let exact = entries.iter().any(|entry| !entry.gives_way);
    let (gone, kept): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.gives_way && exact);
    for entry in gone {
        left_over.insert(entry.sku, "the list has a price of the geography itself".to_owned());
    }
    let first = kept.first()?.price;
    if kept.iter().all(|entry| entry.price == first) {
        return Some(kept);
    }
    let all: Vec<&str> = kept.iter().map(|entry| entry.sku.as_str()).collect();
    let why = format!("these contradict each other: {}", all.join(", "));
    left_over.extend(kept.iter().map(|entry| (entry.sku.clone(), why.clone())));
    None
}

/// The prices that a model has, and in their place those that were read.
fn merged(facts: &ModelFacts, rows: &BTreeMap<Way, Kinds>) -> BTreeMap<Way, Kinds> {
    let had = facts.prices.iter().flat_map(|price| {
        price.profiles.iter().map(move |profile| {
            let way = Way { above: price.above_input_tokens, tier: price.tier, profile: profile.clone() };
            (way, kinds(price))
        })
    });
    let read = rows.iter().map(|(way, kinds)| (way.clone(), kinds.clone()));
    had.chain(read).collect()
}

fn kinds(price: &Price) -> Kinds {
    let all = [
        (Kind::Input, Some(price.input)),
        (Kind::Output, Some(price.output)),
        (Kind::CacheRead, price.cache_read),
        (Kind::CacheWrite5m, price.cache_write_5m),
        (Kind::CacheWrite1h, price.cache_write_1h),
    ];
    all.into_iter().filter_map(|(kind, price)| Some((kind, price?))).collect()
}

/// A line for each set of profiles with equal prices.
fn prices(ways: &BTreeMap<Way, Kinds>) -> Array {
    let mut lines: Vec<(Way, Kinds, Array)> = Vec::new();
    for (way, kinds) in ways {
        let same = |(other, its, _): &(Way, Kinds, Array)| {
            (other.above, other.tier, its) == (way.above, way.tier, kinds)
        };
        match lines.iter().position(same) {
            Some(at) => lines[at].2.push(way.profile.as_str()),
            None => lines.push((way.clone(), kinds.clone(), Array::from_iter([way.profile.as_str()]))),
        }
    }
    let mut array = Array::new();
    for (way, kinds, profiles) in lines {
        let mut line = Value::InlineTable(line(&way, &kinds, profiles));
        line.decor_mut().set_prefix("\n    ");
        array.push_formatted(line);
    }
    array.set_trailing("\n");
    array.set_trailing_comma(true);
    array
}

fn line(way: &Way, kinds: &Kinds, profiles: Array) -> InlineTable {
    let mut line = InlineTable::new();
    line.insert("profiles", Value::Array(profiles));
    if way.tier != ServiceTier::Default {
        line.insert("tier", way.tier.word().into());
    }
    if way.above > 0 {
        line.insert("above_input_tokens", i64::from(way.above).into());
    }
    for (kind, price) in kinds {
        line.insert(kind.key(), price.per_million().into());
    }
    line
}

// === impl Kind ===

impl Kind {
    /// Its key in the catalogue.
    fn key(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::CacheRead => "cache_read",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
        }
    }
}
