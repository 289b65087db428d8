//! Import of prices: from AWS's public price list into the catalogue's format.
//!
//! The list is downloaded without credentials as one file per offer:
//! `https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/<offer>/current/us-east-1/index.json`, with the
//! offers `AmazonBedrock` (models of Amazon and open models) and `AmazonBedrockFoundationModels` (models sold
//! through the marketplace, Claude among them).
//!
//! A row of the list is a product with attributes, and a term with its price. No attribute states which
//! tokens the price is for; only the words of the usage type do, so every word must be understood
//! (`usage_type.rs`). A row with an unknown word, an unknown model or a unit other than tokens is reported
//! with the reason; no row is dropped silently or guessed.
//!
//! The result contains whole models, because a catalogue file replaces models as a whole: their facts are
//! unchanged, their prices are replaced where the list has a price and kept where it has none.
mod offer;
mod table;
#[cfg(test)]
mod tests;
mod usage_type;

pub use offer::{File, ImportError};

use offer::{Offer, Product};
use std::{collections::BTreeMap, fmt, sync::Arc};
use switchboard_catalogue::{Catalogue, ModelFacts, Price, geographies_of_region};
use table::{Slot, Table};
use usage_type::Scope;

/// Result of an import.
#[derive(Clone, Debug)]
pub struct Imported {
    /// A catalogue file with every model that has an imported price.
    pub toml: String,
    /// Number of these models.
    pub models: usize,
    /// Number of rows that were imported.
    pub rows: usize,
    /// Rows of the region that were not imported.
    pub skipped: Vec<SkippedRow>,
    /// Number of rows for other regions.
    pub other_regions: usize,
}

/// A row that cannot be expressed in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedRow {
    /// Key of the row in the list.
    pub sku: String,
    /// Usage type of the row.
    pub usage_type: String,
    /// Why it was skipped.
    pub reason: String,
}

/// Imports the prices of calls from `region` into the models of a catalogue file.
///
/// # Errors
/// If a file is not a price list, the catalogue is not valid, or no row can be imported.
pub fn import(catalogue: &str, files: &[File], region: &str) -> Result<Imported, ImportError> {
    let models = Catalogue::parse(catalogue).map_err(|error| ImportError::Catalogue(error.to_string()))?;
    let offers = files.iter().map(Offer::parse).collect::<Result<Vec<_>, _>>()?;
    let mut import = Import::new(&models, region);
    for offer in &offers {
        import.add(offer);
    }
    import.finish(catalogue, &offers)
}

/// Progress of an import.
struct Import<'a> {
    /// Models by their names in the list, in lower case.
    names: BTreeMap<String, &'a Arc<ModelFacts>>,
    region: &'a str,
    table: Table<'a>,
    skipped: Vec<SkippedRow>,
    other_regions: usize,
    rows: usize,
}

// === impl Import ===

impl<'a> Import<'a> {
    fn new(models: &'a Catalogue, region: &'a str) -> Self {
        let names = models.models().flat_map(|facts| {
            facts.price_list.iter().chain([&facts.id]).map(move |name| (name.to_lowercase(), facts))
        });
        Self {
            names: names.collect(),
            region,
            table: Table::default(),
            skipped: Vec::new(),
            other_regions: 0,
            rows: 0,
        }
    }

    fn add(&mut self, offer: &Offer) {
        for (sku, product) in &offer.products {
            self.rows += 1;
            match product.region() {
                Some(region) if region != self.region => self.other_regions += 1,
                _ => {
                    if let Err(reason) = self.add_row(offer, sku, product) {
                        self.skipped.push(SkippedRow {
                            sku: sku.clone(),
                            usage_type: product.usage_type().to_owned(),
                            reason,
                        });
                    }
                }
            }
        }
    }

