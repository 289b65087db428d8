//! Imported prices by model and variant, resolved to one price each and formatted as a catalogue file.
use super::usage_type::Kind;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use switchboard_catalogue::{Date, ModelFacts, Price, ServiceTier, units::PicoUsd};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Value};

/// What a price is for, except for the geography.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    pub(super) facts: &'a Arc<ModelFacts>,
    pub(super) tier: ServiceTier,
    /// Prompt length, in tokens, above which the price applies.
    pub(super) above: u32,
    pub(super) kind: Kind,
}

/// All imported prices.
#[derive(Debug, Default)]
pub(super) struct Table<'a> {
    facts: BTreeMap<&'a str, &'a Arc<ModelFacts>>,
    /// Rows that are not resolved yet.
    entries: BTreeMap<(&'a str, Variant), BTreeMap<Kind, Vec<Entry>>>,
    rows: BTreeMap<&'a str, BTreeMap<Variant, Kinds>>,
}

/// A way to call a model that has its own prices.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Variant {
    above: u32,
    tier: ServiceTier,
    profile: String,
}

/// Price of each kind of token.
type Kinds = BTreeMap<Kind, PicoUsd>;

#[derive(Clone, Debug)]
struct Entry {
    price: PicoUsd,
    sku: String,
    /// True if a price of the geography itself takes precedence.
    is_fallback: bool,
}

// === impl Table ===

impl<'a> Table<'a> {
    /// Adds the price of a row. `profiles`: geography prefixes, and whether the row is only a fallback for
    /// each.
    pub(super) fn add(&mut self, slot: Slot<'a>, profiles: &[(String, bool)], price: PicoUsd, sku: &str) {
        let Slot { facts, tier, above, kind } = slot;
        self.facts.insert(&facts.id, facts);
        for (profile, is_fallback) in profiles {
            let variant = Variant { above, tier, profile: profile.clone() };
            let entry = Entry { price, sku: sku.to_owned(), is_fallback: *is_fallback };
            self.entries.entry((&facts.id, variant)).or_default().entry(kind).or_default().push(entry);
        }
    }

    /// Chooses one price for each variant. Returns the unused rows by SKU, with the reason.
    pub(super) fn settle(&mut self) -> BTreeMap<String, String> {
        let mut used = BTreeSet::new();
        let mut unused = BTreeMap::new();
        for ((id, variant), kinds) in std::mem::take(&mut self.entries) {
            let mut chosen = BTreeMap::new();
            for (kind, entries) in kinds {
                if let Some(entries) = choose(entries, &mut unused) {
                    chosen.insert(kind, entries);
                }
            }
            let skus =
                |entries: &Vec<Entry>| entries.iter().map(|entry| entry.sku.clone()).collect::<Vec<_>>();
            if let Some(missing) = [Kind::Input, Kind::Output].iter().find(|kind| !chosen.contains_key(kind))
            {
                let reason =
                    format!("there is no price of {missing:?} tokens for the same calls").to_lowercase();
                unused.extend(chosen.values().flat_map(skus).map(|sku| (sku, reason.clone())));
                continue;
            }
            used.extend(chosen.values().flat_map(skus));
            let prices =
                chosen.into_iter().filter_map(|(kind, entries)| Some((kind, entries.first()?.price)));
            self.rows.entry(id).or_default().insert(variant, prices.collect());
        }
        unused.retain(|sku, _| !used.contains(sku));
        unused
    }

    /// Number of models that have a price.
    pub(super) fn models(&self) -> usize {
        self.rows.len()
    }

    /// Formats the models that have a price as a catalogue file: the text of `catalogue` with the imported
    /// prices.
    pub(super) fn format(
        &self,
        catalogue: &str,
        source: &str,
        as_of: Option<Date>,
    ) -> Result<String, String> {
        let document: DocumentMut = catalogue.parse().map_err(|error| format!("{error}"))?;
        let models = document.get("model").and_then(Item::as_array_of_tables);
        let mut selected = ArrayOfTables::new();
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
            selected.push(model);
        }
        let mut file = DocumentMut::new();
        file.insert("model", Item::ArrayOfTables(selected));
        Ok(file.to_string().trim_start().to_owned() + "\n")
    }
}

/// Returns the rows that take precedence, if they agree. `None`: they contradict each other.
fn choose(entries: Vec<Entry>, unused: &mut BTreeMap<String, String>) -> Option<Vec<Entry>> {
    let exact = entries.iter().any(|entry| !entry.is_fallback);
    let (outranked, kept): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.is_fallback && exact);
    for entry in outranked {
        unused.insert(entry.sku, "the list has a price for the geography itself".to_owned());
    }
    let first = kept.first()?.price;
    if kept.iter().all(|entry| entry.price == first) {
        return Some(kept);
    }
    let all: Vec<&str> = kept.iter().map(|entry| entry.sku.as_str()).collect();
    let reason = format!("these contradict each other: {}", all.join(", "));
    unused.extend(kept.iter().map(|entry| (entry.sku.clone(), reason.clone())));
    None
}

/// The prices of a model in the catalogue, replaced by the imported ones.
fn merged(facts: &ModelFacts, rows: &BTreeMap<Variant, Kinds>) -> BTreeMap<Variant, Kinds> {
    let existing = facts.prices.iter().flat_map(|price| {
        price.profiles.iter().map(move |profile| {
            let variant =
                Variant { above: price.above_input_tokens, tier: price.tier, profile: profile.clone() };
            (variant, kinds(price))
        })
    });
    let imported = rows.iter().map(|(variant, kinds)| (variant.clone(), kinds.clone()));
    existing.chain(imported).collect()
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

/// One row for each set of profiles with equal prices.
fn prices(variants: &BTreeMap<Variant, Kinds>) -> Array {
    let mut rows: Vec<(Variant, Kinds, Array)> = Vec::new();
    for (variant, kinds) in variants {
        let same = |(other, its, _): &(Variant, Kinds, Array)| {
            (other.above, other.tier, its) == (variant.above, variant.tier, kinds)
        };
        match rows.iter().position(same) {
            Some(at) => rows[at].2.push(variant.profile.as_str()),
            None => rows.push((variant.clone(), kinds.clone(), Array::from_iter([variant.profile.as_str()]))),
        }
    }
    let mut array = Array::new();
    for (variant, kinds, profiles) in rows {
        let mut row = Value::InlineTable(row(&variant, &kinds, profiles));
        row.decor_mut().set_prefix("\n    ");
        array.push_formatted(row);
    }
    array.set_trailing("\n");
    array.set_trailing_comma(true);
    array
}

fn row(variant: &Variant, kinds: &Kinds, profiles: Array) -> InlineTable {
    let mut row = InlineTable::new();
    row.insert("profiles", Value::Array(profiles));
    if variant.tier != ServiceTier::Default {
        row.insert("tier", variant.tier.name().into());
    }
    if variant.above > 0 {
        row.insert("above_input_tokens", i64::from(variant.above).into());
    }
    for (kind, price) in kinds {
        row.insert(kind.key(), price.per_million().into());
    }
    row
}

// === impl Kind ===

impl Kind {
    /// Key of the kind in the catalogue.
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