    fn add_row(&mut self, offer: &Offer, sku: &str, product: &Product) -> Result<(), String> {
        product.region().ok_or("it has no region")?;
        product.check_feature()?;
        let usage = usage_type::parse(product.usage_type())?;
        let tier = product.tier(usage.tier)?;
        let name = product.model().ok_or("it has no model name")?;
        let facts = *self.names.get(&name.to_lowercase()).ok_or_else(|| {
            format!("the catalogue has no model named \"{name}\": add the name to the price_list of a model")
        })?;
        let price = offer.price(sku, usage.kind)?;
        let above = if usage.long { long_prompt_threshold(facts)? } else { 0 };
        let profiles = profiles(&usage.scope, facts, self.region)?;
        self.table.add(Slot { facts, tier, above, kind: usage.kind }, &profiles, price, sku);
        Ok(())
    }

    fn finish(mut self, catalogue: &str, offers: &[Offer]) -> Result<Imported, ImportError> {
        let usage_types: BTreeMap<&str, &str> = offers
            .iter()
            .flat_map(|offer| &offer.products)
            .map(|(sku, product)| (sku.as_str(), product.usage_type()))
            .collect();
        let unused = self.table.settle();
        self.skipped.extend(unused.into_iter().map(|(sku, reason)| SkippedRow {
            usage_type: usage_types.get(sku.as_str()).copied().unwrap_or_default().to_owned(),
            sku,
            reason,
        }));
        let (models, skipped) = (self.table.models(), self.skipped);
        let rows = self.rows - self.other_regions - skipped.len();
        if models == 0 {
            let (region, skipped) = (self.region.to_owned(), skipped.len());
            return Err(ImportError::Nothing { region, skipped, other_regions: self.other_regions });
        }
        let source = source(offers, self.region);
        let as_of = offers.iter().map(|offer| offer.published).min();
        let toml = self.table.format(catalogue, &source, as_of).map_err(ImportError::Catalogue)?;
        Ok(Imported { toml, models, rows, skipped, other_regions: self.other_regions })
    }
}

fn source(offers: &[Offer], region: &str) -> String {
    let lists = offers.iter().map(|offer| format!("{} of {}", offer.offer_code, offer.published));
    format!("AWS's price list ({}) for {region}", lists.collect::<Vec<_>>().join(", "))
}

/// Prompt length from which a model charges its long-context price. The list does not state it, so it must be
/// in the catalogue.
fn long_prompt_threshold(facts: &ModelFacts) -> Result<u32, String> {
    let above = facts.prices.iter().map(|price| price.above_input_tokens).find(|above| *above > 0);
    above.ok_or_else(|| {
        format!(
            "the catalogue does not state above how many input tokens {} has a long-context price",
            facts.id
        )
    })
}

/// Geography prefixes of the ids for which a row is the price. `true`: only if no other row names the
/// geography.
fn profiles(scope: &Scope, facts: &ModelFacts, region: &str) -> Result<Vec<(String, bool)>, String> {
    let listed = |names: &[&str], is_fallback| -> Vec<(String, bool)> {
        let names = names.iter().filter(|name| facts.profiles.iter().any(|profile| profile == *name));
        names.map(|name| ((*name).to_owned(), is_fallback)).collect()
    };
    let found = match scope {
        Scope::Global => listed(&["global"], false),
        Scope::Geography(Some(name)) => listed(&[name], false),
        Scope::Geography(None) => listed(geographies_of_region(region), false),
        Scope::Region => {
            let has_bare = |price: &Price| price.profiles.iter().any(String::is_empty);
            let bare = facts.on_demand || facts.prices.iter().any(has_bare);
            let bare = bare.then(|| (String::new(), false));
            bare.into_iter().chain(listed(geographies_of_region(region), true)).collect()
        }
    };
    if found.is_empty() {
        return Err(format!("the catalogue has no id of {} that is called {scope}", facts.id));
    }
    Ok(found)
}

// === impl SkippedRow ===

impl fmt::Display for SkippedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usage_type = if self.usage_type.is_empty() { "no usage type" } else { &self.usage_type };
        write!(f, "{} ({usage_type}): {}", self.sku, self.reason)
    }
}
